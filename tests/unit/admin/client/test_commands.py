"""The commands of the client, without a sidecar."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from admin.api.explanations import ExplanationBody
from admin.cli import main
from admin.client import COMMANDS
from admin.client.commands import run
from admin.client.connection import ADDRESS
from admin.settings import RUN

DOCUMENT = """
listeners: {public: {bind: "0.0.0.0:8080"}}
pools: {backend: {endpoints: {"app.internal:80": {}}}}
routes:
  all: {path: {prefix: /}, pool: backend, request_headers: {set: {X-A: "$http_a"}}}
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(DOCUMENT)
    return path


def test_document_is_asked_with_nothing_running(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(document), "GET", "http://h/x?y", "-H", "A: 1", "-H", "B:2"]
    assert main(["explain", *words]) == 0
    said = capsys.readouterr().out
    assert "GET /x?y HTTP/1.1\n          X-A: 1\n" in said
    assert "B: 2\n" in said
    assert "->app.internal:80 active" in said


def test_scripts_get_what_the_api_would_say(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(document), "-o", "json", "--client", "192.0.2.1", "GET", "http://h/"]
    assert main(["explain", *words]) == 0
    told = ExplanationBody.model_validate(json.loads(capsys.readouterr().out))
    assert (told.revision, told.client.address, told.route) == (None, "192.0.2.1", "all")


def test_document_with_faults_says_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("routes: {a: {path: {prefix: /}, pool: backend}}\n")
    assert main(["explain", "--config", str(path), "GET", "http://h/"]) == 2
    assert "/routes/a/pool: there is no pool 'backend'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [(["GET", "x"], "/url: 'x' is not a URL"), (["G T", "/"], "/method: 'G T' is not a method")],
)
def test_question_that_nobody_can_answer_exits_with_2(
    document: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["explain", "--config", str(document), *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["explain"], ["explain", "GET", "/", "-H", "x"], ["why"]])
def test_words_that_make_no_command_exit_with_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2


def test_variable_says_where_to_ask_and_the_flag_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"HOTSPLICE_ADMIN": f"unix:{tmp_path}/variable"}
    assert run(["why", "id"], environ) == 1
    assert f"unix:{tmp_path}/variable" in capsys.readouterr().err
    assert run(["why", "--admin", f"unix:{tmp_path}/flag", "id"], environ) == 1
    assert f"unix:{tmp_path}/flag" in capsys.readouterr().err


def test_default_is_where_run_listens() -> None:
    assert {option.flag: option.default for option in RUN}["admin"] == ADDRESS


def test_help_lists_the_commands_of_the_client(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)
