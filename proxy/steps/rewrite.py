"""Another path for a request (nginx ``rewrite``).

The new path is text as it stands, decoded like the one it replaces; it is escaped when it goes
upstream.  What is captured goes into the query, or into a redirect, escaped as nginx does it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from proxy.errors import Fault
from proxy.headers.template import Scope, Template, compile_at
from proxy.message import Request
from proxy.patterns import Pattern
from proxy.spec import RewriteSpec, RewriteThen
from proxy.steps.answer import Answer, safe_location
from proxy.steps.condition import compile_pattern, match
from proxy.steps.escapes import escape_query, escape_redirect, safe_query


class Rewrite:
    """A rewrite, compiled."""

    __slots__ = ("_keeps_query", "_path", "_pattern", "_query", "_redirect", "then")

    def __init__(
        self,
        pattern: Pattern,
        path: Template,
        query: Template | None,
        *,
        keeps_query: bool,
        then: RewriteThen,
        redirect: int | None,
    ) -> None:
        self._pattern: Final = pattern
        self._path: Final = path
        self._query: Final = query
        self._keeps_query: Final = keeps_query
        self._redirect: Final = redirect
        self.then: Final = then

    def apply(self, request: Request) -> bool | Answer:
        """Rewrite ``uri`` and ``query``; return whether that was so, or a redirect."""
        if not match(self._pattern, request.uri, request):
            return False
        path = self._path.render(request)
        queries = [] if self._query is None else [self._query.render(request)]
        if self._keeps_query and request.query:
            queries.append(request.query)
        query = safe_query(b"&".join(queries)) or None
        if self._redirect is not None:
            location = path if query is None else b"%b?%b" % (path, query)
            return Answer(self._redirect, location=safe_location(location))
        request.uri = path if path.startswith(b"/") else b"/" + path
        request.query = query
        return True


def compile_rewrite(
    spec: RewriteSpec, scope: Scope, path: str, faults: list[Fault]
) -> Rewrite | None:
    """Compile the rewrite found at ``path``; what is wrong with it is added to ``faults``."""
    place = f"{path}/match"
    pattern = compile_pattern(spec.match, scope, place, faults, ignore_case=spec.ignore_case)
    if pattern is None:
        return None
    numbers = frozenset(name for name in pattern.names if name.isdecimal())
    named = frozenset(name for name in scope.captures if not name.isdecimal())
    scope = replace(scope, captures=named | numbers)
    keeps_query = not spec.to.endswith("?")
    text, mark, query = spec.to.removesuffix("?").partition("?")
    in_path = replace(scope, escape=escape_redirect) if spec.redirect is not None else scope
    in_query = replace(scope, escape=escape_query)
    return Rewrite(
        pattern,
        compile_at(text, in_path, f"{path}/to", faults),
        compile_at(query, in_query, f"{path}/to", faults) if mark else None,
        keeps_query=keeps_query,
        then=spec.then,
        redirect=spec.redirect,
    )
