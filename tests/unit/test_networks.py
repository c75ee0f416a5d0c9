"""Which addresses are in which networks."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import FaultError
from proxy.networks import DECISIONS, Networks

PRIVATE = Networks(["10.0.0.0/8", "fd00::/8", "192.0.2.7"])


@pytest.mark.parametrize(
    ("address", "contained"),
    [
        (b"10.255.0.1", True),
        (b"11.0.0.1", False),
        (b"192.0.2.7", True),
        (b"192.0.2.8", False),
        (b"fd12::1", True),
        (b"fe80::1", False),
        (b"::ffff:10.0.0.1", True),
        (b"::a00:1", False),
        (b"unix:", False),
        (b"garbage\xff", False),
    ],
)
def test_address_is_found_in_its_network(address: bytes, contained: bool) -> None:
    assert [PRIVATE.contains(address), PRIVATE.contains(address)] == [contained, contained]


def test_unix_socket_is_in_only_if_listed() -> None:
    only = Networks(["unix:"])
    assert only
    assert only.contains(b"unix:")
    assert not only.contains(b"10.0.0.1")


def test_no_networks_are_false() -> None:
    assert not Networks([])


@pytest.mark.parametrize("cidr", ["", "10.0.0.0/33", "private", "10.0.0", "host:1"])
def test_garbage_network_is_a_fault(cidr: str) -> None:
    with pytest.raises(FaultError, match="is not a network"):
        Networks([cidr])


def test_memory_of_decisions_is_bounded() -> None:
    networks = Networks(["10.0.0.0/8"])
    for number in range(DECISIONS + 10):
        networks.contains(b"%d" % number)
    assert len(networks._decisions) == 10
    assert networks.contains(b"10.0.0.1")


@given(
    st.lists(st.ip_addresses(v=4).map(lambda ip: f"{ip}/12") | st.ip_addresses(v=6).map(str)),
    st.ip_addresses(),
)
def test_answer_agrees_with_a_naive_scan(cidrs: list[str], address: object) -> None:
    ip = ip_address(str(address))
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    naive = any(mapped in ip_network(cidr, strict=False) for cidr in cidrs)
    assert Networks(cidrs).contains(str(ip).encode()) == naive


def test_answer_can_be_had_without_being_remembered() -> None:
    networks = Networks(["10.0.0.0/8"])
    assert networks.find(b"10.0.0.1")
    assert not networks.find(b"11.0.0.1")
    assert networks._decisions == {}
