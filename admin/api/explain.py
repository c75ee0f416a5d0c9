"""``/v1/explain``: what would become of a request, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

from admin.api.checked import read_checked
from admin.api.media import JSON, answer
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.documents.faults import DocumentError
from proxy.errors import Fault, SpecError, pointer
from proxy.explain.inquiry import QuestionError, question

if TYPE_CHECKING:
    from admin.api.bodies.question import ExplainBody


async def post(call: Call) -> web.Response:
    """Answer with an explanation."""
    body: ExplainBody
    body, read = await read_checked(call, (JSON,), "The question has faults.")
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
