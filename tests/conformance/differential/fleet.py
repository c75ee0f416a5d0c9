"""Origins that fail by a script: the same failures, request by request, for both of the two."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, Literal

from tests.peers import EndedError, HttpStream, reply
from tests.peers.waiting import within

Outcome = Literal[
    "good", "refuse", "close", "hang", "garbage", "stale", "500", "502", "503", "404", "429"
]  # fmt: skip
"""``close`` reads a request and closes; ``stale`` does that to all but a connection's first."""

_KEPT: Final = frozenset({"good", "stale", "500", "502", "503", "404", "429"})


class Member:
    """An endpoint that can stop listening, and listen again at the same address."""

    def __init__(self, note: Callable[[Member], None]) -> None:
        self.outcome: Outcome = "good"
        self._note: Final = note
        # Bound and never listening: nobody else gets the port while nothing listens on it.
        self._holder: Final = _bound(("127.0.0.1", 0))
        self._address: Final[tuple[str, int]] = self._holder.getsockname()
        self._listening: socket.socket | None = None
        self._streams: Final[list[HttpStream]] = []
        self._tasks: Final[list[asyncio.Task[None]]] = []
        self.listen()

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self._address[1]}"

    def listen(self) -> None:
        """Accept connections."""
        if self._listening is None:
            sock = self._listening = _bound(self._address)
            sock.listen(128)
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def refuse(self) -> None:
        """Refuse connections, and end those that are idle, as whoever stops does."""
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
            self.hang_up()

    def hang_up(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        for stream in self._streams:
            stream.close()
        self._tasks.clear()
        self._streams.clear()

    async def close(self) -> None:
        """End everything."""
        tasks = list(self._tasks)
        self.refuse()
        await within(asyncio.gather(*tasks, return_exceptions=True), "a member to end")
        self._holder.close()

    def _accept(self, listening: socket.socket) -> None:
        sock, _ = listening.accept()
        stream = HttpStream(sock, self.address)
        self._streams.append(stream)
        self._tasks.append(asyncio.create_task(self._serve(stream)))

    async def _serve(self, stream: HttpStream) -> None:
        try:
            first = True
            while await self._answer(stream, first=first):
                first = False
        except EndedError:
            stream.close()

    async def _answer(self, stream: HttpStream, *, first: bool) -> bool:
        """Read a request and do what the script says; tell whether another one may follow."""
        head = await stream._head()
        await stream.read_body(head)
        outcome = self.outcome
        self._note(self)
        if outcome == "hang":
            await stream._to_end()
        if outcome == "garbage":
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nno line\x00\r\n\r\n")
        if outcome not in _KEPT or (outcome == "stale" and not first):
            stream.close()
            return False
        status = outcome.encode() + b" As Told" if outcome.isdecimal() else b"200 OK"
        await stream.send(reply(self.address.encode(), status=status))
        return True


def _bound(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    return sock


class Fleet:
    """Some members, and in which order requests reached them."""

    def __init__(self, size: int) -> None:
        self.reached: Final[list[int]] = []
        """Places of the members that read a request, in order."""
        self.members: Final = [Member(self._note) for _ in range(size)]

    def _note(self, member: Member) -> None:
        self.reached.append(self.members.index(member))

    def play(self, outcomes: tuple[Outcome, ...]) -> None:
        """Let each member do this from now on."""
        for member, outcome in zip(self.members, outcomes, strict=True):
            member.outcome = outcome
            if outcome == "refuse":
                member.refuse()
            else:
                member.listen()

    def place(self, address: str) -> int | None:
        """Return which member has this address."""
        places = {member.address: place for place, member in enumerate(self.members)}
        return places.get(address)

    async def close(self) -> None:
        """End all members."""
        for member in self.members:
            await member.close()
