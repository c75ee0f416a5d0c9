"""What becomes of the splices of a removed endpoint, and when."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.addresses import parse_address
from proxy.retirement import Retirement
from proxy.spec import DrainSpec, PoolSpec
from proxy.splice.place import Place
from proxy.splice.relay import Kind, Splice
from proxy.upstream.endpoint import Endpoint
from proxy.upstream.pool import Pool
from tests.unit.fake_transport import FakeTransport
from tests.unit.splice.pair import NOW, frames_in


class Removed:
    """A removed endpoint with live splices."""

    def __init__(self, number: int, kind: Kind = "tunnel") -> None:
        self.endpoint = Endpoint(parse_address("192.0.2.1:80"))
        self.pool = Pool("backend")
        self.clients: list[FakeTransport] = []
        self.retirement = Retirement()
        for _ in range(number):
            self.endpoint.splice_set.add(self.splice(kind))

    def splice(self, kind: Kind = "tunnel") -> Splice:
        client = FakeTransport()
        self.clients.append(client)
        self.endpoint.active += 1
        splice = Splice(
            kind, client, FakeTransport(), idle_timeout_s=None, on_end=self.gone, now=NOW,
            place=Place(1, "client", "server", "public", "all", "backend", "one", "192.0.2.1:80"),
        )  # fmt: skip
        splice.start(b"", b"")
        return splice

    def gone(self, splice: Splice) -> None:
        self.endpoint.splice_set.discard(splice)
        self.endpoint.active -= 1

    def retire(self, **policy: Any) -> None:
        self.retirement.retire([self.endpoint], self.pool, PoolSpec(name="backend", **policy), NOW)

    def closed(self) -> int:
        return sum(client.is_closing() for client in self.clients)

    def closed_at(self, seconds: float) -> int:
        self.retirement.sweep(NOW + seconds)
        return self.closed()


def test_keep_leaves_them_alone() -> None:
    removed = Removed(3)
    removed.retire(on_removal="keep")
    assert removed.closed_at(1e6) == 0
    assert not removed.retirement.busy


def test_close_closes_them_at_once() -> None:
    removed = Removed(3)
    removed.retire(on_removal="close")
    assert removed.closed() == 3


@pytest.mark.parametrize("policy", ["close", "drain"])
def test_websockets_are_told_code_and_reason(policy: str) -> None:
    removed = Removed(1, "websocket")
    removed.retire(on_removal=policy, drain=DrainSpec(close_code=4321, reason="moved"))
    removed.retirement.sweep(NOW + 0.1)
    (frame,) = frames_in(removed.clients[0].written)
    assert frame.payload == b"\x10\xe1moved"


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5, 0.9])
def test_drain_closes_them_at_its_rate(seconds: float) -> None:
    removed = Removed(100)
    removed.retire(on_removal="drain", drain=DrainSpec(rate=100, timeout_s=30))
    assert removed.closed() == 0
    assert abs(removed.closed_at(seconds) - seconds * 100) <= 1
    assert removed.closed_at(1.01) == 100


def test_drain_cuts_what_is_left_at_its_end() -> None:
    removed = Removed(2, "websocket")
    removed.retire(on_removal="drain", drain=DrainSpec(rate=100, timeout_s=3))
    removed.retirement.sweep(NOW + 1)
    assert removed.closed() == 0, "they were told, and have not answered"
    removed.retirement.sweep(NOW + 3)
    assert all(client.aborted for client in removed.clients)
    assert not removed.retirement._leaving


def test_splice_made_by_a_request_under_way_at_the_removal_is_closed_too() -> None:
    removed = Removed(1)
    removed.retire(on_removal="drain", drain=DrainSpec(rate=100, timeout_s=30))
    late = removed.splice()
    removed.retirement.joined(late, NOW + 1)
    elsewhere = Removed(0).splice()
    removed.retirement.joined(elsewhere, NOW + 1)
    assert removed.closed_at(1.1) == 2


def test_endpoint_that_comes_back_keeps_the_rest() -> None:
    removed = Removed(100)
    removed.retire(on_removal="drain", drain=DrainSpec(rate=100, timeout_s=30))
    before = removed.closed_at(0.5)
    assert 0 < before < 100
    removed.pool.endpoints = {removed.endpoint.address: removed.endpoint}
    assert removed.closed_at(60) == before
    removed.pool.endpoints = {}
    assert removed.closed_at(120) == before, "a drain that was called off stays so"


def test_two_endpoints_drain_beside_each_other() -> None:
    removed = Removed(10)
    removed.retire(on_removal="drain", drain=DrainSpec(rate=1, timeout_s=100))
    other = Removed(10)
    other.pool = Pool("other")
    other.retirement = removed.retirement
    other.retire(on_removal="drain", drain=DrainSpec(rate=10, timeout_s=100))
    removed.retirement.sweep(NOW + 1)
    assert (removed.closed() <= 2, other.closed() >= 9) == (True, True)
    removed.retirement.sweep(NOW + 11)
    assert (removed.closed(), other.closed()) == (10, 10)


def test_retirement_is_over_once_nothing_lives() -> None:
    removed = Removed(1)
    removed.retire(on_removal="drain")
    assert removed.retirement.busy
    removed.retirement.sweep(NOW + 1)
    assert not removed.retirement.busy
    for one in list(removed.endpoint.splice_set):
        assert isinstance(one, Splice)
        removed.gone(one)
    removed.retirement.sweep(NOW + 1.1)
    assert not removed.retirement._leaving
