"""Host names in endpoint addresses, resolved off the event loop.

Every address of a name is an endpoint of its own.  A name that does not resolve keeps its last good
answer; one that never did stands for no endpoint, and is asked for again more often.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable
from typing import Final

from proxy.addresses import Address, parse_address
from proxy.spec import Spec

LOOKUP_S: Final = 3.0
"""How long a look-up may take before its name counts as unresolved, in seconds."""

REFRESH_S: Final = 30.0
"""Seconds between two look-ups of a name; the system's resolver does not tell how long an answer
holds."""

RETRY_S: Final = 2.0
"""The same while a name has never been resolved."""

CONCURRENCY: Final = 16
"""Look-ups under way at once."""

_NO_NAME: Final = re.compile(r"[0-9.]+:[0-9]+").fullmatch
"""Most addresses are told from names at a glance; it happens on the event loop, for all of them."""


class Names:
    """The answers to all look-ups so far, for the names in use."""

    __slots__ = ("_answers", "_slots")

    def __init__(self) -> None:
        self._answers: dict[str, tuple[str, ...]] = {}
        self._slots: Final = asyncio.Semaphore(CONCURRENCY)

    async def resolve(self, written: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the canonical addresses of each endpoint address that is a name.

        Only names that are new or unresolved are looked up; an empty tuple means unresolved.
        Addresses that are no valid ones are left to the compiler, which says where they stand.
        """
        named = _names(written)
        hosts = {address.host for address in named.values()}
        await self._look_up(host for host in hosts if not self._answers.get(host))
        return self._addresses(named)

    async def refresh(self, written: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Look every name up again."""
        named = _names(written)
        await self._look_up({address.host for address in named.values()})
        return self._addresses(named)

    def known(self, written: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the present answers; forget the names that are not in ``written``."""
        named = _names(written)
        hosts = {address.host for address in named.values()}
        self._answers = {host: self._answers.get(host, ()) for host in hosts}
        return self._addresses(named)

    def _addresses(self, named: dict[str, Address]) -> dict[str, tuple[str, ...]]:
        return {
            text: tuple(
                f"[{ip}]:{address.port}" if ":" in ip else f"{ip}:{address.port}"
                for ip in self._answers.get(address.host, ())
            )
            for text, address in named.items()
        }

    async def _look_up(self, hosts: Iterable[str]) -> None:
        await asyncio.gather(*(self._ask(host) for host in hosts))

    async def _ask(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with self._slots, asyncio.timeout(LOOKUP_S):
                found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            self._answers.setdefault(host, ())
            return
        addresses = sorted({str(info[4][0]) for info in found if "%" not in str(info[4][0])})
        if addresses:
            self._answers[host] = tuple(addresses)
        else:
            self._answers.setdefault(host, ())


def written(spec: Spec) -> list[str]:
    """Return the addresses of all endpoints of a configuration, as they are written."""
    return [point.address for pool in spec.pools.values() for point in pool.endpoints]


def _names(written: Iterable[str]) -> dict[str, Address]:
    named: dict[str, Address] = {}
    for text in written:
        if text in named or _NO_NAME(text):
            continue
        try:
            address = parse_address(text)
        except ValueError:
            continue
        if not address.is_literal:
            named[text] = address
    return named
