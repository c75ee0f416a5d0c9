"""The sockets that a server listens on; a wildcard and addresses of one port go together.

Of two sockets that could take the same connection the kernel prefers the one whose address says
more, which is what nginx makes of ``listen 80`` beside ``listen 127.0.0.1:80``.  But Linux lets the
second one bind and listen only while both are marked with ``SO_REUSEPORT``.  With the mark left on,
a second process could take a share of our connections unnoticed, where it is to be told that the
address is in use; so sockets have it for the length of the call alone.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from proxy.addresses import Address

BACKLOG: Final = 4096
"""Connections that the kernel holds for us until they are accepted."""

_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})


class Sockets:
    """See the module's docstring."""

    __slots__ = ("_bound",)

    def __init__(self) -> None:
        self._bound: Final[set[socket.socket]] = set()

    def bind(self, address: Address) -> socket.socket:
        """Bind, without listening yet.  Raise ``OSError``.

        A Unix socket's file that nobody answers on is replaced.
        """
        if address.kind == "unix":
            return self._bind_unix(address.path)
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        infos = socket.getaddrinfo(
            address.host, address.port, family if address.is_literal else 0, socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )  # fmt: skip
        family, kind, protocol, _, target = infos[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # What is accepted has it too: a tunnel may be silent for long, and its client gone.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.setblocking(False)
            with _marked(bound, *self._beside(family, target)):
                bound.bind(target)
        except OSError:
            bound.close()
            raise
        self._bound.add(bound)
        return bound

    def listen(self, bound: socket.socket) -> None:
        """Have the kernel queue connections; once more changes nothing.  Raise ``OSError``."""
        with _marked(bound, *self._beside(bound.family, bound.getsockname())):
            bound.listen(BACKLOG)

    def takes_from_another(self, bound: socket.socket) -> bool:
        """Tell whether connections that a wildcard gets now would come here instead."""
        name = bound.getsockname()
        return name[0] not in _WILDCARDS and bool(list(self._beside(bound.family, name)))

    def forget(self, bound: socket.socket) -> None:
        """Take note that a socket is about to be closed."""
        self._bound.discard(bound)

    def _beside(self, family: int, name: tuple[object, ...] | str) -> Iterator[socket.socket]:
        """Give the sockets that could take connections of an address, and it theirs."""
        if isinstance(name, str):
            return
        for other in self._bound:
            if other.family == family:
                theirs = other.getsockname()
                if theirs[1] == name[1] and (theirs[0] in _WILDCARDS) != (name[0] in _WILDCARDS):
                    yield other

    def _bind_unix(self, path: str) -> socket.socket:
        bound = socket.socket(socket.AF_UNIX)
        bound.setblocking(False)
        try:
            _clear_stale(path)
            bound.bind(path)
        except OSError:
            bound.close()
            raise
        self._bound.add(bound)
        return bound


def bound_address(bound: socket.socket) -> str:
    """Return ``host:port``, ``[v6]:port`` or ``unix:/path``."""
    name = bound.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def _marked(*sockets: socket.socket) -> Iterator[None]:
    """Let sockets share a port meanwhile, if there are several."""
    some = sockets if len(sockets) > 1 else ()
    for each in some:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        yield
    finally:
        for each in some:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


def _clear_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116
            raise OSError(errno.EADDRINUSE, "the path exists and is no socket", path)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise OSError(errno.EADDRINUSE, "somebody listens there", path)
