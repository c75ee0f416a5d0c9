"""``access_log`` and ``log_format`` in a document; what ``error_log`` means."""

from __future__ import annotations

from typing import Any

import pytest

from admin.nginx.report import Verdict
from tests.unit.admin.nginx.conf import document, faults, http, imported, location, server, verdict

FORMAT = "log_format main '$remote_addr $request';"
MAIN = {"to": "/a.log", "format": "$remote_addr $request"}


def site(*parts: str, before: str = FORMAT) -> str:
    """Write a file with formats, and a server of these parts."""
    return http(before, "server { listen 127.0.0.1:8080;", *parts, "}")


def logs(*parts: str, before: str = FORMAT) -> tuple[Any, Any]:
    """Return the logs of the listener and of the route."""
    made = document(site(*parts, before=before))
    (listener,), (route,) = made["listeners"].values(), made["routes"].values()
    return listener.get("access_log"), route.get("access_log")


def test_log_without_a_format_is_combined() -> None:
    assert logs("access_log /a.log;", location()) == (
        [{"to": "/a.log", "format": "combined"}],
        None,
    )


@pytest.mark.parametrize(
    ("directive", "to"),
    [
        ("access_log /dev/stdout main;", "stdout"),
        ("access_log /dev/stderr main;", "stderr"),
        ("access_log '' main;", "stderr"),
        ("access_log /a.log main buffer=32k flush=5m;", "/a.log"),
        ("access_log /a.log main gzip=4 flush=1s;", "/a.log"),
    ],
)
def test_named_format_is_written_out(directive: str, to: str) -> None:
    listener, route = logs(directive, location())
    assert (listener, route) == ([MAIN | {"to": to}], None)


def test_condition_and_escape_are_kept() -> None:
    before = 'map $http_x $wanted { default 1; } log_format j escape=json \'{"a":"$host"}\';'
    listener, _ = logs("access_log /a.log j if=$wanted;", location(), before=before)
    form = '{"a":"$host"}'
    assert listener == [{"to": "/a.log", "format": form, "escape": "json", "when": "$wanted"}]


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        ("'$host' 'x'", "${host}x"),
        ("'$host' ' x'", "$host x"),
        ("'${host}' 'x'", "${host}x"),
        ("'$request|$document_uri' '|$server_name|$proxy_host'", "$request|$document_uri||backend"),
        ("'$ssl_protocol $gzip_ratio '", "- - "),
        ("escape=json '$ssl_protocol|$upstream_cache_status'", "|"),
    ],
)
def test_strings_of_a_format_are_joined_and_say_what_they_say_in_nginx(
    text: str, format_: str
) -> None:
    found = logs(location("access_log /a.log f;"), before=f"log_format f {text};")[1]
    assert found[0]["format"] == format_


def test_nearest_level_decides_and_several_logs_stay_several() -> None:
    text = site(
        "access_log /a.log main; access_log /b.log;",
        location(path="/in/"),
        location("access_log off;", path="/off/"),
        location("access_log /c.log;", path="/own/"),
        location("access_log /d.log; access_log off;", path="/both/"),
    )
    made = document(text)
    (listener,) = made["listeners"].values()
    assert listener["access_log"] == [MAIN, {"to": "/b.log", "format": "combined"}]
    routes = {name: route.get("access_log") for name, route in made["routes"].items()}
    assert routes == {
        "in": None,
        "off": "off",
        "own": [{"to": "/c.log", "format": "combined"}],
        "both": "off",
    }


def test_server_that_says_nothing_beside_one_that_does_logs_as_the_process_would() -> None:
    text = http(
        "server { listen 127.0.0.1:8080; access_log off;", location(), "}",
        "server { listen 127.0.0.1:8080; server_name b;", location(), "}",
    )  # fmt: skip
    made = document(text)
    (listener,) = made["listeners"].values()
    assert listener["access_log"] == "off"
    assert made["routes"]["root"].get("access_log") is None
    assert made["routes"]["b-root"]["access_log"] == [{"to": "stderr"}]
    lines = [line for line in imported(text).report.lines() if "--access-log" in line]
    assert len(lines) == 1
    assert "approximated: server" in lines[0]


def test_file_that_says_nothing_of_logs_has_none_and_says_so() -> None:
    text = site(location())
    assert logs(location()) == (None, None)
    (line,) = [line for line in imported(text).report.lines() if "--access-log" in line]
    assert "approximated: http" in line


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        ("access_log syslog:server=127.0.0.1;", "syslog is not written to"),
        ("access_log /var/log/$host.log;", "variables in the path of a log"),
        ("access_log logs/access.log;", "a path relative to where nginx was installed"),
        ("access_log stderr;", "a path relative to where nginx was installed"),
        ("access_log /var/log/access;", "does not end in .log"),
        ("access_log /a/../b.log;", "is no place for a log"),
        ("log_format bad '$request_body'; access_log /a.log bad;", "there is no $request_body"),
        ("log_format bad 'word'; access_log /a.log bad;", "a format of one word"),
    ],
)
def test_log_that_cannot_be_is_refused_and_left_out_if_lenient(directive: str, said: str) -> None:
    text = http(directive, "server { listen 127.0.0.1:8080;", location(), "}")
    (found,) = faults(text)
    assert found.startswith("4: ")
    assert said in found
    (listener,) = document(text, lenient=True)["listeners"].values()
    assert "access_log" not in listener


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        ("access_log /a.log nope;", 'unknown log format "nope"'),
        ("access_log /a.log combined foo;", 'invalid parameter "foo"'),
        ("access_log /a.log combined flush=1s;", "no buffer is defined"),
        ("access_log /a.log combined gzip=x;", 'invalid parameter "gzip=x"'),
        ("access_log /a.log combined buffer=x;", 'invalid size "x"'),
        ("access_log off combined;", 'invalid parameter "combined"'),
        ("log_format combined x;", 'duplicate "log_format" name "combined"'),
        ("log_format a '$host'; log_format a '$host';", 'duplicate "log_format" name "a"'),
        ("log_format a escape=x '$host';", 'unknown log format escaping "x"'),
        ("log_format a '$'; access_log /a.log a;", "invalid variable name"),
        ("log_format a '$nope x'; access_log /a.log a;", "unknown variable $nope"),
        ("access_log /a.log combined if=$nope;", "unknown variable $nope"),
        ("error_log /x loud;", 'invalid log level "loud"'),
    ],
)
def test_what_nginx_does_not_take_is_a_fault_where_it_stands(directive: str, said: str) -> None:
    found = faults(http(directive, "server { listen 127.0.0.1:8080;", location(), "}"))
    assert len(found) == 1
    assert found[0].startswith("4: ")
    assert said in found[0]


def test_format_that_nothing_uses_is_not_looked_into() -> None:
    text = site(location(), before="log_format unused '$request_body';")
    assert faults(text) == []


def test_compression_is_told_to_be_missing() -> None:
    text = site("access_log /a.log main gzip;", location())
    assert verdict(text, "access_log") is Verdict.APPROXIMATED
    assert verdict(text.replace(" gzip", ""), "access_log") is Verdict.KEPT


@pytest.mark.parametrize(
    ("level", "meant"),
    [("", "error"), (" debug", "debug"), (" notice", "info"), (" warn", "warning"),
     (" crit", "error"), (" debug_http", "debug")],
)  # fmt: skip
def test_error_log_is_told_as_a_level_of_our_log(level: str, meant: str) -> None:
    lines = imported(server(location(f"error_log /x{level};"))).report.lines()
    (line,) = [line for line in lines if "error_log" in line]
    assert "approximated" in line
    assert f"--log-level {meant} " in line


@pytest.mark.parametrize("directive", ["open_log_file_cache off;", "log_not_found off;"])
def test_what_changes_nothing_is_accepted(directive: str) -> None:
    assert verdict(server(location(directive)), directive.split()[0]) is Verdict.KEPT
