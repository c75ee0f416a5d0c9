"""Frames, as both ends of a measurement write them."""

from __future__ import annotations

import pytest

from bench.websocket import client_frame, echo, server_frame

SIZES = [0, 1, 125, 126, 4096, 65535, 65536]


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_is_echoed(size: int) -> None:
    payload = bytes(number % 251 for number in range(size))
    assert echo(client_frame(payload)) == (server_frame(payload), b"")


@pytest.mark.parametrize("size", [5, 300, 70_000])
def test_what_is_there_of_a_frame_waits_for_the_rest(size: int) -> None:
    frame = client_frame(bytes(size))
    for cut in (1, 2, 5, 8, 13, len(frame) - 1):
        if cut < len(frame):
            assert echo(frame[:cut]) == (b"", frame[:cut])
    assert echo(frame + frame[:9]) == (server_frame(bytes(size)), frame[:9])


def test_a_mask_is_taken_off_and_a_ping_answered() -> None:
    assert echo(b"\x89\x85" + b"\x01\x02\x03\x04" + b"\x01\x02\x03\x04\x01") == (
        b"\x8a\x05" + bytes(5),
        b"",
    )


def test_a_frame_without_a_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="masked"):
        echo(server_frame(b"hello"))
