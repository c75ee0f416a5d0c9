"""Observers: copies of what is compiled, for one explanation, that write down what they are asked.

Each copy does what its original does, by the original's own code, and makes a note of it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from proxy.errors import FaultError, pointer
from proxy.explain.explanation import (
    Condition,
    Lookup,
    MapValue,
    Rewritten,
    StepTaken,
    Verdict,
    shown,
)
from proxy.headers.map import HeaderMap
from proxy.headers.template import Scope, Template, compile_template
from proxy.routing.normalise import Target
from proxy.routing.table import Found, capture_names
from proxy.site import Resolution, Site
from proxy.steps.access import Access
from proxy.steps.answer import Answer, AnswerPlan
from proxy.steps.rewrite import Rewrite
from proxy.steps.step import Step
from proxy.telemetry.counters import RouteCounters

if TYPE_CHECKING:
    from proxy.message import Request
    from proxy.route import Route
    from proxy.spec import ConditionSpec, RewriteSpec, StepSpec

Searched = tuple[bytes, bytes]


class Notes:
    """What was noted, in order."""

    def __init__(self, names: Scope) -> None:
        self.lookups: Final[list[Lookup]] = []
        self.searched: Final[list[Searched]] = []
        """For each of them the host and the path, in octets."""
        self.steps: Final[list[StepTaken]] = []
        self.access: Final[list[Verdict]] = []
        self.header_maps: Final[list[MapValue]] = []
        self.entered: Final[list[str]] = []
        """Routes that were gone to by name."""
        self.names: Final = names
        self._routes: Final[dict[str, Route]] = {}
        self._counted: Final[dict[RouteCounters, int]] = {}

    def watch(self, request: Request) -> None:
        """Note the variables of a request from now on."""
        request.maps = _Values(request, self)

    def observed(self, route: Route) -> Route:
        """Return the copy of a route that is observed."""
        if route.name not in self._routes:
            self._counted[route.counters] = route.counters.header_rule_failures
            self._routes[route.name] = _observed(route, self)
        return self._routes[route.name]

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Take back what header rules count: they are compiled with their route's counters."""
        try:
            yield
        finally:
            for counters, before in self._counted.items():
                counters.header_rule_failures = before

    def found(self, host: bytes, found: Resolution, *, reroute: bool) -> Resolution:
        """Note a search for a route; return the result with the observed route in it."""
        route = None if found.route is None else self.observed(found.route)
        path = shown(found.uri)
        if reroute or not any(one.path == path for one in self.lookups):
            name = None if route is None else route.name
            internal = route is not None and route.internal
            self.searched.append((host, found.uri))
            self.lookups.append(Lookup(shown(host), path, None, name, "", internal, found.redirect))
        return Resolution(
            found.target, route, found.captures, found.matched, redirect=found.redirect
        )


class _Values(dict[str, bytes]):
    """The variables of a request: header maps that were evaluated, and what steps assigned."""

    def __init__(self, request: Request, notes: Notes) -> None:
        super().__init__()
        self._request: Final = request
        self._notes: Final = notes

    def __setitem__(self, name: str, value: bytes) -> None:
        super().__setitem__(name, value)
        header_map = self._notes.names.maps.get(name)
        if isinstance(header_map, HeaderMap):
            chosen = header_map.which(self._request)
            spec = header_map.spec
            at = pointer("header_maps", name) + chosen.place
            noted = MapValue(name, spec.source, shown(chosen.subject), at, shown(value))
            self._notes.header_maps.append(noted)
        else:
            self._assigned(name, value)

    def __ior__(self, values: Mapping[str, bytes]) -> _Values:  # type: ignore[override,misc]
        for name, value in values.items():
            self[name] = value
        return self

    def _assigned(self, name: str, value: bytes) -> None:
        if self._notes.steps:
            self._notes.steps[-1].set[name] = shown(value)


class ObservedSite(Site):
    """A listener's site, observed."""

    __slots__ = ("_notes",)

    def __init__(self, site: Site, notes: Notes) -> None:
        _take_over(self, site, Site.__slots__)
        _set(self, _memo={}, logs=None)
        self._notes: Final = notes

    def resolve(self, host: bytes, path: bytes) -> Resolution:
        """Find the route for a path."""
        return self._notes.found(host, super().resolve(host, path), reroute=False)

    def find(self, host: bytes, target: Target) -> Resolution:
        """Find the route for a target that no client has sent so."""
        return self._notes.found(host, super().find(host, target), reroute=True)

    def prelude(self, host: bytes) -> Found[Route] | None:
        """Return what precedes every path of a host."""
        found = super().prelude(host)
        return found and Found(self._notes.observed(found.payload), 0, found.captures)


class ObservedRoutes(Mapping[str, "Route"]):
    """All routes by name, observed as they are taken."""

    def __init__(self, routes: Mapping[str, Route], notes: Notes) -> None:
        self._routes: Final = routes
        self._notes: Final = notes

    def __getitem__(self, name: str) -> Route:
        self._notes.entered.append(name)
        return self._notes.observed(self._routes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._routes)

    def __len__(self) -> int:
        return len(self._routes)


def _take_over(copied: object, original: object, slots: tuple[str, ...]) -> None:
    for slot in slots:
        if hasattr(original, slot):
            setattr(copied, slot, getattr(original, slot))


def _set(target: object, **values: object) -> None:
    """Set what its class means to stay as it is."""
    for name, value in values.items():
        setattr(target, name, value)


def _observed(route: Route, notes: Notes) -> Route:
    spec, at = route.spec, pointer("routes", route.name)
    copied = copy.copy(route)
    scope = _scope(route, notes.names)
    copied.steps = tuple(
        _observed_step(step, written, f"{at}/steps/{number}", scope, notes)
        for number, (step, written) in enumerate(zip(route.steps, spec.steps, strict=True))
    )
    if route.access is not None:
        copied.access = _ObservedAccess(route.access, route, notes)
    _set(copied, counters=RouteCounters(), logged=False, logs=None)
    return copied


def _scope(route: Route, names: Scope) -> Scope:
    captures = capture_names(route.spec.path, route.spec.hosts) | names.captures
    return Scope(maps=names.maps, captures=captures, variables=names.variables)


def _observed_step(step: Step, spec: StepSpec, place: str, scope: Scope, notes: Notes) -> Step:
    """Copy a step; its condition, asked first in any case, begins its note."""
    value = None if spec.when is None else _template(spec.when.value, scope)

    def when(request: Request) -> bool:
        was = b"" if value is None else value.render(request)
        noted = StepTaken(place, _condition(spec.when, was), taken=False)
        notes.steps.append(noted)
        noted.taken = step.when is None or step.when(request)
        return noted.taken

    rewrite, answer = step.rewrite, step.answer
    return Step(
        when,
        tuple((name, _assigning(name, template, notes)) for name, template in step.assigned),
        _ObservedRewrite(rewrite, spec.rewrite, notes) if rewrite and spec.rewrite else None,
        _ObservedAnswer(answer, notes) if answer is not None else None,
        stop=step.stop,
    )


def _template(text: str, scope: Scope) -> Template | None:
    try:
        return compile_template(text, scope)
    except FaultError:  # it was compiled once, so this is not to be
        return None


def _condition(spec: ConditionSpec | None, was: bytes) -> Condition | None:
    if spec is None:
        return None
    return Condition(spec.value, shown(was), spec.test, spec.operand, spec.negated)


def _assigning(name: str, template: Template, notes: Notes) -> Template:
    def render(request: Request) -> bytes:
        value = template.render(request)
        notes.steps[-1].set[name] = shown(value)
        return value

    return Template(template.text, render, template.variables)


class _ObservedRewrite(Rewrite):
    __slots__ = ("_notes", "_spec")

    def __init__(self, rewrite: Rewrite, spec: RewriteSpec, notes: Notes) -> None:
        _take_over(self, rewrite, Rewrite.__slots__)
        self._spec: Final = spec
        self._notes: Final = notes

    def apply(self, request: Request) -> bool | Answer:
        done = super().apply(request)
        noted = Rewritten(self._spec.match, done is not False, then=self._spec.then)
        if isinstance(done, Answer):
            noted.location = shown(done.location or b"")
            self._notes.steps[-1].answer = done.status
        elif done:
            noted.path = shown(request.uri)
            noted.query = None if request.query is None else shown(request.query)
        self._notes.steps[-1].rewrite = noted
        return done


class _ObservedAnswer(AnswerPlan):
    __slots__ = ("_notes",)

    def __init__(self, plan: AnswerPlan, notes: Notes) -> None:
        _take_over(self, plan, AnswerPlan.__slots__)
        self._notes: Final = notes

    def render(self, request: Request) -> Answer:
        self._notes.steps[-1].answer = self.status
        return super().render(request)


class _ObservedAccess(Access):
    __slots__ = ("_notes", "_route")

    def __init__(self, access: Access, route: Route, notes: Notes) -> None:
        _take_over(self, access, Access.__slots__)
        self._route: Final = route
        self._notes: Final = notes

    def allows(self, address: bytes) -> bool:
        allowed = super().allows(address)
        rule = self.deciding(address)
        at = None if rule is None else pointer("routes", self._route.name, "access", rule)
        self._notes.access.append(Verdict(self._route.name, shown(address), at, allowed))
        return allowed
