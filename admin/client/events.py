"""``events``: what happens, as it happens (server-sent events)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from admin.client.output import Cell, compact, moment
from admin.client.paths import path_of
from admin.client.problems import UNREACHABLE, ClientError
from admin.client.session import Session


class Event(NamedTuple):
    """One event."""

    kind: str
    data: str
    id: str | None

    @property
    def value(self) -> Any:
        """The data, which is JSON; as text where it is not."""
        try:
            return json.loads(self.data)
        except ValueError:
            return self.data


def parsed(lines: Iterable[bytes]) -> Iterator[Event]:
    """Read a stream of events (WHATWG HTML, 9.2.6); comments keep it alive, and are left out."""
    kind, data, id_ = "message", list[str](), None
    for line in lines:
        text = line.decode("utf-8", "replace")
        if not text:
            if data:
                yield Event(kind, "\n".join(data), id_)
            kind, data = "message", []
            continue
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            id_ = value


def add_events(parser: ArgumentParser) -> None:
    """Describe ``events``."""
    parser.add_argument(
        "kinds", nargs="*", metavar="KIND", help="only these, as in revision; default: all"
    )


def events(session: Session) -> int:
    """Show events until it is interrupted."""
    kinds, output = session.arguments.kinds, session.output
    for event in parsed(session.reading.follow(path_of("events"))):
        if kinds and event.kind not in kinds:
            continue
        value = event.value
        if not output.for_people:
            output.json_line({"event": event.kind, "id": event.id, "data": value})
            continue
        fields = value if isinstance(value, dict) else {"data": value}
        at = fields.get("time")
        when = moment(at if isinstance(at, int | float) else datetime.now().timestamp())
        said = (
            f"{key}={compact(each)}"
            for key, each in fields.items()
            if key != "time" and each is not None
        )
        output.line(Cell(when, "faint"), " ", Cell(event.kind, "cyan"), "  ", " ".join(said))
    raise ClientError("the other side ended the stream", status=UNREACHABLE)
