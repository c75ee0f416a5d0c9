"""``/v1/events``: what happens, as server-sent events, to whoever listens."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from aiohttp import web

from admin.api.media import EVENT_STREAM
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.events import LISTENERS, Events, Listener, TooManyListenersError

HEARTBEAT_S: Final = 15.0
"""Seconds of silence after which a comment is sent, so that a dead connection is noticed."""

STALLED_S: Final = 60.0
"""A listener that takes nothing for so long is let go, in seconds."""

RETRY_MS: Final = 2_000
"""After how long a browser comes back."""

RETRY_AFTER_S: Final = 5
"""When to come back where there are too many, in seconds."""

_FIELDS: Final = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy on the way is not to wait for more
}


async def get(call: Call) -> web.StreamResponse:
    """Tell of events for as long as the client listens."""
    events = call.controller.events
    try:
        listener = events.listen(call.request.headers.get("Last-Event-ID"))
    except TooManyListenersError:
        raise Problem(
            429,
            f"{LISTENERS} clients listen already.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        ) from None
    try:
        response = web.StreamResponse(headers=_FIELDS)
        await response.prepare(call.request)
        lasts_s: float | None = call.query.get("for")
        try:
            async with asyncio.timeout(lasts_s):
                await _tell(response, events, listener, _start(call, listener))
        except (TimeoutError, ConnectionError):
            pass  # it was to end now, or the client is gone: either is how these end
    finally:
        listener.close()
    return response


def _start(call: Call, listener: Listener) -> bytes:
    """Say where things stand, and from which event on news follow."""
    revision = call.controller.revision.number
    told = json.dumps({"revision": revision, "drain": call.drain.state}, separators=(",", ":"))
    seen = call.controller.events.id_of(listener.seen)
    return f"retry: {RETRY_MS}\nid: {seen}\nevent: start\ndata: {told}\n\n".encode()


async def _tell(
    response: web.StreamResponse, events: Events, listener: Listener, start: bytes
) -> None:
    await _write(response, start)
    while not events.closed:
        news = _news(events, listener)
        if news:
            await _write(response, news)
            continue
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await listener.wait()
        except TimeoutError:
            await _write(response, b":\n\n")


def _news(events: Events, listener: Listener) -> bytes:
    """Return what is new to a listener, what it has lost before all."""
    lost = listener.lost()
    told = [] if lost == 0 else [f'event: lost\ndata: {{"count":{json.dumps(lost)}}}\n\n'.encode()]
    for event in listener.take():
        identity, kind = events.id_of(event.number).encode(), event.kind.encode()
        told.append(b"id: %b\nevent: %b\ndata: %b\n\n" % (identity, kind, event.data))
    return b"".join(told)


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Write; ``ConnectionError`` if the client takes nothing for too long."""
    try:
        async with asyncio.timeout(STALLED_S):
            await response.write(data)
    except TimeoutError:
        raise ConnectionError("the listener has stalled") from None
