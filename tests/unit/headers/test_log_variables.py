"""Variables that only access logs have."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from proxy.errors import FaultError
from proxy.headers.log_variables import LOG, _time_iso8601, _time_local
from proxy.headers.template import Scope, compile_template
from proxy.headers.variables import is_reserved
from proxy.message import UnusualRequest
from tests.unit.headers.samples import headers, peer, request, response


@pytest.fixture(params=["UTC0", "XYZ-05:30", "ABC+03:30"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_times_are_those_of_the_zone(zone: str) -> None:
    offsets = {"UTC0": ("+0000", "+00:00"), "XYZ-05:30": ("+0530", "+05:30")}
    local, iso = offsets.get(zone, ("-0330", "-03:30"))
    for write, offset in ((_time_local, local), (_time_iso8601, iso)):
        assert write(time.localtime()).endswith(offset)


def test_time_local_is_a_time_of_today() -> None:
    text = LOG["time_local"](request()).decode()
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", text)
    said = time.mktime(time.strptime(text.partition(" ")[0], "%d/%b/%Y:%H:%M:%S"))
    assert abs(time.time() - said) < 60


@pytest.mark.parametrize(
    ("value", "user"),
    [
        ("Basic dXNlcjpwdw==", b"user"),
        ("BASIC   dXNlcjpwdw", b"user"),
        ("Basic dXNlcjo=trailing", b"user"),
        ("Basic OnB3", b""),
        ("Basic dXNlcg==", b""),
        ("Basic ", b""),
        ("Basic a", b""),
        ("Basic !!!!", b""),
        ("Basic ////", b""),
        ("Bearer dXNlcjpwdw==", b""),
        ("", b""),
    ],
)
def test_remote_user_is_the_name_of_basic_credentials(value: str, user: bytes) -> None:
    assert LOG["remote_user"](request(("Authorization", value))) == user


def test_request_is_the_line_as_it_was_sent() -> None:
    assert LOG["request"](request(target=b"/a?b", version_minor=0)) == b"GET /a?b HTTP/1.0"
    odd = UnusualRequest(peer(), b"", b"", 1, (), headers(()), b"")
    odd.line = b"GET  http://x/ HTTP/1.1"
    assert LOG["request"](odd) == b"GET  http://x/ HTTP/1.1"


def test_sizes_and_time_are_of_the_end() -> None:
    one = request()
    names = ("body_bytes_sent", "bytes_sent", "request_time")
    assert [LOG[name](one) for name in names] == [b"0", b"0", b"0.000"]
    one.response = response()
    one.response.head_bytes, one.response.body_bytes, one.response.duration_s = 100, 20, 1.0625
    assert [LOG[name](one) for name in names] == [b"20", b"120", b"1.062"]


@pytest.mark.parametrize("name", set(LOG) - {"time_iso8601"})
def test_variable_of_logs_is_refused_elsewhere_and_its_name_is_taken(name: str) -> None:
    with pytest.raises(FaultError, match="only known in access logs"):
        compile_template(f"${name}", Scope(response=True))
    assert compile_template(f"${name.upper()}", Scope(response=True, log=True)).variables == {name}
    assert is_reserved(name)
