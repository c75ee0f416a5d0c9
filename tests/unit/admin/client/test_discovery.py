from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from admin.client import discovery
from admin.client.connection import Address, parse_address
from admin.client.discovery import find
from admin.client.problems import ClientError, UnreachableError
from tests.peers.listening import refused_address


@pytest.fixture
def listened() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9901", Address("127.0.0.1", 9901)),
        ("[::1]:1", Address("::1", 1)),
        ("0.0.0.0:1", Address("127.0.0.1", 1)),
        ("[::]:1", Address("::1", 1)),
        ("localhost:1", Address("localhost", 1)),
        ("unix:/run/a b.sock", Address("", 0, "/run/a b.sock")),
    ],
)
def test_address_is_read(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "9901", ":1", "a:b", "a:99999", "unix:", "::1:1", "a:²"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_address(text)


def test_flag_beats_the_environment_and_that_beats_the_ready_file(
    tmp_path: Path, listened: str
) -> None:
    ready = tmp_path / "ready.json"
    ready.write_text(json.dumps({"admin": listened}))
    environ = {"HOTSPLICE_READY_FILE": str(ready)}
    with refused_address() as refused:
        there = find(None, None, environ, writes=False)
        assert there.address.text == listened
        with pytest.raises(UnreachableError, match=refused):
            find(None, None, {**environ, "HOTSPLICE_ADMIN": refused}, writes=False)
        again = find(listened, None, {**environ, "HOTSPLICE_ADMIN": refused}, writes=False)
        assert again.address.text == listened


def test_port_of_the_kernels_choice_is_looked_up_in_the_ready_file(
    tmp_path: Path, listened: str
) -> None:
    (tmp_path / "ready.json").write_text(json.dumps({"admin": listened}))
    environ = {
        "HOTSPLICE_ADMIN": "127.0.0.1:0",
        "HOTSPLICE_READY_FILE": str(tmp_path / "ready.json"),
    }
    assert find(None, None, environ, writes=False).address.text == listened


def test_socket_of_the_image_is_tried_after_the_default_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "admin.sock")
    with refused_address() as refused, socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        monkeypatch.setattr(discovery, "DEFAULT", parse_address(refused))
        monkeypatch.setattr(discovery, "IMAGE", Address("", 0, path))
        assert find(None, None, {}, writes=True).address.path == path


def test_nobody_anywhere_is_told_of_the_first_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_address() as refused:
        monkeypatch.setattr(discovery, "DEFAULT", parse_address(refused))
        monkeypatch.setattr(discovery, "IMAGE", Address("", 0, "/nowhere.sock"))
        with pytest.raises(UnreachableError, match=refused):
            find(None, None, {}, writes=False)


@pytest.mark.parametrize("content", [b"", b"two\nlines", b"\xff", "schlüssel".encode()])
def test_file_that_holds_no_token_is_refused(tmp_path: Path, listened: str, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ClientError) as refused:
        find(listened, str(tmp_path / "token"), {}, writes=False)
    assert refused.value.status == 2


def test_ready_file_that_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "ready.json").write_text("{")
    with pytest.raises(ClientError, match="HOTSPLICE_READY_FILE"):
        find(None, None, {"HOTSPLICE_READY_FILE": str(tmp_path / "ready.json")}, writes=False)


def test_address_that_is_none_names_where_it_was_said() -> None:
    with pytest.raises(ClientError, match="HOTSPLICE_ADMIN: '9901'"):
        find(None, None, {"HOTSPLICE_ADMIN": "9901"}, writes=False)
