"""The process beside this one: what it is asked for, and what becomes of its failures."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from admin.beside import Beside, BesideError
from admin.candidate import Candidate, Change
from admin.documents.faults import DocumentError
from admin.examiner import WORK, Examiner
from proxy.errors import Fault

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

HERE = __name__
DOCUMENT = {
    "listeners": {"public": {"bind": "127.0.0.1:0"}},
    "pools": {"a": {"endpoints": {"127.0.0.1:1": {}}}},
    "routes": {"all": {"path": {"prefix": "/"}, "pool": "a"}},
}


@contextmanager
def beside(*ahead: str) -> Iterator[Beside]:
    one = Beside(*ahead)
    try:
        yield one
    finally:
        one.close()


def pid() -> int:
    return os.getpid()


def faulty() -> None:
    raise DocumentError([Fault("/pools", "too many", "fewer")])


def broken() -> None:
    raise KeyError("what is missing")


def test_function_is_called_in_another_process_that_ends_with_its_use() -> None:
    with beside() as one:
        other = one.call(HERE, "pid")
        assert other not in (os.getpid(), None)
        assert one.call(HERE, "pid") == other
    with pytest.raises(ProcessLookupError):
        os.kill(other, 0)
    with pytest.raises(BesideError, match="it has ended"):
        one.call(HERE, "pid")
    one.close()  # a second time is nothing


def test_faults_of_a_document_come_back_whole() -> None:
    with beside() as one:
        with pytest.raises(DocumentError) as caught:
            one.call(HERE, "faulty")
        assert caught.value.faults == (Fault("/pools", "too many", "fewer"),)
        assert one.call(HERE, "pid")  # and it goes on


def test_failure_of_ours_is_told_with_its_trace() -> None:
    with beside() as one, pytest.raises(BesideError, match=r"in broken(.|\n)*what is missing"):
        one.call(HERE, "broken")


def test_process_that_was_killed_is_no_end_of_the_world() -> None:
    with beside() as one:
        os.kill(one.call(HERE, "pid"), signal.SIGKILL)
        with pytest.raises(BesideError, match="broke off"):
            one.call(HERE, "pid")


async def test_candidate_examined_there_is_the_one_examined_here() -> None:
    with beside(WORK) as one:
        there = await Examiner(one).examine_change(0, {}, DOCUMENT, Candidate.empty())
        again = await Examiner(one).examine(0, DOCUMENT, there.candidate)
    here = await Examiner().examine_change(0, {}, DOCUMENT, Candidate.empty())
    assert there.candidate.document is None
    assert here.candidate.document is not None
    assert parts(there) == parts(here)
    assert again.spec == there.candidate.spec


def parts(change: Change) -> tuple[object, ...]:
    candidate = change.candidate
    return candidate.raw, candidate.size, candidate.spec, change.changed, change.delta


async def test_change_after_it_takes_over_what_is_as_before() -> None:
    with beside(WORK) as one:
        first = await Examiner(one).examine(0, DOCUMENT, Candidate.empty())
    changed = DOCUMENT | {"pools": {"a": {"endpoints": {"127.0.0.1:2": {}}}}}
    second = await Examiner().examine(0, changed, first)
    assert second.spec.routes["all"] is first.spec.routes["all"]
    assert second.spec.pools["a"] != first.spec.pools["a"]


async def test_examiner_goes_on_alone_when_it_is_gone() -> None:
    with beside() as one:
        examiner = Examiner(one)
        os.kill(one.call(HERE, "pid"), signal.SIGKILL)
        found = await examiner.examine(0, DOCUMENT, Candidate.empty())
        assert found.document is not None
        assert examiner.call(HERE, "pid") == os.getpid()
        with pytest.raises(DocumentError):
            await examiner.examine(0, {"routes": 1}, Candidate.empty())
