"""A server of DNS whose answers change as the test says.

Messages are dnspython's; what is asked and answered goes over UDP on loopback, and over TCP when an
answer is told to be too long for that.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Mood = Literal["well", "failing", "silent", "truncating"]


class DnsServer(asyncio.DatagramProtocol):
    """Answers from a table."""

    def __init__(self) -> None:
        self.asked: Final[list[str]] = []
        """``name type`` of all questions so far."""
        self.over_tcp = 0
        self.mood: Mood = "well"
        self.address = ""
        self._records: Final[dict[tuple[str, str], tuple[int, tuple[str, ...]]]] = {}
        self._additional: Final[dict[str, list[tuple[str, str, str]]]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    @classmethod
    async def listen(cls) -> DnsServer:
        """Bind to one port of the kernel's choice for both."""
        server = cls()
        server._tcp = await asyncio.start_server(server._serve, "127.0.0.1", 0)
        host, port = server._tcp.sockets[0].getsockname()
        loop = asyncio.get_running_loop()
        server._transport, _ = await loop.create_datagram_endpoint(
            lambda: server, local_addr=(host, port)
        )
        server.address = f"{host}:{port}"
        return server

    def close(self) -> None:
        assert self._transport is not None and self._tcp is not None
        self._transport.close()
        self._tcp.close()

    def say(self, name: str, kind: str, *records: str, ttl: int = 1) -> None:
        """Let a name have these records, the name itself existing even without any."""
        self._records[name, kind] = (ttl, records)

    def add(self, to: str, name: str, kind: str, record: str) -> None:
        """Put a record into the additional section of answers to a name."""
        self._additional.setdefault(to, []).append((name, kind, record))

    def forget(self, name: str) -> None:
        """Let a name not exist."""
        for key in [key for key in self._records if key[0] == name]:
            del self._records[key]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._answer(data, truncated=self.mood == "truncating")
        assert self._transport is not None
        if answer is not None:
            self._transport.sendto(answer, addr)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2))
        answer = self._answer(await reader.readexactly(length))
        self.over_tcp += 1
        if answer is not None:
            writer.write(len(answer).to_bytes(2) + answer)
        writer.close()

    def _answer(self, data: bytes, *, truncated: bool = False) -> bytes | None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name = str(question.name).lower().removesuffix(".")
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name} {kind}")
        if self.mood == "silent":
            return None
        response = dns.message.make_response(query)
        if truncated:
            response.flags |= dns.flags.TC
        elif self.mood == "failing":
            response.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self._records:
            ttl, records = self._records[name, kind]
            if records:
                response.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *records))
            response.additional += [
                dns.rrset.from_text(f"{each}.", ttl, "IN", more, record)
                for each, more, record in self._additional.get(name, ())
            ]
        elif all(known != name for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()
