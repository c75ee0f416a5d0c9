from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.documents.document import Document, check, effective, validate
from admin.documents.faults import DocumentError
from admin.documents.loading import dump_yaml, load
from admin.documents.model import Model
from admin.documents.pool import Pool
from admin.translate import to_spec
from proxy.errors import Fault
from proxy.snapshot import NOTHING, compile_snapshot
from proxy.telemetry.counters import Ledger, RouteCounters
from tests.unit.admin.documents.example import EVERYTHING_YAML, RICH, SMALL, STEPPED, changed

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["off", "unlimited", "5s", "1KiB", "$tier", "stable", "public", "/", "[::1]"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["x-a", "path"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def everything() -> Any:
    return load(EVERYTHING_YAML.encode(), yaml=True)


def test_the_example_that_says_everything_is_valid() -> None:
    document = validate(everything())

    assert list(document.routes) == ["chat"]
    assert document.routes["chat"].tunnel.ping_interval == "off"
    assert document.pools["backend"].on_removal == "drain"


@pytest.mark.parametrize("raw", [SMALL, RICH, STEPPED, {}, {"version": 1}])
def test_a_good_document_is_valid(raw: dict[str, Any]) -> None:
    before = copy.deepcopy(raw)

    validate(raw)

    assert raw == before


def test_a_good_file_has_no_faults() -> None:
    assert check(EVERYTHING_YAML.encode(), yaml=True) == ()
    assert check(json.dumps(RICH).encode(), yaml=False) == ()


def test_a_bad_file_has_those_of_its_text_or_of_its_meaning() -> None:
    assert check(b"{", yaml=False)[0].message.startswith("not JSON")
    assert check(b"a: [", yaml=True)[0].message.startswith("not YAML")
    assert check(b"version: 2", yaml=True) == (Fault("/version", "2 is not `1`"),)


# Effective documents.


@pytest.mark.parametrize("raw", [everything(), SMALL, RICH, STEPPED, {}])
def test_an_effective_document_says_the_same(raw: dict[str, Any]) -> None:
    document = validate(raw)
    filled = effective(document)

    again = validate(filled)

    assert to_spec(again) == to_spec(document)
    assert effective(again) == filled
    assert load(dump_yaml(filled).encode(), yaml=True) == filled
    assert load(json.dumps(filled).encode(), yaml=False) == filled


def test_large_pools_are_filled_in_endpoint_by_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    document = validate({"pools": {"big": {"endpoints": {f"10.0.0.{n}:80": {} for n in range(9)}}}})
    together: list[int] = []
    dump = Model.model_dump

    def counted(model: Model, **how: Any) -> dict[str, Any]:
        together.append(len(getattr(model, "pools", ())) + len(getattr(model, "endpoints", ())))
        return dump(model, **how)

    monkeypatch.setattr(Model, "model_dump", counted)
    assert len(effective(document)["pools"]["big"]["endpoints"]) == 9
    assert len(together) > 9
    assert set(together) == {0}, "what holds the interpreter holds it for one object"


def test_an_effective_document_has_its_keys_in_the_order_of_the_models() -> None:
    filled = effective(validate(everything()))
    assert [key for key in filled if key != "x-note"] == list(Document.model_fields)
    keys = list(filled["pools"]["backend"])
    assert keys == [key for key in Pool.model_fields if key in keys]


def test_defaults_are_filled_in_as_users_write_them() -> None:
    filled = effective(validate(SMALL))

    assert filled["version"] == 1
    assert filled["listeners"]["public"] == {
        "bind": "127.0.0.1:0",
        "trusted_proxies": [],
        "client_address": {"header": "X-Forwarded-For", "recursive": True},
        "default_host": "",
        "paths": "strict",
        "timeouts": {"header": "10s", "body": "60s", "write": "60s", "idle": "75s"},
        "limits": {
            "connections": 10_000,
            "header_bytes": "32KiB",
            "headers": 100,
            "body_bytes": "unlimited",
            "requests_per_connection": "unlimited",
        },
        "underscores_in_headers": "drop",
        "odd_header_names": "allow",
        "merge_slashes": True,
    }
    assert filled["pools"]["backend"]["endpoints"]["127.0.0.1:8000"] == {
        "address": "127.0.0.1:8000",
        "seat": 1,
        "weight": 1,
        "backup": False,
        "max_connections": "unlimited",
        "state": "active",
        "labels": {},
        "passive_health": {"max_fails": 3, "fail_timeout": "10s"},
    }
    assert filled["pools"]["backend"]["on_removal"] == "keep"
    assert filled["routes"]["all"]["tunnel"] == {"idle_timeout": "1h", "ping_interval": "off"}


def test_what_follows_another_object_stays_absent() -> None:
    route = effective(validate(SMALL))["routes"]["all"]

    assert route["timeouts"] == {}
    assert route["limits"] == {}
    assert "listeners" not in route
    assert "hosts" not in route
    assert "rewrite" not in route


@pytest.mark.parametrize(
    ("pool", "endpoint", "expected"),
    [
        ("off", None, "off"),
        ("off", {"max_fails": 1}, {"max_fails": 1, "fail_timeout": "10s"}),
        ({"fail_timeout": "1s"}, None, {"max_fails": 3, "fail_timeout": "1s"}),
        ({"fail_timeout": "1s"}, {"max_fails": 9}, {"max_fails": 9, "fail_timeout": "1s"}),
        ({"fail_timeout": "1s"}, "off", "off"),
    ],
)
def test_an_endpoint_inherits_what_it_leaves_out(
    pool: object, endpoint: object, expected: object
) -> None:
    raw = changed("pools backend passive_health", pool)
    if endpoint is not None:
        raw["pools"]["backend"]["endpoints"]["127.0.0.1:8000"]["passive_health"] = endpoint

    endpoints = effective(validate(raw))["pools"]["backend"]["endpoints"]

    assert endpoints["127.0.0.1:8000"]["passive_health"] == expected


def test_a_document_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        validate(SMALL).listeners["public"].paths = "nginx"


# Whatever comes in.


@given(json_values)
def test_an_arbitrary_value_raises_nothing_but_faults(raw: object) -> None:
    try:
        validate(raw)
    except DocumentError as error:
        assert error.faults


def places(value: object, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if way:
        yield way
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield from places(item, (*way, key))


MUTABLE = {"rich": RICH, "stepped": STEPPED, "everything": everything()}
PLACES = [(name, place) for name, raw in MUTABLE.items() for place in places(raw)]


def at(raw: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        raw = raw[key]
    return raw


Change = Callable[[Any, str | int, object], None]


def replace(parent: Any, key: str | int, value: object) -> None:
    parent[key] = value


def remove(parent: Any, key: str | int, value: object) -> None:
    del parent[key]


def rename(parent: Any, key: str | int, value: object) -> None:
    if isinstance(parent, dict):
        parent[str(value)] = parent.pop(key)


def add(parent: Any, key: str | int, value: object) -> None:
    if isinstance(parent, dict):
        parent[f"{key}x"] = value
    elif isinstance(parent, list):
        parent.append(value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(PLACES), st.sampled_from([replace, remove, rename, add]), json_values
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_changed_document_is_compiled_or_has_faults_at_places_it_has(
    changes: list[tuple[tuple[str, tuple[str | int, ...]], Change, object]],
) -> None:
    name = changes[0][0][0]
    raw = copy.deepcopy(MUTABLE[name])
    for (_, place), change, value in changes:
        try:
            change(at(raw, place[:-1]), place[-1], value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    before = copy.deepcopy(raw)

    try:
        document = validate(raw)
    except DocumentError as error:
        assert error.faults
        for fault in error.faults:
            assert_place(raw, fault)
    else:
        ledger: Ledger[RouteCounters] = Ledger()
        compile_snapshot(to_spec(document), NOTHING, {}, {}, ledger)
        assert to_spec(validate(effective(document))) == to_spec(document)
    assert raw == before


def assert_place(raw: Any, fault: Fault) -> None:
    """Check that a fault's pointer leads to a value, or to a key that an object lacks."""
    assert fault.path == "" or fault.path.startswith("/")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in fault.path.split("/")[1:]]
    for index, part in enumerate(parts):
        if isinstance(raw, list):
            raw = raw[int(part)]
        elif isinstance(raw, dict) and part not in raw:
            assert index == len(parts) - 1
        else:
            raw = raw[part]


# The models describe themselves.


def models(kind: type[Model]) -> Iterator[type[Model]]:
    yield kind
    for child in kind.__subclasses__():
        yield from models(child)


FIELDS = [(kind, name) for kind in models(Model) for name in kind.model_fields]


@pytest.mark.parametrize(
    ("kind", "name"), FIELDS, ids=lambda value: getattr(value, "__name__", value)
)
def test_every_field_has_a_description_and_valid_examples(kind: type[Model], name: str) -> None:
    field = kind.model_fields[name]

    assert field.description
    assert field.description.endswith(".")
    assert field.examples
    for example in field.examples:
        kind.__pydantic_validator__.validate_assignment(kind.model_construct(), name, example)


def test_the_schema_knows_defaults_words_and_keys_of_ones_own() -> None:
    schema = Document.model_json_schema()
    route, pool = schema["$defs"]["Route"], schema["$defs"]["Pool"]

    assert route["additionalProperties"] is False
    assert route["patternProperties"] == {"^x-": {}}
    assert "required" not in route
    assert route["allOf"][0]["oneOf"][:3] == [
        {"required": [key]} for key in ("pool", "pools", "respond")
    ]
    none = [{"required": [key]} for key in ("path", "pool", "pools", "respond")]
    assert route["allOf"][0]["oneOf"][3] == {"not": {"anyOf": none}}
    assert route["properties"]["upgrades"]["default"] == ["websocket"]
    assert "default" not in route["properties"]["rewrite"]
    assert route["properties"]["timeouts"]["default"] == {}
    assert pool["properties"]["passive_health"]["anyOf"][1] == {"type": "string", "enum": ["off"]}
    assert "default" not in pool["properties"]["passive_health"]
    assert schema["$defs"]["PassiveHealth"]["properties"]["max_fails"]["default"] == 3


def test_patterns_of_the_schema_agree_with_what_is_accepted() -> None:
    timeouts = Document.model_json_schema()["$defs"]["ListenerTimeouts"]["properties"]

    assert timeouts["idle"]["pattern"] == "^((?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"


def test_schema_tells_that_several_values_may_be_appended() -> None:
    rules = Document.model_json_schema()["$defs"]["HeaderRules"]["properties"]
    one, several = rules["append"]["additionalProperties"]["anyOf"]
    assert one["type"] == "string"
    assert (several["type"], several["items"], several["maxItems"]) == ("array", one, 32)


def test_schema_tells_that_a_substitution_is_of_one_kind() -> None:
    schemas = Document.model_json_schema()["$defs"]
    one = {"oneOf": [{"required": ["prefix"]}, {"required": ["match"]}]}
    assert schemas["Substitution"]["allOf"] == [one]
    one = {"oneOf": [{"required": ["exact"]}, {"required": ["match"]}]}
    assert schemas["DomainSubstitution"]["allOf"] == [one]
