"""The facts of one request and of its response, as templates, routes and logs see them.

Passive data at the bottom of the house: ``downstream`` fills a ``Request`` in, ``headers`` and
``routing`` read it, ``exchange`` owns it.  Everything that goes out on the wire is ``bytes``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

from proxy.field_block import FieldBlock, Fields

__all__ = ["NO_HEADERS", "Attempt", "Fields", "Peer", "Request", "Response", "UnusualRequest"]

NO_HEADERS: Final[CIMultiDictProxy[str]] = CIMultiDictProxy(CIMultiDict())


class Peer:
    """What does not change during a client connection."""

    __slots__ = ("address", "forwarding", "port", "scheme", "serial", "server_address",
                 "server_port", "started")  # fmt: skip

    def __init__(
        self,
        address: bytes,
        port: int,
        server_address: bytes,
        server_port: int,
        serial: int,
        scheme: bytes = b"http",
        started: float = 0.0,
    ) -> None:
        self.address: Final = address
        """Textual IP address of the socket's other end, or ``unix:``."""
        self.port: Final = port
        self.server_address: Final = server_address
        """Where it was accepted: an IP address, or ``unix:`` and the path."""
        self.server_port: Final = server_port
        self.serial: Final = serial
        """Number of the connection within this process."""
        self.scheme: Final = scheme
        self.started: Final = started
        """``time.monotonic()`` at the accept."""
        self.forwarding: Final = (
            b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: "
            % (address, scheme)
        )
        """What the forwarding fields of every request begin with."""

    @property
    def client_end(self) -> str:
        """The other end as text: ``host:port``, ``[v6]:port`` or ``unix:``."""
        return _end(self.address, self.port)

    @property
    def server_end(self) -> str:
        """Our end as text."""
        return _end(self.server_address, self.server_port)


def _end(host: bytes, port: int) -> str:
    text = host.decode("utf-8", "replace")
    if not port:
        return text
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


class Request:
    """An admitted request."""

    __slots__ = (
        "authority",
        "block",
        "captures",
        "chunked",
        "client_ip",
        "client_port",
        "connection",
        "content_length",
        "differs",
        "expects_continue",
        "fields",
        "headers",
        "host",
        "keep_alive",
        "keeps_escapes",
        "maps",
        "method",
        "ordinal",
        "path",
        "peer",
        "pool",
        "query",
        "quotes_captures",
        "request_id",
        "response",
        "sent_connection",
        "sent_upgrade",
        "started",
        "target",
        "upgrade",
        "uri",
        "version_minor",
    )  # fmt: skip

    client_port: int
    """Of ``client_ip``, 0 if unknown; set only where a trusted proxy said who the client is."""
    keeps_escapes: bool
    """``%2F`` and ``%25`` stand in ``uri`` as they were sent (``paths: strict``); set before steps
    are taken."""
    quotes_captures: bool
    """Steps escape numbered captures wherever they go, as if into a query; see ``steps.step``."""
    sent_connection: bytes
    """``Connection`` and ``Upgrade`` towards the upstream; set where rules or clients name one."""
    sent_upgrade: bytes

    def __init__(
        self,
        peer: Peer,
        method: bytes,
        target: bytes,
        block: FieldBlock,
        ordinal: int = 1,
        started: float = 0.0,
    ) -> None:
        self.peer = peer
        self.method = method
        self.target = target
        """Origin-form, as sent: ``/path?query``."""
        self.block = block
        """Version and fields as sent; what follows is of it."""
        self.differs = False
        """Somebody has changed fields, framing or upgrade: they are not those of ``block``."""
        self.version_minor = block.version_minor
        self.fields = block.fields
        self.headers = block.headers
        self.authority = block.authority
        self.host = block.host or b""
        """Lower case, without port; as routes match it."""
        self.connection = block.connection
        self.upgrade = block.upgrade
        self.content_length = block.content_length
        """Octets of the body to come, if the client said so."""
        self.chunked = block.chunked
        self.expects_continue = block.expects_continue
        self.keep_alive = block.keep_alive
        """The client wants, and can have, another exchange on its connection."""
        self.ordinal = ordinal
        """Which request of its connection, from 1."""
        self.started = started
        """``time.monotonic()`` at the end of the head."""

        # What routing finds out.
        self.request_id = b""
        self.client_ip = peer.address
        self.path = b""
        """The target's path as sent (escaped), without the query."""
        self.query: bytes | None = None
        """What follows ``?``, without it; ``None`` if there is no ``?``."""
        self.uri = b""
        """The normalised, decoded path that routes matched (nginx ``$uri``)."""
        self.pool = b""
        """Name of the chosen pool (``$proxy_host``)."""
        self.captures: dict[str, bytes] | None = None
        """Regex captures by number (``"1"``) and by name."""
        self.maps: dict[str, bytes] | None = None
        """Header maps evaluated so far, and variables that steps have assigned."""
        self.response: Response | None = None


class UnusualRequest(Request):
    """A request whose first line its parts do not tell: in absolute form, or refused as it came."""

    __slots__ = ("line",)

    line: bytes
    """The request line as sent, without its end."""


class Attempt(NamedTuple):
    """One try at an endpoint, as nginx's ``$upstream_…`` variables show it."""

    address: str
    status: str
    seconds: float
    """From the pick to the end, or to what is known so far."""
    connect_s: float | None = None
    """Until there was a connection, 0 on an idle one; ``None``: there never was."""
    header_s: float | None = None
    """Until there was a response head."""
    bytes_sent: int = 0
    bytes_received: int = 0
    body_bytes: int = 0
    """Of the response."""
    endpoint: str = ""
    """Its name."""
    reason: str | None = None
    """Why it failed, if no status says it."""


class Response:
    """What the client is answered, for response rules and logs."""

    __slots__ = (
        "attempts", "body_bytes", "complete", "fields", "head_bytes", "headers",
        "request_body_bytes", "sent", "status",
    )  # fmt: skip

    def __init__(
        self,
        status: int,
        fields: Fields,
        headers: CIMultiDictProxy[str],
        attempts: tuple[Attempt, ...] = (),
        request_body_bytes: int = 0,
    ) -> None:
        self.status: Final = status
        self.fields: Final = fields
        """As the upstream sent them; none, if the answer is our own."""
        self.headers: Final = headers
        self.attempts = attempts
        """All endpoints tried, the one that answered last."""
        self.sent = b""
        """The head as it goes to the client, as far as it is written."""
        self.request_body_bytes = request_body_bytes

        # Known at the end of the exchange.
        self.head_bytes = 0
        """Octets of the head that went to the client."""
        self.body_bytes = 0
        """Octets behind it, chunk framing included; of a tunnel, those to the client."""
        self.complete = False
        """The whole response went to the client."""
