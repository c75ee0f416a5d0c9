"""Variables that are none: what ``set`` gives the same value, whoever asks.

``set $app web:8000; proxy_pass http://$app;`` is how people let nginx start without its upstream,
and look its name up again.  Here names are looked up again anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from admin.nginx.reading import Directive
from admin.nginx.scope import Scope
from proxy.steps.step import QUERY

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_LAST_NAME: Final = re.compile(r"\$(\w+)\Z", re.ASCII)


def settled(text: str, scopes: Iterable[Scope]) -> str:
    """Put values in the place of such variables; the query is none, since a rewrite adds to it.

    ``scopes`` are where what happens to a request stands, in the order in which it happens.
    """
    sets = [each for scope in scopes for each in _sets(scope.content)]

    def value(found: re.Match[str]) -> str:
        name = (found[1] or found[2]).lower()
        mine = [(each, whenever) for each, whenever in sets if each.args[0][1:].lower() == name]
        if name == QUERY or not mine or not all(whenever for _, whenever in mine):
            return found[0]
        last: str = mine[-1][0].args[1]
        return found[0] if "$" in last else last

    made, position = "", 0
    for found in _VARIABLE.finditer(text):
        known = value(found)
        made += text[position : found.start()]
        if re.match(r"\w", known, re.ASCII):
            made = _LAST_NAME.sub(r"${\1}", made)  # which must not go on
        made += known
        position = found.end()
    return made + text[position:]


def _sets(block: tuple[Directive, ...]) -> Iterator[tuple[Directive, bool]]:
    """Give every ``set`` of a block, and whether it is done whatever the request is."""
    for directive in block:
        if directive.name == "set":
            yield directive, True
        elif directive.name == "if":
            yield from ((each, False) for each, _ in _sets(directive.block or ()))
