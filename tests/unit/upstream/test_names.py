"""Names in endpoint addresses, with a resolver that answers as the test says."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from proxy.upstream.discovery import names as discovery
from proxy.upstream.discovery.names import CONCURRENCY, Names
from tests.peers import eventually


class Resolver:
    """Stands in for the loop's ``getaddrinfo``."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None
        self.under_way = 0
        self.most = 0

    async def getaddrinfo(self, host: str, port: object, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.under_way -= 1
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (
                socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "",
                (ip, 0, 0, 0) if ":" in ip else (ip, 0),
            )
            for ip in self.known[host]
        ]  # fmt: skip


class _Loop:
    def __init__(self, resolver: Resolver) -> None:
        self.getaddrinfo = resolver.getaddrinfo


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()

    class Asyncio:
        """The module as ``names`` sees it, with a loop that only resolves."""

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

        @staticmethod
        def get_running_loop() -> _Loop:
            return _Loop(resolver)

    monkeypatch.setattr(discovery, "asyncio", Asyncio())
    return resolver


async def test_addresses_that_are_no_names_are_not_asked_for(resolver: Resolver) -> None:
    names = Names()
    written = ["192.0.2.1:80", "[::1]:80", "unix:/run/a.sock", "no address at all"]
    assert await names.resolve(written) == {}
    assert resolver.asked == []


async def test_each_address_of_a_name_is_given_in_order_with_its_port(resolver: Resolver) -> None:
    resolver.known["app.test"] = ["192.0.2.9", "2001:db8::1", "192.0.2.1", "192.0.2.9"]
    found = await Names().resolve(["app.test:80", "app.test:81", "app.test:80"])
    assert found == {
        "app.test:80": ("192.0.2.1:80", "192.0.2.9:80", "[2001:db8::1]:80"),
        "app.test:81": ("192.0.2.1:81", "192.0.2.9:81", "[2001:db8::1]:81"),
    }
    assert resolver.asked == ["app.test"]


async def test_addresses_with_a_zone_are_left_out(resolver: Resolver) -> None:
    resolver.known["app.test"] = ["fe80::1%eth0", "192.0.2.1"]
    assert await Names().resolve(["app.test:80"]) == {"app.test:80": ("192.0.2.1:80",)}


async def test_known_name_is_not_asked_for_again_until_it_is_refreshed(resolver: Resolver) -> None:
    resolver.known["app.test"] = ["192.0.2.1"]
    names = Names()
    await names.resolve(["app.test:80"])
    resolver.known["app.test"] = ["192.0.2.2"]
    assert (await names.resolve(["app.test:80"]))["app.test:80"] == ("192.0.2.1:80",)
    assert (await names.refresh(["app.test:80"]))["app.test:80"] == ("192.0.2.2:80",)
    assert resolver.asked == ["app.test", "app.test"]


async def test_unknown_name_is_unresolved_and_asked_for_again(resolver: Resolver) -> None:
    names = Names()
    assert await names.resolve(["late.test:80"]) == {"late.test:80": ()}
    resolver.known["late.test"] = ["192.0.2.1"]
    assert await names.resolve(["late.test:80"]) == {"late.test:80": ("192.0.2.1:80",)}


@pytest.mark.parametrize("answer", [None, []])
async def test_name_that_no_longer_resolves_keeps_its_last_answer(
    resolver: Resolver, answer: list[str] | None
) -> None:
    resolver.known["app.test"] = ["192.0.2.1"]
    names = Names()
    await names.resolve(["app.test:80"])
    if answer is None:
        del resolver.known["app.test"]
    else:
        resolver.known["app.test"] = answer
    assert (await names.refresh(["app.test:80"]))["app.test:80"] == ("192.0.2.1:80",)


async def test_name_out_of_use_is_forgotten_by_a_refresh(resolver: Resolver) -> None:
    resolver.known["app.test"] = ["192.0.2.1"]
    names = Names()
    await names.resolve(["app.test:80"])
    assert names.known([]) == {}
    del resolver.known["app.test"]
    assert await names.resolve(["app.test:80"]) == {"app.test:80": ()}


async def test_look_up_that_takes_too_long_leaves_the_name_unresolved(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "LOOKUP_S", 0.01)
    resolver.known["slow.test"] = ["192.0.2.1"]
    resolver.gate = asyncio.Event()
    assert await Names().resolve(["slow.test:80"]) == {"slow.test:80": ()}
    assert resolver.under_way == 0


async def test_look_ups_run_beside_each_other_but_not_all_at_once(resolver: Resolver) -> None:
    written = [f"n{number}.test:80" for number in range(CONCURRENCY * 2)]
    resolver.known = {text[:-3]: ["192.0.2.1"] for text in written}
    resolver.gate = asyncio.Event()
    asking = asyncio.create_task(Names().resolve(written))
    await eventually(lambda: resolver.under_way == CONCURRENCY, "the look-ups to begin")
    resolver.gate.set()
    found = await asking
    assert resolver.most == CONCURRENCY
    assert all(found[text] == ("192.0.2.1:80",) for text in written)
