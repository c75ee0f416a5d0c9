"""What an explanation says is what happens: any configuration, any request, over real sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from proxy.errors import SpecError
from proxy.explain.explanation import Explanation
from proxy.explain.question import question
from proxy.spec import (
    AccessRuleSpec,
    AnswerSpec,
    BalanceSpec,
    ConditionSpec,
    EndpointSpec,
    ErrorPageSpec,
    HeaderMapSpec,
    HeaderRulesSpec,
    ListenerSpec,
    PathSpec,
    PoolSpec,
    RegexEntry,
    RewriteSpec,
    RouteSpec,
    Spec,
    StepSpec,
)
from tests.peers import Origin, Running, Stage, build_spec

AGREE = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))

ORIGINS: Final = 4
PATHS: Final = ("/", "/a", "/a/", "/a/b", "/a/b/", "/b/", "/err")
HOSTS: Final = ("a.example.org", "*.example.org", "a.*", "~^(?P<who>.)\\.example")
VALUES: Final = ("$uri", "$arg_x", "$http_x_y", "$m", "$k", "$who", "$args", "${host}-$m2", "0", "")
TARGETS: Final = (
    *PATHS, "/a//b", "/a/./b", "/b", "/b/x?x=1", "/a/b?x=2&y", "/a?x=a%20b", "/%61", "/a%2Fb",
    "/c?", "/../x", "/a\\b", "/a/b/c/d?x=1",
)  # fmt: skip

names = st.sampled_from(VALUES)
hosts = st.lists(st.sampled_from(HOSTS), min_size=1, max_size=2, unique=True).map(tuple)
paths = st.builds(
    PathSpec,
    kind=st.sampled_from(["exact", "prefix"]),
    value=st.sampled_from(PATHS),
    final=st.booleans(),
    internal=st.sampled_from([False, False, False, True]),
) | st.builds(
    PathSpec,
    kind=st.just("regex"),
    value=st.sampled_from(["^/a", "b(/)?$", "^/(?P<n>[ab])/", "."]),
    priority=st.integers(0, 1),
)
conditions = st.builds(
    ConditionSpec,
    value=names,
    test=st.sampled_from(["truth", "equals", "matches"]),
    operand=st.sampled_from(["1", "a", "(?P<k>.)", "^/(.)"]),
    negated=st.booleans(),
)
rewrites = st.builds(
    RewriteSpec,
    match=st.sampled_from(["^/a(.*)", "b", "^/(?P<k>.*)$"]),
    to=st.sampled_from(["/b/$m", "/a/b?z=$k", "/b?", "/err", "/"]),
    then=st.sampled_from(["next", "route", "stop"]),
    redirect=st.sampled_from([None, None, None, 302]),
)
answers_given = st.builds(
    AnswerSpec,
    status=st.sampled_from([200, 204, 301, 403, 404, 503, 444]),
    body=st.sampled_from([None, "said $m\n"]),
    location=st.none() | st.just("/go/$k"),
)
steps = st.builds(
    StepSpec,
    when=st.none() | conditions,
    set=st.sampled_from([(), (("k", "$m-$uri"),), (("args", "q=$k"),)]),
    rewrite=st.none() | rewrites,
    answer=st.sampled_from([None] * 4) | answers_given,
    stop=st.booleans(),
)
accesses = st.lists(
    st.builds(
        AccessRuleSpec,
        allows=st.booleans(),
        networks=st.sampled_from([("127.0.0.0/8",), ("10.0.0.0/8",), ("0.0.0.0/0",)]),
    ),
    max_size=2,
).map(tuple)
pages = st.lists(
    st.builds(
        lambda statuses, where, status: ErrorPageSpec(statuses=statuses, status=status, **where),
        st.sampled_from([(404,), (403, 404), (502,), (403,)]),
        st.sampled_from([{"path": "/err"}, {"path": "/b/?e=1"}, {"location": "/elsewhere"}]),
        st.sampled_from([None, "page", 200]),
    ),
    max_size=2,
).map(tuple)
rules = st.builds(
    HeaderRulesSpec,
    remove=st.sampled_from([(), ("X-Y",)]),
    set=st.lists(st.tuples(st.sampled_from(["X-A", "X-B"]), names), max_size=2).map(
        lambda pairs: tuple(dict(pairs).items())
    ),
    append=st.sampled_from([(), (("X-Y", "$m"),)]),
)
destinations: st.SearchStrategy[dict[str, Any]] = st.sampled_from([
    {"pools": (("one", 1),)},
    {"pools": (("two", 1),)},
    {"pools": (("one", 1), ("two", 3)), "split_by": "$http_x_y$arg_x"},
    {"pools": (("one", 1), ("two", 1)), "pool_variable": "$which"},
])  # fmt: skip


@st.composite
def routes(draw: st.DrawFn, name: str) -> RouteSpec:
    kind = draw(st.sampled_from(["plain"] * 8 + ["answer", "prelude"]))
    common: dict[str, Any] = {
        "name": name,
        "hosts": draw(st.none() | st.none() | hosts),
        "listeners": draw(st.sampled_from([None, None, None, ("other",)])),
        "steps": draw(st.lists(steps, max_size=2).map(tuple)),
        "trusted_proxies": draw(st.sampled_from([(), (), ("127.0.0.0/8",)])),
        "access": draw(st.just(()) | st.just(()) | accesses),
        "error_pages": draw(st.just(()) | st.just(()) | pages),
    }  # fmt: skip
    if kind == "prelude":
        return RouteSpec(path=None, **common)
    path = draw(paths)
    if kind == "answer":
        return RouteSpec(path=path, answer=draw(answers_given), **common)
    rewrite = "/up/" if path.kind != "regex" and draw(st.booleans()) else None
    return RouteSpec(
        path=path, request_headers=draw(rules), rewrite=rewrite,
        forwarded_headers=draw(st.booleans()), **common, **draw(destinations),
    )  # fmt: skip


@st.composite
def pools(draw: st.DrawFn, name: str, count: int) -> PoolSpec:
    balance = draw(
        st.sampled_from([
            BalanceSpec(), BalanceSpec(), BalanceSpec(kind="least_connections"),
            BalanceSpec(kind="ip_hash"), BalanceSpec(kind="hash", key="$uri$k"),
        ])
    )  # fmt: skip
    endpoints = tuple(
        EndpointSpec(
            name=f"{name}{number}",
            address=f"@{number}",
            weight=draw(st.integers(1, 3)),
            backup=draw(st.sampled_from([False, False, True])),
            state=draw(st.sampled_from(["active", "active", "active", "drain", "down"])),
            max_connections=draw(st.none() | st.just(5)),
        )
        for number in range(count)
    )
    return PoolSpec(name=name, balance=balance, endpoints=endpoints)


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    made = [draw(routes(f"r{number}")) for number in range(draw(st.integers(1, 5)))]
    definer = RouteSpec(
        name="definer",
        path=PathSpec(kind="exact", value="/never"),
        hosts=("~(?P<who>never)",),
        answer=AnswerSpec(status=200),
        steps=(StepSpec(set=(("k", ""),)), StepSpec(when=ConditionSpec(
            value="", test="matches", operand="(?P<who>z)(y)"))),
    )  # fmt: skip
    rest = RouteSpec(
        name="rest",
        path=PathSpec(kind="regex", value="/$|x|b", priority=-1),
        request_headers=HeaderRulesSpec(set=(("X-Rest", "$m $m3"),)),
        **draw(destinations),
    )
    maps = [
        HeaderMapSpec(
            name="m", source="$http_x_y", default="none-$m2", exact=(("a", "A"), ("", "empty")),
            regex=(RegexEntry(match="^(.)b", value="got $1"),),
        ),
        HeaderMapSpec(
            name="m2", source="$host", default="d", hostnames=(("*.example.org", "org"),),
            volatile=draw(st.booleans()),
        ),
        HeaderMapSpec(name="m3", source="$uri", shares=(("s", 5000),), default="t"),
        HeaderMapSpec(name="which", source="$arg_x", default="one", exact=(("1", "two"),)),
    ]  # fmt: skip
    listener = ListenerSpec(
        name="public",
        bind="127.0.0.1:0",
        paths=draw(st.sampled_from(["strict", "nginx"])),
        trusted_proxies=draw(st.sampled_from([(), ("127.0.0.0/8",)])),
    )
    return build_spec(
        listeners=[listener, ListenerSpec(name="other", bind="127.0.0.1:0")],
        pools=[draw(pools("one", 3)), draw(pools("two", 2))],
        routes=[*made, definer, *([rest] if draw(st.sampled_from([True, True, False])) else [])],
        header_maps=maps,
    )


requests = st.tuples(
    st.sampled_from(["GET"] * 12 + ["POST"] * 4 + ["HEAD", "HEAD", "DELETE", "TRACE", "BREW"]),
    st.sampled_from(TARGETS),
    st.lists(
        st.sampled_from([
            ("X-Y", "a"), ("X-Y", "ab"), ("Accept", "application/json"),
            ("X-Forwarded-For", "10.0.0.1"), ("Connection", "close, X-Y"), ("Content-Length", "0"),
            ("X_Z", "under"), ("TE", "x"), ("X-Request-Id", "mine"), ("X-Forwarded-Proto", "https"),
        ]),
        max_size=3, unique=True,
    ),
    st.sampled_from(["a.example.org", "b.example.org:80", "a.net", "z", "z", "z", "bad host"]),
)  # fmt: skip


@dataclass
class Setting:
    """A server whose configuration changes, and its origins."""

    running: Running
    origins: list[Origin]

    def placed(self, spec: Spec) -> Spec:
        """Put the origins' addresses into a configuration."""
        pools = {}
        for name, pool in spec.pools.items():
            first = 0 if name == "one" else ORIGINS - len(pool.endpoints)
            pools[name] = PoolSpec(
                name=name,
                balance=pool.balance,
                endpoints=tuple(
                    EndpointSpec(
                        name=one.name,
                        address=self.origins[(first + number) % ORIGINS].address,
                        weight=one.weight,
                        backup=one.backup,
                        state=one.state,
                        max_connections=one.max_connections,
                    )
                    for number, one in enumerate(pool.endpoints)
                ),
            )
        return Spec(
            listeners=spec.listeners, pools=pools, header_maps=spec.header_maps, routes=spec.routes
        )

    def heads(self) -> list[tuple[str, bytes]]:
        """Return every head that came to an origin."""
        return [(one.address, each.head.raw) for one in self.origins for each in one.requests]


@pytest.fixture
async def setting(stage: Stage) -> Setting:
    origins = [stage.origin() for _ in range(ORIGINS)]
    return Setting(await stage.serve(build_spec(origins[0].address)), origins)


def counted(running: Running) -> list[object]:
    """Return what an explanation must not change."""
    reading = running.read()
    found: list[object] = [repr(running.server.failures.recorded)]
    for route in reading.routes:
        found += [dict(route.counters.requests), route.counters.header_rule_failures]
        found.append(route.counters.duration.total)
    for listener in reading.listeners:
        found += [dict(listener.counters.rejected), listener.counters.in_flight]
    for pool in reading.pools:
        found += [dict(pool.counters.errors), pool.counters.retries]
        found += [
            (one.address, one.counters.requests, one.active_requests) for one in pool.endpoints
        ]
    return found


def normal(octets: bytes) -> str:
    """Return octets with the placeholder in place of a new request id."""
    text = octets.decode("utf-8", "backslashreplace")
    return re.sub(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", "0" * 32, text)


@AGREE
@given(spec=specs(), asked=st.lists(requests, min_size=1, max_size=4))
async def test_explanation_of_any_request_is_what_happens(
    setting: Setting, spec: Spec, asked: list[tuple[str, str, list[tuple[str, str]], str]]
) -> None:
    running = setting.running
    try:
        await running.server.apply(setting.placed(spec))
    except SpecError:
        assume(False)
    for method, target, fields, host in asked:
        head = question(method, target, [("Host", host), *fields], listener="public")
        before = counted(running)
        explanation = await running.server.explain(head)
        assert counted(running) == before
        await happens(setting, head.head, method.encode(), explanation)


async def happens(setting: Setting, head: bytes, method: bytes, explanation: Explanation) -> None:
    """Send a request for real and compare."""
    known = setting.heads()
    client = await setting.running.connect()
    await client.send(head)
    passing, answer = explanation.passing, explanation.answer
    if answer is not None and not answer.octets:
        event("silence")
        assert await client.read_to_end() == b""
    elif answer is not None:
        event(f"answer {answer.status} {answer.reason}")
        got = await client.read_exactly(len(answer.octets))
        assert normal(got) == answer.octets
        assert got.startswith(b"HTTP/1.1 %d " % answer.status)
    else:
        assert passing is not None
        event(f"passed on, {explanation.pool and explanation.pool.balance}")
        assert (await client.read_response(method)).status in (200, 502, 403, 404)
    client.close()
    came = setting.heads()
    for one in known:
        came.remove(one)
    expected = [] if passing is None else [(passing.address, passing.octets)]
    assert [(address, normal(raw)) for address, raw in came] == expected
