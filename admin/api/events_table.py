"""The operation that tells of events."""

from __future__ import annotations

from typing import Final

from admin.api import events
from admin.api.media import EVENT_STREAM
from admin.api.operations import BodyOf, Operation, Parameter, Reply
from admin.api.parameters import span

DESCRIPTION: Final = """\
Server-sent events, each with an `id`, an `event` and JSON as `data`: `start` first (where things
stand), then `revision` (applied, confirmed or resumed), `endpoint` (ejected, back, and what
overrides and the document make of it), `override` (set, removed, expired), `drain` (with its
name, or `null` for that of the process; begun, at each tenth, done or cancelled) and `discovery`
(of a pool: `moved`, with who came and went, `failing` or `answered` again). The last 1,000 are
kept: `Last-Event-ID` goes on behind one of them. Who reads too slowly, or comes back too late, is
told by `lost` how many it has missed; `null` if nobody knows. A comment comes every 15 s.
"""

EVENTS: Final = (
    Operation(
        method="GET",
        path="/v1/events",
        name="listen_to_events",
        tag="events",
        summary="Listen to what happens",
        description=DESCRIPTION,
        handler=events.get,
        parameters=(
            span("for", "How long to listen; without it, until one of both ends it.", None),
            Parameter("Last-Event-ID", "header", "The `id` of the last event that was seen."),
        ),
        replies=(Reply(200, "Events, as they happen.", BodyOf(None, (EVENT_STREAM,))),),
    ),
)
