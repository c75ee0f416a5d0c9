"""What becomes of the splices of an endpoint that a configuration removes (``on_removal``).

``keep`` leaves them alone, ``close`` closes them at once, ``drain`` closes them one by one at the
pool's rate, faster if its timeout asks for it.  An endpoint that comes back in time keeps the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, cast

from proxy.pacing import Pace
from proxy.spec import OnRemoval, PoolSpec
from proxy.splice.relay import Splice
from proxy.upstream.endpoint import Endpoint
from proxy.upstream.pool import Pool


class Retirement:
    """The endpoints whose splices are being closed."""

    __slots__ = ("_instead", "_leaving")

    def __init__(self) -> None:
        self._leaving: Final[dict[tuple[str, str], tuple[Pace, float, Endpoint, Pool]]] = {}
        """By name of the pool and canonical address."""
        self._instead: OnRemoval | None = None

    @property
    def busy(self) -> bool:
        """Splices are yet to be told."""
        return any(pace.pending for pace, *_ in self._leaving.values())

    @contextmanager
    def instead(self, policy: OnRemoval | None) -> Iterator[None]:
        """Have a policy count in place of the pools' for what is retired meanwhile."""
        self._instead = policy
        try:
            yield
        finally:
            self._instead = None

    def retire(self, endpoints: Iterable[Endpoint], pool: Pool, spec: PoolSpec, now: float) -> None:
        """Close the splices of endpoints as the pool's policy says."""
        policy = self._instead or spec.on_removal
        if policy == "keep":
            return
        for endpoint in endpoints:
            if endpoint.active:
                self._retire(endpoint, pool, spec, policy, now)

    def _retire(
        self, endpoint: Endpoint, pool: Pool, spec: PoolSpec, policy: OnRemoval, now: float
    ) -> None:
        drain = spec.drain
        rate = float(drain.rate) if policy == "drain" else float("inf")
        ends_at = now + drain.timeout_s
        pace = Pace(drain.close_code, drain.reason, rate, ends_at)
        pace.include(cast("set[Splice]", endpoint.splice_set), now)
        self._leaving[pool.name, endpoint.key] = pace, ends_at, endpoint, pool
        if policy == "close":
            pace.sweep(now)

    def joined(self, splice: Splice, now: float) -> None:
        """Receive: a splice was made, maybe by a request that was under way at the removal."""
        if splice.place is not None and self._leaving:
            found = self._leaving.get((splice.place.pool, splice.place.endpoint_key))
            if found is not None:
                found[0].include([splice], now)

    def sweep(self, now: float) -> None:
        """Close what is due; forget what is over, or was called off."""
        for key, (pace, ends_at, endpoint, pool) in list(self._leaving.items()):
            back = pool.endpoints.get(endpoint.key) is endpoint
            if back:
                pace.cancel()
            else:
                pace.sweep(now)
            if back or now >= ends_at or not endpoint.active:
                del self._leaving[key]
