from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from admin.api.bodies.drains import DrainBody
from admin.api.bodies.overrides import OverrideBody
from admin.api.bodies.question import ExplainBody
from admin.api.openapi import PROBLEMS, document
from admin.api.operations import Operation
from admin.api.table import OPERATIONS
from admin.documents.document import validate
from admin.edits import placed
from tests.unit.admin.api.answers import ok
from tests.unit.admin.api.test_auth import TOKENS
from tests.unit.admin.conftest import Client, Connect
from tests.unit.admin.plane import DOCUMENT

BESIDE = {"overrides", "explain", "drains"}
OF_DOCUMENT = [one for one in OPERATIONS if one.body is not None and one.tag not in BESIDE]


def named(operation: Operation) -> str:
    return operation.name


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_document_is_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(json.loads(json.dumps(document()))).validate()
    assert document()["openapi"].startswith("3.1.")


def test_every_operation_is_described_once() -> None:
    described = {
        (path, method.upper()): operation["operationId"]
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }
    assert described == {(one.path, one.method): one.name for one in OPERATIONS}
    assert len(set(described.values())) == len(OPERATIONS)


def test_every_reference_leads_somewhere() -> None:
    whole = document()
    for reference in set(references(whole)):
        target: Any = whole
        for key in reference.removeprefix("#/").split("/"):
            target = target[key]


def schemas_within(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from schemas_within(item)


def test_generators_of_clients_understand_the_schemas() -> None:
    """What openapi-python-client trips over, found by calling the API with what it made."""
    whole = document()
    schemas = whole["components"]["schemas"]
    for name, schema in schemas.items():
        # A choice at the top is not a type with fields.
        assert not {"oneOf", "anyOf"} & schema.keys(), name
        for key, value in schema.get("properties", {}).items():
            assert "title" not in value, f"{name}.{key} has the name of a type"
    for schema in schemas_within(schemas):
        assert "const" not in schema, f"{schema}: taken for all there is"
        if "anyOf" in schema:
            assert not isinstance(schema.get("default"), dict), f"{schema}: an object as default"
        for value in schema.get("properties", {}).values():
            assert not isinstance(value, bool), f"{schema}: a schema that is no object"
    for operation in (each for path in whole["paths"].values() for each in path.values()):
        for body in operation.get("requestBody", {}).get("content", {}).values():
            assert "$ref" in body["schema"], f"{operation['operationId']}: a body without a name"
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header":
                assert parameter["schema"].keys() <= {"type", "pattern", "examples"}


def test_answers_lead_to_what_they_name() -> None:
    paths = document()["paths"]

    def leads(path: str, method: str, status: str = "200") -> dict[str, dict[str, str]]:
        found = paths[path][method]["responses"][status]["links"]
        return {link["operationId"]: link["parameters"] for link in found.values()}

    own = {"name": "$request.path.name", "endpoint": "$request.path.endpoint"}
    created = leads("/v1/pools/{name}/endpoints/{endpoint}", "put", "201")
    assert created["get_endpoint"] == created["delete_override"] == own
    assert "put_endpoint" not in created
    assert created["confirm_revision"] == {"number": "$response.body#/revision"}
    assert leads("/v1/pools/{name}", "put")["list_endpoints"] == {"name": "$request.path.name"}
    assert leads("/v1/drains", "get")["delete_drain"] == {"name": "$response.body#/items/0/name"}
    assert leads("/v1/connections", "get").keys() == {"get_connection", "close_connection"}
    assert leads("/v1/failures", "get").keys() == {"get_failure"}
    assert "links" not in paths["/v1/config"]["get"]["responses"]["200"]


@pytest.mark.parametrize("found", ["10.0.0.7:80", "_a.b.svc:80", "pod-0.b.svc:80@[fd00::7]:80"])
def test_endpoint_that_dns_has_is_overridden_by_a_name_as_it_should_be(found: str) -> None:
    (path,) = (path for path in document()["paths"] if path.endswith("/override"))
    for operation in document()["paths"][path].values():
        (name,) = (one for one in operation["parameters"] if one["name"] == "endpoint")
        assert re.fullmatch(name["schema"]["pattern"], found)


def test_every_problem_that_is_declared_is_described() -> None:
    assert {status for one in OPERATIONS for status in one.problems} <= set(PROBLEMS)


def test_every_field_of_the_document_is_described() -> None:
    schemas = document()["components"]["schemas"]
    silent = [
        f"{name}.{key}"
        for name, schema in schemas.items()
        for key, value in schema.get("properties", {}).items()
        if name in {"Document", "Listener", "Pool", "Endpoint", "HeaderMap", "Route"}
        # What refers to another schema is described there.
        and not (value.get("description") or list(references(value)))
    ]
    assert silent == []


@pytest.mark.parametrize("operation", OF_DOCUMENT, ids=named)
def test_example_is_a_good_document(operation: Operation) -> None:
    assert operation.body is not None
    names = {"name": {"pools": "backend"}.get(operation.tag, "example"), "endpoint": "h:80"}
    place = tuple(names.get(key.strip("{}"), key) for key in operation.place)
    validate(placed(DOCUMENT, place, operation.body.example))


def test_example_of_an_override_is_a_good_one() -> None:
    (operation,) = (one for one in OPERATIONS if one.name == "put_override")
    assert operation.body is not None
    OverrideBody.model_validate(operation.body.example)


def test_example_of_a_drain_is_a_good_one() -> None:
    (operation,) = (one for one in OPERATIONS if one.name == "put_drain")
    assert operation.body is not None
    DrainBody.model_validate(operation.body.example).order("alice", None)


def test_example_of_a_question_is_a_good_one() -> None:
    (operation,) = (one for one in OPERATIONS if one.name == "explain_request")
    assert operation.body is not None
    ExplainBody.model_validate(operation.body.example)


def test_every_example_of_an_answer_is_one() -> None:
    bodies = [reply.body for one in OPERATIONS for reply in one.replies if reply.body is not None]
    shown = [body for body in bodies if body.model is not None and body.example is not None]
    assert shown
    for body in shown:
        body.model_class().model_validate(body.example)


@pytest.mark.parametrize("guarded", [True, False])
async def test_openapi_is_served_as_json_and_says_whether_tokens_are_asked_for(
    connect: Connect, guarded: bool
) -> None:
    client = await connect(tokens=TOKENS if guarded else None)
    served = await ok(await client.get("/openapi.json"))
    assert served == json.loads(json.dumps(document(guarded=guarded)))
    assert ("securitySchemes" in served["components"]) is guarded
    assert bool(served["paths"]["/v1/config"]["put"]["security"]) is guarded


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
async def test_each_operation_answers_as_it_is_described(
    client: Client, operation: Operation
) -> None:
    path = re.sub(r"\{\w+\}", "nope", operation.path)
    response = await client.request(operation.method, path, json={"no": "sense"})
    described = document()["paths"][operation.path][operation.method.lower()]["responses"]
    assert str(response.status) in described
