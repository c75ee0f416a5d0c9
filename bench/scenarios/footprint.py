"""What a proxy takes before it does anything."""

from __future__ import annotations

from typing import Final

from bench.load import wrk
from bench.machine import cpu_seconds, ended_seconds, family_bytes
from bench.measure import Sample, Scenario, Subject
from bench.scenarios.http import place


def _sample(subject: Subject, seconds: float) -> Sample:
    cpu_s = cpu_seconds(subject.proxy.pid) + ended_seconds(subject.proxy.pid)
    idle = family_bytes(subject.proxy.pid)
    wrk(subject.proxy.address, 1, 1.0)
    return {"ready_ms": subject.ready_s * 1e3, "start_cpu_ms": cpu_s * 1e3, "idle_mb": idle / 1e6}


SCENARIOS: Final = (
    Scenario(
        "start", "start to ready, and memory then", "ready_ms", place, _sample,
        warm_up_s=0.0, fresh=True, quick=True,
    ),
)  # fmt: skip
