from __future__ import annotations

import json
import stat
import tempfile
from pathlib import Path

import pytest

from admin.runtime import (
    ReadyFile,
    RuntimeFolderError,
    folder,
    keep_token,
    make_token,
    token_path,
    write_atomically,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_token_is_stored_for_this_user_alone(tmp_path: Path) -> None:
    path = keep_token("secret", token_path("[::1]:9901", None, tmp_path))
    assert path == tmp_path / "hotsplice" / "admin-__1_9901.token"
    assert path.read_text() == "secret\n"
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_token_of_a_process_with_a_state_folder_stands_there(tmp_path: Path) -> None:
    assert token_path("127.0.0.1:9901", tmp_path, None) == tmp_path / "admin.token"


def test_tokens_are_long_and_differ() -> None:
    assert len(make_token()) >= 40
    assert make_token() != make_token()


def test_folder_without_xdg_is_named_after_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = folder(None)
    assert (path.parent, mode(path)) == (tmp_path, 0o700)
    assert path.name.startswith("hotsplice-")
    assert folder(None) == path


def test_folder_that_others_reach_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hotsplice").mkdir()
    (tmp_path / "hotsplice").chmod(0o755)
    with pytest.raises(RuntimeFolderError, match="0700"):
        folder(tmp_path)


def test_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "hotsplice").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RuntimeFolderError):
        folder(tmp_path)


def test_folder_that_cannot_be_made_names_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFolderError, match="--admin-token-file"):
        folder(tmp_path / "missing")


def test_ready_file_says_where_everything_is(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    ready = ReadyFile(path)
    ready.write("127.0.0.1:1", "0.0.0.0:2", {"public": "127.0.0.1:3"}, tmp_path / "token")
    assert json.loads(path.read_text()) == {
        "admin": "127.0.0.1:1",
        "telemetry": "0.0.0.0:2",
        "listeners": {"public": "127.0.0.1:3"},
        "admin_token_file": str(tmp_path / "token"),
    }
    assert list(tmp_path.iterdir()) == [path]
    ready.remove()
    assert not path.exists()


def test_ready_file_of_an_earlier_process_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    path.write_text("{}")
    ReadyFile(path)
    assert not path.exists()


def test_no_ready_file_is_written_without_a_path(tmp_path: Path) -> None:
    ReadyFile(None).write("a", "t", {}, None)
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800", 0o600)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
