"""Every directive has a verdict, and what is refused stops the import."""

from __future__ import annotations

import pytest
from crossplane.analyzer import DIRECTIVES

from admin.nginx.reading import Directive, read_tree
from admin.nginx.report import Verdict
from admin.nginx.verdicts import ACCEPTED, APPROXIMATED, BUILT
from tests.unit.admin.nginx.conf import (
    MAPPED,
    RICH,
    SIMPLE,
    document,
    faults,
    http,
    imported,
    location,
    server,
    verdict,
    write,
)


def everything(tree: tuple[Directive, ...]) -> list[str]:
    return [
        line
        for directive in tree
        for line in (f"{directive.place.line} {directive}", *everything(directive.block or ()))
    ]


@pytest.mark.parametrize("text", [SIMPLE, MAPPED, RICH])
def test_every_directive_has_a_verdict(text: str) -> None:
    notes = imported(text, lenient=True).report.notes
    said = [f"{directive.place.line} {directive}" for directive in notes]
    assert sorted(said) == sorted(everything(read_tree(write(text))))


def test_every_directive_of_the_tables_exists_in_nginx() -> None:
    younger = {"keepalive_time"}  # than crossplane's tables
    assert (BUILT | ACCEPTED.keys() | APPROXIMATED.keys()) - younger <= DIRECTIVES.keys()
    assert not BUILT & (ACCEPTED.keys() | APPROXIMATED.keys())


@pytest.mark.parametrize(
    "directive",
    [
        "limit_except GET { deny all; }",
        "try_files $uri =404;",
        "proxy_cache zone;",
        "proxy_bind 127.0.0.2;",
        "proxy_ignore_client_abort on;",
        "auth_basic secret;",
        "more_set_headers 'X-A: b';",
        "proxy_set_header Content-Length '';",
        "proxy_set_header X-A $request_body;",
        "proxy_cookie_flags ~ secure;",
        "proxy_redirect ~(?=a) /;",
        "proxy_redirect $request_body /;",
        "proxy_cookie_domain ~(?!a) b;",
        "proxy_cookie_path / $request_body;",
        "add_header Transfer-Encoding a;",
        "add_header Content-Length 1;",
        "location /files/ { root /srv; }",
    ],
)
def test_what_cannot_be_said_is_refused_and_left_out_if_lenient(directive: str) -> None:
    text = server(location(directive))
    found = faults(text)
    name = directive.split()[0].rstrip(";")
    assert len(found) == 1
    assert found[0].startswith(f"6: {name}")
    (route,) = document(text, lenient=True)["routes"].values()
    assert route["pool"] == "backend"


@pytest.mark.parametrize(
    "directive",
    [
        "ssl on;",
        "listen 127.0.0.1:8443 ssl;",
        "listen 127.0.0.1:8443 proxy_protocol;",
        "server_name $host;",
        "server_name ~(?=a)b;",
        "location /files/ { root /srv; }",
    ],
)
def test_what_a_server_cannot_have_is_refused(directive: str) -> None:
    text = server(directive, location())
    assert [fault.partition(":")[0] for fault in faults(text)] == ["5"]
    assert len(document(text, lenient=True)["routes"]) == 1


def test_refusal_says_what_to_do() -> None:
    lines = list(imported(server(location("auth_request /a;")), lenient=True).report.lines())
    assert [line.partition(": ")[2] for line in lines if "refused" in line] == [
        "refused: auth_request /a: hotsplice does not authenticate "
        "(let the upstream check; with --lenient nobody is let in here)"
    ]


@pytest.mark.parametrize(
    ("directives", "access"),
    [
        ("auth_basic a;", [{"deny": ["all"]}]),
        ("auth_request /a;", [{"deny": ["all"]}]),
        ("auth_basic a; allow 10.0.0.1;", [{"deny": ["all"]}]),
        (
            "satisfy any; auth_basic a; allow 10.0.0.1;",
            [{"allow": ["10.0.0.1"]}, {"deny": ["all"]}],
        ),
        ("auth_basic off;", None),
    ],
)
def test_lenient_import_opens_nothing_that_asked_for_more(
    directives: str, access: list[dict[str, list[str]]] | None
) -> None:
    made = document(server(location(directives), location(path="/open")), lenient=True)
    closed, open_ = made["routes"].values()
    assert closed.get("access") == access
    assert "access" not in open_


@pytest.mark.parametrize(
    "directive",
    [
        "ssl_protocols TLSv1.3;",
        "ssl_certificate a.pem;",
        "proxy_ssl_verify on;",
        "proxy_cache_bypass $http_upgrade;",
        "proxy_cache_valid 200 1h;",
        "auth_basic_user_file a;",
        "gzip off;",
        "gzip_vary on;",
    ],
)
def test_directive_that_does_nothing_alone_is_kept(directive: str) -> None:
    assert verdict(server(location(), directive), directive.split()[0]) is Verdict.KEPT


PAGE = "location = /50x.html { root /usr/share/nginx/html; }"


@pytest.mark.parametrize(
    "error_page", ["error_page 500 502 /50x.html;", "error_page 404 /50x.html;"]
)
def test_error_page_that_is_a_file_is_left_out(error_page: str) -> None:
    text = server(error_page, location(), PAGE)
    (route,) = document(text)["routes"].values()
    assert "error_pages" not in route
    assert verdict(text, "error_page") is Verdict.APPROXIMATED


@pytest.mark.parametrize(
    "text",
    [
        server("error_page 404 =200 /50x.html;", location(), PAGE),
        server("error_page 404 /other.html;", location(), PAGE),
        server("error_page 404 /50x.html;", location(), PAGE.replace("root", "alias")),
    ],
)
def test_file_that_is_more_than_an_error_page_is_refused(text: str) -> None:
    assert any("serves no files" in said for said in faults(text))


def test_block_that_is_refused_takes_its_content_along() -> None:
    inner = "location '/x?' { proxy_pass http://backend; proxy_http_version 1.1; }"
    notes = imported(server(location(inner)), lenient=True).report.notes
    assert [str(each) for each in notes if each.name == "proxy_http_version"] == []


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (MAPPED, "error_log", Verdict.APPROXIMATED),
        (MAPPED, "worker_processes", Verdict.KEPT),
        (MAPPED, "map", Verdict.KEPT),
        (server(location("proxy_redirect off;")), "proxy_redirect", Verdict.KEPT),
        (server(location("proxy_buffering off;")), "proxy_buffering", Verdict.KEPT),
        (server(location("add_header X a;")), "add_header", Verdict.KEPT),
        (server(location("add_header X a always;")), "add_header", Verdict.KEPT),
        (server(location("proxy_redirect / /a;")), "proxy_redirect", Verdict.KEPT),
        (server(location("proxy_cookie_path / /a;")), "proxy_cookie_path", Verdict.KEPT),
        (server(location("proxy_hide_header Date;")), "proxy_hide_header", Verdict.APPROXIMATED),
        (server(location("proxy_hide_header TE;")), "proxy_hide_header", Verdict.KEPT),
        (server(location("proxy_ignore_headers Vary;")), "proxy_ignore_headers", Verdict.KEPT),
        (http("upstream b { server a; keepalive 2; }"), "keepalive", Verdict.KEPT),
        (http("upstream b { server a; random; }"), "random", Verdict.KEPT),
        (http("upstream b { server a; hash $uri; }"), "hash", Verdict.KEPT),
        (server(location("proxy_method POST;")), "proxy_method", Verdict.KEPT),
        (server(location("proxy_set_body x;")), "proxy_set_body", Verdict.KEPT),
        (server(location("proxy_set_body '';")), "proxy_set_body", Verdict.APPROXIMATED),
        (
            server(location("proxy_pass_request_body off;")),
            "proxy_pass_request_body",
            Verdict.APPROXIMATED,
        ),
        (
            server(location("client_max_body_size 2m;")),
            "client_max_body_size",
            Verdict.APPROXIMATED,
        ),
        (http("upstream b { server a; hash $uri consistent; }"), "hash", Verdict.KEPT),
    ],
)
def test_difference_is_told_where_there_is_one(text: str, name: str, expected: Verdict) -> None:
    assert verdict(text, name) is expected


@pytest.mark.parametrize(
    ("directive", "other"),
    [
        ("gzip off;", "gzip on;"),
        ("keepalive_disable none;", "keepalive_disable msie6;"),
        ("lingering_close on;", "lingering_close always;"),
        ("proxy_socket_keepalive off;", "proxy_socket_keepalive on;"),
        ("reset_timedout_connection off;", "reset_timedout_connection on;"),
        ("tcp_nodelay on;", "tcp_nodelay off;"),
        ("tcp_nopush on;", "lingering_time 10s;"),
        ("send_lowat 100;", "lingering_timeout 1s;"),
        ("keepalive_requests 10;", "keepalive_time 10m;"),
    ],
)
def test_choice_that_is_made_otherwise_is_approximated(directive: str, other: str) -> None:
    for text, expected in ((directive, Verdict.KEPT), (other, Verdict.APPROXIMATED)):
        made = server(location(text))
        assert verdict(made, text.split()[0]) is expected


def test_unknown_variable_is_a_fault_where_it_stands() -> None:
    assert faults(server(location("proxy_set_header X-A $hots;"))) == ["6: unknown variable $hots"]


def test_variable_that_a_refused_set_would_compute_is_refused_too() -> None:
    text = server(location("auth_request_set $a b;", "proxy_set_header X-A $a;"))
    assert [fault.partition(":")[0] for fault in faults(text)] == ["6", "7"]
    (route,) = document(text, lenient=True)["routes"].values()
    assert "X-A" not in route["request_headers"]["set"]


def test_second_directive_where_one_may_stand_is_a_fault() -> None:
    found = faults(server(location("proxy_read_timeout 1s;", "proxy_read_timeout 2s;")))
    assert found == ['7: "proxy_read_timeout" directive is duplicate']


@pytest.mark.parametrize(
    "closed",
    [
        "limit_except GET { deny all; }",
        "auth_basic secret;",
        "if (-f /tmp/closed) { return 403; }",
        "if ($invalid_referer) { return 444; }",
        'if ($uri ~ "^/(?!public)") { set $a b; return 401 "no"; }',
        "if ($banned) { return 403; }",
    ],
)
def test_what_lenient_leaves_out_opens_nothing(closed: str) -> None:
    text = http(
        "geo $banned { default 0; }",
        *("server { listen 127.0.0.1:8080;", location(closed), "}"),
    )
    (route,) = document(text, lenient=True)["routes"].values()
    assert route.get("access") == [{"deny": ["all"]}] or "respond" in route["steps"][0]


@pytest.mark.parametrize(
    "directive",
    [
        "fastcgi_temp_path /tmp/f;",
        "uwsgi_read_timeout 5s;",
        "grpc_read_timeout 5s;",
        "limit_req_status 429;",
        "limit_conn_log_level warn;",
        "satisfy any;",
    ],
)
def test_what_does_nothing_alone_is_kept(directive: str) -> None:
    assert not faults(server(location(directive)))
