"""Who is let in."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Fault
from proxy.spec import AccessRuleSpec
from proxy.steps.access import ADDRESSES, Access, compile_access
from tests.unit.headers.samples import request

ALL = ("0.0.0.0/0", "::/0", "unix:")


def allow(*networks: str) -> AccessRuleSpec:
    return AccessRuleSpec(allows=True, networks=networks)


def deny(*networks: str) -> AccessRuleSpec:
    return AccessRuleSpec(allows=False, networks=networks)


def access(*rules: AccessRuleSpec) -> Access:
    faults: list[Fault] = []
    made = compile_access(rules, "", faults)
    assert faults == []
    return made


@pytest.mark.parametrize(
    ("rules", "address", "allowed"),
    [
        ((), b"192.0.2.1", True),
        ((allow("192.0.2.0/24"),), b"198.51.100.1", True),
        ((deny("192.0.2.0/24"),), b"192.0.2.1", False),
        ((deny("192.0.2.0/24"),), b"192.0.3.1", True),
        ((allow("192.0.2.1"), deny("192.0.2.0/24")), b"192.0.2.1", True),
        ((allow("192.0.2.1"), deny("192.0.2.0/24")), b"192.0.2.2", False),
        ((deny("192.0.2.0/24"), allow("192.0.2.1")), b"192.0.2.1", False),
        ((allow("10.0.0.0/8", "192.0.2.7"), deny(*ALL)), b"192.0.2.7", True),
        ((allow("10.0.0.0/8", "192.0.2.7"), deny(*ALL)), b"192.0.2.8", False),
        ((deny(*ALL),), b"2001:db8::1", False),
        ((deny(*ALL),), b"unix:", False),
        ((deny("0.0.0.0/0", "::/0"),), b"unix:", True),
        ((allow("unix:"), deny(*ALL)), b"unix:", True),
        ((allow("10.0.0.0/8"), deny(*ALL)), b"::ffff:10.0.0.1", True),
        ((deny("10.0.0.1"), deny("10.0.0.2"), allow(*ALL)), b"10.0.0.2", False),
        (
            (allow("10.0.0.1"), deny("10.0.0.0/8"), allow("10.0.0.2"), deny(*ALL)),
            b"10.0.0.2",
            False,
        ),
    ],
)
def test_the_first_rule_that_names_the_client_decides(
    rules: tuple[AccessRuleSpec, ...], address: bytes, allowed: bool
) -> None:
    made = access(*rules)
    assert [made.allows(address), made.allows(address)] == [allowed, allowed]


def test_request_has_an_address_of_this_form() -> None:
    assert access(deny(*ALL)).allows(request().client_ip) is False


def test_memory_of_verdicts_is_bounded() -> None:
    made = access(allow("10.0.0.0/8"), deny(*ALL))
    for number in range(ADDRESSES + 10):
        assert made.allows(str(ip_address(0x0A000000 + number)).encode())
    assert len(made._verdicts) == 10
    assert [len(networks._decisions) for _, networks in made._sets] == [0, 0]


def test_rules_of_one_kind_in_a_row_are_looked_up_together() -> None:
    rules = [allow(f"10.0.{number}.0/24") for number in range(200)]
    made = access(*rules, deny(*ALL))
    assert len(made._sets) == 2
    assert [made.deciding(b"10.0.7.1"), made.deciding(b"192.0.2.1")] == [7, 200]
    assert access(*rules).deciding(b"192.0.2.1") is None


def test_each_bad_network_is_a_fault_at_its_rule() -> None:
    faults: list[Fault] = []
    compile_access([allow("10.0.0.0/8"), deny("nope"), allow("10.0.0.0/33")], "/a", faults)
    assert [(fault.path, fault.message) for fault in faults] == [
        ("/a/1/deny", "'nope' is not a network"),
        ("/a/2/allow", "'10.0.0.0/33' is not a network"),
    ]


NETWORKS = st.one_of(
    st.integers(0, 2**32 - 1).flatmap(
        lambda base: st.integers(0, 4).map(lambda bits: f"{ip_address(base)}/{bits}")
    ),
    st.sampled_from(["::/0", "unix:", "8000::/1"]),
)
RULES = st.lists(
    st.builds(
        AccessRuleSpec,
        allows=st.booleans(),
        networks=st.lists(NETWORKS, min_size=1, max_size=3).map(tuple),
    ),
    max_size=6,
)


@given(RULES, st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str) | st.just("unix:"))
def test_verdict_agrees_with_going_through_the_rules(
    rules: list[AccessRuleSpec], address: str
) -> None:
    assert access(*rules).allows(address.encode()) is _naive(rules, address)


def _naive(rules: list[AccessRuleSpec], address: str) -> bool:
    for rule in rules:
        for network in rule.networks:
            if network == "unix:" or address == "unix:":
                if network == address:
                    return rule.allows
                continue
            ip = ip_address(address)
            mapped = getattr(ip, "ipv4_mapped", None) or ip
            if mapped in ip_network(network, strict=False):
                return rule.allows
    return True
