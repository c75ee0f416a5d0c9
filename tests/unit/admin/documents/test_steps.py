"""Steps, access rules, answers and error pages, as documents have them."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from admin.documents.client_address import PRIVATE
from admin.documents.document import Document, validate
from admin.documents.faults import DocumentError
from admin.translate import to_spec
from proxy import spec
from proxy.errors import Fault
from proxy.snapshot import NOTHING, compile_snapshot
from proxy.telemetry.counters import Ledger
from tests.unit.admin.documents.example import SMALL, STEPPED, changed

WHEN = {"value": "$uri"}
SORRY = {"statuses": [502], "path": "/sorry"}

# (place to change in SMALL, value, where the fault is below it, part of the message, of the hint)
ONE_MISTAKE: list[tuple[str, object, str, str, str | None]] = [
    # Steps.
    ("routes all steps", {}, "", "an object is not a list", None),
    ("routes all steps", [5], "/0", "5 is not an object", None),
    ("routes all steps", [{}], "/0", "a step that does nothing", "`set`, `rewrite`, `respond`"),
    ("routes all steps", [{"stop": False}], "/0", "a step that does nothing", "one of"),
    ("routes all steps", [{"set": {}}], "/0", "a step that does nothing", "one of"),
    ("routes all steps", [{"when": WHEN}], "/0", "a step that does nothing", "one of"),
    ("routes all steps", [{"stop": "yes"}], "/0/stop", "'yes' is not true or false", "write true"),
    ("routes all steps", [{"stopp": True}],
     "/0/stopp", "unknown key 'stopp'", "did you mean `stop`?"),
    ("routes all steps", [{"stop": True}, {"respond": {"status": 403}, "stop": True}],
     "/1/stop", "nothing follows an answer", "leave it out"),
    ("routes all steps", [{"stop": True}] * 501, "", "has too many entries", "at most 500"),
    ("routes all steps", None, "", "null is not a list", None),
    # Conditions.
    ("routes all steps", [{"when": "$uri", "stop": True}], "/0/when", "is not an object", None),
    ("routes all steps", [{"when": None, "stop": True}], "/0/when", "null is not", None),
    ("routes all steps", [{"when": {}, "stop": True}],
     "/0/when/value", "`value` is missing", "$http_user_agent"),
    ("routes all steps", [{"when": {"value": 1}, "stop": True}],
     "/0/when/value", "1 is not text", '"1"'),
    ("routes all steps", [{"unless": {"value": "$urii"}, "stop": True}],
     "/0/unless/value", "unknown variable $urii", "did you mean $uri?"),
    ("routes all steps", [{"when": WHEN, "unless": WHEN, "stop": True}],
     "/0", "has both `when` and `unless`", "two steps"),
    ("routes all steps", [{"when": {**WHEN, "equals": "a", "matches": "a"}, "stop": True}],
     "/0/when", "has both `equals` and `matches`", "leave one of them out"),
    ("routes all steps", [{"when": {**WHEN, "equals": "$urii"}, "stop": True}],
     "/0/when/equals", "unknown variable $urii", "$uri"),
    ("routes all steps", [{"when": {**WHEN, "equals": "a", "ignore_case": True}, "stop": True}],
     "/0/when/ignore_case", "only with `matches`", None),
    ("routes all steps", [{"when": {**WHEN, "matches": "(?!a)"}, "stop": True}],
     "/0/when/matches", "not an RE2 regular expression", "lookaround"),
    ("routes all steps", [{"when": {**WHEN, "matches": "x" * 1025}, "stop": True}],
     "/0/when/matches", "1,025 characters", "at most 1,024"),
    ("routes all steps", [{"when": {**WHEN, "matches": "(a)("}, "set": {"x": "$1"}}],
     "/0/when/matches", "not an RE2 regular expression", None),
    ("routes all steps", [{"unless": {**WHEN, "matches": "(?P<uri>a)"}, "stop": True}],
     "/0/unless/matches", "$uri is a built-in variable", "rename"),
    ("routes all steps", [{"when": {**WHEN, "matches": "(?P<tier>a)"}, "stop": True}],
     "/0/when/matches", "$tier is a header map", "rename"),
    # Variables.
    ("routes all steps", [{"set": ["a"]}], "/0/set", "a list is not an object", None),
    ("routes all steps", [{"set": {"Kind": ""}}],
     "/0/set/Kind", "'Kind' is not the name of a variable", "lower-case"),
    ("routes all steps", [{"set": {"kind": 1}}], "/0/set/kind", "1 is not text", '"1"'),
    ("routes all steps", [{"set": {"kind": "$kinds"}}],
     "/0/set/kind", "unknown variable $kinds", "did you mean $kind?"),
    ("routes all steps", [{"set": {"kind": "$1"}}], "/0/set/kind", "no capture $1", "groups"),
    ("routes all steps", [{"set": {"kind": "a\nb"}}], "/0/set/kind", "cannot hold CR", None),
    ("routes all steps", [{"set": {"host": ""}}],
     "/0/set/host", "$host is a built-in variable", "only `args` can be set"),
    ("routes all steps", [{"set": {"tier": ""}}],
     "/0/set/tier", "$tier is a header map", "another name"),
    # Rewrites.
    ("routes all steps", [{"rewrite": {"to": "/"}}],
     "/0/rewrite/match", "`match` is missing", "^/old/"),
    ("routes all steps", [{"rewrite": {"match": "a"}}],
     "/0/rewrite/to", "`to` is missing", "/new/$1"),
    ("routes all steps", [{"rewrite": {"match": "(", "to": "/$1"}}],
     "/0/rewrite/match", "not an RE2 regular expression", None),
    ("routes all steps", [{"rewrite": {"match": "(a)", "to": "/$2"}}],
     "/0/rewrite/to", "there is no capture $2", "the regex has 1"),
    ("routes all steps", [{"rewrite": {"match": "a", "to": "b"}}],
     "/0/rewrite/to", "a path begins with a slash", "`redirect`"),
    ("routes all steps", [{"rewrite": {"match": "a", "to": "https://h/"}}],
     "/0/rewrite/to", "a path begins with a slash", "`redirect`"),
    ("routes all steps", [{"rewrite": {"match": "a", "to": "/", "then": "nxt"}}],
     "/0/rewrite/then", "'nxt' is not `next`, `route` or `stop`", "`next`?"),
    ("routes all steps", [{"rewrite": {"match": "a", "to": "/", "redirect": 300}}],
     "/0/rewrite/redirect", "300 is not `301`, `302`, `303`, `307` or `308`", None),
    ("routes all steps", [{"rewrite": {"match": "a", "to": "/", "redirect": 301, "then": "stop"}}],
     "/0/rewrite/then", "nothing follows a redirect", "leave it out"),
    # Answers.
    ("routes own", {"path": {"exact": "/own"}, "respond": {}},
     "/respond/status", "`status` is missing", "204"),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 101}},
     "/respond/status", "101 is not a whole number from 200 to 599", None),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": "200"}},
     "/respond/status", "'200' is not a whole number", None),
    ("routes own", {"path": {"exact": "/own"}, "respond": 200},
     "/respond", "200 is not an object", None),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 302}},
     "/respond", "a redirect needs a `location`", "/elsewhere"),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 200, "location": "/"}},
     "/respond/location", "a response with status 200 leads nowhere", "301"),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 301, "location": "$nope"}},
     "/respond/location", "unknown variable $nope", None),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 301, "location": "/\n"}},
     "/respond/location", "cannot hold CR, LF or NUL", None),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 204, "body": ""}},
     "/respond/body", "a response with status 204 has no body", None),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 304, "body": "x"}},
     "/respond/body", "a response with status 304 has no body", None),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 444, "body": "x"}},
     "/respond/body", "nothing is sent with 444", None),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 200, "body": "x" * 65_537}},
     "/respond/body", "is too long", "at most 65,536 characters"),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 200, "type": "html"}},
     "/respond/type", "'html' is not a media type", "text/plain"),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 200, "type": "a/b\r\nX: y"}},
     "/respond/type", "is not a media type", "text/plain"),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 200, "type": "a/b\n"}},
     "/respond/type", "is not a media type", "text/plain"),
    ("routes all steps", [{"respond": {"status": 301}}],
     "/0/respond", "a redirect needs a `location`", "/elsewhere"),
    # Destinations.
    ("routes own", {"path": {"exact": "/own"}},
     "", "needs `pool`, `pools` or `respond`", None),
    ("routes all respond", {"status": 200}, "/", "has both `pool` and `respond`", "leave one"),
    # Access rules.
    ("routes all access", {"allow": ["all"]}, "", "an object is not a list", None),
    ("routes all access", [{}], "/0", "needs `allow` or `deny`", None),
    ("routes all access", [{"allow": ["all"], "deny": ["all"]}],
     "/0", "has both `allow` and `deny`", "leave one"),
    ("routes all access", [{"alow": ["all"]}], "/0/alow", "unknown key", "`allow`?"),
    ("routes all access", [{"allow": "all"}], "/0/allow", "'all' is not a list", "['all']"),
    ("routes all access", [{"allow": []}], "/0/allow", "without entries", "at least one"),
    ("routes all access", [{"deny": ["everyone"]}],
     "/0/deny/0", "'everyone' is not a network", "or `all`"),
    ("routes all access", [{"deny": ["all", "privat"]}],
     "/0/deny/1", "'privat' is not a network", "or `all`"),
    ("routes all access", [{"deny": ["10.0.0.1/8"]}],
     "/0/deny/0", "bits set beyond", "write 10.0.0.0/8"),
    # Error pages.
    ("routes all error_pages", [{"path": "/"}], "/0/statuses", "`statuses` is missing", "502"),
    ("routes all error_pages", [{**SORRY, "statuses": []}],
     "/0/statuses", "without entries", "at least one"),
    ("routes all error_pages", [{**SORRY, "statuses": 502}],
     "/0/statuses", "502 is not a list", None),
    ("routes all error_pages", [{**SORRY, "statuses": [502, 200]}],
     "/0/statuses/1", "200 is not a whole number from 300 to 599", None),
    ("routes all error_pages", [{"statuses": [502]}],
     "/0", "needs `path`, `route` or `location`", None),
    ("routes all error_pages", [{**SORRY, "location": "/"}],
     "/0", "has both `path` and `location`", "leave one"),
    ("routes all error_pages", [{**SORRY, "path": "sorry"}],
     "/0/path", "a path begins with a slash", "/sorry.html"),
    ("routes all error_pages", [{**SORRY, "path": "/$nope"}],
     "/0/path", "unknown variable $nope", None),
    ("routes all error_pages", [{**SORRY, "path": "/?$nope"}],
     "/0/path", "unknown variable $nope", None),
    ("routes all error_pages", [{"statuses": [502], "location": "$nope"}],
     "/0/location", "unknown variable $nope", None),
    ("routes all error_pages", [{"statuses": [502], "route": "al"}],
     "/0/route", "there is no route 'al'", "did you mean `all`?"),
    ("routes all error_pages", [{"statuses": [502], "route": ["all"]}],
     "/0/route", "a list is not a name", None),
    ("routes all error_pages", [{**SORRY, "status": 100}],
     "/0/status", "100 is not a whole number from 200 to 599", "`page` is"),
    ("routes all error_pages", [{**SORRY, "status": "pages"}],
     "/0/status", "'pages' is not a whole number", "`page` is"),
    ("routes all error_pages", [{"statuses": [502], "location": "/", "status": 200}],
     "/0/status", "the client is redirected with it", "301"),
    ("routes all error_pages", [{"statuses": [502], "location": "/", "status": "page"}],
     "/0/status", "the client is redirected with it", "301"),
    ("routes all error_pages", [SORRY] * 101, "", "has too many entries", "at most 100"),
    ("routes all intercept_errors", True, "", "only with `error_pages`", None),
    ("routes all intercept_errors", "on", "", "'on' is not true or false", "write true"),
    # Paths.
    ("routes all path internal", "yes", "", "'yes' is not true or false", "write true"),
    # Routes without a path.
    ("routes first", {}, "", "needs `path` and a `pool`, `pools` or `respond`", "`steps`"),
    ("routes first", {"steps": []}, "", "needs `path` and a `pool`", "`steps`"),
    ("routes first", {"steps": [{"stop": True}], "rewrite": "/"},
     "/rewrite", "means nothing on a route that no request ends at", "`path`"),
    ("routes first", {"steps": [{"stop": True}], "request_headers": {"set": {"A": "1"}}},
     "/request_headers", "means nothing on a route that no request ends at", "`path`"),
    ("routes lost", {"pool": "backend"}, "/path", "`path` is missing", "only what error pages"),
    ("routes lost", {"respond": {"status": 200}}, "/path", "`path` is missing", "error pages"),
]  # fmt: skip


def faults_of(raw: object) -> tuple[Fault, ...]:
    with pytest.raises(DocumentError) as caught:
        validate(raw)
    return caught.value.faults


@pytest.mark.parametrize(
    ("at", "value", "below", "message", "hint"), ONE_MISTAKE, ids=lambda value: str(value)[:60]
)
def test_one_mistake_is_one_fault_with_its_place(
    at: str, value: object, below: str, message: str, hint: str | None
) -> None:
    place = at.removesuffix(" respond") if below == "/" else at
    (fault,) = faults_of(changed(at, value))
    assert fault.path == "/" + place.replace(" ", "/") + below.removesuffix("/")
    assert message in fault.message
    assert hint is None or hint in (fault.hint or "")


GOOD: list[tuple[str, object]] = [
    ("routes all steps", []),
    ("routes all steps", [{"stop": True, "x-note": 1}]),
    ("routes all steps", [{"set": {"a": "", "args": "$args"}}]),
    ("routes all steps", [{"set": {"a": "$b"}}, {"set": {"b": "$tier"}}]),
    ("routes all steps", [{"when": {**WHEN, "matches": "(?P<a>x)"}, "set": {"b": "$a$1"}}]),
    (
        "routes all",
        {"path": {"regex": "^/(?P<u>a)"}, "pool": "backend", "steps": [{"set": {"u": "$u"}}]},
    ),
    ("routes all steps", [{"rewrite": {"match": "a", "to": "$uri"}, "stop": True}]),
    ("routes all steps", [{"rewrite": {"match": "", "to": "https://h/", "redirect": 307}}]),
    ("routes all steps", [{"respond": {"status": 444}}]),
    ("routes all access", []),
    ("routes all access", [{"allow": ["all", "unix", "private", "::1", "10.0.0.0/8"]}]),
    ("routes all error_pages", [{**SORRY, "status": "page"}, SORRY]),
    ("routes all error_pages", [{"statuses": [300, 599], "path": "$uri?$args", "status": 204}]),
    ("routes all error_pages", [{"statuses": [502], "route": "all"}]),
    ("routes all error_pages", [{"statuses": [502], "location": "/x", "status": 308}]),
    ("routes all path internal", True),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 201, "location": "/x"}}),
    ("routes own", {"path": {"exact": "/own"}, "respond": {"status": 200, "body": "a\r\n\0"}}),
    ("routes first", {"access": [{"deny": ["all"]}]}),
    ("routes first", {"error_pages": [SORRY]}),
    ("routes first", {"response_headers": {"set": {"A": "1"}}}),
    ("routes first", {"steps": [{"stop": True}], "hosts": ["a.test"], "listeners": ["public"]}),
]


@pytest.mark.parametrize(("at", "value"), GOOD, ids=lambda value: str(value)[:60])
def test_good_value_is_valid_and_compiles(at: str, value: object) -> None:
    document = validate(changed(at, value))
    compile_snapshot(to_spec(document), NOTHING, {}, {}, Ledger())


@pytest.mark.parametrize(
    "raw", [changed(at, value) for at, value in GOOD] + [SMALL, STEPPED], ids=lambda _: ""
)
def test_good_document_fits_the_schema(raw: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(Document.model_json_schema()).validate(raw)


@pytest.mark.parametrize(
    "route",
    [
        {"path": {"prefix": "/x"}},
        {"path": {"prefix": "/x"}, "pool": "backend", "respond": {"status": 200}},
        {"pool": "backend", "pools": {"backend": 1}},
        {"path": {"prefix": "/x"}, "respond": {"status": 100}},
        {"path": {"prefix": "/x"}, "pool": "backend", "access": [{}]},
        {"path": {"prefix": "/x"}, "pool": "backend", "error_pages": [{"statuses": [502]}]},
    ],
)
def test_schema_knows_what_cannot_stand_together(route: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(Document.model_json_schema())
    assert not validator.is_valid(changed("routes x", route))


def test_every_choice_is_translated() -> None:
    routes = to_spec(validate(STEPPED)).routes

    assert routes["first"] == spec.RouteSpec(
        name="first",
        path=None,
        hosts=("a.example.org",),
        steps=(
            spec.StepSpec(
                when=spec.ConditionSpec(value="$http_x_debug"), answer=spec.AnswerSpec(status=403)
            ),
            spec.StepSpec(
                rewrite=spec.RewriteSpec(match="^/v1/(?P<rest>.*)$", to="/$rest", then="route")
            ),
            spec.StepSpec(set=(("kind", "plain"), ("args", "$args&v=1"))),
        ),
        access=(
            spec.AccessRuleSpec(
                allows=True, networks=tuple(dict.fromkeys(("10.0.0.0/8", *PRIVATE, "unix:")))
            ),
            spec.AccessRuleSpec(allows=False, networks=("0.0.0.0/0", "::/0", "unix:")),
        ),
        error_pages=(spec.ErrorPageSpec(statuses=(404,), path="/sorry.html?for=$uri"),),
        response_headers=spec.ResponseRulesSpec(set=(("X-Status", "$status"),)),
    )
    assert routes["all"].steps == (
        spec.StepSpec(
            when=spec.ConditionSpec(
                value="$request_method",
                test="matches",
                operand="^(get|head)$",
                ignore_case=True,
                negated=True,
            ),
            answer=spec.AnswerSpec(status=405, body="no $kind\r\n", content_type="text/html"),
        ),
        spec.StepSpec(
            when=spec.ConditionSpec(value="$kind", test="equals", operand="plain"), stop=True
        ),
        spec.StepSpec(
            rewrite=spec.RewriteSpec(
                match="^/old/(.*)$", to="https://$host/$1?", redirect=308, ignore_case=True
            )
        ),
    )
    assert routes["all"].error_pages == (
        spec.ErrorPageSpec(statuses=(502, 504), route="fallback", status="page"),
        spec.ErrorPageSpec(statuses=(413,), location="https://a.example.org/$tier", status=303),
        spec.ErrorPageSpec(statuses=(500,), path="/sorry.html", status=200),
    )
    assert routes["all"].intercept_errors
    assert routes["sorry"].path == spec.PathSpec(kind="exact", value="/sorry.html", internal=True)
    assert routes["moved"].answer == spec.AnswerSpec(status=301, location="/$tier")
    assert (routes["fallback"].path, routes["fallback"].pools) == (None, (("other", 1),))


def test_test_for_the_empty_text_is_one() -> None:
    raw = changed("routes all steps", [{"when": {**WHEN, "equals": ""}, "stop": True}])
    (step,) = to_spec(validate(raw)).routes["all"].steps
    assert step.when == spec.ConditionSpec(value="$uri", test="equals")


def test_page_cannot_lead_to_a_prelude() -> None:
    raw = changed("routes first", {"steps": [{"stop": True}]})
    raw["routes"]["all"]["error_pages"] = [{"statuses": [502], "route": "first"}]
    (fault,) = faults_of(raw)
    assert fault == Fault(
        "/routes/all/error_pages/0/route",
        "route 'first' answers nothing",
        "give that one a `pool`, `pools` or `respond`",
    )


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        ({}, {}, True),
        ({"hosts": ["a.test"]}, {"hosts": ["A.test", "b.test"]}, True),
        ({"hosts": ["a.test"]}, {}, False),
        ({"listeners": ["public"]}, {}, True),
        ({"listeners": ["public"]}, {"listeners": ["other"]}, False),
    ],
)
def test_two_preludes_clash_where_they_would_come_before_the_same_paths(
    first: dict[str, Any], second: dict[str, Any], clash: bool
) -> None:
    raw = changed("listeners other", {"bind": "127.0.0.1:0"})
    for name, differs in (("one", first), ("two", second)):
        raw["routes"][name] = {"steps": [{"stop": True}], **differs}
    if not clash:
        validate(raw)
        return
    (fault,) = faults_of(raw)
    assert fault.path == "/routes/two"
    assert fault.message == "route 'one' comes before the paths of the same host too"


@pytest.mark.parametrize(
    ("route", "below"),
    [
        ({"path": 5, "pool": "backend", "rewrite": "/"}, "/path"),
        ({"path": {"prefix": 5}, "pool": "backend", "rewrite": "/"}, "/path/prefix"),
        ({"path": {"prefix": "/x"}, "pool": 5, "request_headers": {"set": {"A": "1"}}}, "/pool"),
        ({"path": {"prefix": "/x"}, "respond": 5, "rewrite": "/"}, "/respond"),
        ({"path": {"prefix": "/x"}, "pool": "backend",
          "steps": [{"set": {"k": 1}}, {"set": {"l": "$k"}}]}, "/steps/0/set/k"),
        ({"steps": 5}, "/steps"),
        ({"access": [{"deny": 5}]}, "/access/0/deny"),
    ],
)  # fmt: skip
def test_what_is_cut_out_makes_no_other_fault(route: dict[str, Any], below: str) -> None:
    (fault,) = faults_of(changed("routes x", route))
    assert fault.path == f"/routes/x{below}"


def test_each_mistake_is_found_at_once() -> None:
    raw = changed(
        "routes all",
        {
            "path": {"prefix": "/"},
            "pool": "backend",
            "steps": [
                {"when": {"value": "$nope"}, "set": {"host": "$1"}},
                {"rewrite": {"match": "(", "to": "x"}},
                {"respond": {"status": 301}},
            ],
            "access": [{}, {"allow": ["all"], "deny": ["all"]}],
            "error_pages": [{"statuses": [502]}, {"statuses": [404], "route": "nope"}],
        },
    )
    assert [fault.path for fault in faults_of(raw)] == [
        "/routes/all/access/0",
        "/routes/all/access/1",
        "/routes/all/error_pages/0",
        "/routes/all/error_pages/1/route",
        "/routes/all/steps/0/set/host",
        "/routes/all/steps/0/when/value",
        "/routes/all/steps/1/rewrite/match",
        "/routes/all/steps/1/rewrite/to",
        "/routes/all/steps/2/respond",
    ]
