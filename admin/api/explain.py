"""``/v1/explain``: what would become of a request, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field, ValidationError

from admin.api.media import JSON, answer, read_body
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.documents import DocumentError
from admin.documents.faults import located
from admin.documents.model import Maybe, Model
from proxy.errors import Fault, SpecError, pointer
from proxy.explain.inquiry import QuestionError, question

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


async def post(call: Call) -> web.Response:
    """Answer with an explanation."""
    read = await read_body(call.request, (JSON,))
    body = _body(read.value)
    try:
        asked = question(
            body.method, body.url, body.fields(), client=body.client, listener=body.listener
        )
        if body.config is None:
            explanation = await call.server.explain(asked)
        else:
            async with call.controller.examining:
                candidate = await call.controller.examined(body.config, read.octets)
                explanation = await call.server.explain(asked, candidate)
    except QuestionError as error:
        fault = Fault(pointer(error.place), error.message, error.hint)
        raise Problem(422, "Nobody can tell.", [fault]) from error
    except (DocumentError, SpecError) as error:
        faults = [Fault(f"/config{one.path}", one.message, one.hint) for one in error.faults]
        raise Problem(422, "The document could not serve.", faults) from error
    response = await answer(asdict(explanation), call.media)
    response.headers["Cache-Control"] = "no-store"
    return response


def _body(value: object) -> ExplainBody:
    try:
        return ExplainBody.model_validate(value)
    except ValidationError as error:
        faults = located(error.errors(include_url=False), ExplainBody)
        raise Problem(422, "The question has faults.", faults) from error
