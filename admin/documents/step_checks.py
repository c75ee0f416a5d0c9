"""What steps, access rules and error pages mean: choices, and keys that need others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from admin.documents.faults import one_of, shown
from admin.documents.route import DESTINATION_KEYS, Route
from admin.documents.steps import ACCESS_KEYS, PAGE_KEYS, Answer, Condition, ErrorPage, Step
from proxy.errors import Fault, pointer
from proxy.patterns import captured_names
from proxy.spec import SILENCE
from proxy.steps.step import QUERY, Defined

_WITH_LOCATION = frozenset({201, 300, 301, 302, 303, 305, 307, 308})
_REDIRECTS = _WITH_LOCATION - {201, 300, 305}
_WITHOUT_BODY = frozenset({204, 304})
_CONDITION_KEYS = ("equals", "matches")
_GUARDS = ("when", "unless")
_OF_A_DESTINATION = (
    "rewrite", "target", "method", "body", "request_buffer", "retry", "split_by", "request_headers",
)  # fmt: skip


def check_steps(route: Route, at: str, faults: list[Fault]) -> None:
    """Add what is wrong with a route whose parts have good form."""
    for number, step in enumerate(route.steps):
        _check_step(step, f"{at}/steps/{number}", faults)
    if route.respond is not None:
        _check_answer(route.respond, f"{at}/respond", faults)
    for number, rule in enumerate(route.access):
        check_one_of(_written(rule), ACCESS_KEYS, f"{at}/access/{number}", faults)
    for number, page in enumerate(route.error_pages):
        _check_page(page, f"{at}/error_pages/{number}", faults)
    if route.intercept_errors and not route.error_pages:
        place = f"{at}/intercept_errors"
        faults.append(Fault(place, "means something only with `error_pages`"))


def check_use(route: Route, at: str, faults: list[Fault]) -> None:
    """Check that a prelude does nothing to a request that goes upstream."""
    for key in _OF_A_DESTINATION:
        usual = Route.model_fields[key].get_default(call_default_factory=True, validated_data={})
        if getattr(route, key) != usual:
            message = "means nothing on a route that no request ends at"
            hint = "give the route a `path`, or a pool and a name for error pages to lead to"
            faults.append(Fault(f"{at}/{key}", message, hint))


def _check_step(step: Step, at: str, faults: list[Fault]) -> None:
    if not (step.set or step.rewrite or step.respond or step.stop):
        hint = "one of `set`, `rewrite`, `respond` and `stop`"
        faults.append(Fault(at, "a step that does nothing", hint))
    if step.respond is not None and step.stop:
        faults.append(Fault(f"{at}/stop", "nothing follows an answer anyway", "leave it out"))
    guards = [name for name in _GUARDS if getattr(step, name) is not None]
    if len(guards) > 1:
        hint = "leave one of them out, or make two steps"
        faults.append(Fault(at, "has both `when` and `unless`", hint))
    for name in guards:
        _check_condition(getattr(step, name), f"{at}/{name}", faults)
    rewrite = step.rewrite
    if rewrite is not None and rewrite.redirect is not None and rewrite.then != "next":
        place = f"{at}/rewrite/then"
        faults.append(Fault(place, "nothing follows a redirect", "leave it out"))
    if rewrite is not None and rewrite.redirect is None and rewrite.to[:1] not in {"/", "$"}:
        hint = "to send the client to another server, give it a `redirect`"
        faults.append(Fault(f"{at}/rewrite/to", "a path begins with a slash", hint))
    if step.respond is not None:
        _check_answer(step.respond, f"{at}/respond", faults)


def _check_condition(condition: Condition, at: str, faults: list[Fault]) -> None:
    found = [key for key in _CONDITION_KEYS if getattr(condition, key) is not None]
    if len(found) > 1:
        faults.append(Fault(at, "has both `equals` and `matches`", "leave one of them out"))
    if condition.ignore_case and condition.matches is None:
        faults.append(Fault(f"{at}/ignore_case", "means something only with `matches`"))


def _check_answer(answer: Answer, at: str, faults: list[Fault]) -> None:
    if answer.location is not None and answer.status not in _WITH_LOCATION:
        message = f"a response with status {answer.status} leads nowhere"
        faults.append(Fault(f"{at}/location", message, "such as 301, 302, 307 or 308"))
    elif answer.location is None and answer.status in _REDIRECTS:
        faults.append(Fault(at, "a redirect needs a `location`", "such as /elsewhere"))
    if answer.body is not None and answer.status in _WITHOUT_BODY:
        message = f"a response with status {answer.status} has no body (RFC 9110, 6.4.1)"
        faults.append(Fault(f"{at}/body", message))
    elif answer.body is not None and answer.status == SILENCE:
        faults.append(Fault(f"{at}/body", f"nothing is sent with {SILENCE}"))


def _check_page(page: ErrorPage, at: str, faults: list[Fault]) -> None:
    check_one_of(_written(page), PAGE_KEYS, at, faults)
    if page.path is not None and page.path[:1] not in {"/", "$"}:
        faults.append(Fault(f"{at}/path", "a path begins with a slash", "such as /sorry.html"))
    if page.location is not None and page.status is not None and page.status not in _REDIRECTS:
        hint = "one of 301, 302, 303, 307 and 308"
        faults.append(Fault(f"{at}/status", "the client is redirected with it", hint))


def _written(model: Any) -> dict[str, object]:
    return {name: value for name, value in model if value is not None}


def check_one_of(
    written: Mapping[str, object],
    keys: Sequence[str],
    at: str,
    faults: list[Fault],
    *,
    required: bool = True,
) -> None:
    """Add a fault unless exactly one of some keys is written, or none if that is no requirement."""
    found = [key for key in keys if key in written]
    if len(found) > 1:
        faults.append(Fault(at, f"has both `{found[0]}` and `{found[1]}`", "leave one of them out"))
    elif not found and required:
        faults.append(Fault(at, f"needs {one_of(keys)}"))


def check_prelude(route: Mapping[str, object], at: str, faults: list[Fault]) -> None:
    """Check a route with neither path nor destination, as it is written."""
    if not any(route.get(key) for key in ("steps", "access", "error_pages", "response_headers")):
        hint = "a route without them has `steps` for every path of its hosts"
        faults.append(Fault(at, "needs `path` and a `pool`, `pools` or `respond`", hint))


def check_named(routes: Mapping[str, object], faults: list[Fault]) -> None:
    """Check that error pages and routes without a path fit, in routes as they are written."""
    objects = {name: each for name, each in routes.items() if isinstance(each, Mapping)}
    led_to: set[str] = set()
    for name, each in objects.items():
        for index, target in _targets(each):
            led_to.add(target)
            if target in objects and is_written_prelude(objects[target]):
                place = pointer("routes", name, "error_pages", index, "route")
                hint = "give that one a `pool`, `pools` or `respond`"
                faults.append(Fault(place, f"route {shown(target)} answers nothing", hint))
    for name, each in objects.items():
        if "path" not in each and not is_written_prelude(each) and name not in led_to:
            hint = 'such as {"prefix": "/chat/"}; only what error pages name needs none'
            faults.append(Fault(pointer("routes", name, "path"), "`path` is missing", hint))


def is_written_prelude(route: Mapping[str, object]) -> bool:
    """Tell whether a route, as it is written, has neither path nor destination."""
    return not any(key in route for key in ("path", *DESTINATION_KEYS))


def _targets(route: Mapping[str, object]) -> Iterator[tuple[int, str]]:
    """Return the routes that error pages of a route, as it is written, lead to."""
    pages = route.get("error_pages")
    for index, page in enumerate(pages if isinstance(pages, Sequence) else ()):
        target = page.get("route") if isinstance(page, Mapping) else None
        if isinstance(target, str):
            yield index, target


def written(raw: object) -> Defined:
    """Return what steps define, in a document as it is written, faults and all."""
    names: set[str] = set()
    for route in _objects(raw, "routes"):
        steps = route.get("steps")
        for step in steps if isinstance(steps, Sequence) else ():
            if isinstance(step, Mapping):
                names.update(map(str, step["set"]) if isinstance(step.get("set"), Mapping) else ())
                names.update(_captured(step))
    numbers = frozenset(name for name in names if name.isdecimal())
    return frozenset(map(str.lower, names)) - numbers - {QUERY}, numbers


def _objects(raw: object, section: str) -> Iterator[Mapping[str, Any]]:
    written = raw.get(section) if isinstance(raw, Mapping) else None
    for each in written.values() if isinstance(written, Mapping) else ():
        if isinstance(each, Mapping):
            yield each


def _captured(step: Mapping[str, Any]) -> Iterator[str]:
    for key, place in (("when", "matches"), ("unless", "matches"), ("rewrite", "match")):
        part = step.get(key)
        pattern = part.get(place) if isinstance(part, Mapping) else None
        if isinstance(pattern, str):
            yield from captured_names(pattern)
