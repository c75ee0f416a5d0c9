"""From a question to its explanation, whatever configuration it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from proxy.addresses import parse_address
from proxy.background import in_background
from proxy.errors import FaultError
from proxy.explain.explanation import Explanation
from proxy.explain.question import Question, QuestionError, question
from proxy.snapshot import NOTHING, Snapshot, compile_snapshot
from proxy.spec import Spec
from proxy.telemetry.counters import Ledger, RouteCounters
from proxy.upstream.discovery.names import written
from proxy.upstream.pool import Pool

INLINE: Final = 200
"""Routes and endpoints that are looked at on the event loop; more are, where that can be, in a
thread."""


@dataclass(frozen=True, slots=True)
class Live:
    """What there is: by default nothing, as beside a process that does not run."""

    snapshot: Snapshot = NOTHING
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Where listeners are bound, by name."""
    pools: Mapping[str, Pool] = field(default_factory=dict)
    """Those that the candidate would go on with."""
    routes: Ledger[RouteCounters] = field(default_factory=Ledger)


async def explain(asked: Question, live: Live, candidate: Spec | None = None) -> Explanation:
    """Say what would become of a request, and touch nothing.

    Raise ``QuestionError`` for one that nobody can tell of, ``SpecError`` for a bad candidate.
    """
    # Most processes are never asked.
    from proxy.explain.rehearsal import rehearse
    from proxy.explain.rivals import tell
    from proxy.explain.understudy import Understudies

    snapshot = live.snapshot if candidate is None else await _compiled(candidate, live)
    is_candidate = candidate is not None
    pools = Understudies(snapshot.pools)
    play = partial(rehearse, asked, snapshot, live.addresses, pools, candidate=is_candidate)
    explanation, searched = play()
    while pools.sketched:
        await pools.complete()
        explanation, searched = play()
    pools.forget()
    telling = partial(tell, explanation, searched, snapshot.spec)
    return await in_background(telling) if len(snapshot.routes) > INLINE else telling()


async def _compiled(spec: Spec, live: Live) -> Snapshot:
    known = stand_ins(spec, live.snapshot.addresses)
    compiling = partial(compile_snapshot, spec, live.snapshot, known, live.pools, live.routes)
    size = len(spec.routes) + sum(len(pool.endpoints) for pool in spec.pools.values())
    return await in_background(compiling) if size > INLINE else compiling()


def stand_ins(spec: Spec, known: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return what the names in endpoint addresses stand for: themselves, if that is not known.

    Nothing is resolved for a question: who may only read must not make us ask a name server.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in written(spec):
        try:
            literal = parse_address(text).is_literal
        except FaultError:  # the compiler says where it stands
            continue
        if not literal:
            found[text] = known.get(text) or (text,)
    return found


__all__ = ["Explanation", "Live", "Question", "QuestionError", "explain", "question", "stand_ins"]
