"""The command line."""

from __future__ import annotations

import pytest

from bench.peers import PEERS
from bench.run import options
from bench.scenarios import SCENARIOS


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
