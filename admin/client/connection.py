"""One request after the other to the admin API, over TCP or a Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

ADDRESS: Final = "127.0.0.1:9901"
"""Where ``run`` has its admin listener, unless it is told otherwise."""

TIMEOUT_S: Final = 30.0
"""How long an answer may take, in seconds."""

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class UnreachableError(Exception):
    """Nobody answers, or not as the admin API would."""


class ProblemError(Exception):
    """The sidecar refused (RFC 9457)."""

    def __init__(self, status: int, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(detail)
        self.status: Final = status
        self.detail: Final = detail
        self.errors: Final = tuple(errors)
        """Each with ``path``, ``message`` and perhaps ``hint``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    value: Any
    """The JSON value; ``None`` if there is no body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""


class Connection:
    """The admin API at an address: ``host:port``, ``[v6]:port`` or ``unix:/path``."""

    def __init__(
        self, address: str = ADDRESS, *, token: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.address: Final = address
        self._token: Final = token
        self._connection: Final = _connection(address, timeout_s)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask; ``path`` is escaped already (``place``), ``body`` becomes JSON.

        Raise ``ProblemError`` for whatever is refused, ``UnreachableError`` if nobody answers.
        """
        fields = {"Accept": "application/json", **(headers or {})}
        if self._token is not None:
            fields["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            fields.setdefault("Content-Type", "application/json")
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            self._connection.request(method, target, data, fields)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise UnreachableError(f"nothing answers at {self.address}: {said}") from error
        return self._answer(response, text)

    def _answer(self, response: http.client.HTTPResponse, text: bytes) -> Answer:
        try:
            value = json.loads(text) if text else None
        except ValueError:
            said = f"what answers at {self.address} is no admin API ({response.status})"
            raise UnreachableError(said) from None
        if response.status >= 400:
            problem = value if isinstance(value, dict) else {}
            detail = str(problem.get("detail") or response.reason)
            raise ProblemError(response.status, detail, problem.get("errors", ()))
        headers = {name.lower(): text for name, text in response.getheaders()}
        return Answer(response.status, value, headers)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def place(*parts: str) -> str:
    """Return the path of a resource, each part escaped."""
    return "/v1/" + "/".join(quote(part, safe=":@") for part in parts)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path: Final = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(address: str, timeout_s: float) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:"), timeout_s)
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdecimal()):
        raise UnreachableError(f"not an address: {address!r}; host:port or unix:/path")
    # Who listens everywhere is told so by the same variable.
    return http.client.HTTPConnection(_EVERYWHERE.get(host, host), int(port), timeout=timeout_s)
