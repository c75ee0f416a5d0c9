"""The contract with uvloop's transports: what the proxy relies on, and what it must not do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest

from tests.peers import eventually

MUCH = b"x" * 8_000_000
"""More than the kernel takes for a peer that does not read."""


class Recorder(asyncio.Protocol):
    def __init__(self, *, stays: bool = True) -> None:
        self.events: list[str] = []
        self.data = b""
        self.transport: asyncio.Transport
        self._stays = stays

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self._stays

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")


@contextlib.asynccontextmanager
async def joined(*, stays: bool = True) -> AsyncIterator[tuple[Recorder, socket.socket]]:
    """Connect a transport to a plain socket."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        _, protocol = await loop.create_connection(
            lambda: Recorder(stays=stays), *listening.getsockname()
        )
        other, _ = listening.accept()
    with other:
        other.setblocking(False)
        yield protocol, other
        protocol.transport.abort()
        await eventually(lambda: "lost" in protocol.events, "the transport to be gone")


async def swallow(other: socket.socket, protocol: Recorder) -> None:
    """Read until the transport has nothing left to write."""
    loop = asyncio.get_running_loop()
    while protocol.transport.get_write_buffer_size():
        await loop.sock_recv(other, 1 << 20)


async def test_writing_to_a_closed_transport_raises_and_pausing_does_not() -> None:
    async with joined() as (protocol, _):
        transport = protocol.transport
        transport.abort()
        assert protocol.events == [], "never inside abort()"
        transport.write(b"ignored while it closes")
        transport.write_eof()
        await eventually(lambda: protocol.events == ["lost"], "the transport to be gone")
        with pytest.raises(RuntimeError):
            transport.write(b"x")
        with pytest.raises(RuntimeError):
            transport.write_eof()
        transport.pause_reading()
        transport.resume_reading()
        transport.close()
        transport.abort()
        assert transport.is_closing()
        assert transport.get_write_buffer_size() == 0


async def test_pausing_and_resuming_twice_is_harmless() -> None:
    async with joined() as (protocol, other):
        protocol.transport.pause_reading()
        protocol.transport.pause_reading()
        protocol.transport.resume_reading()
        protocol.transport.resume_reading()
        other.sendall(b"x")
        await eventually(lambda: protocol.data == b"x", "the octet")


async def test_pause_comes_inside_the_write_and_is_not_inherited() -> None:
    async with joined() as (protocol, other):
        protocol.transport.write(MUCH)
        assert protocol.events == ["pause"]
        heir = Recorder()
        protocol.transport.set_protocol(heir)
        protocol.transport.write(b"y" * 100_000)
        assert heir.events == []
        await swallow(other, protocol)
        await eventually(lambda: heir.events == ["resume"], "the heir to be resumed")
        protocol.transport.set_protocol(protocol)


async def test_closing_flushes_and_a_stuck_peer_holds_it_up_until_it_is_cut() -> None:
    async with joined() as (protocol, _):
        protocol.transport.write(MUCH)
        protocol.transport.close()
        assert protocol.transport.get_write_buffer_size() > 0
        assert protocol.events == ["pause"]
        protocol.transport.abort()
        await eventually(lambda: "lost" in protocol.events, "the transport to be cut")


async def test_half_close_flushes_and_goes_on_reading() -> None:
    async with joined() as (protocol, other):
        protocol.transport.write(b"last")
        protocol.transport.write_eof()
        with pytest.raises(RuntimeError):
            protocol.transport.write(b"more")
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(other, 10) == b"last"
        assert await loop.sock_recv(other, 10) == b""
        other.sendall(b"answer")
        await eventually(lambda: protocol.data == b"answer", "the answer")


@pytest.mark.parametrize("stays", [True, False])
async def test_fin_closes_unless_the_protocol_wants_to_stay(stays: bool) -> None:
    async with joined(stays=stays) as (protocol, other):
        assert not protocol.transport.is_closing()
        other.shutdown(socket.SHUT_WR)
        await eventually(lambda: "eof" in protocol.events, "the FIN")
        assert protocol.transport.is_closing() is not stays


async def test_new_protocol_set_while_data_comes_in_gets_the_rest() -> None:
    async with joined() as (protocol, other):
        heir = Recorder()

        def hand_over(data: bytes) -> None:
            protocol.data += data
            protocol.transport.set_protocol(heir)

        protocol.data_received = hand_over  # type: ignore[method-assign]
        # The transport looks the method up when a protocol is set.
        protocol.transport.set_protocol(protocol)
        other.sendall(b"first")
        await eventually(lambda: protocol.data == b"first", "the first octets")
        other.sendall(b"second")
        await eventually(lambda: heir.data == b"second", "the second octets")
        protocol.transport.set_protocol(protocol)
