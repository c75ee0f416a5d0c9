"""An origin of our own: echoes WebSocket frames, answers every other request with 200.

``python -m bench.echo --ports N --ready-file FILE`` listens on N loopback ports of the kernel's
choice, so that one process stands for several origins, and writes their addresses as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
from pathlib import Path
from typing import Final, cast

import uvloop

from bench.nginx import BODY
from bench.websocket import accepted, echo

_KEY: Final = re.compile(rb"\r\nsec-websocket-key: *([^\r]*)", re.IGNORECASE)
_ANSWER: Final = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()


class Echo(asyncio.Protocol):
    """One connection: requests without bodies, then frames if one of them asked for that."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._rest = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if not self._upgraded:
            data = self._requests(data)
        if self._upgraded and data:
            try:
                answer, data = echo(data)
            except ValueError:
                self.transport.abort()
                return
            self.transport.write(answer)
        self._rest = data

    def _requests(self, data: bytes) -> bytes:
        while not self._upgraded:
            head, mark, behind = data.partition(b"\r\n\r\n")
            if not mark:
                break
            key = _KEY.search(head)
            self._upgraded = key is not None
            self.transport.write(_ANSWER if key is None else accepted(key[1]))
            data = behind
        return data


async def serve(ports: int, ready_file: Path) -> None:
    """Listen until the process is ended."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Echo, "127.0.0.1", 0) for _ in range(ports)]
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
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.ports, arguments.ready_file))


if __name__ == "__main__":
    main()
