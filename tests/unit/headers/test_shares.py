"""Shares: the hash, and which of the values it chooses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.headers.shares import KEY_BYTES, WHOLE, Shares, murmur2


def reference(data: bytes) -> int:
    """Hash octet by octet, as ``ngx_murmur_hash2`` is written."""
    m, h, at = 0x5BD1E995, len(data), 0
    while len(data) - at >= 4:
        k = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
        k = k * m & 0xFFFFFFFF
        k ^= k >> 24
        k = k * m & 0xFFFFFFFF
        h = h * m & 0xFFFFFFFF
        h ^= k
        at += 4
    rest = data[at:]
    if len(rest) == 3:
        h ^= rest[2] << 16
    if len(rest) >= 2:
        h ^= rest[1] << 8
    if len(rest) >= 1:
        h = (h ^ rest[0]) * m & 0xFFFFFFFF
    h ^= h >> 13
    h = h * m & 0xFFFFFFFF
    return h ^ h >> 15


@given(st.binary(max_size=70))
def test_hash_is_that_of_nginx(key: bytes) -> None:
    assert murmur2(key) == reference(key)


@pytest.mark.parametrize(("key", "expected"), [(b"", 0), (b"a", 0x92685F5E)])
def test_hash_of_a_known_key_is_known(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected


@given(st.binary(max_size=70), st.lists(st.integers(1, WHOLE // 8), min_size=1, max_size=8))
def test_first_share_whose_bound_is_above_the_hash_wins(key: bytes, shares: list[int]) -> None:
    number, bound, expected = reference(key), 0, len(shares)
    for index, share in enumerate(shares):
        bound += share * 0xFFFFFFFF // 10_000
        if number < bound:
            expected = index
            break
    assert Shares(shares).choose(key) == expected


def test_share_of_nothing_gets_nothing() -> None:
    chosen = {Shares([0, 5000, 0]).choose(b"%d" % number) for number in range(200)}
    assert chosen == {1, 3}


def test_key_counts_up_to_a_bound() -> None:
    shares = Shares([1] * WHOLE)
    long = b"x" * KEY_BYTES
    assert shares.choose(long + b"a") == shares.choose(long + b"b")
    assert shares.choose(long[1:] + b"a") != shares.choose(long[1:] + b"b")


def test_shares_are_what_they_say() -> None:
    chosen = [Shares([50, 2000]).choose(b"user-%d" % number) for number in range(20_000)]
    assert 70 <= chosen.count(0) <= 130
    assert 3800 <= chosen.count(1) <= 4200
