"""Compiled logs: which requests, and what a route has to know of its listeners' logs."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.errors import Fault
from proxy.headers.template import Scope
from proxy.logs.access import compile_logs
from proxy.snapshot import NOTHING, Snapshot, compile_snapshot
from proxy.spec import LogSpec, Spec
from proxy.telemetry.counters import Ledger
from proxy.telemetry.log_sink import NOWHERE, LogSink
from tests.peers.specs import build_spec, everything, listener
from tests.unit.headers.samples import request

PLAIN = (LogSpec(format="combined"),)
ASKING = (LogSpec(format="$sent_http_x "),)


def compiled(spec: Spec, previous: Snapshot = NOTHING) -> Snapshot:
    return compile_snapshot(spec, previous, {}, {}, Ledger())


def spec(
    public: tuple[LogSpec, ...] | None = None,
    route: tuple[LogSpec, ...] | None = None,
    **differs: Any,
) -> Spec:
    return build_spec(
        "127.0.0.1:1",
        listeners=[listener(access_log=public), listener("other")],
        routes=[everything(access_log=route, **differs)],
    )


@pytest.mark.parametrize(
    ("value", "wanted"), [("", False), ("0", False), ("00", True), ("a", True)]
)
def test_empty_and_zero_are_not_logged(value: str, wanted: bool) -> None:
    (log,) = compile_logs((LogSpec(when="$http_x"),), Scope(), {}, "", []) or ()
    assert log.wants(request(("X", value))) is wanted


def test_lines_go_to_the_sink_of_the_target_or_nowhere() -> None:
    sink = LogSink(lambda lines: True)
    specs = (LogSpec(to="stdout"), LogSpec(to="/a.log"))
    logs = compile_logs(specs, Scope(), {"stdout": sink}, "", []) or ()
    assert [log.sink for log in logs] == [sink, NOWHERE]
    assert [log.render for log in logs] == [None, None]


def test_every_fault_is_found_where_it_stands() -> None:
    faults: list[Fault] = []
    specs = (LogSpec(to="x"), LogSpec(format="$nope"), LogSpec(when="$nope"))
    compile_logs(specs, Scope(), {}, "/routes/a", faults)
    assert [fault.path for fault in faults] == [
        "/routes/a/access_log/0/to",
        "/routes/a/access_log/1/format",
        "/routes/a/access_log/2/when",
    ]


@pytest.mark.parametrize(
    ("public", "route", "logged", "asks"),
    [
        (None, None, False, False),
        (PLAIN, None, True, False),
        (ASKING, None, True, True),
        ((), None, True, False),
        (ASKING, (), True, False),
        (None, PLAIN, True, False),
        (PLAIN, ASKING, True, True),
        (PLAIN, (LogSpec(when="$upstream_addr"),), True, True),
    ],
)
def test_route_knows_whether_it_is_logged_and_what_is_asked(
    public: Any, route: Any, logged: bool, asks: bool
) -> None:
    made = compiled(spec(public, route)).routes["everything"]
    assert (made.logged, made.asks_response) == (logged, asks)


def test_route_of_other_listeners_has_nothing_to_do_with_their_logs() -> None:
    made = compiled(spec(ASKING, listeners=("other",))).routes["everything"]
    assert (made.logged, made.asks_response) == (False, False)


def test_route_is_taken_over_unless_what_it_has_to_know_changed() -> None:
    first = compiled(spec(PLAIN))
    route, site = first.routes["everything"], first.sites["public"]
    same = compiled(spec((LogSpec(format="$uri "),)), first)
    assert same.routes["everything"] is route
    assert same.sites["public"] is not site
    asking = compiled(spec(ASKING), same).routes["everything"]
    assert asking is not route
    assert asking.asks_response
    assert not route.asks_response


def test_logs_are_taken_over_unless_they_or_a_map_changed() -> None:
    first = compiled(spec(PLAIN))
    logs = first.sites["public"].logs
    assert compiled(spec(PLAIN, upgrades=()), first).sites["public"].logs is logs
    assert compiled(spec(None), first).sites["public"].logs is None
