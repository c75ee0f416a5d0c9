"""Who is believed, who the client is, and what the upstream is told."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import istr

from proxy.headers import forwarded
from proxy.headers.forwarded import (
    FORWARDING_DROPPED_TRUSTED,
    FORWARDING_DROPPED_UNTRUSTED,
    MAX_HOPS,
    X_FORWARDED,
    claimed_client,
    forwarding_lines,
)
from proxy.networks import Networks
from tests.unit.headers.samples import request

PRIVATE = Networks(["10.0.0.0/8", "fd00::/8", "192.0.2.7"])
FOR = istr("X-Forwarded-For")
REAL = istr("X-Real-IP")


def client(*lines: str, field: istr = FOR, recursive: bool = True) -> tuple[bytes, int] | None:
    """Return what a trusted peer's lines make of the client."""
    made = request(*((str(field), line) for line in lines))
    return claimed_client(made, PRIVATE, field, recursive=recursive)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), None),
        (("203.0.113.9",), b"203.0.113.9"),
        (("1.1.1.1, 203.0.113.9, 10.0.0.2",), b"203.0.113.9"),
        (("1.1.1.1 203.0.113.9 10.0.0.2",), b"203.0.113.9"),
        (("1.1.1.1", "203.0.113.9", "10.0.0.2"), b"203.0.113.9"),
        (("1.1.1.1", "", "10.0.0.2"), b"10.0.0.2"),
        (("1.1.1.1", ""), None),
        (("10.0.0.3, 10.0.0.2",), b"10.0.0.3"),
        (("203.0.113.9, unknown, 10.0.0.2",), b"10.0.0.2"),
        (("unknown",), None),
        (("2001:0db8::1",), b"2001:db8::1"),
        (("[2001:db8::1]",), b"2001:db8::1"),
        (("::ffff:203.0.113.9",), b"203.0.113.9"),
        (("203.0.113.9,, ,\t10.0.0.2 ,",), b"203.0.113.9"),
        (("203.0.113.9:0",), None),
        (("203.0.113.9:99999",), None),
        (("203.0.113.9:x",), None),
        (("203.0.113.9:",), None),
        (("[203.0.113.9]:1",), None),
        (("[::1]5",), None),
        (("[::1]:",), None),
        (("fe80::1%eth0",), None),
        (("unix:",), None),
        (("9" * 5000,), None),
    ],
)
def test_client_is_the_rightmost_untrusted_address(
    lines: tuple[str, ...], expected: bytes | None
) -> None:
    assert client(*lines) == (None if expected is None else (expected, 0))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("203.0.113.9:567", (b"203.0.113.9", 567)),
        ("[2001:DB8::1]:5", (b"2001:db8::1", 5)),
        ("1.1.1.1:1, 10.0.0.2:22", (b"1.1.1.1", 1)),
        ("10.0.0.1:65535", (b"10.0.0.1", 65535)),
    ],
)
def test_port_comes_with_the_address(entry: str, expected: tuple[bytes, int]) -> None:
    assert client(entry) == expected


def test_rightmost_of_all_is_the_client_unless_recursive() -> None:
    assert client("1.1.1.1, 10.0.0.2", recursive=False) == (b"10.0.0.2", 0)
    assert client("1.1.1.1", "10.0.0.3, 10.0.0.2", recursive=False) == (b"10.0.0.2", 0)
    assert client("1.1.1.1, x", recursive=False) is None


def test_of_another_field_the_first_counts() -> None:
    assert client("1.1.1.1", "2.2.2.2", field=REAL) == (b"1.1.1.1", 0)
    assert client("1.1.1.1, 10.0.0.1", "2.2.2.2", field=REAL) == (b"1.1.1.1", 0)
    assert client("1.1.1.1, 10.0.0.1", field=REAL, recursive=False) == (b"10.0.0.1", 0)
    assert client("1.1.1.1", "2.2.2.2", field=istr("x-forwarded-for")) == (b"2.2.2.2", 0)


def test_way_longer_than_the_limit_is_cut() -> None:
    way = ["1.1.1.1", *(f"10.0.1.{n}" for n in range(MAX_HOPS))]
    assert client(", ".join(way)) == client(*way) == (b"10.0.1.0", 0)


@given(st.binary() | st.text("1234567890.:[]af, ").map(str.encode))
def test_garbage_way_never_raises(raw: bytes) -> None:
    found = client(raw.decode("utf-8", "surrogateescape"))
    assert found is None or ip_address(found[0].decode())


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
