from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from admin.api.auth import Guard, Role, Token, TokenFile, Tokens, digest_of, parse_tokens
from proxy.addresses import parse_address
from tests.unit.admin.api.answers import ok, problem
from tests.unit.admin.conftest import Client, Connect


def line(name: str, role: str, token: str) -> str:
    return f"{name}:{role}:{hashlib.sha256(token.encode()).hexdigest()}"


TOKENS = Tokens(
    parse_tokens(
        "\n".join(
            [line("viewer", "read", "r"), line("drainer", "drain", "d"), line("ops", "write", "w")]
        )
    )
)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def write(client: Client, headers: dict[str, str] | None = None) -> int:
    response = await client.put("/v1/pools/new", json={}, headers=headers)
    if response.status >= 400:
        await problem(response, response.status)
    return response.status


def test_token_file_has_comments_and_spaces() -> None:
    text = f"# people\n\n  {line('ops', 'write', 'w')}  \n"
    digest = hashlib.sha256(b"w").hexdigest()
    assert parse_tokens(text) == (Token("ops", Role.WRITE, digest),)


@pytest.mark.parametrize(
    "bad", ["ops", "ops:write", "ops:admin:" + "0" * 64, "ops:write:xyz", ":write:" + "0" * 64]
)
def test_bad_line_of_a_token_file_is_named(bad: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse_tokens(f"# people\n{bad}\n")


async def test_reading_on_loopback_needs_no_token(connect: Connect) -> None:
    client = await connect(tokens=TOKENS)
    await ok(await client.get("/v1/config"))
    await ok(await client.get("/v1/status"))


async def test_writing_on_loopback_needs_a_token(connect: Connect) -> None:
    client = await connect(tokens=TOKENS)
    response = await client.put("/v1/pools/new", json={})
    await problem(response, 401)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="hotsplice"'
    assert await write(client, bearer("w")) == 201


@pytest.mark.parametrize("token", ["r", "d"])
async def test_lesser_role_may_not_write(connect: Connect, token: str) -> None:
    assert await write(await connect(tokens=TOKENS), bearer(token)) == 403


@pytest.mark.parametrize("field", ["Bearer nope", "Bearer ", "Basic dzp3", "w", "Bearer w\xe9"])
async def test_wrong_token_is_401_for_reading_too(connect: Connect, field: str) -> None:
    client = await connect(tokens=TOKENS)
    response = await client.get("/v1/config", headers={"Authorization": field})
    await problem(response, 401)
    assert "Bearer" in response.headers["WWW-Authenticate"]


async def test_author_of_a_revision_is_the_name_of_the_token(connect: Connect) -> None:
    client = await connect(tokens=TOKENS)
    await write(client, bearer("w"))
    assert (await ok(await client.get("/v1/status")))["revision"]["author"] == "ops"


@pytest.mark.parametrize("path", ["/v1/config", "/v1/status", "/docs", "/openapi.json", "/nope"])
async def test_beyond_loopback_every_request_needs_a_token(connect: Connect, path: str) -> None:
    client = await connect("10.0.0.1:9901", TOKENS)
    await problem(await client.get(path), 401)
    response = await client.get(path, headers=bearer("r"))
    assert response.status == (404 if path == "/nope" else 200)


def test_beyond_loopback_there_is_no_doing_without_tokens() -> None:
    with pytest.raises(ValueError, match="needs tokens"):
        Guard(parse_address("10.0.0.1:9901"), None)


async def test_on_a_unix_socket_the_mode_is_the_guard(connect: Connect) -> None:
    client = await connect("unix:/run/admin.sock", TOKENS)
    assert await write(client, {"Host": "anything.example", "Origin": "http://x"}) == 201
    assert (await ok(await client.get("/v1/status")))["revision"]["author"] == "unix"


async def test_without_auth_anyone_on_loopback_writes(connect: Connect) -> None:
    client = await connect()
    assert await write(client, bearer("whatever")) == 201
    assert (await ok(await client.get("/v1/status")))["revision"]["author"] == "anonymous"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9901", "127.0.0.1:1", "127.9.9.9", "[::1]:9901", "[::1]"]
)
async def test_names_of_loopback_are_let_in(connect: Connect, host: str) -> None:
    assert (await (await connect()).get("/v1/config", headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "10.0.0.1:9901", "127.0.0.1.nip.io", "[::2]"]
)
async def test_other_names_are_403_so_rebinding_fails(connect: Connect, host: str) -> None:
    client = await connect(tokens=TOKENS)
    headers = {"Host": host, **bearer("w")}
    await problem(await client.get("/v1/config", headers=headers), 403)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:9901", 200),
        ("https://localhost:9901", 200),
        ("http://localhost:8080", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_origin_has_to_be_the_admin_itself(
    connect: Connect, origin: str, status: int
) -> None:
    client = await connect()
    headers = {"Host": "localhost:9901", "Origin": origin}
    assert (await client.get("/v1/config", headers=headers)).status == status


def change(path: Path, text: str, stamp: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(stamp, stamp))


def test_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    change(path, line("ops", "write", "w"), 1)
    tokens = TokenFile(path)
    assert tokens.find(digest_of("w")) is not None
    change(path, line("ops", "read", "new"), 2)
    assert tokens.find(digest_of("w")) is None
    found = tokens.find(digest_of("new"))
    assert found is not None
    assert (found.name, found.role) == ("ops", Role.READ)


def test_token_file_that_became_bad_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    change(path, line("ops", "write", "w"), 1)
    tokens = TokenFile(path)
    change(path, "garbage", 2)
    assert tokens.find(digest_of("w")) is not None
    path.unlink()
    assert tokens.find(digest_of("w")) is not None
    change(path, line("ops", "write", "new"), 3)
    assert (tokens.find(digest_of("w")), tokens.find(digest_of("new")) is None) == (None, False)


def test_token_file_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nope"):
        TokenFile(tmp_path / "nope")


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Referer": "http://evil.example/page"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example:9901"},
        {"Host": "[::1].evil.example"},
    ],
)
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json",
    ],
)
async def test_page_of_another_site_changes_nothing(
    connect: Connect, fields: dict[str, str], content_type: str
) -> None:
    client = await connect()
    for method, path in (("POST", "/v1/lifecycle/drain"), ("PUT", "/v1/pools/new")):
        response = await client.request(
            method, path, data=b"{}", headers={**fields, "Content-Type": content_type}
        )
        await problem(response, 403)


async def test_form_of_our_own_site_is_not_what_is_understood(connect: Connect) -> None:
    client = await connect()
    response = await client.put("/v1/pools/new", data=b"{}", headers={"Content-Type": "text/plain"})
    await problem(response, 415)


async def test_link_from_elsewhere_leads_to_the_page(connect: Connect) -> None:
    client = await connect()
    fields = {"Referer": "https://example.com/", "Sec-Fetch-Site": "cross-site"}
    assert (await client.get("/docs", headers=fields)).status == 200
