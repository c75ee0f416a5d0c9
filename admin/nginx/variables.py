"""nginx's variables, as the templates of a document have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from admin.nginx.report import RefusalError
from admin.nginx.values import words
from proxy.errors import FaultError
from proxy.headers.variables import is_reserved
from proxy.patterns import Pattern

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|([1-9]|\w+)|)", re.ASCII)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")

SAME: Final[dict[str, str]] = {
    "document_uri": "$uri",
    "request": "$request_method $request_uri $server_protocol",
}
"""Variables that others stand for."""

UNKNOWN_HERE: Final = words(
    """
    binary_remote_addr body_bytes_sent bytes_sent connection_time connections_active
    connections_reading connections_waiting connections_writing date_gmt date_local document_root
    gzip_ratio limit_conn_status limit_rate limit_req_status nginx_version pid pipe
    proxy_internal_body_length proxy_internal_chunked proxy_protocol_addr proxy_protocol_port
    proxy_protocol_server_addr proxy_protocol_server_port realpath_root
    remote_user request_body request_body_file request_completion request_filename request_length
    request_time secure_link secure_link_expires slice_range time_local upstream_bytes_received
    upstream_bytes_sent upstream_cache_status upstream_connect_time upstream_header_time
    upstream_response_length uid_got uid_reset uid_set
    """
)
"""Variables of nginx that templates do not have; ``ssl_…`` and others by prefix besides."""

_UNKNOWN_PREFIXES: Final = (
    "ssl_", "tcpinfo_", "sent_trailer_", "upstream_cookie_", "upstream_trailer_",
    "proxy_protocol_tlv_",
)  # fmt: skip


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


class Variables:
    """What the configuration itself defines, by nginx's names."""

    def __init__(self) -> None:
        self._maps: Final[dict[str, str]] = {}
        self._unset: Final[set[str]] = set()

    def add_map(self, name: str) -> str:
        """Return what the header map of a ``map`` or ``split_clients`` is called."""
        lower = name.lower()
        renamed = lower
        if not _NAME.fullmatch(lower) or lower == "client_ip" or lower in SAME:
            renamed = "nginx_" + lower[:57]
        elif is_reserved(lower) or lower in UNKNOWN_HERE:
            raise RefusalError(f"${name} is a built-in variable", "choose another name")
        if renamed in self._maps.values():
            raise FaultError(f"${name} is defined twice")
        self._maps[lower] = renamed
        return renamed

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
            known = local[lower] if local and lower in local else SAME.get(lower)
            if known is not None:
                return f"${{{known[1:]}}}" if found[1] and lone(known) else known
            if lower in self._maps:
                return f"${{{self._maps[lower]}}}" if found[1] else f"${self._maps[lower]}"
            if lower in UNKNOWN_HERE or lower.startswith(_UNKNOWN_PREFIXES):
                raise RefusalError(f"there is no variable ${name}", "leave it out of the value")
            if lower in self._unset:
                raise RefusalError(f"${name} has no value: what sets it is refused")
            return str(found[0])

        return _VARIABLE.sub(translated, text)
