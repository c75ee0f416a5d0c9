"""A configuration changes while requests and splices live, seen from the user's socket."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import SpecError
from proxy.spec import (
    BalanceSpec,
    DrainSpec,
    HeaderMapSpec,
    HeaderRulesSpec,
    KeepaliveSpec,
    ListenerLimits,
    OnRemoval,
    PassiveHealthSpec,
    ResponseRulesSpec,
    Spec,
)
from tests.peers import (
    Conn,
    Origin,
    RawClient,
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
    settle,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import then, websocket


def named(stage: Stage, name: bytes) -> Origin:
    return stage.origin(answers(reply(name)))


async def upgrade(running: Running) -> RawClient:
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 101
    return client


async def echoes(client: RawClient, data: bytes) -> None:
    await client.send(data)
    assert await client.read_exactly(len(data)) == data


# -- requests in flight ---------------------------------------------------------------------------


async def test_next_request_of_the_same_connection_goes_to_the_new_endpoint(
    stage: Stage,
) -> None:
    old, new = named(stage, b"old"), named(stage, b"new")
    running = await stage.serve(build_spec(old.address))
    client = await running.connect()
    assert (await client.get()).body == b"old"
    await running.server.apply(build_spec(new.address))
    assert (await client.get()).body == b"new"


@pytest.mark.parametrize("at", [1, 20, 60], ids=["request-line", "head", "body"])
async def test_change_between_the_two_halves_of_one_request_serves_it_whole(
    stage: Stage, at: int
) -> None:
    old, new = named(stage, b"old"), named(stage, b"new")
    running = await stage.serve(build_spec(old.address))
    client = await running.connect()
    raw = request(b"POST", b"/", body=b"0123456789")
    await client.send(raw[:at])
    await settle()
    await running.server.apply(build_spec(new.address))
    await client.send(raw[at:])
    answer = await client.read_response()
    # A request keeps the configuration that its head met when it was complete.
    complete = raw[:at].find(b"\r\n\r\n") >= 0
    assert (answer.status, answer.body) == (200, b"old" if complete else b"new")
    served = old if complete else new
    assert served.requests[0].body == b"0123456789"


async def test_request_keeps_its_rules_while_its_response_is_awaited(stage: Stage) -> None:
    release = asyncio.Event()

    async def slow(conn: Conn) -> None:
        await conn.next_request()
        await release.wait()
        await conn.send(reply(b"slow"))

    def spec(mark: str, address: str) -> Spec:
        rules = ResponseRulesSpec(set=(("X-Mark", mark),))
        return build_spec(
            address, routes=[everything(request_headers=rules, response_headers=rules)]
        )

    old, new = stage.origin(slow), named(stage, b"new")
    running = await stage.serve(spec("old", old.address))
    client = await running.connect()
    await client.send(request())
    await old.request()
    await running.server.apply(spec("new", new.address))
    release.set()
    answer = await client.read_response()
    assert (answer.body, answer.get(b"x-mark")) == (b"slow", b"old")
    answer = await client.get()
    assert (answer.body, answer.get(b"x-mark")) == (b"new", b"new")
    assert new.requests[0].get(b"x-mark") == b"new"


async def test_response_body_under_way_survives_the_removal_of_everything(stage: Stage) -> None:
    release = asyncio.Event()

    async def slow(conn: Conn) -> None:
        await conn.next_request()
        await conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        await release.wait()
        await conn.send(b"half")

    origin = stage.origin(slow)
    keep = listener()
    patient = pool(origin.address, keepalive=KeepaliveSpec(idle_timeout_s=60))
    running = await stage.serve(build_spec(pools=[patient], listeners=[keep]))
    client = await running.connect()
    await client.send(request())
    await client.read_until(b"half")
    await running.server.apply(build_spec(listeners=[keep], pools=[], routes=[]))
    assert running.endpoint(origin.address).state == "removed"
    assert running.endpoint(origin.address).active_requests == 1
    assert not running.pool().live
    release.set()
    await client.read_until(b"half")
    assert (await client.get()).status == 404
    await origin.closed(1)


async def test_upload_under_way_survives_the_change_of_its_pool(stage: Stage) -> None:
    old, new = named(stage, b"old"), named(stage, b"new")
    running = await stage.serve(build_spec(old.address))
    client = await running.connect()
    await client.send(request(b"POST", b"/", b"Content-Length: 8") + b"half")
    await old.connection()
    await running.server.apply(build_spec(new.address))
    await client.send(b"half")
    assert (await client.read_response()).body == b"old"
    assert old.requests[0].body == b"halfhalf"


async def test_retry_of_a_request_under_way_keeps_to_its_configuration(stage: Stage) -> None:
    release = asyncio.Event()

    async def die(conn: Conn) -> None:
        await conn.next_request()
        await release.wait()
        conn.reset()

    dying, second, new = stage.origin(die), named(stage, b"second"), named(stage, b"new")
    running = await stage.serve(build_spec(dying.address, second.address))
    client = await running.connect()
    await client.send(request())
    await dying.request()
    await running.server.apply(build_spec(new.address))
    release.set()
    assert (await client.read_response()).body in (b"second", b"new")
    assert (await client.get()).body == b"new"


async def test_idle_connections_of_a_removed_endpoint_are_closed(stage: Stage) -> None:
    old, new = named(stage, b"old"), named(stage, b"new")
    running = await stage.serve(build_spec(old.address))
    client = await running.connect()
    await client.get()
    await running.server.apply(build_spec(new.address))
    await old.closed(1)
    await client.get()


async def test_idle_connections_of_a_kept_endpoint_stay(stage: Stage) -> None:
    origin, other = named(stage, b"kept"), named(stage, b"other")
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.get()
    health = PassiveHealthSpec(max_fails=9)
    await running.server.apply(
        build_spec(
            pools=[
                pool(
                    endpoint(origin.address, "renamed", passive_health=health),
                    endpoint(other.address, backup=True),
                    balance=BalanceSpec(kind="least_connections"),
                )
            ]
        )
    )
    for _ in range(3):
        assert (await client.get()).body == b"kept"
    assert len(origin.connections) == 1
    assert running.endpoint(origin.address).counters.requests == 4


async def test_apply_of_the_same_configuration_changes_nothing(stage: Stage) -> None:
    origin = named(stage, b"same")
    running = await stage.serve(build_spec(origin.address))
    address = running.address()
    client = await running.connect()
    await client.get()
    generation = running.read().generation
    await running.server.apply(build_spec(origin.address))
    await client.get()
    assert running.address() == address
    assert len(origin.connections) == 1
    assert running.read().generation == generation + 1


# -- splices --------------------------------------------------------------------------------------


async def test_websocket_stays_while_its_pool_is_replaced(stage: Stage) -> None:
    old, new = stage.origin(websocket()), named(stage, b"new")
    running = await stage.serve(build_spec(old.address))
    splice = await upgrade(running)
    await running.server.apply(build_spec(new.address))
    await echoes(splice, b"still here")
    assert (await (await running.connect()).get()).body == b"new"
    await echoes(splice, b"and here")
    at = running.endpoint(old.address)
    assert (at.state, at.splices) == ("removed", 1)
    assert at.bytes_to_client == 18
    splice.close()
    await eventually(
        lambda: old.address not in [one.address for one in running.pool().endpoints],
        "the removed endpoint to be forgotten",
    )


async def test_websocket_stays_when_its_pool_route_and_listener_are_removed(
    stage: Stage,
) -> None:
    old = stage.origin(websocket())
    running = await stage.serve(build_spec(old.address))
    splice = await upgrade(running)
    await running.server.apply(Spec())
    await settle()
    await echoes(splice, b"still here")
    assert not running.pool().live
    assert running.endpoint(old.address).splices == 1
    assert running.pool().spliced_to_client == 10


async def test_endpoint_that_comes_back_finds_its_splices(stage: Stage) -> None:
    old, new = stage.origin(websocket()), named(stage, b"new")
    running = await stage.serve(build_spec(old.address))
    splice = await upgrade(running)
    await running.server.apply(build_spec(new.address))
    await running.server.apply(build_spec(old.address, new.address))
    at = running.endpoint(old.address)
    assert (at.state, at.splices) == ("active", 1)
    await echoes(splice, b"still here")
    assert running.pool().spliced_to_client == 10


@pytest.mark.parametrize("on_removal", ["close", "drain"])
async def test_policy_in_force_at_the_removal_ends_the_splices(
    stage: Stage, on_removal: OnRemoval
) -> None:
    old, new = stage.origin(websocket()), named(stage, b"new")
    drain = DrainSpec(timeout_s=5, rate=100, close_code=4321, reason="moving")

    def pools(address: str) -> Spec:
        return build_spec(pools=[pool(address, on_removal=on_removal, drain=drain)])

    running = await stage.serve(pools(old.address))
    splices = [await upgrade(running) for _ in range(3)]
    await running.server.apply(pools(new.address))
    for splice in splices:
        await splice.read_eof()
        splice.close()
    for number in range(1, 4):
        await old.closed(number)
    await running.quiet()


async def test_removal_policy_of_the_new_configuration_comes_too_late(stage: Stage) -> None:
    old, new = stage.origin(websocket()), named(stage, b"new")
    running = await stage.serve(build_spec(pools=[pool(old.address, on_removal="keep")]))
    splice = await upgrade(running)
    await running.server.apply(build_spec(pools=[pool(new.address, on_removal="keep")]))
    await running.server.apply(build_spec(pools=[pool(new.address, on_removal="close")]))
    await echoes(splice, b"kept")


# -- state that survives --------------------------------------------------------------------------


async def test_health_of_an_endpoint_survives_a_change(stage: Stage) -> None:
    bad = stage.origin(then("fin"))
    good = [stage.origin() for _ in range(2)]
    health = PassiveHealthSpec(max_fails=1, fail_timeout_s=60)
    ends = [endpoint(one.address, passive_health=health) for one in (bad, *good)]
    running = await stage.serve(build_spec(*ends))
    client = await running.connect()
    await client.get()
    assert running.endpoint(bad.address).state == "ejected"
    more = stage.origin()
    await running.server.apply(build_spec(*ends, endpoint(more.address)))
    assert running.endpoint(bad.address).state == "ejected"
    for _ in range(8):
        assert (await client.get()).status == 200
    assert len(bad.requests) == 1


async def test_counters_of_a_route_and_a_pool_survive_a_change(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.get()
    await running.server.apply(build_spec(pools=[], routes=[]))
    await running.server.apply(build_spec(origin.address))
    await client.get()
    assert running.statuses() == {200: 2}


async def test_header_map_and_rules_change_with_the_next_request(stage: Stage) -> None:
    origin = stage.origin()

    def spec(gold: str) -> Spec:
        tier = HeaderMapSpec(name="tier", source="$http_x_user", exact=(("ann", gold),))
        rules = HeaderRulesSpec(set=(("X-Tier", "$tier"),))
        return build_spec(
            origin.address, routes=[everything(request_headers=rules)], header_maps=[tier]
        )

    running = await stage.serve(spec("gold"))
    client = await running.connect()
    await client.get(b"/", b"X-User: ann")
    await running.server.apply(spec("platinum"))
    await client.get(b"/", b"X-User: ann")
    assert [one.get(b"x-tier") for one in origin.requests] == [b"gold", b"platinum"]


async def test_limits_of_a_listener_change_for_connections_that_are_open(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    assert (await client.request(b"POST", body=b"x" * 100)).status == 200
    limited = listener(limits=ListenerLimits(body_bytes=10))
    await running.server.apply(build_spec(origin.address, listeners=[limited]))
    assert (await client.request(b"POST", body=b"x" * 100)).status == 413


# -- faults ---------------------------------------------------------------------------------------


async def refused(running: Running, spec: Spec) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        await running.server.apply(spec)
    return {fault.path: fault.message for fault in caught.value.faults}


async def test_bad_configuration_leaves_the_old_one_serving(stage: Stage) -> None:
    origin = named(stage, b"old")
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    generation = running.read().generation
    bad = build_spec("nonsense", routes=[route("a", "/", to="missing")])
    faults = await refused(running, bad)
    assert any(path.startswith("/routes/a") for path in faults)
    assert any(path.startswith("/pools/backend/endpoints") for path in faults)
    assert (await client.get()).body == b"old"
    assert running.read().generation == generation


async def test_every_fault_is_found_at_once_and_located(stage: Stage) -> None:
    running = await stage.serve(build_spec())
    bad_rules = HeaderRulesSpec(
        set=(("X/A", "v"), ("X-B", "$nothing_like_it"), ("Content-Length", "1"))
    )
    spec = build_spec(
        listeners=[listener(bind="nowhere"), listener("two", trusted_proxies=("10.0.0.0/99",))],
        pools=[pool("127.0.0.1"), pool("127.0.0.1:99999", name="p/q~r")],
        routes=[
            route("regex", "(", kind="regex"),
            route("look", "(?=a)", kind="regex"),
            route("pool", "/", to="none"),
            route("listener", "/", listeners=("missing",)),
            route("rules", "/", request_headers=bad_rules),
            route("rewrite", "/", rewrite="/$1"),
        ],
        header_maps=[
            HeaderMapSpec(name="loop_a", source="$loop_b"),
            HeaderMapSpec(name="loop_b", source="$loop_a"),
            HeaderMapSpec(name="host", source="$uri"),
        ],
    )
    faults = await refused(running, spec)
    expected = [
        "/listeners/public/bind",
        "/listeners/two/trusted_proxies",
        "/pools/backend/endpoints/127.0.0.1",
        "/pools/p~1q~0r/endpoints/127.0.0.1:99999",
        "/routes/regex/path",
        "/routes/look/path",
        "/routes/pool/pool",
        "/routes/listener/listeners",
        "/routes/rules/request_headers/set/X~1A",
        "/routes/rules/request_headers/set/X-B",
        "/routes/rules/request_headers/set/Content-Length",
        "/routes/rewrite/rewrite",
        "/header_maps/host",
    ]
    missing = [path for path in expected if not any(one.startswith(path) for one in faults)]
    assert not missing, faults
    assert any(path.startswith("/header_maps/loop_") for path in faults)


async def test_fault_of_one_object_does_not_hide_those_of_others(stage: Stage) -> None:
    running = await stage.serve(build_spec())
    routes = [route(f"r{number}", f"/{number}", to=f"missing{number}") for number in range(20)]
    faults = await refused(running, build_spec(routes=routes))
    assert len(faults) == 20


async def test_address_in_use_is_a_fault_of_its_listener(stage: Stage) -> None:
    origin = named(stage, b"old")
    running = await stage.serve(build_spec(origin.address))
    taken = build_spec(
        origin.address, listeners=[listener(), listener("second", bind=origin.address)]
    )
    faults = await refused(running, taken)
    assert list(faults) == ["/listeners/second/bind"]
    assert (await (await running.connect()).get()).body == b"old"


async def test_prepared_and_discarded_configuration_leaves_no_trace(stage: Stage) -> None:
    origin = named(stage, b"old")
    running = await stage.serve(build_spec(origin.address))
    other = build_spec(stage.refused(), listeners=[listener(), listener("second")])
    prepared = await running.server.prepare(other)
    assert (await (await running.connect()).get()).body == b"old"
    prepared.discard()
    assert list(running.server.addresses) == ["public"]
    assert (await (await running.connect()).get()).body == b"old"
    assert [one.address for one in running.pool().endpoints] == [origin.address]
    await running.server.apply(other)
    assert list(running.server.addresses) == ["public", "second"]


async def test_prepared_configuration_serves_only_once_published(stage: Stage) -> None:
    old, new = named(stage, b"old"), named(stage, b"new")
    running = await stage.serve(build_spec(old.address))
    client = await running.connect()
    prepared = await running.server.prepare(build_spec(new.address))
    assert (await client.get()).body == b"old"
    prepared.publish()
    assert (await client.get()).body == b"new"


async def test_configurations_applied_at_once_are_applied_one_after_another(
    stage: Stage,
) -> None:
    origins = [named(stage, b"%d" % number) for number in range(5)]
    running = await stage.serve(build_spec(stage.refused()))
    await asyncio.gather(*(running.server.apply(build_spec(origin.address)) for origin in origins))
    client = await running.connect()
    body = (await client.get()).body
    assert body in {b"0", b"1", b"2", b"3", b"4"}
    assert [one.address for one in running.pool().endpoints] == [origins[int(body)].address]


async def test_unresolved_name_is_a_warning(stage: Stage) -> None:
    running = await stage.serve(build_spec())
    warnings = await running.server.apply(build_spec("does-not-exist.invalid:80"))
    assert any("does-not-exist.invalid" in warning for warning in warnings)
    assert running.pool().endpoints[0].state == "unresolved"
