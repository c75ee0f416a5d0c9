"""The command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import run
from bench.measure import Sample, Scenario, Subject
from bench.peers import PEERS
from bench.peers.peer import Peer, Proxy, Setup
from bench.processes import Processes, StartError
from bench.run import options
from bench.scenarios import SCENARIOS
from tests.unit.bench.results import outcome, results


def test_everything_is_measured_unless_said_otherwise() -> None:
    found = options([])
    assert found.scenarios == list(SCENARIOS)
    assert found.peers == list(PEERS)


def test_quick_is_the_main_rows_beside_the_baseline() -> None:
    found = options(["--quick"])
    assert found.peers == ["nginx", "hotsplice"]
    assert "get_64" in found.scenarios
    assert len(found.scenarios) < len(SCENARIOS)
    assert found.rounds == 2


def test_what_is_chosen_is_measured() -> None:
    found = options(["bulk", "get_1", "--peers", "envoy,nginx", "--rounds", "7"])
    assert found.scenarios == ["bulk", "get_1"]
    assert found.peers == ["envoy", "nginx"]
    assert found.rounds == 7


def nowhere(processes: Processes) -> Setup:
    raise StartError("no origin")


def test_what_fails_before_a_proxy_is_measured_ends_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def sample(subject: Subject, seconds: float) -> Sample:
        return {"cpu_us": 1.0}

    failing = Scenario("failing", "", "cpu_us", nowhere, sample, peers=("a",))
    going = replace(failing, name="going", place=lambda _: Setup(()), peers=(), warm_up_s=0.0)
    monkeypatch.setattr(run, "SCENARIOS", {one.name: one for one in (failing, going)})
    peers = {
        name: Peer(name, lambda: "1", lambda *_, name=name: Proxy(name, "", 0)) for name in "ab"
    }
    monkeypatch.setattr(run, "PEERS", peers)
    saved: list[list[str]] = []
    found = run.run(["failing", "going"], "ab", 1, 1.0, lambda all_: saved.append([*all_.outcomes]))
    assert found.outcomes["failing"].absent == {"a": "no origin"}
    assert run.failed(found.outcomes.values()) == ["failing: a failed: no origin"]
    assert list(found.outcomes["going"].samples) == ["a", "b"]
    assert saved == [["failing"], ["failing", "going"]]
    assert "going" in capsys.readouterr().out


def test_what_was_measured_can_be_read_and_written_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measured = results(outcome(nginx=[10.0], hotsplice=[15.0]))
    (old := tmp_path / "old.json").write_text(json.dumps(measured.json()))
    new, drawn = tmp_path / "new.json", tmp_path / "a.svg"
    words = ["run.py", "--from", str(old), "--json", str(new), "--chart", str(drawn)]
    monkeypatch.setattr("sys.argv", words)
    assert run.main() == 0
    assert new.read_text().strip() == json.dumps(measured.json(), indent=1)
    assert drawn.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "there is no scenario nonsense"),
        (["--peers", "caddy"], "there is no peer caddy"),
        (["--rounds", "0"], "there must be a round"),
        (["--seconds", "-1"], "there must be a round"),
    ],
)
def test_what_cannot_be_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        options(words)
    assert refusal.value.code == 2
    assert said in capsys.readouterr().err
