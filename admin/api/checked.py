"""Bodies that a model checks."""

from __future__ import annotations

from typing import Any

from admin.api.media import Body, read_body
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.late import load


async def read_checked(call: Call, media: tuple[str, ...], refusal: str) -> tuple[Any, Body]:
    """Read the body of an operation as its model, with what it was read from.

    What ``read_body`` refuses, and a 422 ``Problem`` with every fault.
    """
    body = await read_body(call.request, media)
    described = call.operation.body
    assert described is not None
    await load(described.module, "admin.documents.wording")
    from pydantic import ValidationError

    from admin.documents.wording import located

    model = described.model_class()
    try:
        return model.model_validate(body.value), body
    except ValidationError as error:
        faults = located(error.errors(include_url=False), model)
        raise Problem(422, refusal, faults) from error
