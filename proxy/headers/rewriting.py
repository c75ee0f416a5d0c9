"""Substitutions in the values of response fields: where a client is sent, whose a cookie is.

These are nginx's ``proxy_redirect``, ``proxy_cookie_domain`` and ``proxy_cookie_path``.  Of the
substitutions for a value the first that applies wins; if none does, the field goes on as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from proxy.errors import Fault, FaultError
from proxy.field_names import LOCATION, REFRESH, SET_COOKIE, kind_of
from proxy.headers.template import Scope, Template, asks_response, compile_at
from proxy.message import Fields, Request
from proxy.patterns import Pattern
from proxy.spec import ResponseRulesSpec, SubstitutionSpec
from proxy.telemetry.counters import RouteCounters

Rewrite: TypeAlias = Callable[[Request, bytes], bytes | None]
"""Gives the value that takes the place of another one; ``None``: it stays as it is."""

_PORTS: Final = {b"http": 80, b"https": 443}


class Rewriting:
    """Compiled substitutions of a route."""

    __slots__ = ("_absolute", "_counters", "_rewrites", "asks_response")

    def __init__(
        self,
        rewrites: Mapping[int, Rewrite],
        counters: RouteCounters,
        *,
        absolute_location: bool,
        asks_response: bool,
    ) -> None:
        self._rewrites: Final = rewrites
        self._counters: Final = counters
        self._absolute: Final = absolute_location
        self.asks_response: Final = asks_response
        """A template among them has to do with the response."""

    def apply(self, request: Request, fields: Fields) -> Fields:
        """Return the fields with their values rewritten.

        A field whose new value would hold CR, LF or NUL is left out.
        """
        made = list(fields)
        for index in range(len(made) - 1, -1, -1):
            name, value = made[index]
            kind = kind_of[name]
            rewrite = self._rewrites.get(kind)
            new = None if rewrite is None else rewrite(request, value)
            if new is None:
                continue
            if self._absolute and kind == LOCATION and new.startswith(b"/"):
                name, new = b"Location", absolute(request, new)  # spelled as nginx does
            if 10 in new or 13 in new or 0 in new:
                self._counters.header_rule_failures += 1
                del made[index]
            else:
                made[index] = (name, new)
        return tuple(made)


def compile_rewriting(
    spec: ResponseRulesSpec, scope: Scope, path: str, faults: list[Fault], counters: RouteCounters
) -> Rewriting | None:
    """Compile the substitutions found at ``path``; ``None`` if there are none.

    What is wrong with them is added to ``faults``.
    """
    compiler = _Compiler(scope, path, faults)
    location = compiler.first("rewrite_location", spec.rewrite_location)
    domain = compiler.first("rewrite_cookie_domain", spec.rewrite_cookie_domain)
    cookie_path = compiler.first("rewrite_cookie_path", spec.rewrite_cookie_path)
    rewrites: dict[int, Rewrite] = {}
    if location is not None:
        rewrites[LOCATION] = location
        rewrites[REFRESH] = _refresh(location)
    attributes = {b"domain": domain, b"path": cookie_path}
    wanted = {name: rewrite for name, rewrite in attributes.items() if rewrite is not None}
    if wanted:
        rewrites[SET_COOKIE] = _cookie(wanted)
    if not rewrites:
        return None
    return Rewriting(
        rewrites,
        counters,
        absolute_location=spec.absolute_location,
        asks_response=compiler.asks_response,
    )


def absolute(request: Request, location: bytes) -> bytes:
    """Put scheme, host and port before a location that begins with a slash.

    They are those that the request came to (nginx ``absolute_redirect``): the port is the
    listener's, and the address too if the request names no host.
    """
    peer = request.peer
    host = request.host or peer.server_address
    if peer.server_port and peer.server_port != _PORTS.get(peer.scheme):
        return b"%b://%b:%d%b" % (peer.scheme, host, peer.server_port, location)
    return b"%b://%b%b" % (peer.scheme, host, location)


class _Compiler:
    """Compiles the substitutions of a route."""

    def __init__(self, scope: Scope, path: str, faults: list[Fault]) -> None:
        self._scope = scope
        self._path = path
        self._faults = faults
        self.asks_response = False

    def first(self, key: str, specs: Sequence[SubstitutionSpec]) -> Rewrite | None:
        """Compile a list of which the first that applies wins; ``None`` if it is empty."""
        rewrites = [
            self._substitution(spec, f"{self._path}/{key}/{index}")
            for index, spec in enumerate(specs)
        ]
        return _first(tuple(rewrites)) if len(rewrites) > 1 else next(iter(rewrites), None)

    def _substitution(self, spec: SubstitutionSpec, at: str) -> Rewrite:
        if spec.kind == "match":
            return self._match(spec, at)
        value, to = spec.value, spec.to
        if spec.kind == "exact":
            value, to = value.removeprefix("."), to.removeprefix(".")
        compare = self._template(value, self._scope, f"{at}/{spec.kind}")
        replacement = self._template(to, self._scope, f"{at}/to")
        return (_domain if spec.kind == "exact" else _prefix)(compare, replacement)

    def _match(self, spec: SubstitutionSpec, at: str) -> Rewrite:
        try:
            pattern = Pattern(spec.value, ignore_case=spec.ignore_case)
        except FaultError as error:
            self._faults.append(Fault(f"{at}/match", error.message, error.hint))
            return lambda request, value: None
        # As in nginx, what the route captured by name is there still, by number it is not.
        named = frozenset(name for name in self._scope.captures if not name.isdecimal())
        scope = replace(self._scope, captures=pattern.names | named)
        return _pattern(pattern, self._template(spec.to, scope, f"{at}/to"))

    def _template(self, text: str, scope: Scope, place: str) -> Template:
        template = compile_at(text, scope, place, self._faults)
        self.asks_response |= asks_response(template, scope)
        return template


def _first(rewrites: tuple[Rewrite, ...]) -> Rewrite:
    def rewrite(request: Request, value: bytes) -> bytes | None:
        for each in rewrites:
            new = each(request, value)
            if new is not None:
                return new
        return None

    return rewrite


def _prefix(prefix: Template, to: Template) -> Rewrite:
    """Replace how a value begins (``ngx_http_proxy_rewrite_complex_handler``)."""

    def rewrite(request: Request, value: bytes) -> bytes | None:
        start = prefix.render(request)
        return to.render(request) + value[len(start) :] if value.startswith(start) else None

    return rewrite


def _domain(domain: Template, to: Template) -> Rewrite:
    """Replace a domain, but not its leading dot (``ngx_http_proxy_rewrite_domain_handler``)."""

    def rewrite(request: Request, value: bytes) -> bytes | None:
        dot = value[:1] if value.startswith(b".") else b""
        if value[len(dot) :].lower() != domain.render(request).lower():
            return None
        return dot + to.render(request)

    return rewrite


def _pattern(pattern: Pattern, to: Template) -> Rewrite:
    """Replace the whole of a value in which the pattern is found."""

    def rewrite(request: Request, value: bytes) -> bytes | None:
        captures = pattern.captures(value)
        if captures is None:
            return None
        routes = request.captures
        request.captures = {**routes, **captures} if routes else captures
        try:
            return to.render(request)
        finally:
            request.captures = routes

    return rewrite


def _refresh(location: Rewrite) -> Rewrite:
    """Rewrite all that follows the first ``url=``."""

    def rewrite(request: Request, value: bytes) -> bytes | None:
        start = value.lower().find(b"url=") + 4
        if start < 4:
            return None
        new = location(request, value[start:])
        return None if new is None else value[:start] + new

    return rewrite


def _cookie(attributes: Mapping[bytes, Rewrite]) -> Rewrite:
    """Rewrite the attributes of a cookie (``ngx_http_proxy_rewrite_cookie``).

    A cookie of which nothing is rewritten stays as it was written, to the last space.
    """

    def rewrite(request: Request, value: bytes) -> bytes | None:
        parts = [_attribute(part) for part in value.split(b";")]
        if parts[0][1] is None:
            return None
        changed = False
        for index in range(1, len(parts)):
            name, text = parts[index]
            of_attribute = attributes.get(name.lower())
            if text is None or of_attribute is None:
                continue
            new = of_attribute(request, text)
            if new is not None:
                parts[index] = name, new
                changed = True
        if not changed:
            return None
        return b"; ".join(name if text is None else b"%b=%b" % (name, text) for name, text in parts)

    return rewrite


def _attribute(part: bytes) -> tuple[bytes, bytes | None]:
    """Return name and value; an attribute without ``=`` has none."""
    name, mark, text = part.partition(b"=")
    return name.strip(b" "), text.strip(b" ") if mark else None
