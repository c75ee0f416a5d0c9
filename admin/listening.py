"""Binding the admin and telemetry listeners, with limits on what a client can tie up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aiohttp import web

from proxy.addresses import Address

CONNECTIONS: Final = 256
"""Open at once on one listener; a further one takes the place of the one that has waited longest
for a request, and is closed at once if there is none such."""

IDLE_S: Final = 30.0
"""For a whole request head from the accept, and between two requests of a connection."""

STALLED_S: Final = 30.0
"""A client that takes nothing of its answer for so long is cut off, in seconds."""

STALLED_LOOK_S: Final = 5.0
"""Between two looks at that, in seconds."""

LINGER_S: Final = 2.0
"""How long what still comes of a body is read when its request was refused, in seconds, so that a
reset does not overtake the answer."""

SHUTDOWN_S: Final = 2.0
"""For requests that are being answered when the listener closes."""

_log = logging.getLogger("hotsplice.admin.http")
# aiohttp logs each malformed request with a traceback; who sends one has been answered 400.
_log.setLevel(logging.CRITICAL)


class ListenError(Exception):
    """An address cannot be listened on."""


class _TooMany(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, address: Address, *, connections: int = CONNECTIONS
) -> AsyncIterator[str]:
    """Serve an application; gives the address it is bound to, with the port the kernel chose.

    ``ListenError`` says what is in the way.  At the end nothing new is accepted, and what is being
    answered has ``SHUTDOWN_S`` left.
    """
    try:
        bound = await _bind(address)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from error
    app.on_response_prepare.append(_sign)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_log,
        keepalive_timeout=IDLE_S,
        shutdown_timeout=SHUTDOWN_S,
        lingering_time=LINGER_S,
        auto_decompress=False,  # it would be done on the event loop
    )
    await runner.setup()
    http = runner.server
    assert http is not None, "setup makes it"

    def accept() -> asyncio.BaseProtocol:
        return http() if _room(http, connections) else _TooMany()

    server = await asyncio.get_running_loop().create_server(accept, sock=bound)
    watching = asyncio.create_task(_cut_stalled(http))
    try:
        yield _text(bound)
    finally:
        server.close()
        watching.cancel()
        await runner.cleanup()
        _unlink(address)


def _room(http: web.Server, most: int) -> bool:
    """Make room for another connection, if need be by ending one that waits for a request.

    So who opens many and asks nothing keeps nobody out.
    """
    live = [one for one in http.connections if one.transport is not None]
    if len(live) < most:
        return True
    waiting = next((one for one in live if one._current_request is None), None)
    if waiting is not None:
        waiting.force_close()
    return waiting is not None


async def _cut_stalled(http: web.Server) -> None:
    """End connections whose clients take nothing of what there is for them."""
    since: dict[asyncio.Transport, tuple[int, float]] = {}
    while True:
        await asyncio.sleep(STALLED_LOOK_S)
        now = asyncio.get_running_loop().time()
        before, since = since, {}
        for transport in [one.transport for one in http.connections if one.transport is not None]:
            left = transport.get_write_buffer_size()
            if not left:
                continue
            left_before, then = before.get(transport, (-1, now))
            since[transport] = (left, then if left == left_before else now)
            if now - since[transport][1] >= STALLED_S:
                transport.abort()


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    # aiohttp would tell its version and Python's.
    response.headers["Server"] = "hotsplice"


def _text(bound: socket.socket) -> str:
    name = bound.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    return f"[{name[0]}]:{name[1]}" if bound.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


async def _bind(address: Address) -> socket.socket:
    if address.kind == "unix":
        _clear(Path(address.path))
        return _bind_unix(address.path)
    found = await asyncio.get_running_loop().getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, where = found[0]
    return socket.create_server((str(where[0]), address.port), family=family, backlog=CONNECTIONS)


def _bind_unix(path: str) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode is the guard, so there must be no moment before it holds.
    before = os.umask(0o177)
    try:
        bound.bind(path)
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    bound.listen(CONNECTIONS)
    return bound


def _unlink(address: Address) -> None:
    if address.kind == "unix":
        Path(address.path).unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on any more, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(f"{path} exists, and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # One that listens lets us in or, its backlog full, makes us wait: we do not.
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # in use, like one that lets us in
    raise FileExistsError(f"{path} is in use")
