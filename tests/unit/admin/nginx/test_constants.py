"""Variables that ``set`` gives one value, in the address of ``proxy_pass``."""

from __future__ import annotations

import pytest

from tests.unit.admin.nginx.conf import document, faults, http, location, server

DOCKER = "set $app web; set $port 8000; set $proto http;"


@pytest.mark.parametrize(
    ("before", "inside", "to", "pool"),
    [
        ("set $app web:8000;", "", "http://$app", "web-8000"),
        ("", "set $app web:8000;", "http://$app", "web-8000"),
        ("set $app other:1;", "set $app web:8000;", "http://${app}", "web-8000"),
        ("set $app other:1;", "set $App web:8000;", "http://$app", "web-8000"),
        (DOCKER, "", "$proto://$app:$port", "web-8000"),
        ("", DOCKER, "$proto://$app:$port$request_uri", "web-8000"),
        ("set $app backend;", "", "http://$app", "backend"),
    ],
)
def test_address_that_set_gives_is_an_address(before: str, inside: str, to: str, pool: str) -> None:
    (route,) = [
        each
        for each in document(server(before, location(inside, to=to)))["routes"].values()
        if "path" in each
    ]
    assert route["pool"] == pool
    assert "rewrite" not in route
    assert "rewrite_location" not in route["response_headers"], "as nginx with variables"


def test_value_that_set_gives_is_no_part_of_the_name_before_it() -> None:
    (route,) = document(server(location("set $x y;", to="http://backend/$is_args$x$uri$x")))[
        "routes"
    ].values()
    assert route["target"] == "/${is_args}y${uri}y"


def test_query_that_set_gives_is_the_requests_all_the_same() -> None:
    inside = "set $args a=b; rewrite ^ /x?c=d break;"
    (route,) = document(server(location(inside, to="http://backend/$args")))["routes"].values()
    assert route["target"] == "/$args"


@pytest.mark.parametrize(
    "directives",
    [
        "set $app $host;",
        "set $app a:1; if ($args) { set $app b:1; }",
        "if ($args) { set $app a:1; }",
    ],
)
def test_address_that_depends_on_the_request_is_refused(directives: str) -> None:
    (said,) = faults(server(directives, location(to="http://$app")))
    assert "the upstream depends on the request: $app" in said


def test_value_of_another_server_does_not_count() -> None:
    text = http(
        "server { listen 81; set $app a:1; location / { proxy_pass http://backend; } }",
        "server { listen 82; location / { proxy_pass http://$app; } }",
    )
    (said,) = faults(text)
    assert "the upstream depends on the request: $app" in said
