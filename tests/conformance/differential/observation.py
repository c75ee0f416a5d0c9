"""What is seen of one side: all that the client got, and all that the origins got."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.peers import Conn, MalformedError
from tests.peers.wire import body_framing, chunk_size, parse_head

Field = tuple[bytes, bytes]


@dataclass(slots=True)
class Message:
    """A request or a response, to the octet."""

    start: bytes
    fields: list[Field]
    body: bytes = b""
    framing: str = "none"

    @property
    def status(self) -> int:
        """The status of a response; 0 if it has none."""
        found = re.match(rb"HTTP/1\.1 (\d{3})\b", self.start)
        return int(found[1]) if found else 0

    def get(self, name: bytes) -> bytes | None:
        """Return the value of the first field with this lower-case name."""
        return next((value for key, value in self.fields if key.lower() == name), None)

    def drop(self, *names: bytes) -> list[Field]:
        """Take the fields with these lower-case names out, and return them."""
        gone = [each for each in self.fields if each[0].lower() in names]
        self.fields = [each for each in self.fields if each[0].lower() not in names]
        return gone

    def __str__(self) -> str:
        fields = "".join(f"\n    {key.decode()}: {value!r}" for key, value in self.fields)
        return (
            f"  {self.start!r}{fields}\n    [{self.framing}] {len(self.body)} {self.body[:200]!r}"
        )


@dataclass(slots=True)
class Side:
    """One of the two."""

    replies: list[Message] = field(default_factory=list)
    """Informational ones too, in their order."""
    tunnel: bytes = b""
    after: bytes = b""
    """``open``: another request is answered; ``closed``; or what came that nobody asked for."""
    seen: list[list[Message]] = field(default_factory=list)
    """What the origins got: connections, with their requests."""

    @property
    def statuses(self) -> list[int]:
        """The statuses, of final responses only."""
        return [reply.status for reply in self.replies if reply.status not in range(102, 200)]

    def __str__(self) -> str:
        parts = ["client got:", *map(str, self.replies), f"  tunnel {self.tunnel!r}"]
        parts.append(f"  then {self.after!r}")
        for number, messages in enumerate(self.seen):
            parts += [f"connection {number} to the origins:", *map(str, messages)]
        return "\n".join(parts)


def requests_of(conn: Conn) -> list[Message]:
    """Take apart what an origin got on one connection; what is no request stands last as it is."""
    rest = bytes(conn.received)
    found: list[Message] = []
    while rest:
        head, mark, behind = rest.partition(b"\r\n\r\n")
        try:
            parsed = parse_head(head + mark)
            framing, length = body_framing(parsed, response_to=None)
            body, rest = _body(behind, framing, length)
        except (MalformedError, ValueError):
            found.append(Message(b"", [], rest, "raw"))
            break
        found.append(Message(parsed.start, list(parsed.fields), body, framing))
        if parsed.get(b"upgrade") is not None and rest:
            found.append(Message(b"", [], rest, "raw"))
            break
    return found


def _body(octets: bytes, framing: str, length: int) -> tuple[bytes, bytes]:
    if framing != "chunked":
        return octets[:length], octets[length:]
    body = bytearray()
    while True:
        line, _, octets = octets.partition(b"\r\n")
        size = chunk_size(line)
        if not size:
            return bytes(body), octets.removeprefix(b"\r\n")
        body += octets[:size]
        octets = octets[size + 2 :]
