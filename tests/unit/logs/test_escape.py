"""Escapes: nginx's, octet for octet, against its C read as Python."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.logs.escape import ESCAPES
from proxy.spec import LogEscape

HEX = b"0123456789ABCDEF"


def default(value: bytes) -> bytes:
    """Read ``ngx_http_log_escape``: a bit for each octet that is written in hexadecimal."""
    table = (0xFFFFFFFF, 0x00000004, 0x10000000, 0x80000000, *(0xFFFFFFFF,) * 4)
    written = bytearray()
    for octet in value:
        if table[octet >> 5] & (1 << (octet & 0x1F)):
            written += (
                b"\\x" + HEX[octet >> 4 : (octet >> 4) + 1] + HEX[octet & 15 : (octet & 15) + 1]
            )
        else:
            written.append(octet)
    return bytes(written)


def as_json(value: bytes) -> bytes:
    """Read ``ngx_escape_json``."""
    short = {ord("\n"): b"n", ord("\r"): b"r", ord("\t"): b"t", ord("\b"): b"b", ord("\f"): b"f"}
    written = bytearray()
    for octet in value:
        if octet > 0x1F:
            if octet in b'\\"':
                written += b"\\"
            written.append(octet)
        elif octet in short:
            written += b"\\" + short[octet]
        else:
            low = octet & 15
            written += b"\\u00" + bytes([ord("0") + (octet >> 4)])
            written.append(ord("0") + low if low < 10 else ord("A") + low - 10)
    return bytes(written)


REFERENCES = {"default": default, "json": as_json}


@pytest.mark.parametrize("name", REFERENCES)
@given(value=st.binary(max_size=200))
def test_value_is_written_as_nginx_writes_it(name: LogEscape, value: bytes) -> None:
    assert ESCAPES[name](value) == REFERENCES[name](value)


@given(value=st.binary(max_size=200))
def test_default_leaves_one_line_of_plain_text_without_quotes(value: bytes) -> None:
    written = ESCAPES["default"](value)
    assert written.decode("ascii").isprintable()
    assert b'"' not in written


@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_makes_a_string_of_json_that_says_the_same(value: str) -> None:
    written = ESCAPES["json"](value.encode())
    assert json.loads(b'"' + written + b'"') == value


@given(value=st.binary(max_size=200))
def test_none_changes_only_what_would_end_a_line_or_a_text(value: bytes) -> None:
    expected = value.replace(b"\r", b"\\x0D").replace(b"\n", b"\\x0A").replace(b"\0", b"\\x00")
    assert ESCAPES["none"](value) == expected


@pytest.mark.parametrize("name", ["default", "json", "none"])
def test_what_is_safe_is_what_is_left_alone(name: LogEscape) -> None:
    escape = ESCAPES[name]
    for octet in range(256):
        value = bytes([octet])
        assert (escape(value) == value) is (octet in escape.safe)


def test_only_the_default_says_that_a_value_is_not_there() -> None:
    assert {name: escape.absent for name, escape in ESCAPES.items()} == {
        "default": b"-",
        "json": b"",
        "none": b"",
    }
