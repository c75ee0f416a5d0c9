"""What stays closed where a location is left out, because a document cannot say which it is.

An import that is lenient must not open what was closed.  Of a location that turns somebody away, a
wider one is left, which turns everybody away: it has the regular expression without what RE2 does
not know, and so takes all that the location would take, and more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from admin.nginx.reading import Directive
from admin.nginx.values import words
from proxy.errors import FaultError
from proxy.patterns import Pattern

_CLOSING: Final = words("deny auth_basic auth_request limit_except internal")
_TOKEN: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<ahead>\(\?<?[=!])|(?P<open>\()|(?P<close>\))"
    r"|(?P<wider>[*+?}]\+)|.",
    re.DOTALL,
)
_QUANTIFIER: Final = re.compile(r"(?:[*+?]|\{[0-9,]+\})[+?]?")


def closes(block: Iterable[Directive]) -> bool:
    """Tell whether something in a block turns requests away."""
    return any(
        each.name in _CLOSING
        or (each.name == "return" and re.fullmatch(r"4\d\d", each.args[0], re.ASCII))
        or closes(each.block or ())
        for each in block
    )


def wider(pattern: str) -> str:
    """Return an expression that finds something wherever this one does; at worst the empty one.

    What looks around only narrows what is found, and so does what never goes back.
    """
    made, position, left_out = "", 0, 0
    if any(quoting in pattern for quoting in (r"\Q", "(?#")):
        return ""  # what stands there is not what it looks like
    while position < len(pattern):
        found = _TOKEN.match(pattern, position)
        if found is None:
            return ""
        position = found.end()
        if left_out:
            left_out += bool(found["ahead"] or found["open"]) - bool(found["close"])
            if not left_out and (quantifier := _QUANTIFIER.match(pattern, position)):
                position = quantifier.end()
        elif found["ahead"]:
            left_out = 1
        else:
            made += found[0][0] if found["wider"] else found[0]
    made = made.replace("(?>", "(?:")
    try:
        Pattern(made)
    except FaultError:
        return ""
    return made
