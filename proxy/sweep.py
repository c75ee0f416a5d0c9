"""What time brings: one pass after the other over all deadlines, instead of timers.

Every ``SWEEP_S`` seconds all of them are looked at; what is closed one by one is looked at every
``PACE_S``, while there is any.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from proxy.serving import Serving
from proxy.upstream.transitions import Transition, Transitions

SWEEP_S: Final = 0.2
"""Seconds between two looks at all deadlines; a timeout may be late by as much."""

PACE_S: Final = 0.02
"""Seconds between two looks at what is closed one by one, while there is anything."""


class Sweep:
    """Goes on from its making until ``stop``."""

    def __init__(self, serving: Serving) -> None:
        self._serving: Final = serving
        self._transitions: Final = Transitions()
        self.told: Callable[[Transition], None] | None = None
        """Told of endpoints whose state changes."""
        self._all_at = 0.0
        self._timer = serving.runtime.loop.call_later(SWEEP_S, self._pass)

    def stop(self) -> None:
        """Look at nothing any more."""
        self._timer.cancel()

    def _pass(self) -> None:
        now = monotonic()
        serving = self._serving
        drain = serving.process_drain
        paced = serving.retirement.busy or serving.drains.busy or drain.pacing
        self._timer = serving.runtime.loop.call_later(PACE_S if paced else SWEEP_S, self._pass)
        serving.retirement.sweep(now)
        serving.drains.sweep(now)
        if drain.active:
            self._drain(now)
        if now >= self._all_at:
            self._all_at = now + SWEEP_S - PACE_S / 2
            self._all(now)

    def _all(self, now: float) -> None:
        """Look at all deadlines."""
        serving = self._serving
        for listener in serving.all_listeners:
            listener.sweep(now)
        for splice in list(serving.runtime.splices):
            splice.sweep(now)
        serving.runtime.upstreams.watch.close_idle(now)
        serving.runtime.upstreams.close_left()
        serving.forget(now)
        if self.told is not None:
            plans = [upstream.plan for upstream in serving.snapshot.pools.values()]
            for transition in self._transitions.look(plans, now):
                self.told(transition)

    def _drain(self, now: float) -> None:
        """Take the process drain further."""
        serving = self._serving
        drain = serving.process_drain
        if drain.close_doors(now):
            for listener in serving.all_listeners:
                listener.stop()
                listener.close_idle()
            drain.say_goodbye(serving.runtime.splices, now)
        spent = drain.sweep(now)
        if drain.doors_closed and not serving.remaining:
            drain.done.set()
        elif spent:
            serving.cut()
