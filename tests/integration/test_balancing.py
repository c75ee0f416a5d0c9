"""Which endpoint gets the request."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from proxy.spec import BalanceSpec, EndpointSpec, HeaderMapSpec
from tests.peers import (
    Conn,
    Origin,
    Running,
    Stage,
    answers,
    build_spec,
    endpoint,
    eventually,
    everything,
    listener,
    pool,
    reply,
    route,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import Family, websocket


def named(stage: Stage, names: str) -> dict[str, Origin]:
    """Start one origin per letter, that answers with it."""
    return {name: stage.origin(answers(reply(name.encode()))) for name in names}


def members(origins: dict[str, Origin], **weights: int) -> list[EndpointSpec]:
    return [
        endpoint(origin.address, name, weight=weights.get(name, 1), passive_health=None)
        for name, origin in origins.items()
    ]


async def sequence(running: Running, count: int, *fields: bytes, target: bytes = b"/") -> str:
    client = await running.connect()
    return "".join([(await client.get(target, *fields)).body.decode() for _ in range(count)])


async def test_equal_weights_take_turns(stage: Stage) -> None:
    running = await stage.serve(build_spec(*members(named(stage, "abc"))))
    assert await sequence(running, 9) == "abcabcabc"


async def test_weights_give_the_smooth_sequence_of_nginx(stage: Stage) -> None:
    running = await stage.serve(build_spec(*members(named(stage, "abc"), a=5)))
    assert await sequence(running, 14) == "aabacaa" * 2


async def test_turns_are_taken_over_all_clients(stage: Stage) -> None:
    running = await stage.serve(build_spec(*members(named(stage, "ab"))))
    assert [await sequence(running, 1) for _ in range(4)] == ["a", "b", "a", "b"]


@pytest.mark.parametrize("state", ["drain", "down"])
async def test_endpoint_out_of_service_takes_no_new_work(stage: Stage, state: str) -> None:
    origins = named(stage, "ab")
    a, b = members(origins)
    out = endpoint(a.address, "a", state=state)
    running = await stage.serve(build_spec(out, b))
    assert await sequence(running, 4) == "bbbb"
    assert running.endpoint(a.address).state == state


async def test_backup_serves_only_when_no_other_can(stage: Stage) -> None:
    origins = named(stage, "ab")
    a, b = members(origins)
    backup = endpoint(b.address, "b", backup=True)
    running = await stage.serve(build_spec(a, backup))
    assert await sequence(running, 3) == "aaa"
    await running.server.apply(build_spec(endpoint(a.address, "a", state="down"), backup))
    assert await sequence(running, 3) == "bbb"


async def test_backup_takes_over_a_refused_connection(stage: Stage) -> None:
    origins = named(stage, "b")
    backup = endpoint(origins["b"].address, "b", backup=True)
    running = await stage.serve(build_spec(stage.refused(), backup))
    assert await sequence(running, 3) == "bbb"


async def test_endpoint_at_its_connection_limit_is_passed_over(stage: Stage) -> None:
    release = asyncio.Event()

    async def slow(conn: Conn) -> None:
        while True:
            await conn.next_request()
            await release.wait()
            await conn.send(reply(b"a"))

    a, b = stage.origin(slow), stage.origin(answers(reply(b"b")))
    running = await stage.serve(
        build_spec(endpoint(a.address, "a", max_connections=1), endpoint(b.address, "b"))
    )
    client = await running.connect()
    await client.send(request())
    await a.request()
    assert running.endpoint(a.address).state == "full"
    assert await sequence(running, 4) == "bbbb"
    release.set()
    assert (await client.read_response()).body == b"a"
    assert "a" in await sequence(running, 2)


async def test_no_endpoint_below_its_limit_is_502(stage: Stage) -> None:
    async def stall(conn: Conn) -> None:
        await conn.next_request()

    origin = stage.origin(stall)
    running = await stage.serve(build_spec(endpoint(origin.address, max_connections=2)))
    waiting = [await running.connect() for _ in range(2)]
    for number, client in enumerate(waiting, 1):
        await client.send(request())
        await origin.request(number)
    assert (await (await running.connect()).get()).status == 502
    assert running.pool().counters.errors == {"no_endpoint": 1}
    assert len(origin.requests) == 2


async def test_splice_counts_towards_the_limit(stage: Stage) -> None:
    origin = stage.origin(websocket())
    running = await stage.serve(build_spec(endpoint(origin.address, max_connections=1)))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    at = running.endpoint(origin.address)
    assert (at.splices, at.state) == (1, "full")
    assert (await (await running.connect()).get()).status == 502
    client.close()
    await eventually(lambda: running.endpoint(origin.address).state == "active", "the endpoint")


async def test_least_connections_avoids_the_busy_one(stage: Stage) -> None:
    async def stall(conn: Conn) -> None:
        await conn.next_request()

    busy = stage.origin(stall)
    idle = stage.origin(answers(reply(b"b")))
    running = await stage.serve(
        build_spec(
            pools=[pool(busy.address, idle.address, balance=BalanceSpec(kind="least_connections"))]
        )
    )
    first, second = await running.connect(), await running.connect()
    # One of the two goes to each: the first is still busy when the second is placed.
    await first.send(request())
    await second.send(request())
    await busy.request()
    assert await sequence(running, 5) == "bbbbb"


async def test_random_uses_all_of_them(stage: Stage) -> None:
    running = await stage.serve(
        build_spec(pools=[pool(*members(named(stage, "ab")), balance=BalanceSpec(kind="random"))])
    )
    assert set(await sequence(running, 60)) == {"a", "b"}


BY_USER = BalanceSpec(kind="hash", key="$http_x_user")


async def placed(running: Running, users: range) -> dict[int, str]:
    return {user: await sequence(running, 1, b"X-User: %d" % user) for user in users}


async def test_hash_keeps_a_user_and_spreads_users(stage: Stage) -> None:
    ends = members(named(stage, "abc"))
    running = await stage.serve(build_spec(pools=[pool(*ends, balance=BY_USER)]))
    users = range(60)
    where = await placed(running, users)
    assert await placed(running, users) == where
    assert set(where.values()) == {"a", "b", "c"}


async def test_hash_moves_only_the_users_of_a_removed_endpoint(stage: Stage) -> None:
    ends = members(named(stage, "abcd"))
    running = await stage.serve(build_spec(pools=[pool(*ends, balance=BY_USER)]))
    users = range(60)
    before = await placed(running, users)
    await running.server.apply(build_spec(pools=[pool(*ends[1:], balance=BY_USER)]))
    after = await placed(running, users)
    moved = {user for user in users if before[user] != after[user]}
    assert moved == {user for user in users if before[user] == "a"}


async def test_hash_goes_on_to_another_when_its_endpoint_is_down(stage: Stage) -> None:
    ends = members(named(stage, "b"))
    dead = endpoint(stage.refused(), "a", passive_health=None)
    running = await stage.serve(build_spec(pools=[pool(dead, *ends, balance=BY_USER)]))
    assert set((await placed(running, range(20))).values()) == {"b"}


async def test_ip_hash_keeps_a_client_by_its_forwarded_address(stage: Stage) -> None:
    running = await stage.serve(
        build_spec(
            listeners=[listener(trusted_proxies=("127.0.0.0/8",))],
            pools=[pool(*members(named(stage, "abc")), balance=BalanceSpec(kind="ip_hash"))],
        )
    )
    seen = {
        await sequence(running, 2, b"X-Forwarded-For: 10.%d.7.1" % number)
        for number in range(1, 30)
    }
    assert seen == {"aa", "bb", "cc"}


async def test_pools_are_split_by_weight(stage: Stage) -> None:
    origins = named(stage, "ab")
    pools = [pool(origin.address, name=name) for name, origin in origins.items()]
    split = everything(pools=(("a", 75), ("b", 25)))
    running = await stage.serve(build_spec(pools=pools, routes=[split]))
    shares = Counter(await sequence(running, 400))
    # Five standard deviations of 400 draws at one in four.
    assert 100 - 44 < shares["b"] < 100 + 44


async def test_split_by_a_key_keeps_a_user_on_one_pool(stage: Stage) -> None:
    origins = named(stage, "ab")
    pools = [pool(origin.address, name=name) for name, origin in origins.items()]
    split = everything(pools=(("a", 50), ("b", 50)), split_by="$cookie_user")
    running = await stage.serve(build_spec(pools=pools, routes=[split]))
    seen = {await sequence(running, 3, b"Cookie: user=u%d" % user) for user in range(30)}
    assert seen == {"aaa", "bbb"}


async def test_pool_is_chosen_by_a_header_map(stage: Stage) -> None:
    origins = named(stage, "ab")
    pools = [pool(origin.address, name=name) for name, origin in origins.items()]
    tier = HeaderMapSpec(name="tier", source="$http_x_tier", default="a", exact=(("gold", "b"),))
    by_tier = everything(pools=(("a", 1), ("b", 1)), pool_variable="$tier")
    running = await stage.serve(build_spec(pools=pools, routes=[by_tier], header_maps=[tier]))
    assert await sequence(running, 2) == "aa"
    assert await sequence(running, 2, b"X-Tier: gold") == "bb"


@pytest.mark.parametrize("family", ["ipv4", "ipv6", "unix"])
async def test_endpoint_of_any_family_is_reached(stage: Stage, family: Family) -> None:
    origin = stage.origin(family=family)
    running = await stage.serve(build_spec(origin.address))
    assert await sequence(running, 2) == "okok"
    assert running.endpoint(origin.address).address == origin.address


async def test_name_as_an_address_is_resolved(stage: Stage) -> None:
    origin = stage.origin()
    port = origin.address.rpartition(":")[2]
    running = await stage.serve(build_spec(f"localhost:{port}"))
    assert (await sequence(running, 2)) == "okok"


async def test_name_that_does_not_resolve_is_502_and_does_not_hinder_others(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(
        build_spec(
            pools=[pool("does-not-exist.invalid:80", name="dead"), pool(origin.address)],
            routes=[route("dead", "/dead", to="dead"), everything()],
        )
    )
    client = await running.connect()
    assert (await client.get(b"/dead")).status == 502
    assert (await client.get(b"/")).status == 200
