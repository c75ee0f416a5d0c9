"""``return``: answers of the proxy itself, and where redirects of nginx's own lead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError
from admin.nginx.scope import Scope
from admin.nginx.variables import constant
from proxy.errors import FaultError

if TYPE_CHECKING:
    from admin.nginx.importing import Draft
    from admin.nginx.servers import Server

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
CLIENT_GONE: Final = 499
"""Alone it closes the connection, as 444 does."""
_BODILESS: Final = frozenset({204, 304})
_ABSOLUTE: Final = ("http://", "https://", "$scheme")
_ROOTED: Final = re.compile(r"/|\$\{?(?:uri|document_uri|request_uri)\b", re.IGNORECASE)
_DEFAULT_TYPES: Final = {"html": "text/html", "gif": "image/gif", "jpg": "image/jpeg"}
"""What nginx knows without a ``types`` block."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a directive stands: what it is translated for."""

    draft: Draft
    server: Server
    scope: Scope
    local: dict[str, str]
    """Variables that have a value here, as templates."""
    exact: str | None = None
    """The path, if it is one only."""

    def template(self, text: str) -> str:
        """Translate a value."""
        return self.draft.variables.template(text, self.local)


def is_absolute(text: str) -> bool:
    """Tell whether nginx takes a text for a URL."""
    return text.startswith(_ABSOLUTE)


def read_return(directive: Directive, at: Setting) -> dict[str, Any]:
    """Translate a ``return`` into what a document calls ``respond``.

    Raises:
        FaultError: nginx would not take it.
        RefusalError: nginx would, and a document cannot say it.
    """
    first, text = directive.args[0], directive.args[1] if len(directive.args) > 1 else None
    if not re.fullmatch(r"\d{1,15}", first, re.ASCII):
        if text is not None or not is_absolute(first):
            raise FaultError(f'invalid return code "{first[:60]}"')
        return {"status": 302, "location": location(first, directive, at)}
    status = int(first)
    if status > 999:
        raise FaultError(f'invalid return code "{first[:60]}"')
    if not 200 <= status <= 599:
        raise RefusalError(f"{status} is no final status of HTTP", "use one from 200 to 599")
    if status == CLIENT_GONE and text is None:
        at.draft.report.approximated(directive, "logs show 444")
        status = 444
    if status in REDIRECTS:
        if not text:
            raise RefusalError("a redirect without a target", "say where to")
        return {"status": status, "location": location(text, directive, at)}
    if status in _BODILESS or (text is None and status >= 400):
        return {"status": status}
    answer: dict[str, Any] = {"status": status, "body": at.template(text or "")}
    media = _media_type(directive, at)
    return answer if media == "text/plain" else answer | {"type": media}


def location(text: str, directive: Directive, at: Setting) -> str:
    """Return where nginx would send a client (``absolute_redirect`` and its kin)."""
    made = at.template(text)
    if at.scope.word("absolute_redirect", "on").lower() == "off" or is_absolute(text):
        return made
    if not _ROOTED.match(text):
        if text.startswith("$"):
            remark = "the client is sent to exactly this, if it is a path too"
            at.draft.report.approximated(directive, remark)
        return made
    return origin(directive, at) + made


def origin(directive: Directive, at: Setting) -> str:
    """Return what nginx puts before the path in a redirect of its own, as a template."""
    host = "$host"
    if at.scope.word("server_name_in_redirect", "off").lower() == "on":
        host = constant(at.server.shown)
    ports = _ports(address for some in at.server.exposures.values() for address in some)
    if at.scope.word("port_in_redirect", "on").lower() == "off" or ports == {""}:
        return f"$scheme://{host}"
    if len(ports) == 1:
        return f"$scheme://{host}:{ports.pop()}"
    if "" not in ports:
        return f"$scheme://{host}:$server_port"
    at.draft.report.approximated(directive, "the redirect has the port that the client named")
    return "$scheme://$http_host"


def _ports(addresses: Iterable[str]) -> set[str]:
    """Return the ports that a redirect would name: neither 80 nor that of a Unix socket."""
    ports = (
        "" if address.startswith("unix:") else address.rpartition(":")[2] for address in addresses
    )
    return {"" if port == "80" else port for port in ports}


def _media_type(directive: Directive, at: Setting) -> str:
    """Return the type of a text: ``types`` by the extension of the path, or ``default_type``."""
    types = _types(at.scope)
    default = at.scope.word("default_type", "text/plain")
    if at.exact is not None:
        name, dot, extension = at.exact.rpartition("/")[2].rpartition(".")
        return types.get(extension.lower(), default) if name and dot else default
    if types:
        remark = f"the type is {default}, whatever the extension of the path"
        at.draft.report.approximated(directive, remark)
    return default


def _types(scope: Scope) -> dict[str, str]:
    blocks = scope.all("types")
    if not blocks:
        return _DEFAULT_TYPES
    return {
        extension.lower(): entry.name
        for block in blocks
        for entry in block.block or ()
        for extension in entry.args
    }
