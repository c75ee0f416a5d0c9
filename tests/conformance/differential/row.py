"""A row of the tables: a file, the octets that go to whoever serves it, and the origin behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from tests.peers import OK, Script, answers

LISTEN: Final = "127.0.0.1:8080"
"""What a file listens on; each of the two gets an address of its own in its place."""

ORIGINS: Final = tuple(f"127.0.0.1:{8000 + number}" for number in range(4))
"""What a file may pass to; one origin stands behind each, the same one for both."""

GOOD: Final = answers(OK)


@dataclass(frozen=True, slots=True)
class Row:
    """One exchange, or several on one connection."""

    name: str
    conf: str
    """What stands in the ``http`` block."""
    writes: tuple[bytes, ...]
    """What the client sends, in so many writes."""
    methods: tuple[bytes, ...]
    """Of the requests that are to be answered; if there are none, all that comes is compared."""
    origin: Script = GOOD
    """What each connection to any of the origins meets."""
    waits: bool = False
    """The second write comes once the first has an answer of its own (100 or final)."""
    tunnel: bytes = b""
    """What the client says once the protocol was switched, and gets back."""
    drawn: int = 0
    """How many octets come out of the tunnel before the client says that."""
    unread: bool = False
    """The origin answers before it has the whole request: what came of the body is not compared."""

    def __str__(self) -> str:
        return self.name


def row(name: str, conf: str, *writes: bytes, **differs: object) -> Row:
    """Write a row; the method is that of the first line, unless ``methods`` says more."""
    made = Row(name, conf, writes, (writes[0].split(b" ", 1)[0],))
    return replace(made, **differs)  # type: ignore[arg-type]


def table(topic: str, conf: str, rows: dict[str, bytes], **same: object) -> Iterator[Row]:
    """Write the rows of one file that differ in what is sent only."""
    for name, octets in rows.items():
        yield row(f"{topic}-{name}", conf, octets, **same)


def numbered(rows: Iterable[bytes]) -> dict[str, bytes]:
    """Name octets by their place and what can be read of their first line."""
    named = {}
    for number, octets in enumerate(rows):
        line = octets.split(b"\r\n", 1)[0].decode("ascii", "replace")
        named[f"{number}-{line.rpartition(' ')[0][:60]!a}"] = octets
    return named


def server(*parts: str, name: str = "h.test") -> str:
    """Write a ``server`` block."""
    return f"server {{ listen {LISTEN}; server_name {name};\n" + "\n".join(parts) + "\n}\n"


def passing(*parts: str, path: str = "/", to: str = f"http://{ORIGINS[0]}") -> str:
    """Write a location that passes on over HTTP/1.1 with the client's ``Host``."""
    usual = 'proxy_http_version 1.1; proxy_set_header Connection "";'
    usual += "proxy_set_header Host $http_host;"
    return f"location {path} {{ proxy_pass {to}; {usual}\n" + "\n".join(parts) + "\n}\n"
