from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.addresses import UNIX_PATH_BYTES, Address, parse_address
from proxy.errors import FaultError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("127.0.0.1:080", "127.0.0.1:80"),
        ("[::1]:65535", "[::1]:65535"),
        ("[2001:DB8:0:0:0:0:0:1]:443", "[2001:db8::1]:443"),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        ("unix://run/./app.sock", "unix:/run/app.sock"),
        ("unix:/run/a:b.sock", "unix:/run/a:b.sock"),
        ("unix:/run/größe.sock", "unix:/run/größe.sock"),
    ],
)
def test_literal_address_gets_its_canonical_text(text: str, canonical: str) -> None:
    address = parse_address(text)
    assert address.is_literal
    assert str(address) == address.text == canonical
    assert parse_address(canonical) == address


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("localhost:80", "localhost:80"),
        ("App.Default.SVC:8080", "app.default.svc:8080"),
        ("app.default.svc.cluster.local.:8080", "app.default.svc.cluster.local.:8080"),
        ("my_service:80", "my_service:80"),
        ("3com.example:80", "3com.example:80"),
        ("xn--bcher-kva.example:80", "xn--bcher-kva.example:80"),
    ],
)
def test_name_is_kept_to_be_resolved(text: str, canonical: str) -> None:
    address = parse_address(text)
    assert not address.is_literal
    assert address.text == canonical


def test_parts_are_told_apart() -> None:
    assert parse_address("[::1]:80") == Address("tcp", "::1", 80, "", True, "[::1]:80")
    assert parse_address("unix:/a") == Address("unix", "", 0, "/a", True, "unix:/a")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "host:port"),
        (":", "host:port"),
        ("127.0.0.1", "127.0.0.1:80"),
        ("localhost", "localhost:80"),
        ("8080", "127.0.0.1:8080"),
        (":8080", "127.0.0.1:8080"),
        ("127.0.0.1:", "1 to 65535"),
        ("127.0.0.1:0", "1 to 65535"),
        ("127.0.0.1:65536", "1 to 65535"),
        ("127.0.0.1:http", "1 to 65535"),
        ("127.0.0.1:+80", "1 to 65535"),
        ("127.0.0.1:８０", "1 to 65535"),
        ("::1:80", "brackets"),
        ("[::1]", "[::1]:8080"),
        ("[::1]80", "[::1]:8080"),
        ("[::1", "[::1]:8080"),
        ("[127.0.0.1]:80", "[::1]:8080"),
        ("[::g]:80", "[::1]:8080"),
        ("[fe80::1%eth0]:80", "link-local"),
        ("http://app:80", "no scheme"),
        ("app:80/path", "no scheme"),
        ("127.1:80", "four decimal"),
        ("010.0.0.1:80", "four decimal"),
        ("0x7f.0.0.1:80", "four decimal"),
        ("2130706433:80", "four decimal"),
        ("app.0x1:80", "four decimal"),
        ("256.0.0.1:80", "four decimal"),
        ("1.2.3.4.:80", "four decimal"),
        ("-app:80", "letters"),
        ("app..svc:80", "letters"),
        (".:80", "letters"),
        ("a b:80", "letters"),
        ("app\n:80", "letters"),
        ("*:80", "letters"),
        ("bücher.example:80", "Punycode"),
        ("a" * 64 + ":80", "letters"),
        (".".join(["a" * 60] * 5) + ":80", "letters"),
        ("unix:run/app.sock", "absolute"),
        ("unix:", "absolute"),
        ("unix:/", "absolute"),
        ("unix:/" + "a" * UNIX_PATH_BYTES, "shorter"),
    ],
)
def test_what_cannot_be_reached_is_a_fault_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(FaultError) as fault:
        parse_address(text)
    assert fault.value.hint is not None
    assert hint in fault.value.hint


@pytest.mark.parametrize("text", ["unix:/a\0b", "unix:/a\nb", "unix:/\ud800"])
def test_path_with_control_characters_is_a_fault(text: str) -> None:
    with pytest.raises(FaultError, match="control"):
        parse_address(text)


def test_port_zero_is_for_listeners() -> None:
    assert parse_address("127.0.0.1:0", any_port=True).port == 0
    with pytest.raises(FaultError):
        parse_address("127.0.0.1:", any_port=True)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_fault(text: str) -> None:
    try:
        address = parse_address(text, any_port=True)
    except FaultError:
        return
    assert parse_address(address.text, any_port=True) == address


@given(st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,4}){3}", fullmatch=True))
def test_four_numbers_are_an_address_if_they_are_one_to_the_library(host: str) -> None:
    try:
        canonical = f"{IPv4Address(host)}:80"
    except AddressValueError:
        with pytest.raises(FaultError):
            parse_address(f"{host}:80")
    else:
        assert parse_address(f"{host}:80").text == canonical


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_ip_address_is_canonical_after_one_pass(host: object, port: int) -> None:
    text = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    address = parse_address(text)
    assert address.is_literal
    assert parse_address(address.text) == address
