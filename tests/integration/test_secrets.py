"""``$secret_NAME``: sent, and nowhere shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.errors import SpecError
from proxy.headers.secrets import GivenSecrets
from proxy.spec import (
    AnswerSpec,
    HeaderMapSpec,
    HeaderRulesSpec,
    LogSpec,
    ResponseRulesSpec,
    RouteSpec,
    Spec,
    StepSpec,
)
from tests.peers import OK, Conn, Stage, build_spec, everything, listener


async def answering(conn: Conn) -> None:
    while True:
        await conn.next_request()
        await conn.send(OK)


class Changing:
    def __init__(self, **values: bytes) -> None:
        self.values = values

    def known(self, name: str) -> bool:
        return name in self.values

    def value(self, name: str) -> bytes:
        return self.values.get(name, b"")


def sending(text: str) -> RouteSpec:
    return everything(request_headers=HeaderRulesSpec(set=(("Authorization", text),)))


async def test_secret_is_sent_as_it_is_at_that_moment(stage: Stage) -> None:
    origin = stage.origin(answering)
    secrets = Changing(API_Token=b"one")
    running = await stage.serve(
        build_spec(origin.address, routes=[sending("Bearer $secret_API_Token")]), secrets=secrets
    )
    client = await running.connect()
    for value in (b"one", b"two"):
        secrets.values["API_Token"] = value
        assert (await client.get()).status == 200
    sent = [one.get(b"Authorization") for one in origin.requests]
    assert sent == [b"Bearer one", b"Bearer two"]


async def test_secret_that_is_gone_or_unfit_is_not_sent(stage: Stage) -> None:
    origin = stage.origin(answering)
    secrets = Changing(token=b"x")
    running = await stage.serve(
        build_spec(origin.address, routes=[sending("${secret_token}")]), secrets=secrets
    )
    client = await running.connect()
    for values in ({}, {"token": b"a\r\nX-Evil: 1"}, {"token": b"a\0"}):
        secrets.values = dict(values)
        assert (await client.get()).status == 200
    assert [one.get(b"Authorization") for one in origin.requests] == [None] * 3
    assert [one.get(b"X-Evil") for one in origin.requests] == [None] * 3


async def test_what_has_served_is_prepared_without_its_secrets_and_gets_them_later(
    stage: Stage,
) -> None:
    origin = stage.origin(answering)
    secrets = Changing()
    running = await stage.serve(build_spec(origin.address), secrets=secrets)
    spec = build_spec(origin.address, routes=[sending("$secret_token$secret_other")])
    prepared = await running.server.prepare(spec, served=True)
    assert prepared.warnings == (
        "there is no secret 'other'; nothing is sent in its place",
        "there is no secret 'token'; nothing is sent in its place",
    )
    prepared.publish()
    client = await running.connect()
    assert (await client.get(b"/", b"Authorization: the client's")).status == 200
    secrets.values["token"] = b"one"
    assert (await client.get()).status == 200
    assert [one.get(b"Authorization") for one in origin.requests] == [None, b"one"]


async def test_unknown_secret_is_a_fault_and_the_old_serves_on(stage: Stage) -> None:
    origin = stage.origin(answering)
    running = await stage.serve(build_spec(origin.address), secrets=GivenSecrets({"token": b"x"}))
    for text in ("$secret_TOKEN", "$secret_other", "$secret_"):
        with pytest.raises(SpecError) as refused:
            await running.server.apply(build_spec(origin.address, routes=[sending(text)]))
        (fault,) = refused.value.faults
        assert fault.path == "/routes/everything/request_headers/set/Authorization"
        assert "there is no secret" in fault.message
    client = await running.connect()
    assert (await client.get()).status == 200


def elsewhere(address: str) -> list[tuple[str, Spec]]:
    plain, named = build_spec(address), "$secret_token"
    route = everything()
    response = ResponseRulesSpec(set=(("X", named),))
    step = StepSpec(set=(("kind", named),))
    return [
        ("response", build_spec(address, routes=[replace(route, response_headers=response)])),
        ("step", build_spec(address, routes=[replace(route, steps=(step,))])),
        ("rewrite", build_spec(address, routes=[replace(route, rewrite="/" + named)])),
        (
            "answer",
            build_spec(
                address,
                routes=[replace(route, pools=(), answer=AnswerSpec(status=200, body=named))],
            ),
        ),
        (
            "log",
            build_spec(address, listeners=[listener(access_log=(LogSpec(format=named),))]),
        ),
        (
            "map",
            replace(plain, header_maps={"m": HeaderMapSpec(name="m", source="x", default=named)}),
        ),
    ]


@pytest.mark.parametrize("where", [name for name, _ in elsewhere("127.0.0.1:1")])
async def test_secret_may_stand_nowhere_else(stage: Stage, where: str) -> None:
    running = await stage.serve(build_spec("127.0.0.1:1"), secrets=GivenSecrets({"token": b"x"}))
    with pytest.raises(SpecError, match="secret_token may not stand here"):
        await running.server.apply(dict(elsewhere("127.0.0.1:1"))[where])
