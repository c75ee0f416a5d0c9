"""HTTP/1.1 messages read by the letter of RFC 9112: anything else is a ``MalformedError``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Framing = Literal["none", "length", "chunked", "close"]

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00\r\n]*?)[ \t]*")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2}) ([^\x00\r\n]*)")
_REQUEST_LINE: Final = re.compile(rb"(\S+) (\S+) HTTP/1\.([01])")


class MalformedError(AssertionError):
    """A peer received something that is no HTTP/1.1 message."""


@dataclass(frozen=True, slots=True)
class Head:
    """A start line and its fields, as they came."""

    raw: bytes
    start: bytes
    fields: tuple[tuple[bytes, bytes], ...]

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of the field ``name``, in order."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: bytes) -> bytes | None:
        """Return the value of a field that may stand there once at most."""
        values = self.all(name)
        assert len(values) <= 1, f"{name!r} came {len(values)} times: {self.raw!r}"
        return values[0] if values else None

    def names(self) -> list[bytes]:
        """Return the field names in order, in lower case."""
        return [key.lower() for key, _ in self.fields]

    @property
    def status(self) -> int:
        """The status code of a response head."""
        return int(self._match(_STATUS_LINE)[1])

    @property
    def reason(self) -> bytes:
        """The reason phrase of a response head."""
        return self._match(_STATUS_LINE)[2]

    @property
    def method(self) -> bytes:
        """The method of a request head."""
        return self._match(_REQUEST_LINE)[1]

    @property
    def target(self) -> bytes:
        """The target of a request head."""
        return self._match(_REQUEST_LINE)[2]

    @property
    def version_minor(self) -> int:
        """The minor version of a request head."""
        return int(self._match(_REQUEST_LINE)[3])

    def _match(self, line: re.Pattern[bytes]) -> re.Match[bytes]:
        found = line.fullmatch(self.start)
        if found is None:
            raise MalformedError(f"bad start line {self.start!r}")
        return found


def parse_head(raw: bytes) -> Head:
    """Parse a head that ends with its blank line."""
    lines = raw.split(b"\r\n")
    if lines[-2:] != [b"", b""]:
        raise MalformedError(f"no blank line at the end of {raw!r}")
    fields: list[tuple[bytes, bytes]] = []
    for line in lines[1:-2]:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise MalformedError(f"bad field line {line!r} in {raw!r}")
        fields.append((found[1], found[2]))
    return Head(raw, lines[0], tuple(fields))


def body_framing(head: Head, *, response_to: bytes | None) -> tuple[Framing, int]:
    """Say how the body behind ``head`` is framed, and its length (RFC 9112, 6.3).

    ``response_to`` is the method answered, ``None`` for a request head.
    """
    lengths = head.all(b"content-length")
    codings = head.all(b"transfer-encoding")
    if lengths and codings:
        raise MalformedError(f"both Content-Length and Transfer-Encoding: {head.raw!r}")
    if response_to is not None:
        status = head.status
        if 100 <= status < 200 or status == 204:
            if lengths or codings:
                raise MalformedError(f"framing on a {status}: {head.raw!r}")
            return "none", 0
        if response_to == b"HEAD" or status == 304:
            return "none", 0
    if codings:
        if codings != [b"chunked"]:
            raise MalformedError(f"transfer coding {codings!r}")
        return "chunked", 0
    if lengths:
        if len(lengths) != 1 or re.fullmatch(rb"[0-9]+", lengths[0]) is None:
            raise MalformedError(f"Content-Length {lengths!r}")
        return "length", int(lengths[0])
    return ("none", 0) if response_to is None else ("close", 0)


def chunk_size(line: bytes) -> int:
    """Parse a chunk-size line, without its CRLF; extensions are not for us to see."""
    if re.fullmatch(rb"[0-9a-fA-F]+", line) is None:
        raise MalformedError(f"bad chunk-size line {line!r}")
    return int(line, 16)


def chunked(*chunks: bytes) -> bytes:
    """Encode ``chunks`` as a complete chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response as a client got it."""

    head: Head
    body: bytes
    framing: Framing
    informational: tuple[Head, ...] = ()

    @property
    def status(self) -> int:
        """The final status code."""
        return self.head.status

    def get(self, name: bytes) -> bytes | None:
        """Return the value of a field of the final head."""
        return self.head.get(name)

    @property
    def closes(self) -> bool:
        """Whether the server says that it closes the connection after this."""
        options = b",".join(self.head.all(b"connection")).lower().split(b",")
        return b"close" in [option.strip() for option in options]
