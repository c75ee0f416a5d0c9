from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from proxy.upstream.balancing.ip_hash import hashed_octets
from proxy.upstream.pool import PoolPlan
from tests.unit.upstream.pools import distinct, endpoint, member, names, pool_spec, serving


def nginx_pool() -> PoolPlan:
    """As in the nginx.conf that the recorded answers come from; c is ``down`` there."""
    return serving(
        pool_spec(
            endpoint("a"), endpoint("b", weight=2), replace(endpoint("c"), state="down"),
            endpoint("d", weight=3), kind="ip_hash",
        )
    )  # fmt: skip


def networks(count: int) -> Iterable[bytes]:
    return (b"100.%d.%d.1" % (n, n * 7 % 256) for n in range(count))


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (b"10.1.2.3", "d"), (b"10.1.2.99", "d"), (b"203.0.113.9", "b"), (b"1.2.3.4", "b"),
        (b"255.255.255.255", "b"), (b"2001:db8::1", "b"), (b"2001:db8::2", "d"),
        (b"fe80::1", "d"), (b"::1", "b"), (b"::ffff:10.0.0.1", "b"),
    ],
)  # fmt: skip
def test_client_goes_where_nginx_sent_it(client: bytes, name: str) -> None:
    # Recorded from nginx 1.22.1.
    assert names([nginx_pool().pick(0.0, client)]) == name


def test_many_networks_go_where_nginx_sent_them() -> None:
    plan = nginx_pool()
    recorded = "bdddabbbdddabbadddbbbdddabbbdddabbaddbdd"
    assert names(plan.pick(0.0, client) for client in networks(40)) == recorded


def test_last_octet_of_ipv4_does_not_matter() -> None:
    plan = nginx_pool()
    assert len({plan.pick(0.0, b"192.0.2.%d" % octet) for octet in range(256)}) == 1


def test_draining_a_member_moves_its_own_clients_only() -> None:
    plan = serving(pool_spec(*(endpoint(name) for name in "abcd"), kind="ip_hash"))
    before = distinct(plan, networks(200))
    spec = pool_spec(
        *(endpoint(name) for name in "abc"), replace(endpoint("d"), state="drain"), kind="ip_hash"
    )
    after = distinct(serving(spec, plan), networks(200))
    moved = {key for key in before if before[key] != after[key]}
    assert moved == {key for key in before if before[key] == "d"}
    assert "d" not in after.values()


def test_tried_member_is_not_picked_again() -> None:
    plan = nginx_pool()
    first = plan.pick(0.0, b"10.1.2.3")
    assert first is not None
    second = plan.pick(0.0, b"10.1.2.3", [first.endpoint])
    assert second is not None
    assert second is not first


def test_only_one_eligible_is_found_by_everybody() -> None:
    plan = serving(pool_spec(*(endpoint(chr(97 + n)) for n in range(20)), kind="ip_hash"))
    tried = [each.endpoint for each in plan.members if each.name != "k"]
    assert {plan.pick(0.0, client, tried) for client in networks(30)} == {member(plan, "k")}


def test_nobody_eligible_gives_nobody() -> None:
    plan = nginx_pool()
    assert plan.pick(0.0, b"10.1.2.3", [each.endpoint for each in plan.members]) is None


@pytest.mark.parametrize(
    ("address", "octets"),
    [
        (b"10.1.2.3", bytes([10, 1, 2])),
        (b"::1", bytes(15) + b"\x01"),
        (b"fe80::1%eth0", b"\xfe\x80" + bytes(13) + b"\x01"),
        (b"unix:", bytes(3)),
        (b"", bytes(3)),
        (b"\xff", bytes(3)),
    ],
)
def test_octets_hashed_are_nginx_choice(address: bytes, octets: bytes) -> None:
    assert hashed_octets(address) == octets
