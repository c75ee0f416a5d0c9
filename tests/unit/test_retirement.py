"""What becomes of the splices of a removed endpoint, and when."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.addresses import parse_address
from proxy.retirement import Retirement
from proxy.spec import DrainSpec, PoolSpec
from proxy.splice.relay import Splice
from proxy.upstream.endpoint import Endpoint
from proxy.upstream.pool import Pool
from tests.unit.fake_transport import FakeTransport

NOW = 1000.0


class Removed:
    """A removed endpoint with live splices."""

    def __init__(self, number: int) -> None:
        self.endpoint = Endpoint(parse_address("192.0.2.1:80"))
        self.pool = Pool("backend")
        self.clients = [FakeTransport() for _ in range(number)]
        self.retirement = Retirement()
        for client in self.clients:
            splice = Splice(
                "websocket", client, FakeTransport(),
                idle_timeout_s=None, on_end=self.endpoint.splice_set.discard, now=NOW,
            )  # fmt: skip
            splice.start(b"", b"")
            self.endpoint.splice_set.add(splice)

    def retire(self, **policy: Any) -> None:
        self.retirement.retire(self.endpoint, self.pool, PoolSpec(name="backend", **policy), NOW)

    def closed(self) -> int:
        return sum(client.is_closing() for client in self.clients)

    def closed_at(self, seconds: float) -> int:
        self.retirement.sweep(NOW + seconds)
        return self.closed()


def test_keep_leaves_them_alone() -> None:
    removed = Removed(3)
    removed.retire(on_removal="keep")
    assert removed.closed_at(1e6) == 0


def test_close_closes_them_at_once() -> None:
    removed = Removed(3)
    removed.retire(on_removal="close")
    assert removed.closed() == 3


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5, 0.9])
def test_drain_closes_them_at_its_rate(seconds: float) -> None:
    removed = Removed(100)
    removed.retire(on_removal="drain", drain=DrainSpec(rate=100, timeout_s=30))
    assert removed.closed() == 0
    assert abs(removed.closed_at(seconds) - seconds * 100) <= 1
    assert removed.closed_at(1.0) == 100


def test_drain_is_faster_than_its_rate_if_its_time_asks_for_it() -> None:
    removed = Removed(100)
    removed.retire(on_removal="drain", drain=DrainSpec(rate=1, timeout_s=10))
    assert 45 <= removed.closed_at(5.0) <= 55
    assert removed.closed_at(10.0) == 100


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
    other.retirement = removed.retirement
    other.retire(on_removal="drain", drain=DrainSpec(rate=10, timeout_s=100))
    removed.retirement.sweep(NOW + 1)
    assert (removed.closed(), other.closed()) == (2, 10)
