"""``access_log`` of listeners and routes: what it says, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from admin.documents.document import Validated, effective, validate
from admin.documents.faults import DocumentError
from admin.translate import to_spec
from proxy.spec import LogSpec


def raw(access_log: Any = None, route: Any = None) -> dict[str, Any]:
    """Write a document with these logs."""
    listener: dict[str, Any] = {"bind": "127.0.0.1:0"}
    all_: dict[str, Any] = {"path": {"regex": "^/(?<one>.*)"}, "pool": "b"}
    if access_log is not None:
        listener["access_log"] = access_log
    if route is not None:
        all_["access_log"] = route
    return {
        "listeners": {"public": listener},
        "pools": {"b": {"endpoints": {"127.0.0.1:1": {}}}},
        "header_maps": {"kind": {"source": "$http_x"}},
        "routes": {"all": all_},
    }


def faults(document: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        validate(document)
    except DocumentError as error:
        return [(fault.path, fault.message) for fault in error.faults]
    return []


def test_off_and_absent_are_told_apart() -> None:
    spec = to_spec(validate(raw("off")))
    assert spec.listeners["public"].access_log == ()
    assert spec.routes["all"].access_log is None


def test_log_has_defaults_and_devices_are_streams() -> None:
    document = validate(raw([{}, {"to": "/dev/stdout", "format": "combined"}], [{"to": "stderr"}]))
    spec = to_spec(document)
    assert spec.listeners["public"].access_log == (
        LogSpec(),
        LogSpec(to="stdout", format="combined"),
    )
    assert spec.routes["all"].access_log == (LogSpec(to="stderr"),)
    assert effective(document)["listeners"]["public"]["access_log"][0] == {
        "to": "stderr",
        "format": "json",
    }


def test_route_may_log_its_captures_and_both_what_logs_know() -> None:
    log = [{"format": "$request_time $kind $sent_http_x", "when": "$body_bytes_sent"}]
    own = [{"format": "$one $request_time ", "escape": "json"}]
    assert faults(raw(log, own)) == []


@pytest.mark.parametrize(
    ("access_log", "where", "message"),
    [
        (False, "", "false is not a list or `off`"),
        ("on", "", "'on' is not a list or `off`"),
        ({}, "", "an object is not a list or `off`"),
        ([], "", "a list without entries"),
        ([{}] * 21, "", "has too many entries"),
        (["stderr"], "/0", "'stderr' is not an object"),
        ([{}, {"to": "x"}], "/1/to", "'x' is no place for a log"),
        ([{"to": "/etc/passwd"}], "/0/to", "the name of '/etc/passwd' does not end in .log"),
        ([{"format": "jsn"}], "/0/format", "'jsn' is not a log format"),
        ([{"format": "$nope"}], "/0/format", "unknown variable $nope"),
        ([{"when": "$nope"}], "/0/when", "unknown variable $nope"),
        ([{"format": "json", "escape": "json"}], "/0/escape",
         "means something only with a format of your own"),
        ([{"format": "$uri ", "escape": "html"}], "/0/escape",
         "'html' is not `default`, `json` or `none`"),
        ([{"formt": "json"}], "/0/formt", "unknown key 'formt'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_fault_where_it_stands(
    access_log: Any, where: str, message: str
) -> None:
    assert faults(raw(access_log)) == [(f"/listeners/public/access_log{where}", message)]
    assert faults(raw(None, access_log)) == [(f"/routes/all/access_log{where}", message)]


def test_listener_has_no_captures_to_log() -> None:
    (fault,) = faults(raw([{"format": "$one "}]))
    assert fault == ("/listeners/public/access_log/0/format", "unknown variable $one")


@pytest.mark.parametrize("log", [{"format": "$nope"}, {"format": "json", "escape": "none"}])
def test_fault_is_found_in_what_is_new(log: dict[str, str]) -> None:
    good = raw()
    previous = Validated(good, validate(good))
    with pytest.raises(DocumentError):
        validate(raw([log]), previous)
    assert validate(raw([{}]), previous).listeners["public"].access_log is not None
