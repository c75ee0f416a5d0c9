"""What is said of listeners: where clients connect, how long and how much they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PathsMode = Literal["strict", "nginx"]
LogEscape = Literal["default", "json", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSpec:
    """One access log (nginx ``access_log`` and ``log_format``)."""

    to: str = "stderr"
    """``stderr``, ``stdout``, or the absolute path of a file whose name ends in ``.log``."""
    format: str = "json"
    """``json``, ``combined``, or a template for lines of one's own."""
    escape: LogEscape = "default"
    """What becomes of values in a template that a line could be misread by."""
    when: str | None = None
    """Template; a request for which it is empty or ``0`` is not logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTimeouts:
    """How long a client may take, in seconds."""

    header_s: float = 10.0
    """From the first byte of a request head (or from the accept) to its end."""
    body_s: float = 60.0
    """Between two reads of a request body."""
    write_s: float = 60.0
    """Without the client taking a byte of what we have for it."""
    idle_s: float = 75.0
    """Between two requests of a kept-alive connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """How much a client may send."""

    connections: int | None = 10_000
    header_bytes: int = 32 * 1024
    """The whole request head, request line included."""
    headers: int = 100
    body_bytes: int | None = None
    requests_per_connection: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAddressSpec:
    """Where a trusted proxy says who the client is (nginx ``real_ip_header``)."""

    header: str = "X-Forwarded-For"
    """Of several ``X-Forwarded-For`` all count, of another field the first."""
    recursive: bool = True
    """The rightmost address that is not trusted is the client; otherwise the rightmost of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSpec:
    """One address that clients connect to."""

    name: str
    bind: str
    """``host:port``, ``[v6]:port`` or ``unix:/path``; port 0 lets the kernel choose."""
    trusted_proxies: tuple[str, ...] = ()
    """CIDRs of peers whose ``X-Forwarded-*`` are believed; ``unix:`` trusts Unix-socket peers."""
    client_address: ClientAddressSpec = ClientAddressSpec()
    default_host: str = ""
    """Of requests that name none, as HTTP/1.0 lets them; lower case."""
    paths: PathsMode = "strict"
    timeouts: ListenerTimeouts = ListenerTimeouts()
    limits: ListenerLimits = ListenerLimits()
    underscores_in_headers: bool = False
    """Let field names with underscores through (nginx ``underscores_in_headers on``)."""
    odd_header_names: bool = True
    """Let field names through that have other characters than letters, digits, hyphens and
    underscores (nginx ``ignore_invalid_headers off``)."""
    merge_slashes: bool = True
    """Read repeated slashes in a path as one (nginx ``merge_slashes``)."""
    access_log: tuple[LogSpec, ...] | None = None
    """Where its requests are logged, nowhere if empty; ``None``: as the process has it."""
