"""Scrapes of a large configuration, and how late the event loop is meanwhile."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench.load import LoadError, wrk
from bench.measure import Sample, Scenario, Subject
from bench.peers import hotsplice
from bench.scenarios.http import place

POOLS: Final = 200
SERIES: Final = 2000
CONNECTIONS: Final = 4
"""Some load: at saturation a loop is late anyway."""

EVERY_S: Final = 0.5
REMEMBERED_S: Final = 21
"""The metric has the greatest delay of the last ten to twenty seconds."""


def _sample(subject: Subject, seconds: float) -> Sample:
    proxy = subject.proxy
    assert isinstance(proxy, hotsplice.Hotsplice)
    written = hotsplice.document(subject.setup)
    written["pools"] |= {f"p{number}": written["pools"]["backend"] for number in range(POOLS)}
    for number in range(POOLS):
        written["routes"][f"r{number}"]["pool"] = f"p{number}"
    proxy.write("PUT", "/v1/config", written)
    wrk(proxy.address, CONNECTIONS, 1.0, "varied", str(POOLS))
    took: list[float] = []
    with ThreadPoolExecutor() as pool:
        load = pool.submit(wrk, proxy.address, CONNECTIONS, REMEMBERED_S + 2, "varied", str(POOLS))
        started = time.monotonic()
        while time.monotonic() < started + REMEMBERED_S:
            began = time.monotonic()
            text = proxy.metrics()
            took.append(time.monotonic() - began)
            time.sleep(EVERY_S)
        lag_ms = hotsplice.lag_s(text) * 1e3
        rate = load.result().rate
    series = sum(line.startswith("hotsplice_") for line in text.splitlines())
    if series < SERIES:
        raise LoadError(f"only {series} series")
    return {
        "lag_ms": lag_ms,
        "scrape_ms": max(took) * 1e3,
        "series": float(series),
        "rate": rate,
    }


SCENARIOS: Final = (
    Scenario(
        "scrape",
        f"scrapes with {POOLS} pools",
        "lag_ms",
        lambda processes: place(processes, routes=POOLS),
        _sample,
        peers=("hotsplice",),
        warm_up_s=0.0,
        fresh=True,
    ),
)
