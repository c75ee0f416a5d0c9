"""What is never connected to, over real sockets."""

from __future__ import annotations

from proxy.spec import RetrySpec
from proxy.upstream.denied import Denied
from tests.peers import OK, Conn, Stage, build_spec, endpoint, pool


async def answering(conn: Conn) -> None:
    while True:
        await conn.next_request()
        await conn.send(OK)


async def test_denied_endpoint_is_answered_counted_and_warned_of(stage: Stage) -> None:
    origin = stage.origin(answering)
    running = await stage.serve(build_spec(), denied=Denied(["127.0.0.0/8"]))
    warnings = await running.server.apply(build_spec(endpoint(origin.address, "metadata")))
    assert warnings == (
        f"/pools/backend/endpoints/metadata: {origin.address} is never connected to: "
        "its network is denied",
    )
    client = await running.connect()
    response = await client.get()
    assert (response.status, b"endpoint denied" in response.body) == (502, True)
    assert running.pool().counters.errors == {"endpoint_denied": 1}
    assert origin.connections == []
    # It is said once, and not again with every other change.
    assert await running.server.apply(running.server.spec) == ()


async def test_name_that_leads_to_a_denied_address_is_denied_when_it_is_connected_to(
    stage: Stage,
) -> None:
    origin = stage.origin(answering)
    port = origin.address.rpartition(":")[2]
    running = await stage.serve(
        build_spec(f"localhost:{port}"), denied=Denied(["127.0.0.0/8", "::1/128"])
    )
    client = await running.connect()
    assert (await client.get()).status == 502
    assert set(running.pool().counters.errors) == {"endpoint_denied"}
    assert origin.connections == []


async def test_request_to_a_denied_endpoint_goes_to_another(stage: Stage) -> None:
    origin = stage.origin(answering)
    running = await stage.serve(
        build_spec(
            pools=[
                pool(
                    "169.254.169.254:80", origin.address, retry=RetrySpec(when=frozenset(["error"]))
                )
            ]
        ),
        denied=Denied(["169.254.0.0/16"]),
    )
    client = await running.connect()
    assert [(await client.get()).status for _ in range(4)] == [200] * 4
    assert running.pool().counters.errors["endpoint_denied"] > 0
