from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from admin.api.docs import inline, page
from admin.api.openapi import document
from admin.api.schemas import type_of
from admin.api.table import OPERATIONS
from tests.unit.admin.conftest import Client

VOID = {"meta", "br", "link", "img"}


class Page(HTMLParser):
    """Collects ids and links, and checks that elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value is not None:
                self.ids.append(value)
            if name in ("href", "src") and value is not None:
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text() -> str:
    return page(document(), "http://127.0.0.1:9901")


def test_page_is_well_formed(text: str) -> None:
    parsed = Page(text)
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))


def test_page_loads_and_runs_nothing(text: str) -> None:
    parsed = Page(text)
    assert not parsed.tags & {"script", "link", "img", "iframe", "object"}
    assert [link for link in parsed.links if not link.startswith(("#", "/"))] == []
    assert "url(" not in text


def test_every_link_within_the_page_leads_somewhere(text: str) -> None:
    parsed = Page(text)
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)


def test_every_operation_and_schema_has_a_place(text: str) -> None:
    ids = set(Page(text).ids)
    assert {operation.name for operation in OPERATIONS} <= ids
    assert {f"schema-{name}" for name in document()["components"]["schemas"]} <= ids


def test_examples_have_real_names_and_valid_quoting(text: str) -> None:
    examples = re.findall(r"<pre><code>(.*?)</code></pre>", text, re.DOTALL)
    assert len(examples) == len(OPERATIONS)
    assert not [one for one in examples if "/{" in one]
    assert any("/v1/pools/backend/endpoints/127.0.0.1:8001" in one for one in examples)


def test_text_is_escaped_and_backticks_become_code() -> None:
    assert inline("a `<b>` & ``c``") == "a <code>&lt;b&gt;</code> &amp; <code>c</code>"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer", "minimum": 1}, "integer <small>(&ge; 1)</small>"),
        ({"enum": ["a", "<"]}, "<code>&quot;a&quot;</code> | <code>&quot;&lt;&quot;</code>"),
        ({"const": 1}, "<code>1</code>"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "map of string"),
        ({"$ref": "#/components/schemas/Pool"}, '<a href="#schema-Pool">Pool</a>'),
        ({"type": "object"}, "object"),
        ({}, "any value"),
    ],
)
def test_schema_in_words(schema: dict[str, object], words: str) -> None:
    assert type_of(schema) == words


async def test_docs_are_html_under_a_strict_policy(client: Client) -> None:
    response = await client.get("/docs", headers={"Accept": "text/html"})
    assert (response.status, response.content_type) == (200, "text/html")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert str(client.server.port) in await response.text()


async def test_host_of_the_request_is_escaped(client: Client) -> None:
    response = await client.get("/docs", headers={"Host": "localhost:1<script>"})
    assert "<script>" not in await response.text()
