"""Follow what DNS says of pools: asked again when an answer's time is over, and told what moved.

What was found last holds while DNS fails.  Questions of several pools that are the same are one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from proxy.spec import DnsSpec, Spec
from proxy.telemetry.logging import get_logger
from proxy.upstream.discovery.answers import NOTHING, Answer, expanded
from proxy.upstream.discovery.questions import Looked, LookupFailedError, ask

LEAST_TTL_S: Final = 1.0
"""However short an answer holds, nobody is asked more often."""

MOST_TTL_S: Final = 300.0
"""However long an answer holds, it is asked again after this."""

RETRY_S: Final = 2.0
"""Until the next try after a failure; twice as long after each further one."""

MOST_RETRY_S: Final = 30.0

AGAIN_S: Final = 5.0
"""Until the next try, if what was found could not be served."""

_log = get_logger("proxy.discovery")


@dataclass(frozen=True, slots=True)
class Discovered:
    """Something happened to what a pool is told of its endpoints."""

    pool: str
    what: Literal["moved", "failing", "answered"]
    """Endpoints came or went; nobody can tell any more, and they stay; somebody can again."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    reason: str = ""
    """Of the failure."""


class Source:
    """A question, and what is known."""

    def __init__(self, question: DnsSpec) -> None:
        self.question: Final = question
        self.answer: Answer | None = None
        """The last good one."""
        self.reason = ""
        """Why the last look-up failed, if it did."""
        self.answered_at: float | None = None
        """Seconds since 1970 of the last good answer."""
        self.lookups: Final[Counter[str]] = Counter(answered=0, failed=0)
        self.due = 0.0
        """Of the loop's clock, when it is to be asked again."""
        self._failures = 0

    def take(self, looked: Looked, now: float) -> bool:
        """Receive an answer; return whether it is another one."""
        moved = looked.answer != self.answer
        self.answer, self.reason, self._failures = looked.answer, "", 0
        self.answered_at = time.time()
        self.lookups["answered"] += 1
        self.due = now + min(max(looked.ttl_s, LEAST_TTL_S), MOST_TTL_S)
        return moved

    def fail(self, reason: str, now: float) -> None:
        """Receive a failure; what is known stays."""
        self.reason = reason
        self.lookups["failed"] += 1
        self.due = now + min(RETRY_S * 2**self._failures, MOST_RETRY_S)
        self._failures = min(self._failures + 1, 10)


class Discovery:
    """All questions of a configuration; one event loop."""

    def __init__(self, asking: Callable[[DnsSpec], Awaitable[Looked]] = ask) -> None:
        self._ask: Final = asking
        self._sources: dict[DnsSpec, Source] = {}
        self._tasks: Final[dict[DnsSpec, asyncio.Task[None]]] = {}
        self._pools: dict[DnsSpec, list[str]] = {}
        self.moved: Callable[[], Awaitable[None]] | None = None
        """Serves what is known by now."""
        self.told: Callable[[Discovered], None] | None = None

    async def resolve(self, spec: Spec) -> Spec:
        """Return a spec with what is found in its pools; only what is new is asked for."""
        questions = _questions(spec)
        if not questions:
            return spec
        sources = [self._sources.setdefault(one, Source(one)) for one in questions]
        await asyncio.gather(*(self._look(one) for one in sources if one.answer is None))
        return self.known(spec)

    def known(self, spec: Spec) -> Spec:
        """Return a spec with what is known in its pools; itself if that is so already."""
        return expanded(spec, self._known)

    def source(self, question: DnsSpec) -> Source | None:
        """Return what is known of a question."""
        return self._sources.get(question)

    def follow(self, spec: Spec) -> None:
        """Follow the questions of what serves now, and no others."""
        self._pools = _questions(spec)
        for gone in self._sources.keys() - self._pools.keys():
            del self._sources[gone]
        for gone in self._tasks.keys() - self._pools.keys():
            self._tasks.pop(gone).cancel()
        for question in self._pools.keys() - self._tasks.keys():
            source = self._sources.setdefault(question, Source(question))
            task = asyncio.get_running_loop().create_task(self._follow(source))
            self._tasks[question] = task

    def stop(self) -> None:
        """Follow nothing any more."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def unanswered(self, spec: Spec) -> Iterable[str]:
        """Say which pools are told of no endpoint, one sentence each."""
        for question, pools in _questions(spec).items():
            source = self._sources.get(question)
            if source is None or not source.answer:
                why = "it has no answer yet" if source is None else source.reason or "nobody"
                yield f"{', '.join(pools)}: DNS has no endpoint for {question.name} ({why})"

    def tell_moved(self, before: Spec, after: Spec) -> None:
        """Tell of the endpoints that came and went."""
        for name, pool in after.pools.items():
            old = before.pools.get(name)
            if old is None or old is pool:
                continue
            was = {one.name for one in old.endpoints if one.discovered}
            now = {one.name for one in pool.endpoints if one.discovered}
            added, removed = tuple(sorted(now - was)), tuple(sorted(was - now))
            self._tell(Discovered(name, "moved", added, removed))

    def _known(self, question: DnsSpec) -> Answer:
        source = self._sources.get(question)
        return NOTHING if source is None or source.answer is None else source.answer

    async def _follow(self, source: Source) -> None:
        loop, behind = asyncio.get_running_loop(), False
        while True:
            await asyncio.sleep(source.due - loop.time())
            behind = await self._look(source) or behind
            if not behind or self.moved is None:
                continue
            try:
                await self.moved()
            except Exception as error:  # noqa: BLE001 - what changes is followed for ever
                _log.error("discovery_not_served", name=source.question.name, exc_info=error)
                source.due = min(source.due, loop.time() + AGAIN_S)
            else:
                behind = False

    async def _look(self, source: Source) -> bool:
        """Ask; return whether the answer is another one."""
        failed_before = bool(source.reason)
        try:
            looked = await self._ask(source.question)
        except LookupFailedError as error:
            source.fail(str(error), asyncio.get_running_loop().time())
            if not failed_before:
                self._tell_all(source, "failing")
            return False
        moved = source.take(looked, asyncio.get_running_loop().time())
        if failed_before:
            self._tell_all(source, "answered")
        return moved

    def _tell_all(self, source: Source, what: Literal["failing", "answered"]) -> None:
        for pool in self._pools.get(source.question, ()):
            self._tell(Discovered(pool, what, reason=source.reason))

    def _tell(self, discovered: Discovered) -> None:
        say = _log.warning if discovered.what == "failing" else _log.info
        say(
            f"discovery_{discovered.what}",
            pool=discovered.pool,
            added=list(discovered.added),
            removed=list(discovered.removed),
            reason=discovered.reason or None,
        )
        if self.told is not None:
            self.told(discovered)


def _questions(spec: Spec) -> dict[DnsSpec, list[str]]:
    """Return the questions of a configuration, with the pools that each is asked for."""
    questions: dict[DnsSpec, list[str]] = {}
    for name, pool in spec.pools.items():
        if pool.discovery is not None:
            questions.setdefault(pool.discovery.dns, []).append(name)
    return questions
