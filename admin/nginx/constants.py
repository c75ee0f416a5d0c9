"""Variables that are none: what ``set`` gives the same value, whoever asks.

``set $app web:8000; proxy_pass http://$app;`` is how people let nginx start without its upstream,
and look its name up again.  Here names are looked up again anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from admin.nginx.reading import Directive
from admin.nginx.scope import Scope

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)


def settled(text: str, scopes: Iterable[Scope]) -> str:
    """Put values in the place of such variables.

    ``scopes`` are where what happens to a request stands, in the order in which it happens.
    """
    sets = [each for scope in scopes for each in _sets(scope.content)]

    def value(found: re.Match[str]) -> str:
        name = (found[1] or found[2]).lower()
        mine = [(each, whenever) for each, whenever in sets if each.args[0][1:].lower() == name]
        if not mine or not all(whenever for _, whenever in mine):
            return found[0]
        last: str = mine[-1][0].args[1]
        return found[0] if "$" in last else last

    return _VARIABLE.sub(value, text)


def _sets(block: tuple[Directive, ...]) -> Iterator[tuple[Directive, bool]]:
    """Give every ``set`` of a block, and whether it is done whatever the request is."""
    for directive in block:
        if directive.name == "set":
            yield directive, True
        elif directive.name == "if":
            yield from ((each, False) for each, _ in _sets(directive.block or ()))
