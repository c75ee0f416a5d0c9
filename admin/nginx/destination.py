"""``proxy_pass``: which pool a location goes to, and what becomes of the path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
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
from proxy.routing.normalise import escape_path

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

_QUERY: Final = re.compile(
    r"(?:\$is_args\$args|\$is_args\$query_string|\?\$args|\?\$query_string)$"
)
_URI_HINT: Final = "end it with $is_args$args, or leave the URI out"


@dataclass(slots=True)
class Destination:
    """Where a location's requests go."""

    document: dict[str, Any]
    """``pool`` and ``rewrite``."""
    local: dict[str, str] = field(default_factory=dict)
    """``$proxy_host`` and ``$proxy_port``, as templates."""


def destination(
    draft: Draft,
    directive: Directive,
    scopes: Iterable[Scope],
    kind: str,
    rules: RetryRules,
    replay_bytes: int,
) -> Destination:
    """Translate a ``proxy_pass`` in a location of this kind (exact, prefix, regex).

    ``scopes`` are the server and the location.

    Raises:
        FaultError: nginx would not take it.
        RefusalError: nginx would, and a document cannot say it.
    """
    url = directive.args[0]
    host, uri = _parts(settled(url, scopes))
    variable = lone(host)
    if variable is None:
        if "$" in host:
            hint = "let a map give the whole address: proxy_pass http://$variable"
            raise RefusalError("an address put together from variables", hint)
        name = draft.pools.use(draft.pools.find(host, directive), rules, replay_bytes, directive)
        made = Destination({"pool": name}, _constants(host))
    else:
        made = _mapped(draft, variable, directive, rules, replay_bytes)
    rewrite = _rewrite(draft, directive, kind, uri, varies="$" in url)
    if rewrite is not None:
        made.document["rewrite"] = rewrite
    return made


def _parts(url: str) -> tuple[str, str]:
    """Split a URL into its address and its URI."""
    if url.lower().startswith("https://"):
        hint = "let the upstream speak HTTP, or put a TLS tunnel beside it"
        raise RefusalError("TLS to the upstream is not supported yet", hint)
    if url.startswith("$"):
        hint = "write http:// in front, and have the map give addresses"
        raise RefusalError("a whole URL in a variable", hint)
    if not url.lower().startswith("http://"):
        raise FaultError("invalid URL prefix", "http://")
    rest = url[7:]
    if rest.startswith("unix:"):
        path, _, uri = rest[5:].partition(":")
        return f"unix:{path}", uri
    cut = next((index for index, letter in enumerate(rest) if letter in "/?"), len(rest))
    if not cut:
        raise FaultError("no host in upstream", "http://HOST:PORT")
    host, uri = rest[:cut], rest[cut:]
    braced = re.match(r"(\$\{\w+\}|\$\w+)(.*)", host, re.ASCII)
    if braced and braced[2].startswith("$"):
        return braced[1], braced[2] + uri  # http://$backend$request_uri
    plain = re.match(r"([^$]+)(\$(?:request_uri|document_uri|uri)\b.*)", host)
    if plain:
        return plain[1], plain[2] + uri  # http://backend$request_uri
    return host, uri


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
    draft: Draft, variable: str, directive: Directive, rules: RetryRules, replay_bytes: int
) -> Destination:
    """Let a header map name the pool; where its values are no pools, a map of its own does."""
    name = draft.variables.map_named(variable)
    if name is None:
        hint = "only a map or split_clients can choose the upstream"
        raise RefusalError(f"the upstream is in ${variable}", hint)

    def pool_of(value: str) -> str:
        key = draft.pools.find(value, directive)
        return draft.pools.use(key, rules, replay_bytes, directive)

    local = {"proxy_host": f"${name}", "proxy_port": "80"}
    return Destination({"pool": f"${_of_pools(draft, name, pool_of, directive)}"}, local)


def _of_pools(
    draft: Draft,
    name: str,
    pool_of: Callable[[str], str],
    directive: Directive,
    within: tuple[str, ...] = (),
) -> str:
    """Return the map that gives names of pools where another one gives upstreams."""
    maps = draft.document["header_maps"]
    given = maps[name]
    header_map = _without_rest(given)
    instead: dict[str, str] = {}
    for value in _values(header_map):
        other = lone(value)
        if other is not None and other in maps and other not in within:
            instead[value] = f"${_of_pools(draft, other, pool_of, directive, (*within, name))}"
        elif not value or "$" in value:
            message = f"${name} may be something else than an upstream"
            raise RefusalError(message, "give the map a default, and upstreams for values")
        else:
            instead[value] = pool_of(value)
    if all(value == pool for value, pool in instead.items()) and header_map is given:
        return name
    return _derived(draft, name, header_map, instead, directive)


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
    pools: dict[str, str],
    directive: Directive,
) -> str:
    """Return the map that gives the names of pools where ``header_map`` gives addresses."""
    made = dict(header_map, default=pools[header_map["default"]])
    for kind in ("exact", "hostnames"):
        if kind in made:
            made[kind] = {key: pools[value] for key, value in made[kind].items()}
    if "regex" in made:
        made["regex"] = [dict(each, value=pools[each["value"]]) for each in made["regex"]]
    if "shares" in made:
        shares = made["shares"]
        made["shares"] = {pools[value]: share for value, share in shares.items()}
        if len(made["shares"]) != len(shares):
            raise RefusalError("two values with shares are one upstream", "write one of them")
    maps = draft.document["header_maps"]
    number, own = 1, f"{name[:50]}_pool"
    while own in maps and maps[own] != made:
        number += 1
        own = f"{name[:50]}_pool_{number}"
    maps[own] = made
    draft.sources[pointer("header_maps", own)] = directive
    return own


def _rewrite(
    draft: Draft, directive: Directive, kind: str, uri: str, *, varies: bool
) -> str | None:
    """Return what replaces the matched path; ``None`` if the target goes on as it came."""
    if not uri or uri == "$request_uri":
        return None
    if "$" not in uri and not varies:
        if kind == "regex":
            raise FaultError('"proxy_pass" cannot have URI part in a location given by regex')
        if escape_path(uri.encode()) != uri.encode():
            raise RefusalError("the URI has a query or an escape", "leave only a plain path")
        return uri
    if kind == "prefix":
        message = "with a variable, nginx sends exactly this URI, whatever follows the prefix"
        raise RefusalError(message, "use http://…$request_uri, or a regular expression")
    bare = _QUERY.sub("", uri)
    if bare == uri or "?" in bare:
        raise RefusalError("the query of the request would be lost", _URI_HINT)
    draft.report.approximated(directive, "what has to be escaped in the path goes upstream escaped")
    return draft.variables.template(bare)
