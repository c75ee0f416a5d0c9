from __future__ import annotations

import json
import shlex

import pytest

from admin.demo import ANYWHERE, document, echo, main, page, pool, talk
from admin.documents.document import validate
from admin.listening import listening
from admin.translate import to_spec
from proxy.addresses import parse_address
from tests.unit.admin.conftest import Client

ADDRESSES = {"blue": "127.0.0.1:1001", "green": "127.0.0.1:1002"}


def commands(text: str) -> dict[str, list[str]]:
    """Return the commands of the demo's page, split as a shell would, by number."""
    found: dict[str, list[str]] = {}
    for part in text.split("\n\n"):
        if part[0].isdigit():
            head, _, command = part.partition("\n")
            found[head[0]] = shlex.split(command)
    return found


def test_document_is_good_and_has_both_endpoints() -> None:
    spec = to_spec(validate(document(parse_address("127.0.0.1:8080"), ADDRESSES)))
    assert [(one.name, one.address) for one in spec.pools["echo"].endpoints] == [
        ("blue", "127.0.0.1:1001"),
        ("green", "127.0.0.1:1002"),
    ]
    assert spec.listeners["demo"].bind == "127.0.0.1:8080"


def test_page_has_four_commands() -> None:
    found = commands(page(ADDRESSES, "127.0.0.1:9901", "127.0.0.1:9902", "127.0.0.1:8080"))
    assert list(found) == ["1", "2", "3", "4"]
    assert "http://127.0.0.1:8080/hello" in " ".join(found["1"])
    assert found["2"][1:] == ["-m", "admin.demo", "ws://127.0.0.1:8080/ws"]
    assert "http://127.0.0.1:9902/metrics" in found["4"]


def test_command_that_changes_the_pool_has_a_good_body() -> None:
    found = commands(page(ADDRESSES, "127.0.0.1:9901", "127.0.0.1:9902", "127.0.0.1:8080"))
    body = json.loads(found["3"][-1])
    assert body == pool({"green": "127.0.0.1:1002"})
    assert "http://127.0.0.1:9901/v1/pools/echo" in found["3"]


def test_admin_on_a_unix_socket_is_reached_by_curl() -> None:
    found = commands(page(ADDRESSES, "unix:/run/a b.sock", "127.0.0.1:1", "127.0.0.1:2"))
    assert found["3"][3:6] == ["--unix-socket", "/run/a b.sock", "http://localhost/v1/pools/echo"]


async def test_echo_says_who_it_is_and_what_it_got(aiohttp_client: object) -> None:
    assert callable(aiohttp_client)
    client: Client = await aiohttp_client(echo("blue"))
    response = await client.post("/a%20b?c=d", data=b"hi", headers={"X-A": "1"})
    said = await response.json()
    assert (said["endpoint"], said["method"], said["target"]) == ("blue", "POST", "/a%20b?c=d")
    assert said["body"] == "hi"
    assert ["X-A", "1"] in said["headers"]


async def test_client_talks_to_the_echo(capsys: pytest.CaptureFixture[str]) -> None:
    async with listening(echo("green"), ANYWHERE) as where:
        assert await talk(f"ws://{where}/ws", 1) == 0
    assert capsys.readouterr().out == "green: message 1 of one WebSocket\n"


def test_client_without_a_url_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "ws://" in capsys.readouterr().err
