"""The OpenAPI 3.1 document, made from the table of operations and the pydantic models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from admin.api.auth import Role
from admin.api.bodies.problems import ProblemDetails
from admin.api.links import links
from admin.api.media import EVENT_STREAM, HTML, JSON
from admin.api.operations import BodyOf, Operation, Parameter, Reply
from admin.api.problems import MEDIA_TYPE
from admin.api.status import version
from admin.api.table import OPERATIONS

Json = dict[str, Any]

TOKEN: Final = {"token": {"type": "http", "scheme": "bearer"}}
SCHEMAS: Final = "#/components/schemas/"

EVERY_OPERATION: Final = (400, 401, 403, 406, 429, 500)
"""Statuses of the problems that any operation may answer with."""

PROBLEMS: Final = {
    400: "Not what this understands: the body is no JSON, or a parameter is unknown.",
    401: "A bearer token is needed, or the one shown is not known.",
    403: "The token's role does not allow this, or a web page asked.",
    404: "There is no such object.",
    406: "None of the media types in `Accept` is offered.",
    408: "The body took too long.",
    409: "Something else refers to it, or another revision waits to be confirmed; `errors` says "
    "more.",
    412: "`If-Match` or `If-None-Match` does not hold: somebody else was there first.",
    413: "The body is too large.",
    415: "The body's media type is not understood.",
    422: "The document has faults; `errors` has every one. What served before still serves.",
    429: "Too many wrong tokens came from this address, or too many clients listen already; "
    "`Retry-After` says when to come back.",
    500: "A bug of ours; the log has it.",
    507: "The state cannot be written, on a full disk for one. What served before still serves.",
}

PATCH: Final = "Patch"
"""Behind the name of a schema: a merge patch of it."""

DESCRIPTION: Final = """\
Everything that this proxy does is one document, and each part of it is a resource here. A write is
validated, compiled and bound as a whole before anything changes; then the new configuration
takes over at once, and open connections, WebSockets included, go on. A write that is refused
changes nothing and says everything that is wrong.

Writes over TCP need a bearer token with the role `write`. On a Unix socket its mode is the guard.
Objects carry an `ETag`; `If-Match` makes a write fail if somebody else was faster, and
`?dry_run=true` shows what would happen.

Every change is a revision, and any of the last ones can be restored. With `?confirm_within=60s` a
change is taken back by itself unless it is confirmed in time. An override takes an endpoint out, or
in, without touching the document, and a drain tells some connections to close.
"""


@cache
def document(*, guarded: bool = True) -> Json:
    """Return the OpenAPI document; ``guarded``: tokens are asked for where it is served."""
    used = {body.model_class() for body in _bodies() if body.model is not None} | {ProblemDetails}
    # By name, so that the text is the same in every process.
    models: list[tuple[type[BaseModel], Any]] = [
        (model, "validation") for model in sorted(used, key=lambda model: model.__name__)
    ]
    _, schemas = models_json_schema(models, ref_template=SCHEMAS + "{model}")
    _ease(schemas["$defs"])
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "hotsplice",
            "version": version(),
            "summary": "Reconfigure a running proxy.",
            "description": DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in OPERATIONS)],
        "paths": _paths(guarded),
        "components": {
            "schemas": schemas["$defs"] | _patches(),
            "responses": {str(status): _problem(status) for status in PROBLEMS},
            **({"securitySchemes": TOKEN} if guarded else {}),
        },
    }


def _ease(schema: Any) -> None:
    """Say the same so that generators of clients understand it.

    Titles of fields, which say what their names say, would be names of types, of which there may be
    one each; and of a choice between a constant and something else they take only the constant.
    """
    if isinstance(schema, list):
        for each in schema:
            _ease(each)
    if not isinstance(schema, dict):
        return
    for described in schema.get("properties", {}).values():
        described.pop("title", None)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    for each in schema.values():
        _ease(each)


def _bodies() -> Iterable[BodyOf]:
    for operation in OPERATIONS:
        if operation.body is not None:
            yield operation.body
        yield from (reply.body for reply in operation.replies if reply.body is not None)


def _patches() -> Json:
    """Describe merge patches under a name of their own: generators of clients make it a type."""
    return {
        f"{body.model_name}{PATCH}": {
            "type": "object",
            "description": f"Any part of {body.model_name}; `null` removes what stands there.",
        }
        for body in _bodies()
        if body.partial and body.model is not None
    }


def _paths(guarded: bool) -> Json:
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, guarded
        )
    return paths


def _operation(operation: Operation, guarded: bool) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": _security(operation) if guarded else [],
        "responses": _responses(operation),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.parameters:
        described["parameters"] = [_parameter(one) for one in operation.parameters]
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.body)}
    return described


def _security(operation: Operation) -> list[Json]:
    token: Json = {"token": []}
    # Beyond loopback reading needs one, too.
    return [{}, token] if operation.role is Role.READ else [token]


def _parameter(parameter: Parameter) -> Json:
    described = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    return described | ({"required": True} if parameter.where == "path" else {})


def _responses(operation: Operation) -> Json:
    problems: Sequence[int] = sorted({*operation.problems, *EVERY_OPERATION})
    return {
        **{str(reply.status): _reply(operation, reply) for reply in operation.replies},
        **{str(status): {"$ref": f"#/components/responses/{status}"} for status in problems},
    }


def _reply(operation: Operation, reply: Reply) -> Json:
    described: Json = {"description": reply.description}
    if reply.etag:
        etag = {"description": "Stands for what the resource now is.", "schema": {"type": "string"}}
        described["headers"] = {"ETag": etag}
    if reply.body is not None:
        described["content"] = _content(reply.body)
    leads = links(operation, reply, OPERATIONS)
    return described | ({"links": leads} if leads else {})


def _content(body: BodyOf) -> Json:
    described: Json = {"schema": _schema(body)}
    if body.example is not None:
        described["example"] = dict(body.example)
    return dict.fromkeys(body.media, described)


_BY_MEDIA: Final[dict[str, Json]] = {
    JSON: {"type": "object"},
    HTML: {"type": "string"},
    # What is said of a body of events is taken by some for what is said of each of them.
    EVENT_STREAM: {},
}


def _schema(body: BodyOf) -> Json:
    if body.model is None:
        return _BY_MEDIA[body.media[0]]
    one: Json = {"$ref": SCHEMAS + body.model_name}
    if body.map_of:
        return {"type": "object", "additionalProperties": one}
    if body.partial:
        return {"$ref": f"{SCHEMAS}{body.model_name}{PATCH}"}
    return one


def _problem(status: int) -> Json:
    return {
        "description": f"{HTTPStatus(status).phrase}. {PROBLEMS[status]}",
        "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + "ProblemDetails"}}},
    }
