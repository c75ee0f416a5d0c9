from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import AsyncIterator, Callable
from zlib import compress

import aiohttp
import pytest
from aiohttp import web

from admin.api import media
from admin.api.media import BODY_BYTES, HTML, JSON, YAML, choose, read_body
from admin.api.problems import Problem
from admin.demo import ANYWHERE
from admin.documents.loading import MAX_YAML_BYTES
from admin.listening import listening
from tests.unit.admin.api.answers import ok, problem
from tests.unit.admin.conftest import Client


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/yaml", YAML),
        ("Application/YAML", YAML),
        ("application/json;q=0.5, application/yaml", YAML),
        ("application/yaml;q=0.5, */*;q=0.4", YAML),
        ("text/html, application/yaml;q=0.1", YAML),
        ("application/json;q=0, */*", YAML),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
    ],
)
def test_best_offered_type_is_chosen(accept: str, chosen: str) -> None:
    assert choose(accept, (JSON, YAML)) == chosen


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*;q=0", "text/*"])
def test_nothing_acceptable_is_406(accept: str) -> None:
    with pytest.raises(Problem) as refusal:
        choose(accept, (JSON, YAML))
    assert refusal.value.status == 406


def test_quality_that_is_no_number_is_400() -> None:
    with pytest.raises(Problem) as refusal:
        choose("text/html;q=high", (HTML,))
    assert refusal.value.status == 400


@pytest.mark.parametrize("path", ["/v1/config", "/v1/pools", "/v1/pools/backend", "/v1/status"])
async def test_other_accept_is_406(client: Client, path: str) -> None:
    await problem(await client.get(path, headers={"Accept": "application/xml"}), 406)


async def test_accept_is_checked_before_anything_is_written(client: Client) -> None:
    response = await client.put("/v1/pools/new", json={}, headers={"Accept": "text/html"})
    await problem(response, 406)
    await problem(await client.get("/v1/pools/new"), 404)


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=latin-1"],
)
async def test_put_of_another_type_is_415(client: Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = await client.put("/v1/pools/new", data=b"{}", headers=headers)
    body = await problem(response, 415)
    assert "application/json" in body["errors"][0]["hint"]
    assert response.headers["Accept"] == "application/json, application/yaml"


@pytest.mark.parametrize("content_type", ["application/yaml", "application/json-patch+json"])
async def test_patch_of_another_type_is_415(client: Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = await client.patch("/v1/pools/spare", data=b"{}", headers=headers)
    await problem(response, 415)
    assert response.headers["Accept-Patch"] == "application/merge-patch+json, application/json"


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"]
)
async def test_json_is_known_by_its_type(client: Client, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    await ok(await client.put("/v1/pools/new", data=b"{}", headers=headers), 201)


async def test_body_without_a_type_is_taken_for_json(client: Client) -> None:
    response = await client.put("/v1/pools/new", data=b"{}", skip_auto_headers=["Content-Type"])
    await ok(response, 201)


async def sent(data: bytes, coding: str) -> tuple[int, str]:
    """Send a packed body over a listener of ours; return the status, and what was understood."""

    async def read(request: web.Request) -> web.Response:
        try:
            return web.json_response((await read_body(request, (JSON,))).value)
        except Problem as refused:
            return refused.response()

    app = web.Application(client_max_size=BODY_BYTES)
    app.router.add_put("/", read)
    headers = {"Content-Encoding": coding, "Content-Type": JSON}
    async with (
        listening(app, ANYWHERE) as where,
        aiohttp.ClientSession() as session,
        session.put(f"http://{where}/", data=data, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", compress)]
)
async def test_packed_body_is_unpacked(coding: str, pack: Callable[[bytes], bytes]) -> None:
    assert await sent(pack(b'{"a": 1}'), coding) == (200, '{"a": 1}')


async def test_identity_is_no_coding() -> None:
    assert await sent(b"{}", "identity") == (200, "{}")


@pytest.mark.parametrize(
    ("data", "coding", "status"),
    [
        (gzip.compress(b" " * (BODY_BYTES + 1)), "gzip", 413),
        (gzip.compress(b'{"a": 1}')[:-9], "gzip", 400),
        (b'{"a": 1}', "gzip", 400),
        (b"{}", "br", 415),
    ],
    ids=["too much", "cut off", "not packed", "unknown"],
)
async def test_body_that_cannot_be_unpacked_is_refused(
    data: bytes, coding: str, status: int
) -> None:
    assert (await sent(data, coding))[0] == status


async def test_body_that_does_not_arrive_is_408(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "BODY_TIMEOUT_S", 0.01)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    headers = {"Content-Type": "application/json"}
    await problem(await client.put("/v1/pools/new", data=stuck(), headers=headers), 408)


async def test_yaml_over_its_own_limit_is_413(client: Client) -> None:
    headers = {"Content-Type": "application/yaml"}
    data = io.BytesIO(b"#" * (MAX_YAML_BYTES + 1))
    await problem(await client.put("/v1/config", data=data, headers=headers), 413)
