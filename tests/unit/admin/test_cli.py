from __future__ import annotations

from pathlib import Path

import pytest

from admin.cli import main


def check(path: Path) -> int:
    return main(["check", str(path)])


def test_good_document_is_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("listeners: {public: {bind: '0.0.0.0:8080'}}\n")
    assert check(path) == 0
    assert capsys.readouterr().out == "ok\n"


def test_every_fault_is_printed_with_its_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "pools: {backend: {endpoints: {}}}\n"
        "routes:\n"
        "  a: {path: {prefix: /a/}, pool: bakend}\n"
        "  b: {path: {regex: '('}, pool: backend}\n"
    )
    assert check(path) == 2
    said = capsys.readouterr().out
    assert "/routes/a/pool: " in said
    assert "hint: did you mean `backend`?" in said
    assert "/routes/b/path/regex: " in said


@pytest.mark.parametrize(("name", "text"), [("c.yaml", "a: ["), ("c.json", "pools: {}")])
def test_file_that_cannot_be_parsed_is_faulty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    assert check(tmp_path / name) == 2
    assert "line 1" in capsys.readouterr().out


def test_missing_file_is_faulty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path / "nope.yaml") == 2
    assert "No such file" in capsys.readouterr().out


def test_checking_binds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    path = tmp_path / "c.json"
    path.write_text('{"listeners": {"public": {"bind": "203.0.113.1:1"}}}')
    monkeypatch.setattr(socket.socket, "bind", None)
    assert check(path) == 0
