"""``proxy_pass``: which pool a location goes to, and what becomes of the path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from admin.nginx.constants import settled
from admin.nginx.maps import hundredths
from admin.nginx.pools import RetryRules
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError
from admin.nginx.scope import Scope
from admin.nginx.variables import constant, lone
from proxy.errors import FaultError, pointer
from proxy.headers.shares import WHOLE
from proxy.routing.normalise import escape_target

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

_PATH_BEHIND: Final = re.compile(
    r"(.+?)(\$(?:\{(?:request_uri|document_uri|uri)\}|(?:request_uri|document_uri|uri)\b).*)",
    re.DOTALL,
)
"""Variables that begin with a slash, so that an address ends before them."""
_AROUND: Final = re.compile(r"([^$]*)(\$\{\w+\}|\$\w+)([^$]*)", re.ASCII)


@dataclass(slots=True)
class Destination:
    """Where a location's requests go."""

    document: dict[str, Any]
    """``pool``; ``rewrite`` or ``target``; ``retry``."""
    local: dict[str, str] = field(default_factory=dict)
    """``$proxy_host`` and ``$proxy_port``, as templates."""


def destination(
    draft: Draft, directive: Directive, scopes: Iterable[Scope], kind: str, rules: RetryRules
) -> Destination:
    """Translate a ``proxy_pass`` in a location of this kind (exact, prefix, regex, named).

    ``scopes`` are the server and the location.

    Raises:
        FaultError: nginx would not take it.
        RefusalError: nginx would, and a document cannot say it.
    """
    url = directive.args[0]
    scheme, host, uri = _parts(settled(url, scopes))
    pools = _Users(draft, directive, rules)
    if "$" not in host:
        made = Destination({"pool": pools.use(host)}, _constants(host))
    else:
        made = _mapped(draft, scheme, host, directive, pools)
    made.document |= _target(draft, directive, kind, uri, varies="$" in url)
    if pools.differ:
        made.document["retry"] = rules.document()
    return made


class _Users:
    """Finds pools for a location, and notes whether one has other retry rules than it."""

    def __init__(self, draft: Draft, directive: Directive, rules: RetryRules) -> None:
        self._draft: Final = draft
        self._directive: Final = directive
        self._rules: Final = rules
        self.differ = False

    def use(self, host: str) -> str:
        pools = self._draft.pools
        name, same = pools.use(pools.find(host, self._directive), self._rules)
        self.differ |= not same
        return name


def _parts(url: str) -> tuple[str, str, str]:
    """Split a URL into its scheme (none if a variable has it), its address and its URI."""
    if url.lower().startswith("https://"):
        hint = "let the upstream speak HTTP, or put a TLS tunnel beside it"
        raise RefusalError("TLS to the upstream is not supported yet", hint)
    if url.startswith("$"):
        scheme, rest = "", url
    elif url.lower().startswith("http://"):
        scheme, rest = url[:7], url[7:]
    else:
        raise FaultError("invalid URL prefix", "http://")
    if rest.startswith("unix:"):
        path, _, uri = rest[5:].partition(":")
        return scheme, f"unix:{path}", uri
    cut = next((index for index, letter in enumerate(rest) if letter in "/?"), len(rest))
    host, uri = rest[:cut], rest[cut:]
    behind = _PATH_BEHIND.fullmatch(host)
    if behind:  # http://backend$request_uri
        host, uri = behind[1], behind[2] + uri
    if not host:
        raise FaultError("no host in upstream", "http://HOST:PORT")
    return scheme, host, uri


def _constants(host: str) -> dict[str, str]:
    """Return nginx's ``$proxy_host`` and ``$proxy_port`` for an address."""
    if host.startswith("unix:"):
        return {"proxy_host": "localhost", "proxy_port": ""}
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host, "80"
    shown = name if port == "80" else host
    return {"proxy_host": constant(shown), "proxy_port": port}


def _mapped(
    draft: Draft, scheme: str, host: str, directive: Directive, pools: _Users
) -> Destination:
    """Let a header map name the pool; where its values are no pools, a map of its own does."""
    around = _AROUND.fullmatch(host)
    variable = None if around is None else lone(around[2])
    name = None if variable is None else draft.variables.map_named(variable)
    if around is None or name is None:
        hint = "nothing is resolved per request: let a map choose among upstreams"
        raise RefusalError(f"the upstream depends on the request: {host[:60]}", hint)
    addresses = {
        value: _address(scheme, around[1] + value + around[3])
        for value in _outcomes(draft.document["header_maps"], name)
    }
    chosen = {value: pools.use(address) for value, address in addresses.items()}
    constants = {value: _constants(address) for value, address in addresses.items()}
    local = {}
    for key in ("proxy_host", "proxy_port"):
        made = {value: each[key] for value, each in constants.items()}
        one, *others = set(made.values())
        local[key] = f"${_of(draft, name, made, directive, key)}" if others else one
    return Destination({"pool": f"${_of(draft, name, chosen, directive, 'pool')}"}, local)


def _outcomes(
    maps: dict[str, dict[str, Any]], name: str, within: tuple[str, ...] = ()
) -> Iterator[str]:
    """Give what a map may come to, by other maps too, where it names upstreams only."""
    for value in _values(_without_rest(maps[name])):
        other = _map_behind(maps, value, (*within, name))
        if other is not None:
            yield from _outcomes(maps, other, (*within, name))
        elif not value or "$" in value:
            message = f"${name} may be something else than an upstream"
            raise RefusalError(message, "give the map a default, and upstreams for values")
        else:
            yield value


def _map_behind(maps: dict[str, dict[str, Any]], value: str, within: tuple[str, ...]) -> str | None:
    """Return which map a value of another one is of, if it is; never one of ``within``."""
    other = lone(value)
    return other if other in maps and other not in within else None


def _of(
    draft: Draft,
    name: str,
    given: dict[str, str],
    directive: Directive,
    kind: str,
    within: tuple[str, ...] = (),
) -> str:
    """Return the map that gives what is ``given`` where another one gives addresses."""
    maps = draft.document["header_maps"]
    header_map = _without_rest(maps[name])
    instead: dict[str, str] = {}
    for value in _values(header_map):
        other = _map_behind(maps, value, (*within, name))
        if other is None:
            instead[value] = given[value]
        else:
            instead[value] = f"${_of(draft, other, given, directive, kind, (*within, name))}"
    if all(value == each for value, each in instead.items()) and header_map is maps[name]:
        return name
    return _derived(draft, name, header_map, instead, directive, kind)


def _address(scheme: str, text: str) -> str:
    """Return the address in what a map gives: all of it, or what is behind its scheme."""
    if scheme:
        return text
    scheme, host, uri = _parts(text)
    if uri or not scheme:
        raise RefusalError("a map gives URLs with paths", "let it give http://HOST:PORT only")
    return host


def _without_rest(header_map: dict[str, Any]) -> dict[str, Any]:
    """Return a map whose shares leave nothing over with its last value as the default.

    What nginx cuts off of each share is a few of 4 billion hashes; it answers these 500.
    """
    shares = header_map.get("shares", {})
    if "default" in header_map or sum(map(hundredths, shares.values())) != WHOLE:
        return header_map
    return header_map | {"default": list(shares)[-1]}


def _values(header_map: dict[str, Any]) -> list[str]:
    return [
        str(header_map.get("default", "")),
        *header_map.get("exact", {}).values(),
        *header_map.get("hostnames", {}).values(),
        *header_map.get("shares", {}),
        *(entry["value"] for entry in header_map.get("regex", ())),
    ]


def _derived(
    draft: Draft,
    name: str,
    header_map: dict[str, Any],
    given: dict[str, str],
    directive: Directive,
    kind: str,
) -> str:
    """Return the map that gives what is ``given`` where ``header_map`` gives addresses."""
    made = dict(header_map, default=given[header_map["default"]])
    for section in ("exact", "hostnames"):
        if section in made:
            made[section] = {key: given[value] for key, value in made[section].items()}
    if "regex" in made:
        made["regex"] = [dict(each, value=given[each["value"]]) for each in made["regex"]]
    if "shares" in made:
        made = _of_shares(name, made, given)
    maps = draft.document["header_maps"]
    number, own = 1, f"{name[:45]}_{kind}"
    while own in maps and maps[own] != made:
        number += 1
        own = f"{name[:45]}_{kind}_{number}"
    maps[own] = made
    draft.sources[pointer("header_maps", own)] = directive
    return own


def _of_shares(name: str, header_map: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    """Return the map for one with shares; where values are one, it looks at what that gave."""
    shares = header_map["shares"]
    made = {given[value]: share for value, share in shares.items()}
    if len(made) == len(shares):
        return header_map | {"shares": made}
    exact = {value.lower(): given[value] for value in shares}
    return {"source": f"${name}", "exact": exact, "default": header_map["default"]}


def _target(
    draft: Draft, directive: Directive, kind: str, uri: str, *, varies: bool
) -> dict[str, str]:
    """Return what becomes of the target: nothing, ``rewrite`` or ``target``."""
    if not uri or uri in {"$request_uri", "${request_uri}"}:
        return {}
    if "$" in uri or varies:
        # nginx sends exactly this, whatever the location matched and whatever the query is.
        draft.report.kept(directive, "what no target may have, as a space, goes upstream escaped")
        return {"target": draft.variables.template("/" + uri if uri.startswith("?") else uri)}
    if kind in {"regex", "named"}:
        where = "given by regex" if kind == "regex" else "that is named"
        raise FaultError(f'"proxy_pass" cannot have URI part in a location {where}')
    if uri.startswith("?") or escape_target(uri.encode()) != uri.encode():
        draft.report.approximated(directive, "nginx would send a target that HTTP does not know")
    return {"rewrite": "/" + uri if uri.startswith("?") else uri}
