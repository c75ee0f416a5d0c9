from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from admin import secrets_folder as module
from admin.secrets_folder import SECRET_BYTES, SecretsFolder, SecretsFolderError


@pytest.fixture
def folder(tmp_path: Path) -> SecretsFolder:
    return SecretsFolder(tmp_path)


def test_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "nope", tmp_path / "file"):
        with pytest.raises(SecretsFolderError):
            SecretsFolder(path)


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"s3cret", b"s3cret"), (b"s3cret\n", b"s3cret"), (b"a\r\n", b"a"), (b"a\n\n", b"a\n")],
)
def test_file_is_a_secret_without_the_end_of_its_last_line(
    tmp_path: Path, folder: SecretsFolder, content: bytes, value: bytes
) -> None:
    (tmp_path / "Token_1").write_bytes(content)
    assert folder.known("Token_1")
    assert folder.value("Token_1") == value


@pytest.mark.parametrize("name", ["nope", "token_1", "", ".", "..", "../x", "a/b", "a-b", "x" * 65])
def test_what_is_no_file_of_that_name_is_no_secret(
    tmp_path: Path, folder: SecretsFolder, name: str
) -> None:
    (tmp_path / "Token_1").write_bytes(b"x")
    assert not folder.known(name)
    assert folder.value(name) == b""


def test_what_is_no_regular_file_is_no_secret(tmp_path: Path, folder: SecretsFolder) -> None:
    (tmp_path / "dir").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert not folder.known("dir")
    assert not folder.known("pipe")


def test_secret_that_was_asked_for_too_early_is_read_once_it_is_there(
    tmp_path: Path, folder: SecretsFolder
) -> None:
    assert not folder.known("token")
    folder.refresh()
    assert folder.value("token") == b""
    (tmp_path / "token").write_text("one")
    folder.refresh()
    assert folder.value("token") == b"one"


def test_names_that_are_none_make_room(
    tmp_path: Path, folder: SecretsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    (tmp_path / "token").write_text("one")
    assert not folder.known("nobody")
    assert not folder.known("nothing")
    assert folder.known("token")
    assert not folder.known("nowhere")
    assert not folder.known("never")
    assert folder.value("token") == b"one"


def test_secret_has_a_greatest_size(tmp_path: Path, folder: SecretsFolder) -> None:
    (tmp_path / "most").write_bytes(b"x" * SECRET_BYTES)
    (tmp_path / "more").write_bytes(b"x" * (SECRET_BYTES + 1))
    assert folder.known("most")
    assert not folder.known("more")


def test_changed_file_is_read_again_as_kubernetes_changes_it(
    tmp_path: Path, folder: SecretsFolder
) -> None:
    for name, value in (("v1", b"one"), ("v2", b"two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_bytes(value)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "token").symlink_to("..data/token")
    assert folder.known("token")
    folder.refresh()
    assert folder.value("token") == b"one"
    (tmp_path / "..new").symlink_to("v2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    folder.refresh()
    assert folder.value("token") == b"two"


def test_file_that_is_gone_is_no_secret_any_more_until_it_is_back(
    tmp_path: Path, folder: SecretsFolder
) -> None:
    (tmp_path / "token").write_bytes(b"x")
    assert folder.known("token")
    (tmp_path / "token").unlink()
    folder.refresh()
    assert (folder.value("token"), folder.known("token")) == (b"", False)
    (tmp_path / "token").write_bytes(b"y")
    folder.refresh()
    assert folder.value("token") == b"y"


def test_file_that_became_too_large_keeps_its_value(tmp_path: Path, folder: SecretsFolder) -> None:
    (tmp_path / "token").write_bytes(b"x")
    assert folder.known("token")
    (tmp_path / "token").write_bytes(b"x" * (SECRET_BYTES + 1))
    with capture_logs() as said:
        folder.refresh()
        folder.refresh()
    assert folder.value("token") == b"x"
    assert [line["event"] for line in said] == ["secret_refused"]


def test_there_are_only_so_many(
    tmp_path: Path, folder: SecretsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"x")
    assert [folder.known(name) for name in ("nope", "a", "b", "c", "a")] == [
        False, True, True, False, True,
    ]  # fmt: skip


def test_log_has_names_and_no_values(tmp_path: Path, folder: SecretsFolder) -> None:
    (tmp_path / "token").write_bytes(b"hidden\nhidden")
    with capture_logs() as said:
        folder.known("token")
        (tmp_path / "token").write_bytes(b"hidden too")
        folder.refresh()
        (tmp_path / "token").unlink()
        folder.refresh()
    assert [line["event"] for line in said] == ["secret_unfit", "secret_read", "secret_gone"]
    assert "hidden" not in repr(said)
