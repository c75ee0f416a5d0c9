"""Addresses that behave badly before anything is accepted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def refused_address() -> Iterator[str]:
    """Yield an address that refuses connections: bound, so nobody else gets it, not listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def full_backlog() -> Iterator[str]:
    """Yield an address where connecting neither succeeds nor fails: its accept queue is full."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        address = sock.getsockname()
        waiting: list[socket.socket] = []
        try:
            while True:
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(address)
                waiting.append(filler)
                try:
                    filler.getpeername()
                except OSError:
                    break
            yield f"127.0.0.1:{address[1]}"
        finally:
            for filler in waiting:
                filler.close()
