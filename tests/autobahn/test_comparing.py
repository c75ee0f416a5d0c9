"""What ``make autobahn`` makes of two reports, and of a machine that cannot make any."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.autobahn import __main__ as autobahn
from tests.autobahn import suite
from tests.autobahn.verdicts import differences


def case(behavior: str = "OK", closing: str = "OK", code: int | None = 1000) -> dict[str, Any]:
    return {"behavior": behavior, "behaviorClose": closing, "remoteCloseCode": code}


def test_the_same_verdicts_agree() -> None:
    cases = {"1.1.1": case(), "7.1.5": case("FAILED", "WRONG CODE", 1002)}
    assert [*differences(cases, cases, 2)] == []


def test_non_strict_is_as_good_as_ok() -> None:
    assert [*differences({"3.2": case("NON-STRICT")}, {"3.2": case("OK")}, 1)] == []


@pytest.mark.parametrize(
    ("through", "said"),
    [
        (case("FAILED"), "FAILED, closing OK, 1000"),
        (case(closing="UNCLEAN"), "OK, closing UNCLEAN, 1000"),
        (case(code=1006), "OK, closing OK, 1006"),
        (case(code=None), "OK, closing OK, None"),
    ],
)
def test_another_verdict_differs(through: dict[str, Any], said: str) -> None:
    found = [*differences({"1.1.1": case()}, {"1.1.1": through}, 1)]
    assert found == [f"1.1.1: OK, closing OK, 1000 directly, {said} through hotsplice"]


def test_cases_that_did_not_run_differ() -> None:
    found = [*differences({"1.1.1": case(), "1.1.2": case()}, {"1.1.2": case()}, 2)]
    assert found == ["1 of 2 cases ran through hotsplice"]


def test_both_ways_short_is_no_agreement() -> None:
    found = [*differences({"1.1.1": case()}, {"1.1.1": case()}, 517)]
    assert found == [
        "1 of 517 cases ran directly",
        "1 of 517 cases ran through hotsplice",
    ]


def test_cases_are_told_in_the_order_of_their_numbers() -> None:
    before = {number: case() for number in ("10.1.1", "9.1.1")}
    after = {number: case("FAILED") for number in before}
    told = [line.partition(":")[0] for line in differences(before, after, 2)]
    assert told == ["9.1.1", "10.1.1"]


@pytest.mark.parametrize("named", [None, "/nowhere/python2.7", sys.executable])
def test_without_python_2_7_it_is_skipped_and_says_why(
    named: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(suite, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["tests.autobahn"])
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.delenv("PYTHON27", raising=False)
    if named is not None:
        monkeypatch.setenv("PYTHON27", named)
    assert autobahn.main() == 0
    said = capsys.readouterr().out
    assert said.startswith("autobahn: skipped. Autobahn's testsuite runs under Python 2.7 alone")
    assert "both ways agree" not in said
