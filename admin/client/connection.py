"""The admin API as a client sees it: requests out, answers in, over TCP or a Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from admin.client.problems import ClientError, RefusedError, UnreachableError

CONNECT_S: Final = 5.0

ANSWER_S: Final = 60.0
"""For an answer: a large document is compiled within that."""

JSON: Final = "application/json"
YAML: Final = "application/yaml"
MERGE_PATCH: Final = "application/merge-patch+json"

WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What is listened on, and where it is reached."""


class Address(NamedTuple):
    """Where the admin listener is: ``host:port`` or ``unix:PATH``."""

    host: str
    port: int
    path: str = ""

    @property
    def text(self) -> str:
        """As it is written."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address; ``ValueError`` says what one looks like."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address("", 0, text.removeprefix("unix:"))
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address: host:port, [v6]:port or unix:PATH")
    return Address(WILDCARDS.get(host, host), int(port))


class Answer(NamedTuple):
    """What came back, if it was no refusal."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """The body, which is JSON, ``None`` if there is none; ``ClientError`` if it is not."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError as error:
            raise ClientError(f"the answer is not JSON ({error})", "is it hotsplice?") from error

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def etag(self) -> str | None:
        """The entity tag of the resource."""
        return self.headers.get("ETag")


class Connection:
    """Asks one admin listener, a connection for each request."""

    def __init__(self, address: Address, token: str | None = None) -> None:
        """``token`` is the bearer token that is shown, if any."""
        self.address: Final = address
        self._token: Final = token

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        media: str = JSON,
        accept: str = JSON,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
    ) -> Answer:
        """Send a request and return the answer; ``wait_s`` is how long it may take beyond usual.

        Raise ``RefusedError`` for a status of 400 and up, ``UnreachableError`` if none comes.
        """
        fields = {"Accept": accept, **(headers or {})}
        if body is not None:
            fields["Content-Type"] = media
        opened = self._open()
        try:
            _wait(opened, ANSWER_S + wait_s)
            opened.request(method, _target(path, query), body, self._signed(fields))
            response = opened.getresponse()
            answer = Answer(response.status, dict(response.getheaders()), response.read())
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        finally:
            opened.close()
        if answer.status >= 400:
            raise RefusedError(answer.status, problem_of(answer))
        return answer

    def follow(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[bytes]:
        """Give the lines of an answer that goes on and on, as they come, until it ends.

        Raise as ``ask`` does.
        """
        opened = self._open()
        try:
            _wait(opened, ANSWER_S)
            fields = self._signed({"Accept": "text/event-stream"})
            opened.request("GET", _target(path, query), None, fields)
            response = opened.getresponse()
            if response.status >= 400:
                answer = Answer(response.status, dict(response.getheaders()), response.read())
                raise RefusedError(answer.status, problem_of(answer))
            _wait(opened, None)
            while line := response.readline():
                yield line.rstrip(b"\r\n")
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        finally:
            opened.close()

    def _open(self) -> http.client.HTTPConnection:
        opened = _UnixConnection(self.address.path) if self.address.path else _tcp(self.address)
        try:
            opened.connect()
        except OSError as error:
            opened.close()
            raise self._lost(error) from error
        return opened

    def _signed(self, fields: dict[str, str]) -> dict[str, str]:
        if self._token is not None:
            fields["Authorization"] = f"Bearer {self._token}"
        return fields

    def _lost(self, error: Exception) -> UnreachableError:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, http.client.RemoteDisconnected):
            said = "the connection was closed without an answer"
        elif isinstance(error, http.client.HTTPException):
            said = f"what answers there does not speak HTTP as it should ({said})"
        return UnreachableError(self.address.text, said)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_S)
        self.sock.connect(self._path)


def _tcp(address: Address) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(address.host, address.port, timeout=CONNECT_S)


def _wait(opened: http.client.HTTPConnection, seconds: float | None) -> None:
    if opened.sock is not None:
        opened.sock.settimeout(seconds)


def _target(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def problem_of(answer: Answer) -> Mapping[str, Any]:
    """Return the problem (RFC 9457) that an answer tells; others than ours tell none."""
    try:
        value = answer.value
    except ClientError:
        value = None
    return value if isinstance(value, dict) else {}
