"""Two runs of the suite, held against each other case by case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Cases: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What the suite's index has of one server, by case."""

FOLDED: Final = {"NON-STRICT": "OK"}
"""Both are right; which of them it is depends on how reads happen to fall."""


def verdict(case: Mapping[str, Any]) -> str:
    """Return what a case found of the messages, and of the closing."""
    found = [FOLDED.get(case[key], case[key]) for key in ("behavior", "behaviorClose")]
    return f"{found[0]}, closing {found[1]}"


def differences(direct: Cases, through: Cases, expected: int) -> Iterator[str]:
    """Say what differs, and how many cases are missing; nothing if the runs agree."""
    for name, cases in (("directly", direct), ("through hotsplice", through)):
        if len(cases) != expected:
            yield f"{len(cases)} of {expected} cases ran {name}"
    for case in sorted(direct.keys() & through.keys(), key=_by_number):
        before, after = (
            f"{verdict(one)}, {one['remoteCloseCode']}" for one in (direct[case], through[case])
        )
        if before != after:
            yield f"{case}: {before} directly, {after} through hotsplice"


def _by_number(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]
