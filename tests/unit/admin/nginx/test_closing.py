from __future__ import annotations

import re

import pytest

from admin.nginx.closing import wider
from tests.unit.admin.nginx.conf import document, faults, location, server


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"/\.(?!well-known).*", r"/\..*"),
        (r"(?<!x)\.php$", r"\.php$"),
        (r"a(?!b(?:c|d)[)(]\))*e", "ae"),
        (r"a|(?=b)", "a|"),
        (r"(?>a+)b++c{2}+", "(?:a+)b+c{2}"),
        (r"[(?!x](?=y)z", "[(?!x]z"),
        (r"[]a](?=b)c", "[]a]c"),
        (r"\(?!x(?!y)", r"\(?!x"),
        (r"(a)\1", ""),
        (r"(?(1)a|b)", ""),
        (r"x\Q(?!a)\Ey(?!z)", ""),
        (r"a(?#(?!)b(?!c)", ""),
    ],
)
def test_expression_becomes_one_that_finds_at_least_as_much(pattern: str, expected: str) -> None:
    assert wider(pattern) == expected


@pytest.mark.parametrize(
    "pattern", [r"^/a(?!b)", r"(?<=/)b", r"^/(?!a|b)[a-c]+(?=/)", r"(?:a|b)++(?!b)c"]
)
def test_wider_expression_finds_whatever_the_other_does(pattern: str) -> None:
    narrow, wide = re.compile(pattern), re.compile(wider(pattern))
    texts = [f"/{a}{b}{c}" for a in "abc/" for b in "abc/" for c in "abc/"]
    found = [text for text in texts if narrow.search(text)]
    assert found
    assert all(wide.search(text) for text in found)


@pytest.mark.parametrize(
    "closing",
    [
        "deny all;",
        "deny 10.0.0.1; proxy_pass http://backend;",
        "auth_basic secret; proxy_pass http://backend;",
        "return 404;",
        "if ($arg_a) { return 403; }",
        "internal;",
        "location ~ a { deny all; }",
    ],
)
def test_location_that_is_left_out_turns_everybody_away_if_it_turned_some_away(
    closing: str,
) -> None:
    text = server(location(), f"location ~* /[.](?!well-known) {{ {closing} }}")
    assert faults(text)
    routes = document(text, lenient=True)["routes"].values()
    assert [route for route in routes if "respond" in route] == [
        {"path": {"regex": "/[.]", "ignore_case": True}, "respond": {"status": 403}}
    ]


def test_location_that_is_left_out_and_closed_nothing_leaves_nothing() -> None:
    text = server(location(), "location ~ a(?!b) { proxy_pass http://backend; add_header X a; }")
    assert len(document(text, lenient=True)["routes"]) == 1


def test_location_for_a_question_mark_stays_closed_too() -> None:
    text = server(location(), "location '/x?' { deny all; }")
    routes = document(text, lenient=True)["routes"].values()
    assert [route["path"] for route in routes if "respond" in route] == [{"regex": r"^/x\?"}]
