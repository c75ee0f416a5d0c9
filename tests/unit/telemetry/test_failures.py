"""The ring of failed requests."""

from __future__ import annotations

from proxy.telemetry.failures import CLIENT_FAILURES, FAILURES, FailedRequest, Failures


def failed(number: int, side: str = "upstream") -> FailedRequest:
    return FailedRequest(
        id=f"r{number}",
        time=float(number),
        listener="public",
        route="all",
        pool="backend",
        method="GET",
        path="/",
        status=502,
        reason="connect_failed",
        side=side,
        duration_s=0.1,
        attempts=(),
        revision=1,
    )


def ids(ring: Failures) -> list[str]:
    return [one.id for one in ring]


def test_newest_comes_first() -> None:
    ring = Failures()
    for number in range(3):
        ring.add(failed(number, "client" if number == 1 else "upstream"))
    assert ids(ring) == ["r2", "r1", "r0"]


def test_one_too_many_forgets_the_oldest() -> None:
    ring = Failures()
    for number in range(FAILURES + 2):
        ring.add(failed(number))
    assert (len(ring), ring.recorded) == (FAILURES, FAILURES + 2)
    assert ids(ring) == [f"r{number}" for number in range(FAILURES + 1, 1, -1)]


def test_failures_of_clients_alone_may_fill_the_ring() -> None:
    ring = Failures()
    for number in range(FAILURES + 1):
        ring.add(failed(number, "client"))
    assert ids(ring)[-1] == "r1"
    assert len(ring) == FAILURES


def test_client_that_floods_does_not_push_out_what_upstreams_did() -> None:
    ring = Failures()
    for number in range(100):
        ring.add(failed(number))
    for number in range(100, 100 + 2 * FAILURES):
        ring.add(failed(number, "client"))
    assert ids(ring)[-100:] == [f"r{number}" for number in range(99, -1, -1)]
    assert len(ring) == FAILURES


def test_failing_upstreams_leave_a_client_its_share() -> None:
    ring = Failures()
    for number in range(FAILURES):
        ring.add(failed(number, "client"))
    for number in range(FAILURES, 3 * FAILURES):
        ring.add(failed(number))
    # Whatever is older goes first, and half a ring of clients is older here.
    assert len(ring) == FAILURES
    assert ids(ring)[-1] == f"r{2 * FAILURES}"
    assert CLIENT_FAILURES < FAILURES


def test_of_two_with_one_id_the_newest_is_found() -> None:
    ring = Failures()
    ring.add(failed(1))
    ring.add(failed(1, "client"))
    found = ring.find("r1")
    assert found is not None
    assert found.side == "client"
    assert ring.find("r2") is None
