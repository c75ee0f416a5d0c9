"""nginx's variables, as the templates of a document have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from admin.nginx.report import RefusalError
from admin.nginx.values import words
from proxy.errors import FaultError
from proxy.headers.template import is_reserved
from proxy.patterns import Pattern
from proxy.steps.step import QUERY

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|([1-9]|\w+)|)", re.ASCII)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")

EMPTY: Final = words(
    """
    gzip_ratio http2 limit_conn_status limit_req_status proxy_protocol_addr proxy_protocol_port
    proxy_protocol_server_addr proxy_protocol_server_port secure_link secure_link_expires
    slice_range ssl_alpn_protocol ssl_cipher ssl_ciphers ssl_client_cert ssl_client_escaped_cert
    ssl_client_fingerprint ssl_client_i_dn ssl_client_i_dn_legacy ssl_client_raw_cert
    ssl_client_s_dn ssl_client_s_dn_legacy ssl_client_serial ssl_client_v_end ssl_client_v_remain
    ssl_client_v_start ssl_client_verify ssl_curve ssl_curves ssl_early_data ssl_protocol
    ssl_server_name ssl_session_id ssl_session_reused uid_got uid_reset uid_set
    upstream_cache_etag upstream_cache_last_modified upstream_cache_status
    """
)
"""Variables that are empty in nginx too, as long as nothing sets them up; what would is refused."""

CONSTANT: Final = {"limit_rate": "0"}
"""Variables that have a value of their own in nginx, as long as nothing changes it."""

EMPTY_PREFIXES: Final = ("sent_trailer_", "upstream_trailer_")

_FILES: Final = "hotsplice serves no files"
_STREAMED: Final = "bodies are streamed, and not kept"
_BROWSER: Final = "browsers are not told apart; map $http_user_agent does it"

REFUSED: Final[dict[str, str]] = {
    "ancient_browser": _BROWSER,
    "connections_active": "the metrics have it",
    "connections_reading": "the metrics have it",
    "connections_waiting": "the metrics have it",
    "connections_writing": "the metrics have it",
    "document_root": _FILES,
    "fastcgi_path_info": "there is no FastCGI",
    "fastcgi_script_name": "there is no FastCGI",
    "grpc_internal_trailers": "it is internal to nginx",
    "invalid_referer": "valid_referers is not supported; map $http_referer does it",
    "memcached_key": "there is no memcached",
    "modern_browser": _BROWSER,
    "msie": _BROWSER,
    "nginx_version": "this is not nginx",
    "pipe": "whether a request was pipelined is not kept",
    "proxy_internal_body_length": "it is internal to nginx",
    "proxy_internal_chunked": "it is internal to nginx",
    "realpath_root": _FILES,
    "request_body": _STREAMED,
    "request_body_file": _STREAMED,
    "request_filename": _FILES,
}
"""Variables of nginx that templates do not have, and why."""

_REFUSED_PREFIXES: Final = {
    "geoip_": "there is no database of addresses",
    "proxy_protocol_tlv_": "the PROXY protocol is not supported",
    "tcpinfo_": "the kernel is not asked about connections",
}


def assigned_name(text: str) -> bool:
    """Tell whether ``set`` can assign this: a dollar sign and a name."""
    return re.fullmatch(r"\$\w+", text, re.ASCII) is not None


def constant(text: str) -> str:
    """Write text into a template so that it stands for itself."""
    return text.replace("$", "$$")


def names(text: str) -> Iterable[str]:
    """Give the names of the variables in an nginx value, in lower case."""
    return (str(found[1] or found[2] or "").lower() for found in _VARIABLE.finditer(text))


def lone(text: str) -> str | None:
    """Return the variable's name if the text is one variable and nothing else."""
    found = _VARIABLE.fullmatch(text)
    return str(found[1] or found[2]).lower() if found and found.lastindex else None


def pattern(text: str) -> str:
    """Return a regular expression of nginx, if it is one here too; else ``RefusalError``."""
    try:
        Pattern(text)
    except FaultError as error:
        raise RefusalError(error.message, error.hint) from error
    return text


def _is_built_in(name: str) -> bool:
    return is_reserved(name) or name in EMPTY or name in CONSTANT or _refused(name) is not None


def _refused(name: str) -> str | None:
    """Return why a variable of nginx is not here; ``None`` if it is no such variable."""
    prefixed = (why for prefix, why in _REFUSED_PREFIXES.items() if name.startswith(prefix))
    return REFUSED.get(name) or next(prefixed, None)


class Variables:
    """What the configuration itself defines, by nginx's names."""

    def __init__(self) -> None:
        self._maps: Final[dict[str, str]] = {}
        self._assigned: Final[dict[str, str]] = {}
        self._flags = 0
        self.numbers: frozenset[str] = frozenset()
        """What regular expressions of ``if`` and ``rewrite`` capture, wherever they stand."""
        self._unset: Final[set[str]] = set()

    def add_map(self, name: str) -> str:
        """Return what the header map of a ``map`` or ``split_clients`` is called."""
        lower = name.lower()
        renamed = lower
        if not _NAME.fullmatch(lower) or lower == "client_ip":
            renamed = "nginx_" + lower[:57]
        elif _is_built_in(lower):
            raise RefusalError(f"${name} is a built-in variable", "choose another name")
        if renamed in self._maps.values():
            raise FaultError(f"${name} is defined twice")
        self._maps[lower] = renamed
        return renamed

    def add_assigned(self, name: str) -> None:
        """Note a variable of ``set``."""
        lower = name.lower()
        if lower == QUERY or lower in self._assigned:
            return
        renamed = lower
        if not _NAME.fullmatch(lower) or lower == "client_ip":
            renamed = "nginx_" + lower[:57]
        self._assigned[lower] = renamed

    def assigned(self, name: str) -> str:
        """Return what a document calls a variable that is assigned.

        Raises:
            RefusalError: it is one that nginx or a ``map`` gives its value.
        """
        lower = name.lower()
        if lower == QUERY:
            return lower
        if lower in self._maps:
            raise RefusalError(f"${name} has its value from a map", "choose another name")
        if _is_built_in(lower):
            hint = "choose another name; of the built-in ones only $args can be set"
            raise RefusalError(f"${name} is a built-in variable", hint)
        return self._assigned[lower]

    def add_flag(self) -> str:
        """Return a variable of the document's own, which no nginx.conf names."""
        self._flags += 1
        return f"nginx_if_{self._flags}"

    def add_unset(self, name: str) -> None:
        """Note a variable that nothing computes, because what would is refused."""
        self._unset.add(name.lower())

    def map_named(self, name: str) -> str | None:
        """Return the header map that stands for a variable, if one does."""
        return self._maps.get(name)

    def template(self, text: str, local: Mapping[str, str] | None = None) -> str:
        """Translate a value; ``local`` are variables with the templates they stand for.

        Raises:
            FaultError: a dollar sign stands alone.
            RefusalError: it names a variable that documents do not have.
        """

        def translated(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if not name:
                raise FaultError(f'invalid variable name in "{text[:60]}"')
            lower = name.lower()
            known = local.get(lower) if local else None
            if known is not None:
                return f"${{{known[1:]}}}" if found[1] and lone(known) else known
            if lower in self._maps:
                return f"${{{self._maps[lower]}}}" if found[1] else f"${self._maps[lower]}"
            if lower in self._assigned:
                known = self._assigned[lower]
                return f"${{{known}}}" if found[1] else f"${known}"
            if lower in EMPTY or lower.startswith(EMPTY_PREFIXES):
                return ""
            if lower in CONSTANT:
                return CONSTANT[lower]
            if why := _refused(lower):
                raise RefusalError(f"there is no ${name}: {why}", "leave it out of the value")
            if lower in self._unset:
                raise RefusalError(f"${name} has no value: what sets it is refused")
            return str(found[0])

        return _VARIABLE.sub(translated, text)
