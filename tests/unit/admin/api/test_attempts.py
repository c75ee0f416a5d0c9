from __future__ import annotations

import pytest

from admin.api import attempts as module
from admin.api.attempts import (
    ADDRESSES,
    BURST,
    BURST_IN_ALL,
    EVERY_S,
    PROVEN,
    PROVEN_S,
    Allowance,
    Attempts,
)


class Clock:
    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(clock)


def exhaust(attempts: Attempts, peer: str, count: int = BURST) -> None:
    for number in range(count):
        attempts.failed(peer, f"wrong {number}")


def test_allowance_comes_back_one_by_one() -> None:
    allowance = Allowance(3, 10.0)
    for _ in range(3):
        assert allowance.wait_s(100.0) == 0
        allowance.spend(100.0)
    assert allowance.wait_s(100.0) == 10.0
    assert allowance.wait_s(109.0) == 1.0
    assert allowance.wait_s(110.0) == 0
    allowance.spend(110.0)
    assert allowance.wait_s(110.0) == 10.0
    assert allowance.wait_s(1000.0) == 0


def test_address_that_guesses_has_to_wait(attempts: Attempts, clock: Clock) -> None:
    exhaust(attempts, "192.0.2.1", BURST - 1)
    assert attempts.wait_s("192.0.2.1", "x") == 0
    exhaust(attempts, "192.0.2.1", 1)
    assert attempts.wait_s("192.0.2.1", "x") == pytest.approx(EVERY_S)
    assert attempts.wait_s("192.0.2.2", "x") == 0
    clock.now += EVERY_S
    assert attempts.wait_s("192.0.2.1", "x") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_addresses_of_one_hand_are_one(
    attempts: Attempts, one: str, other: str, same: bool
) -> None:
    exhaust(attempts, one)
    assert (attempts.wait_s(other, "x") > 0) is same


def test_all_together_have_to_wait_too(attempts: Attempts) -> None:
    for number in range(BURST_IN_ALL):
        attempts.failed(f"198.51.{number // 200}.{number % 200}", "x")
    assert attempts.wait_s("203.0.113.1", "x") > 0


def test_token_that_was_right_from_there_is_never_locked_out(
    attempts: Attempts, clock: Clock
) -> None:
    attempts.succeeded("127.0.0.1", "right")
    exhaust(attempts, "127.0.0.1", 1000)
    assert attempts.wait_s("127.0.0.1", "right") == 0
    assert attempts.wait_s("127.0.0.1", "other") > 0
    assert attempts.wait_s("192.0.2.1", "right") > 0  # from elsewhere it could be guessed
    clock.now += PROVEN_S
    exhaust(attempts, "127.0.0.1")
    assert attempts.wait_s("127.0.0.1", "right") > 0


def test_token_that_was_taken_back_is_not_right_any_more(attempts: Attempts) -> None:
    attempts.succeeded("127.0.0.1", "right")
    attempts.failed("127.0.0.1", "right")
    exhaust(attempts, "127.0.0.1")
    assert attempts.wait_s("127.0.0.1", "right") > 0


def test_what_is_remembered_is_bounded(attempts: Attempts) -> None:
    for number in range(ADDRESSES + PROVEN):
        peer = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
        attempts.failed(peer, "x")
        attempts.succeeded(peer, "y")
    assert (len(attempts._addresses), len(attempts._proven)) == (ADDRESSES, PROVEN)
    assert module.BURST_IN_ALL > module.BURST
