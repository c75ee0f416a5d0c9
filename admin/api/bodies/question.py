"""What ``/v1/explain`` is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import Field

from admin.documents.model import Maybe, Model

URL_CHARACTERS: Final = 64 * 1024


FIELDS: Final = 1_000
"""Header fields of a question, by name."""


class ExplainBody(Model):
    """A request that nobody sends."""

    method: Annotated[str, Field(max_length=32)] = Field(
        default="GET", description="Its method.", examples=["GET"]
    )
    url: Annotated[str, Field(max_length=URL_CHARACTERS)] = Field(
        description="A URL, whose host and port choose the listener, or a path alone. `ws://` adds "
        "the fields of a WebSocket handshake.",
        examples=["http://chat.example.com/room/1?user=7"],
    )
    headers: Annotated[dict[str, str | list[str]], Field(max_length=FIELDS)] = Field(
        default_factory=dict,
        description="Its fields, in order; of a list, one for each value. `Host` is that of the "
        "URL unless it is given.",
        examples=[{"Cookie": "user=7"}],
    )
    client: Maybe[Annotated[str, Field(max_length=64)]] = Field(
        default=None,
        description="Who sends it: an IP address, with a port if need be, or `unix:`. By default "
        "127.0.0.1.",
        examples=["192.0.2.7"],
    )
    listener: Maybe[str] = Field(
        default=None,
        description="The listener that takes it, if the URL does not say which.",
        examples=["public"],
    )
    config: Maybe[dict[str, Any]] = Field(
        default=None,
        description="A whole document that is to be asked in place of the one that serves. It is "
        "only looked at. Endpoints that the present one has too are as they are now; no host name "
        "is resolved.",
        examples=[{"version": 1, "listeners": {"public": {"bind": "0.0.0.0:8080"}}}],
    )

    def fields(self) -> Iterator[tuple[str, str]]:
        """Give every header field."""
        for name, values in self.headers.items():
            for value in [values] if isinstance(values, str) else values:
                yield name, value
