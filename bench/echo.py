"""An origin of our own: WebSockets, and answers that nginx does not make.

``/ws`` echoes frames, ``/ws/stream`` sends frames of 64 KiB without an end.  ``/chunked`` and
``/tiny`` answer with 64 KiB in chunks of 8 KiB and with 4 KiB in chunks of 16 octets; every other
request is answered with 200 and a short body.

``python -m bench.echo --ports N --ready-file FILE`` listens on N loopback ports of the kernel's
choice, so that one process stands for several origins, and writes their addresses as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
from pathlib import Path
from typing import Final, cast

import uvloop

from bench.peers.nginx import BODY
from bench.processes import Processes
from bench.websocket import accepted, echo, server_frame

MAX_SEGMENT: Final = 16_384

_KEY: Final = re.compile(rb"\r\nsec-websocket-key: *([^\r]*)", re.IGNORECASE)
_TARGET: Final = re.compile(rb"[A-Z]+ (\S+)")

STREAMED: Final = server_frame(bytes(range(256)) * 256)
"""The frame that ``/ws/stream`` sends over and over."""


def _chunked(chunk: int, chunks: int) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (chunk, bytes(chunk)) for _ in range(chunks))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


_SHORT: Final = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
_ANSWERS: Final = {b"/chunked": _chunked(8192, 8), b"/tiny": _chunked(16, 256)}


class Echo(asyncio.Protocol):
    """One connection: requests without bodies, then frames if one of them asked for that."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._rest = b""
        self._upgraded = False
        self._streams = False
        self._last = self._last_answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if not transport.get_extra_info("peername")[0].startswith("127."):
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        # A client that sends the same frame again and again costs a comparison.
        if data == self._last and not self._rest:
            self.transport.write(self._last_answer)
            return
        data = self._rest + data
        if not self._upgraded:
            data = self._requests(data)
        elif not self._rest:
            self._last = data
        if self._upgraded and data:
            try:
                answer, data = echo(data)
            except ValueError:
                self.transport.abort()
                return
            self.transport.write(answer)
            self._last, self._last_answer = (b"", b"") if data else (self._last, answer)
        self._rest = data

    def pause_writing(self) -> None:
        self._streams = False

    def resume_writing(self) -> None:
        # Only a stream is ever ahead of its reader.
        self._stream()

    def _stream(self) -> None:
        self._streams = True
        while self._streams and not self.transport.is_closing():
            self.transport.write(STREAMED)

    def _requests(self, data: bytes) -> bytes:
        while not self._upgraded:
            head, mark, behind = data.partition(b"\r\n\r\n")
            if not mark:
                break
            data = behind
            target = _TARGET.match(head)
            path = target[1] if target else b""
            key = _KEY.search(head)
            if key is None:
                self.transport.write(_ANSWERS.get(path, _SHORT))
                continue
            self._upgraded = True
            self.transport.write(accepted(key[1]))
            if path == b"/ws/stream":
                self._stream()
        return data


def origin(processes: Processes, *, wide: bool = False) -> str:
    """Start one; return its address."""
    flags = ["--wide"] if wide else []
    _, ready_file = processes.start_python("echo", "bench.echo", *flags)
    addresses: list[str] = json.loads(ready_file.read_text())
    return "127.0.0.1:" + addresses[0].rpartition(":")[2]


def _listening(host: str) -> socket.socket:
    sock = socket.create_server((host, 0), backlog=4096)
    # Segments of loopback are as large as a small receive buffer: a reader of few octets at a time
    # (nginx) would be sent nothing until a timer of 200 ms runs out.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, MAX_SEGMENT)
    return sock


async def serve(ports: int, ready_file: Path, host: str) -> None:
    """Listen until the process is ended."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Echo, sock=_listening(host)) for _ in range(ports)]
    addresses = [f"127.0.0.1:{one.sockets[0].getsockname()[1]}" for one in servers]
    temporary = ready_file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(addresses))
    temporary.replace(ready_file)
    await asyncio.gather(*(one.serve_forever() for one in servers))


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ports", type=int, default=1)
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--wide", action="store_true", help="on every address of 127/8")
    arguments = parser.parse_args()
    host = "0.0.0.0" if arguments.wide else "127.0.0.1"
    uvloop.run(serve(arguments.ports, arguments.ready_file, host))


if __name__ == "__main__":
    main()
