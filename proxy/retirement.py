"""What becomes of the splices of an endpoint that a configuration removes (``on_removal``).

``keep`` leaves them alone, ``close`` closes them at once, ``drain`` closes them one by one at the
pool's rate, faster if its timeout asks for it.  An endpoint that comes back in time keeps the rest.
"""

from __future__ import annotations

from collections import deque
from typing import Final, cast

from proxy.spec import PoolSpec
from proxy.splice.relay import Splice
from proxy.upstream.endpoint import Endpoint
from proxy.upstream.pool import Pool


class Retirement:
    """The splices that are yet to be closed, by time."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: Final[list[deque[tuple[float, Splice, Endpoint, Pool]]]] = []

    def retire(self, endpoint: Endpoint, pool: Pool, spec: PoolSpec, now: float) -> None:
        """Close the endpoint's splices as the pool's policy says."""
        splices = cast("list[Splice]", list(endpoint.splice_set))
        if not splices or spec.on_removal == "keep":
            return
        if spec.on_removal == "close":
            for splice in splices:
                splice.close()
            return
        step = min(1 / spec.drain.rate, spec.drain.timeout_s / len(splices))
        self._queues.append(
            deque((now + step * number, one, endpoint, pool) for number, one in enumerate(splices))
        )

    def sweep(self, now: float) -> None:
        """Close what is due."""
        for queue in self._queues:
            while queue and queue[0][0] <= now:
                _, splice, endpoint, pool = queue.popleft()
                if pool.find(endpoint.key) is endpoint and endpoint.key in pool.endpoints:
                    queue.clear()
                    break
                splice.close()
        self._queues[:] = [queue for queue in self._queues if queue]
