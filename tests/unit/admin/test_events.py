from __future__ import annotations

import asyncio
import json

import pytest

from admin import events as module
from admin.events import Events, TooManyListenersError, listed
from tests.peers import settle, within


def numbers(events: Events, last_seen: str | None = None) -> list[int]:
    listener = events.listen(last_seen)
    try:
        return [event.number for event in listener.take()]
    finally:
        listener.close()


async def test_listener_hears_what_happens_from_now_on() -> None:
    events = Events()
    events.emit("drain", state="draining")
    listener = events.listen()
    waiting = asyncio.create_task(listener.wait())
    await settle()
    assert not waiting.done()
    events.emit("revision", revision=7, note="Grüße\n")
    await within(waiting, "the event")
    assert listener.lost() == 0
    (event,) = listener.take()
    told = json.loads(event.data)
    assert (event.kind, told["revision"], told["note"]) == ("revision", 7, "Grüße\n")
    assert b"\n" not in event.data
    assert listener.take() == []


async def test_listener_that_comes_back_goes_on_behind_what_it_saw() -> None:
    events = Events()
    for _ in range(5):
        events.emit("drain")
    assert numbers(events, events.id_of(3)) == [4, 5]
    assert numbers(events, events.id_of(5)) == []


@pytest.mark.parametrize("seen", ["", "x", "0-3", "-3", "{}-x", "{}-9999", "{}-" + "9" * 5000])
async def test_id_of_nothing_that_is_known_gets_all_and_is_told_so(seen: str) -> None:
    events = Events()
    process = events.id_of(0).partition("-")[0]
    events.emit("drain")
    listener = events.listen(seen.format(process))
    assert listener.lost() is None
    assert [event.number for event in listener.take()] == [1]
    assert listener.lost() == 0


async def test_slow_listener_loses_the_oldest_and_is_told_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEPT", 10)
    events = Events()
    listener = events.listen()
    for _ in range(25):
        events.emit("drain")
    assert listener.lost() == 15
    assert [event.number for event in listener.take()] == list(range(16, 26))
    assert listener.lost() == 0


async def test_there_are_only_so_many_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTENERS", 2)
    events = Events()
    first, _ = events.listen(), events.listen()
    with pytest.raises(TooManyListenersError):
        events.listen()
    first.close()
    events.listen()


async def test_end_wakes_all_who_listen() -> None:
    events = Events()
    listener = events.listen()
    waiting = asyncio.create_task(listener.wait())
    await settle()
    events.close()
    await within(waiting, "the end")


def test_long_lists_are_cut_and_counted() -> None:
    names = [f"/pools/{number}" for number in range(module.LISTED + 3)]
    assert listed(names) == {"changed": names[: module.LISTED], "more": 3}
