"""Who is believed, who the client is, and what the upstream is told."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.headers import forwarded
from proxy.headers.forwarded import (
    FORWARDING_DROPPED_TRUSTED,
    FORWARDING_DROPPED_UNTRUSTED,
    MAX_HOPS,
    X_FORWARDED,
    client_ip,
    forwarding_lines,
)
from proxy.networks import Networks
from tests.unit.headers.samples import request

PRIVATE = Networks(["10.0.0.0/8", "fd00::/8", "192.0.2.7"])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), b"10.0.0.1"),
        (("203.0.113.9",), b"203.0.113.9"),
        (("1.1.1.1, 203.0.113.9, 10.0.0.2",), b"203.0.113.9"),
        (("1.1.1.1", "203.0.113.9", "10.0.0.2"), b"203.0.113.9"),
        (("10.0.0.3, 10.0.0.2",), b"10.0.0.3"),
        (("203.0.113.9, unknown, 10.0.0.2",), b"10.0.0.2"),
        (("unknown",), b"10.0.0.1"),
        (("203.0.113.9:567",), b"203.0.113.9"),
        (("[2001:DB8::1]:5",), b"2001:db8::1"),
        (("[2001:db8::1]",), b"2001:db8::1"),
        (("2001:0db8::1",), b"2001:db8::1"),
        (("::ffff:203.0.113.9",), b"203.0.113.9"),
        (("203.0.113.9,, ,\t10.0.0.2 ,",), b"203.0.113.9"),
        (("203.0.113.9:0",), b"10.0.0.1"),
        (("203.0.113.9:99999",), b"10.0.0.1"),
        (("203.0.113.9:x",), b"10.0.0.1"),
        (("203.0.113.9:",), b"10.0.0.1"),
        (("[203.0.113.9]:1",), b"10.0.0.1"),
        (("[::1]5",), b"10.0.0.1"),
        (("[::1]:",), b"10.0.0.1"),
        (("fe80::1%eth0",), b"10.0.0.1"),
        (("unix:",), b"10.0.0.1"),
        (("9" * 5000,), b"10.0.0.1"),
    ],
)
def test_client_is_the_rightmost_untrusted_address(lines: tuple[str, ...], expected: bytes) -> None:
    made = request(*(("X-Forwarded-For", line) for line in lines), address=b"10.0.0.1")
    assert client_ip(made, PRIVATE) == expected


@pytest.mark.parametrize("trusted", [PRIVATE, Networks([])])
def test_untrusted_peer_is_the_client_itself(trusted: Networks) -> None:
    made = request(("X-Forwarded-For", "1.1.1.1"), address=b"203.0.113.1")
    assert client_ip(made, trusted) == b"203.0.113.1"


def test_way_longer_than_the_limit_is_cut() -> None:
    way = ["1.1.1.1", *(f"10.0.1.{n}" for n in range(MAX_HOPS))]
    made = request(("X-Forwarded-For", ", ".join(way)), address=b"10.0.0.1")
    assert client_ip(made, PRIVATE) == b"10.0.1.0"


@given(st.binary() | st.text("1234567890.:[]af, ").map(str.encode))
def test_garbage_way_never_raises(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    made = request(("X-Forwarded-For", text), address=b"10.0.0.1")
    address = client_ip(made, PRIVATE)
    assert ip_address(address.decode())


def test_memory_of_addresses_is_bounded() -> None:
    assert forwarded._address.cache_info().maxsize == forwarded.ADDRESSES


CLAIMS = (
    ("X-Forwarded-For", "1.1.1.1"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "outer.example.org"),
)


def test_claims_of_an_untrusted_peer_are_replaced() -> None:
    assert forwarding_lines(request(("Host", "App:80"), *CLAIMS), False) == (
        b"X-Forwarded-For: 192.0.2.1\r\n"
        b"X-Forwarded-Proto: http\r\n"
        b"X-Forwarded-Host: App:80\r\n"
        b"X-Request-Id: id-1\r\n"
    )


def test_claims_of_a_trusted_peer_are_kept_and_the_way_grows() -> None:
    made = request(("Host", "App"), *CLAIMS, ("x-forwarded-for", ""), ("x-forwarded-for", "b"))
    assert forwarding_lines(made, True) == (
        b"X-Forwarded-For: 1.1.1.1, b, 192.0.2.1\r\nX-Request-Id: id-1\r\n"
    )


def test_trusted_peer_without_claims_gets_them_filled_in() -> None:
    made = request(("Host", "App"))
    assert forwarding_lines(made, True) == forwarding_lines(made, False)


def test_request_without_host_has_no_forwarded_host() -> None:
    assert b"Host" not in forwarding_lines(request(), False)


@pytest.mark.parametrize(
    "name", [b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id"]
)
@pytest.mark.parametrize("trusted", [True, False])
def test_line_that_a_rule_replaces_is_left_out(name: bytes, trusted: bool) -> None:
    made = request(("Host", "App"))
    lines = forwarding_lines(made, trusted).splitlines(keepends=True)
    kept = b"".join(line for line in lines if not line.lower().startswith(name))
    assert len(kept) < len(b"".join(lines))
    assert forwarding_lines(made, trusted, {name}) == kept


def test_dropped_names_are_lower_case_and_cover_what_is_written() -> None:
    written = {
        line.split(b":")[0].lower()
        for line in forwarding_lines(request(("Host", "App")), False).splitlines()
    }
    assert written <= FORWARDING_DROPPED_UNTRUSTED
    assert FORWARDING_DROPPED_TRUSTED <= FORWARDING_DROPPED_UNTRUSTED
    assert {b"forwarded", b"x-real-ip"} <= FORWARDING_DROPPED_UNTRUSTED
    assert all(name == name.lower() for name in FORWARDING_DROPPED_UNTRUSTED)
    others = FORWARDING_DROPPED_UNTRUSTED - {b"forwarded", b"x-real-ip", b"x-request-id"}
    assert all(name.startswith(X_FORWARDED) for name in others)
