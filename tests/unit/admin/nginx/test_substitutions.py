"""``proxy_redirect``, ``proxy_cookie_domain`` and ``proxy_cookie_path``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.admin.nginx.conf import document, faults, location, server

DEFAULT = {"prefix": "http://backend/", "to": "/"}


def rules(*blocks: str) -> list[dict[str, Any]]:
    """Return the response rules of every route of a server."""
    return [each["response_headers"] for each in document(server(*blocks))["routes"].values()]


def redirects(*blocks: str) -> list[list[dict[str, Any]] | None]:
    made = rules(*blocks)
    assert all(
        each.get("absolute_location") == ("rewrite_location" in each or None) for each in made
    )
    return [each.get("rewrite_location") for each in made]


@pytest.mark.parametrize(
    ("path", "to", "expected"),
    [
        ("/", "http://backend", DEFAULT),
        ("/a/", "http://backend/", {"prefix": "http://backend/", "to": "/a/"}),
        ("/a/", "http://backend/b", {"prefix": "http://backend/b", "to": "/a/"}),
        ("= /a", "http://backend/b", {"prefix": "http://backend/b", "to": "/a"}),
        ("^~ /a", "http://backend/b", {"prefix": "http://backend/b", "to": "/a"}),
        ("~ ^/a", "http://backend", DEFAULT),
        ("/a", "http://127.0.0.1:1", {"prefix": "http://127.0.0.1:1/", "to": "/"}),
        ("/a", "http://unix:/run/s", {"prefix": "http://unix:/run/s/", "to": "/"}),
        ("/a", "http://unix:/run/s:/", {"prefix": "http://unix:/run/s:/", "to": "/a"}),
    ],
)
def test_redirects_are_rewritten_by_default(path: str, to: str, expected: dict[str, str]) -> None:
    assert redirects(location(path=path, to=to)) == [[expected]]
    written = location("proxy_redirect default;", path=path, to=to)
    assert redirects(written) == [[expected]]


def test_redirects_are_left_alone_where_the_address_varies_or_it_is_off() -> None:
    assert redirects(location(to="http://backend$request_uri")) == [None]
    assert redirects(location("proxy_redirect off;")) == [None]
    assert redirects("proxy_redirect off;", location()) == [None]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("http://a/ /b/", {"prefix": "http://a/", "to": "/b/"}),
        ("'' x", {"prefix": "", "to": "x"}),
        ("http://$proxy_host/ $scheme://$http_host/", {"prefix": "http://backend/",
                                                       "to": "$scheme://$http_host/"}),
        (r"~^http://([^:]+):\d+(/.+)$ $1$2", {"match": r"^http://([^:]+):\d+(/.+)$", "to": "$1$2"}),
        ("~*a b", {"match": "a", "ignore_case": True, "to": "b"}),
    ],
)  # fmt: skip
def test_redirects_are_rewritten_as_written(written: str, expected: dict[str, Any]) -> None:
    assert redirects(location(f"proxy_redirect {written};")) == [[expected]]


def test_redirects_are_inherited_all_or_none() -> None:
    outer = "proxy_redirect a b; proxy_redirect c d;"
    inherited = [{"prefix": "a", "to": "b"}, {"prefix": "c", "to": "d"}]
    assert redirects(outer, location()) == [inherited]
    assert redirects(outer, location("proxy_redirect e f;")) == [[{"prefix": "e", "to": "f"}]]
    both = location("proxy_redirect e f; proxy_redirect default;")
    assert redirects(outer, both) == [[{"prefix": "e", "to": "f"}, DEFAULT]]


def test_location_within_another_inherits_what_that_does_by_default() -> None:
    inner = location(path="/a/b/", to="http://127.0.0.1:1")
    made = redirects(location(inner, path="/a/", to="http://backend/x/"))
    assert made == [[{"prefix": "http://backend/x/", "to": "/a/"}]] * 2
    off = location(inner, "proxy_redirect off;", path="/a/")
    assert redirects(off) == [None, None]
    unpassed = f"location /a/ {{ {inner} }}"
    assert redirects(unpassed) == [[{"prefix": "http://127.0.0.1:1/", "to": "/"}]]


@pytest.mark.parametrize(
    ("directive", "key", "expected"),
    [
        ("proxy_cookie_domain a.test b.test", "domain", {"exact": "a.test", "to": "b.test"}),
        ("proxy_cookie_domain .a.test .b.test", "domain", {"exact": ".a.test", "to": ".b.test"}),
        ("proxy_cookie_domain $http_x $host", "domain", {"exact": "$http_x", "to": "$host"}),
        ("proxy_cookie_domain ~^(a) $1", "domain",
         {"match": "^(a)", "ignore_case": True, "to": "$1"}),
        ("proxy_cookie_path /a/ /", "path", {"prefix": "/a/", "to": "/"}),
        ("proxy_cookie_path ~^/a(.*)$ $1", "path", {"match": "^/a(.*)$", "to": "$1"}),
        ("proxy_cookie_path ~*a b", "path", {"match": "a", "ignore_case": True, "to": "b"}),
    ],
)  # fmt: skip
def test_cookies_are_rewritten(directive: str, key: str, expected: dict[str, Any]) -> None:
    (made,) = rules(f"{directive};", location())
    assert made[f"rewrite_cookie_{key}"] == [expected]
    (made,) = rules(f"{directive};", location(f"{directive.split()[0]} off;"))
    assert f"rewrite_cookie_{key}" not in made


def test_cookie_rules_are_tried_in_their_order() -> None:
    (made,) = rules(location("proxy_cookie_path /a /b;", "proxy_cookie_path / /c;"))
    assert [each["prefix"] for each in made["rewrite_cookie_path"]] == ["/a", "/"]


@pytest.mark.parametrize(
    ("directives", "line", "expected"),
    [
        ("proxy_redirect on;", 6, 'invalid parameter "on"'),
        ("proxy_cookie_domain default;", 6, 'invalid parameter "default"'),
        ("proxy_cookie_path on;", 6, 'invalid parameter "on"'),
        ("proxy_redirect off;\nproxy_redirect a b;", 7, '"proxy_redirect" directive is duplicate'),
        ("proxy_redirect a b;\nproxy_redirect off;", 7, '"proxy_redirect" directive is duplicate'),
        ("proxy_cookie_path off;\nproxy_cookie_path off;", 7, "directive is duplicate"),
        ("proxy_redirect a $;", 6, "invalid variable name"),
        ("proxy_redirect a $9;", 6, "there is no capture $9"),
        ("proxy_redirect ~a(b)$ $2;", 6, "there is no capture $2"),
        ("proxy_cookie_path /a $nope;", 6, "unknown variable $nope"),
        ("proxy_cookie_path /a /b;\nproxy_cookie_path /b $nope;", 7, "unknown variable $nope"),
        ("proxy_cookie_domain ~[ b;", 6, "not an RE2 regular expression"),
    ],
)
def test_what_cannot_be_is_told_at_its_line(directives: str, line: int, expected: str) -> None:
    (fault,) = faults(server(location(directives)))
    assert fault.startswith(f"{line}: ")
    assert expected in fault


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("location / { proxy_redirect default; proxy_pass http://backend; }", "placed after"),
        (
            "location / { proxy_pass http://backend$request_uri; proxy_redirect default; }",
            "cannot be used with",
        ),
        ("proxy_redirect default; location / { proxy_pass http://backend; }", "placed after"),
    ],
)
def test_default_redirect_needs_an_address_before_it(block: str, expected: str) -> None:
    (fault,) = faults(server(block))
    assert expected in fault
