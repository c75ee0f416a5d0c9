"""Where access logs go: standard error and output, and files, each opened once.

A file is open as long as a configuration names it, or something under an older configuration may
still be logged there: compiled logs hold its sink, and once nobody does any more, it is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import Final, NamedTuple
from weakref import ref

from proxy.errors import Fault, FaultError, SpecError, pointer
from proxy.logs.places import check_target
from proxy.spec import Spec
from proxy.telemetry.counters import Ledger
from proxy.telemetry.line_writer import EXIT_FLUSH_S, STDERR, STDOUT, LineWriter
from proxy.telemetry.log_file import LogFile
from proxy.telemetry.log_sink import LogSink, Schedule

MAX_FILES: Final = 100
"""Log files of one configuration; each has a thread that writes it."""

STREAMS: Final[dict[str, LineWriter]] = {"stderr": STDERR, "stdout": STDOUT}


class Target(NamedTuple):
    """What is open."""

    sink: LogSink
    writer: LineWriter


Opened = Mapping[str, Target]


class Targets:
    """Everything that is open; used on the event loop, by one preparation at a time."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule: Final = schedule
        self._live: Opened = {}
        self._leaving: Final[list[tuple[str, LineWriter, ref[LogSink]]]] = []
        self._ledger: Final[Ledger[LineWriter]] = Ledger()
        self._ledger.publish({"stderr": STDERR}, 0.0)

    async def open(self, spec: Spec) -> Opened:
        """Open what a configuration names and is not open yet.

        Raise ``SpecError``; then nothing was opened, and no file was made.
        """
        places: dict[str, str] = {}
        for target, place in _named(spec):
            places.setdefault(target, place)
        opened = {target: found for target in places if (found := self._known(target))}
        fresh = [target for target in places if target not in opened]
        if not fresh:
            return opened
        # A file may be on a disk that is slow to answer.
        made, faults = await asyncio.to_thread(_open, fresh, places)
        files = sum(isinstance(one, LogFile) for one in made.values())
        files += sum(isinstance(one.writer, LogFile) for one in opened.values())
        if files > MAX_FILES:
            faults.append(Fault(places[fresh[-1]], f"more than {MAX_FILES} log files"))
        opened |= {
            target: Target(LogSink(writer.write, self._schedule), writer)
            for target, writer in made.items()
        }
        if faults:
            self.abandon(opened)
            raise SpecError(tuple(faults))
        return opened

    def _known(self, target: str) -> Target | None:
        """Return what is open already, though it may be about to be closed."""
        if target in self._live:
            return self._live[target]
        for name, writer, reference in self._leaving:
            sink = reference()
            if name == target and sink is not None:
                return Target(sink, writer)
        return None

    def abandon(self, opened: Opened) -> None:
        """Close what was opened for a configuration that will not serve."""
        kept = {id(writer) for writer in self._writers()}
        for target in opened.values():
            if isinstance(target.writer, LogFile) and id(target.writer) not in kept:
                target.writer.abandon()

    def publish(self, opened: Opened, now: float) -> None:
        """Have ``opened`` be what is named; what is no longer named goes once it is not used."""
        named = {id(target.writer) for target in opened.values()}
        self._leaving[:] = [one for one in self._leaving if id(one[1]) not in named]
        for name, (sink, writer) in self._live.items():
            if id(writer) not in named and isinstance(writer, LogFile):
                self._leaving.append((name, writer, ref(sink)))
        for name, target in opened.items():
            before = self._ledger.get(name)
            if before is not None and before is not target.writer and name not in STREAMS:
                target.writer.dropped += before.dropped  # its series goes on
        self._live = opened
        writers = {name: target.writer for name, target in opened.items()}
        self._ledger.publish({"stderr": STDERR} | writers, now)

    def sweep(self, now: float) -> None:
        """Close what nothing is logged to any more; the thread that writes it does the last."""
        for entry in [one for one in self._leaving if one[2]() is None]:
            self._leaving.remove(entry)
            entry[1].close(0.0)
        self._ledger.expire(now)

    def reopen(self) -> None:
        """Have every file looked at now, because somebody says that some were rotated away."""
        self.flush()
        for writer in self._writers():
            if isinstance(writer, LogFile):
                writer.reopen()

    def flush(self) -> None:
        """Hand over what waits."""
        for target in self._live.values():
            target.sink.flush()
        for _, _, reference in self._leaving:
            sink = reference()
            if sink is not None:
                sink.flush()

    async def close(self) -> None:
        """Write what is left, and close every file."""
        self.flush()
        files = [writer for writer in self._writers() if isinstance(writer, LogFile)]
        self._live = {}
        self._leaving.clear()
        if files:
            await asyncio.to_thread(_close, files)

    def dropped(self) -> tuple[tuple[str, int], ...]:
        """Return how many lines each target lost, standard error those of all logs."""
        return tuple((name, writer.dropped) for name, writer in self._ledger.items())

    def _writers(self) -> Iterator[LineWriter]:
        yield from (target.writer for target in self._live.values())
        yield from (writer for _, writer, _ in self._leaving)


def _named(spec: Spec) -> Iterator[tuple[str, str]]:
    """Give the targets that a configuration names, each with a place where."""
    for name, listener in spec.listeners.items():
        for index, log in enumerate(listener.access_log or ()):
            yield log.to, pointer("listeners", name, "access_log", index, "to")
    for name, route in spec.routes.items():
        for index, log in enumerate(route.access_log or ()):
            yield log.to, pointer("routes", name, "access_log", index, "to")


def _open(
    targets: Iterable[str], places: Mapping[str, str]
) -> tuple[dict[str, LineWriter], list[Fault]]:
    made: dict[str, LineWriter] = {}
    faults: list[Fault] = []
    for target in targets:
        try:
            check_target(target)
            made[target] = _stream(target) or LogFile(target)
        except FaultError as error:
            faults.append(Fault(places[target], error.message, error.hint))
        except OSError as error:
            said = f"cannot write to {target}: {error.strerror or error}"
            faults.append(Fault(places[target], said))
    return made, faults


def _stream(target: str) -> LineWriter | None:
    """Return the writer of standard error or output if a target is that, by whatever name."""
    if target in STREAMS:
        return STREAMS[target]
    with contextlib.suppress(OSError):
        found = os.stat(target)  # noqa: PTH116
        if not stat.S_ISREG(found.st_mode):
            for descriptor, writer in ((2, STDERR), (1, STDOUT)):
                if os.path.samestat(found, os.fstat(descriptor)):
                    return writer
    return None


def _close(files: list[LogFile]) -> None:
    until = monotonic() + EXIT_FLUSH_S
    for file in files:
        file.close(max(until - monotonic(), 0.0))
