"""A document validated after another one: what comes out, and what is looked at again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.documents import route_checks
from admin.documents.document import NOTHING, Document, Validated, validate, validate_whole
from admin.documents.faults import DocumentError
from admin.edits import Place, look_up, placed, removed
from admin.translate import to_spec
from proxy.errors import Fault
from proxy.route import Route, compile_route
from proxy.spec import Spec
from tests.unit.admin.documents.example import RICH, SMALL

START: dict[str, Any] = {
    "listeners": {"public": {"bind": "127.0.0.1:8080"}, "local": {"bind": "127.0.0.1:8081"}},
    "pools": {
        "backend": {"endpoints": {"127.0.0.1:8000": {}, "127.0.0.1:8001": {}}},
        "hashed": {"balance": {"hash": "$tier"}, "endpoints": {"127.0.0.1:8000": {}}},
        "mapped": {},
    },
    "header_maps": {
        "tier": {"source": "$http_x_tier", "default": "backend", "exact": {"m": "mapped"}},
        "other": {"source": "$tier", "default": "x"},
    },
    "routes": {
        "all": {"path": {"prefix": "/"}, "pool": "backend"},
        "here": {"listeners": ["local"], "path": {"prefix": "/here/"}, "pool": "$tier"},
        "split": {
            "hosts": ["a.example.com"],
            "path": {"regex": "^/s/(.*)"},
            "pools": {"backend": 1, "hashed": 2},
            "request_headers": {"set": {"X-A": "$1", "X-B": "$other"}},
        },
        "first": {
            "hosts": ["b.example.com"],
            "steps": [{"set": {"kind": "$http_x_kind"}}],
            "error_pages": [{"statuses": [404], "route": "fallback"}],
        },
        "fallback": {"pool": "mapped"},
        "marked": {
            "hosts": ["b.example.com"],
            "path": {"prefix": "/"},
            "pool": "backend",
            "request_headers": {"set": {"X-Kind": "$kind"}},
        },
    },
}

REMOVED = object()

EDITS: list[tuple[Place, object]] = [
    (("listeners", "local"), REMOVED),
    (("listeners", "local"), {"bind": "127.0.0.1:8081"}),
    (("listeners", "local", "bind"), "127.0.0.1:8080"),
    (("listeners", "local", "paths"), "nginx"),
    (("pools", "backend"), REMOVED),
    (("pools", "backend"), {"endpoints": {"127.0.0.1:8001": {}, "127.0.0.1:8000": {}}}),
    (("pools", "backend", "endpoints", "twin"), {"address": "127.0.0.1:8000"}),
    (("pools", "hashed"), REMOVED),
    (("pools", "hashed"), START["pools"]["hashed"]),
    (("pools", "hashed", "balance"), {"hash": "$nothing"}),
    (("pools", "hashed", "drain"), {"rate": 1}),
    (("pools", "hashed", "drain"), {"rate": True}),
    (("pools", "mapped"), REMOVED),
    (("pools", "new"), {}),
    (("pools", "no name!"), {}),
    (("header_maps", "tier"), REMOVED),
    (("header_maps", "tier"), START["header_maps"]["tier"]),
    (("header_maps", "tier", "default"), "hashed"),
    (("header_maps", "tier", "default"), "nowhere"),
    (("header_maps", "tier", "source"), "$other"),
    (("header_maps", "other"), REMOVED),
    (("header_maps", "other"), START["header_maps"]["other"]),
    (("routes", "all"), REMOVED),
    (("routes", "all", "pools"), {"backend": 1}),
    (("routes", "all", "path"), {}),
    (("routes", "all", "path"), {"prefix": "/", "priority": 1}),
    (("routes", "here", "path"), {"prefix": "/"}),
    (("routes", "here", "listeners"), ["public"]),
    (("routes", "here", "pool"), "$other"),
    (("routes", "split", "hosts"), ["A.example.com"]),
    (("routes", "split", "request_headers"), {"set": {"X-B": "$other", "X-A": "$1"}}),
    (("routes", "split", "path"), {"regex": "^/s/"}),
    (("routes", "twin"), {"path": {"prefix": "/"}, "pool": "backend"}),
    (("routes", "late"), {"path": {"exact": "/late"}, "pool": "new"}),
    (("routes", "first"), REMOVED),
    (("routes", "first"), START["routes"]["first"]),
    (("routes", "first", "steps"), []),
    (("routes", "first", "steps"), [{"set": {"kind": "a"}}, {"set": {"size": "$kind"}}]),
    (("routes", "first", "steps"), [{"set": {"tier": "a"}}]),
    (("routes", "first", "steps"), [{"rewrite": {"match": "(?P<kind>a)", "to": "/$kind"}}]),
    (("routes", "first", "steps"), [{"rewrite": {"match": "(?P<kind>a", "to": "/$kind"}}]),
    (("routes", "first", "hosts"), ["c.example.com"]),
    (("routes", "first", "error_pages"), []),
    (("routes", "first", "pool"), "backend"),
    (("routes", "first", "path"), {"exact": "/first"}),
    (("routes", "second"), {"steps": [{"stop": True}], "hosts": ["b.example.com"]}),
    (("routes", "second"), {"steps": [{"stop": True}], "hosts": ["c.example.com"]}),
    (("routes", "fallback"), REMOVED),
    (("routes", "fallback"), START["routes"]["fallback"]),
    (("routes", "fallback"), {"steps": [{"set": {"kind": "b"}}]}),
    (("routes", "fallback"), {"respond": {"status": 200, "body": "$kind"}}),
    (("routes", "fallback", "path"), {"exact": "/fallback"}),
    (("routes", "marked", "steps"), [{"set": {"kind": "c"}}]),
    (("routes", "marked", "steps"), [{"when": {"value": "$size"}, "stop": True}]),
    (("routes", "marked", "error_pages"), [{"statuses": [502], "route": "fallback"}]),
    (("routes", "marked", "error_pages"), [{"statuses": [502], "route": "second"}]),
    (("routes", "marked", "access"), [{"deny": ["all"]}]),
    (("routes", "marked", "access"), [{"deny": ["al"]}]),
    (("header_maps", "other", "source"), "$kind"),
    (("header_maps", "kind"), {"source": "$http_x"}),
    (("pools", "hashed", "balance"), {"hash": "$kind"}),
    (("pools", "backend", "endpoints"), {"127.0.0.1:8000": {}, "127.0.0.1:8001": {}}),
    (("pools", "backend", "endpoints"), {"127.0.0.1:8001": {}, "127.0.0.1:8000": {}}),
    (("pools", "backend", "endpoints"), {"127.0.0.1:8000": {}, "b": {"address": "127.0.0.1:8000"}}),
    (("pools", "backend", "endpoints"), []),
    (("pools", "backend", "endpoints", "127.0.0.1:8000"), {"weight": 1}),
    (("pools", "backend", "endpoints", "127.0.0.1:8001"), {"weight": True}),
    (("pools", "backend", "endpoints", "127.0.0.1:8001"), {"weight": 1, "x-why": [1]}),
    (("pools", "backend", "endpoints", "127.0.0.1:8001"), None),
    (("pools", "backend", "endpoints", "not an address"), {}),
    (("x-note",), 1),
    (("version",), 2),
    (("routes",), []),
]


def edited(raw: object, place: Place, value: object) -> object:
    if value is not REMOVED:
        return placed(raw, place, value)
    parent = look_up(raw, place[:-1])
    return removed(raw, place) if isinstance(parent, dict) and place[-1] in parent else raw


def outcome(raw: object, previous: Validated | None = None) -> Document | tuple[Fault, ...]:
    try:
        return validate_whole(raw) if previous is None else validate(raw, previous)
    except DocumentError as error:
        return error.faults


def in_order(spec: Spec) -> str:
    return repr(spec)  # unlike ==, it tells dicts in another order apart


def assert_as_if_alone(raw: object, served: Validated, spec: Spec) -> tuple[Validated, Spec]:
    """Check that ``raw`` means the same with and without ``served``; return what serves then."""
    alone, after = outcome(raw), outcome(raw, served)
    assert after == alone
    assert outcome(raw, NOTHING) == alone
    if not isinstance(after, Document):
        return served, spec
    assert isinstance(alone, Document)
    translated = to_spec(after, (served.document, spec))
    assert in_order(translated) == in_order(to_spec(alone))
    return Validated(raw, after), translated


@pytest.mark.parametrize(("place", "value"), EDITS)
def test_one_edit_after_a_valid_document_means_what_it_means_alone(
    place: Place, value: object
) -> None:
    served = Validated(START, validate(START))
    raw = edited(START, place, value)
    assert_as_if_alone(raw, served, to_spec(served.document))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EDITS), st.booleans()), max_size=10))
def test_any_sequence_of_edits_means_what_its_documents_mean_alone(
    steps: list[tuple[tuple[Place, object], bool]],
) -> None:
    served = Validated(START, validate(START))
    spec = to_spec(served.document)
    raw: object = START
    for (place, value), reread in steps:
        raw = edited(raw, place, value)
        raw = copy.deepcopy(raw) if reread else raw
        served, spec = assert_as_if_alone(raw, served, spec)
        raw = served.raw


@pytest.mark.parametrize("raw", [None, [], "", {}, {"pools": None}, {"pools": []}, RICH, SMALL])
def test_unrelated_value_means_what_it_means_alone(raw: object) -> None:
    served = Validated(START, validate(START))
    assert_as_if_alone(raw, served, to_spec(served.document))


@pytest.mark.parametrize("reread", [False, True])
def test_all_but_the_changed_object_is_taken_over(reread: bool) -> None:
    before = validate(START)
    spec = to_spec(before)
    raw = placed(START, ("pools", "hashed", "drain"), {"rate": 1})
    raw = copy.deepcopy(raw) if reread else raw

    translated = to_spec(validate(raw, Validated(START, before)), (before, spec))

    assert translated.pools["hashed"].drain.rate == 1
    assert translated.pools["backend"] is spec.pools["backend"]
    for kind in ("listeners", "header_maps", "routes"):
        old, new = getattr(spec, kind), getattr(translated, kind)
        assert new.keys() == old.keys()
        assert all(new[name] is old[name] for name in old)


def test_route_whose_header_map_changed_names_its_new_pools() -> None:
    before = validate(START)
    spec = to_spec(before)
    raw = placed(START, ("header_maps", "tier", "default"), "hashed")

    translated = to_spec(validate(raw, Validated(START, before)), (before, spec))

    assert translated.routes["here"].pools == (("hashed", 1), ("mapped", 1))
    assert translated.routes["all"] is spec.routes["all"]


@pytest.mark.parametrize(
    ("place", "value", "compiled"),
    [
        (("pools", "hashed", "drain"), {"rate": 1}, []),
        (("pools", "new"), {}, []),
        (("listeners", "local", "paths"), "nginx", []),
        (("routes", "all"), REMOVED, []),
        (("routes", "all", "rewrite"), "/x/", ["all"]),
        (("header_maps", "other", "default"), "y", [*START["routes"]]),
        (("routes", "marked", "steps"), [{"set": {"kind": "c"}}], ["marked"]),
        (("routes", "marked", "steps"), [{"set": {"size": "c"}}], [*START["routes"]]),
        (("routes", "marked", "access"), [{"deny": ["all"]}], ["marked"]),
    ],
)
def test_change_compiles_only_the_routes_it_touches(
    monkeypatch: pytest.MonkeyPatch, place: Place, value: object, compiled: list[str]
) -> None:
    served = Validated(START, validate(START))
    seen: list[str] = []

    def spy(spec: Any, *others: Any) -> Route:
        seen.append(spec.name)
        return compile_route(spec, *others)

    monkeypatch.setattr(route_checks, "compile_route", spy)
    validate(edited(START, place, value), served)
    assert seen == compiled


def test_endpoints_are_taken_over_one_by_one_and_shared_where_only_names_differ() -> None:
    endpoints = {"10.0.0.1:80": {}, "10.0.0.2:80": {}, "c": {"address": "10.0.0.3:80"}}
    raw = {"pools": {"p": {"endpoints": endpoints}}}
    before = validate(raw)
    old = before.pools["p"].endpoints
    assert old["10.0.0.1:80"] is old["10.0.0.2:80"]
    more = placed(copy.deepcopy(raw), ("pools", "p", "endpoints", "d"), {"address": "10.0.0.4:80"})
    new = validate(more, Validated(raw, before)).pools["p"].endpoints
    assert list(new) == [*endpoints, "d"]
    assert all(new[name] is old[name] for name in endpoints)
