"""Header maps: variables computed from other variables (nginx ``map`` and ``split_clients``).

The order is nginx's: exact string, longest ``*.suffix``, longest ``prefix.*``, first regex,
default.  Strings are compared without case; a map with host names ignores a trailing dot; the
empty string never meets a regex.  Values may hold variables, other maps too, and the captures of
the regex that won.  A map with shares has nothing to look up: a hash of its source chooses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Final, NamedTuple

from proxy.errors import Fault, FaultError, pointer
from proxy.headers.response_variables import is_of_response
from proxy.headers.shares import WHOLE, Shares
from proxy.headers.template import Scope, Template, compile_at, constant_template, is_reserved
from proxy.headers.variables import Getter, comes_with_fields
from proxy.message import Request
from proxy.patterns import HostNames, Pattern, PatternList, host_keys, octets
from proxy.spec import HeaderMapSpec, Pairs, RegexEntry

MAX_DEPTH: Final = 16
"""How many maps may stand one behind the other; each takes stack while a request is served."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_EMPTY: Final = constant_template("", b"")


class Chosen(NamedTuple):
    """Which entry of a map a request meets."""

    subject: bytes
    """What the source came to."""
    place: str
    """A JSON pointer into the map: ``/exact/gold``, ``/regex/0``, ``/default``."""
    value: Template


Which = Callable[[Request], Chosen]


def _nowhere(request: Request) -> Chosen:
    return Chosen(b"", "/default", _EMPTY)


class HeaderMap:
    """A header map.  Empty for every request until ``compile_maps`` has completed it."""

    __slots__ = (
        "evaluate", "name", "of_fields", "response", "spec", "values", "volatile", "which",
    )  # fmt: skip

    def __init__(self, name: str, spec: HeaderMapSpec) -> None:
        self.name: Final = name
        self.spec: Final = spec
        named = [value for _, value in (*spec.exact, *spec.hostnames)]
        named += [value for value, _ in spec.shares]
        self.values: Final = (*named, *(entry.value for entry in spec.regex), spec.default)
        """The texts of everything it may evaluate to, the default last."""
        self.evaluate: Getter = _EMPTY.render
        """Compute the value for a request, whatever ``request.maps`` remembers."""
        self.which: Callable[[Request], Chosen] = _nowhere
        """Say which entry that is: for explanations, by the same parts as ``evaluate``."""
        self.volatile: Final = spec.volatile
        self.response = False
        """It asks for something that is known only once there is a response."""
        self.of_fields = False
        """It depends on the request's fields alone, and on its pool."""

    def __repr__(self) -> str:
        return f"<HeaderMap {self.name}>"


def compile_maps(
    specs: Mapping[str, HeaderMapSpec],
    faults: list[Fault],
    variables: frozenset[str] = frozenset(),
) -> dict[str, HeaderMap]:
    """Compile all header maps together, since they may use each other.

    ``variables`` are those that steps of routes define.  What is wrong is added to ``faults``; the
    result may be used only if nothing was.
    """
    maps = {name: HeaderMap(name, spec) for name, spec in specs.items()}
    scope = Scope(maps=maps, variables=variables, response=True)
    uses: dict[str, set[str]] = {}
    for name, spec in specs.items():
        at = pointer("header_maps", name)
        if not _NAME.fullmatch(name):
            hint = "small letters, digits and _, a letter first"
            faults.append(Fault(at, f"{name!r} cannot be the name of a variable", hint))
        elif is_reserved(name):
            faults.append(Fault(at, f"${name} is a built-in variable", "choose another name"))
        compiler = _Compiler(scope, at, faults)
        maps[name].evaluate, maps[name].which = compiler.evaluator(spec)
        uses[name] = compiler.used & maps.keys()
        maps[name].response = any(map(is_of_response, compiler.used))
        maps[name].of_fields = all(map(comes_with_fields, compiler.used - maps.keys()))
    for name in _check_nesting(uses, faults):
        maps[name].response |= any(maps[used].response for used in uses[name])
        maps[name].of_fields &= all(maps[used].of_fields for used in uses[name])
    return maps


class _Compiler:
    """Compiles one map; ``used`` collects the variables that it names."""

    def __init__(self, scope: Scope, at: str, faults: list[Fault]) -> None:
        self._scope = scope
        self._at = at
        self._faults = faults
        self.used: set[str] = set()
        self._places: dict[Template, str] = {}
        """Where the values of entries stand in the map."""

    def evaluator(self, spec: HeaderMapSpec) -> tuple[Getter, Which]:
        """Return the cheapest function that evaluates the map, and one that says how."""
        source = self._template("source", spec.source).render
        if spec.shares:
            return self._split(source, spec)
        exact = self._named("exact", spec.exact, lambda text: (octets(text).lower(),), {})
        named = self._named("hostnames", spec.hostnames, host_keys, exact)
        hosts = HostNames(named) if named else None
        patterns, results = self._regexes(spec.regex)
        default = self._template("default", spec.default)
        which = _which(source, exact, hosts, patterns, results, default, self._places)
        if hosts is None and not results and default.constant is not None:
            constants = {key: value.constant for key, value in exact.items()}
            known = {key: value for key, value in constants.items() if value is not None}
            if len(known) == len(exact):
                return _look_up(source, known, default.constant), which
        return _search(source, exact, hosts, patterns, results, default), which

    def _split(self, source: Getter, spec: HeaderMapSpec) -> tuple[Getter, Which]:
        for kind in ("exact", "hostnames", "regex"):
            if getattr(spec, kind):
                hint = "make it two maps, the one the source of the other"
                self._fault(kind, FaultError("a map with shares looks nothing up", hint))
        if sum(share for _, share in spec.shares) > WHOLE:
            self._fault("shares", FaultError("more than 100% in all"))
        places = [f"/shares{pointer(value)}" for value, _ in spec.shares] + ["/default"]
        texts = [value for value, _ in spec.shares] + [spec.default]
        templates = [
            self._template(place[1:], text) for place, text in zip(places, texts, strict=True)
        ]
        values = [template.render for template in templates]
        choose = Shares(share for _, share in spec.shares).choose

        def which(request: Request) -> Chosen:
            subject = source(request)
            index = choose(subject)
            return Chosen(subject, places[index], templates[index])

        return lambda request: values[choose(source(request))](request), which

    def _fault(self, place: str, error: FaultError) -> None:
        self._faults.append(Fault(f"{self._at}/{place}", error.message, error.hint))

    def _template(self, place: str, text: str, captures: frozenset[str] = frozenset()) -> Template:
        scope = replace(self._scope, captures=captures)
        template = compile_at(text, scope, f"{self._at}/{place}", self._faults)
        self.used |= template.variables - captures
        return template

    def _named(
        self,
        kind: str,
        pairs: Pairs,
        keys: Callable[[str], tuple[bytes, ...]],
        taken: Mapping[bytes, Template],
    ) -> dict[bytes, Template]:
        """Compile ``exact`` or ``hostnames``, whose keys must not be in ``taken`` already."""
        found: dict[bytes, Template] = {}
        for text, value in pairs:
            place = f"{kind}{pointer(text)}"
            template = self._template(place, value)
            self._places[template] = f"/{place}"
            try:
                for key in keys(text):
                    if key in taken or found.setdefault(key, template) is not template:
                        raise FaultError(f"{text!r} is there already", "case does not matter")
            except FaultError as error:
                self._fault(place, error)
        return found

    def _regexes(self, entries: Sequence[RegexEntry]) -> tuple[PatternList, tuple[Template, ...]]:
        patterns: list[Pattern] = []
        results: list[Template] = []
        for number, entry in enumerate(entries):
            try:
                pattern = Pattern(entry.match, ignore_case=entry.ignore_case)
            except FaultError as error:
                self._fault(f"regex/{number}/match", error)
                continue
            patterns.append(pattern)
            result = self._template(f"regex/{number}/value", entry.value, pattern.names)
            self._places[result] = f"/regex/{number}"
            results.append(result)
        return PatternList(patterns), tuple(results)


def _look_up(source: Getter, values: Mapping[bytes, bytes], default: bytes) -> Getter:
    return lambda request: values.get(source(request).lower(), default)


def _search(
    source: Getter,
    exact: Mapping[bytes, Template],
    hosts: HostNames[Template] | None,
    patterns: PatternList,
    results: tuple[Template, ...],
    default: Template,
) -> Getter:
    def evaluate(request: Request) -> bytes:
        subject = source(request)
        if hosts is not None:
            subject = subject.removesuffix(b".")
        key = subject.lower()
        chosen = exact.get(key)
        if chosen is None and hosts is not None:
            chosen = hosts.find(key)
        if chosen is None and subject and results:
            hit = patterns.find(subject)
            if hit is not None:
                return _with_captures(request, results[hit[0]], hit[1])
        return (default if chosen is None else chosen).render(request)

    return evaluate


def _which(
    source: Getter,
    exact: Mapping[bytes, Template],
    hosts: HostNames[Template] | None,
    patterns: PatternList,
    results: tuple[Template, ...],
    default: Template,
    places: Mapping[Template, str],
) -> Which:
    """Return what says which entry of a map a request meets: the search of ``_search``."""

    def which(request: Request) -> Chosen:
        subject = source(request)
        if hosts is not None:
            subject = subject.removesuffix(b".")
        chosen = exact.get(subject.lower())
        if chosen is None and hosts is not None:
            chosen = hosts.find(subject.lower())
        if chosen is None and subject and results:
            hit = patterns.find(subject)
            chosen = None if hit is None else results[hit[0]]
        if chosen is None:
            return Chosen(subject, "/default", default)
        return Chosen(subject, places[chosen], chosen)

    return which


def _with_captures(request: Request, value: Template, captures: dict[str, bytes]) -> bytes:
    """Render a map's value with the map's own captures in place of the route's."""
    routes = request.captures
    request.captures = captures
    try:
        return value.render(request)
    finally:
        request.captures = routes


def _check_nesting(uses: Mapping[str, set[str]], faults: list[Fault]) -> tuple[str, ...]:
    """Find every cycle among the maps, and every chain that is too long.

    Return the maps in an order in which each comes behind those that it uses.
    """
    graph = {name: set(used) for name, used in uses.items()}
    while True:
        try:
            order = tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            cycle: list[str] = error.args[1][::-1]
            way = " uses ".join(f"${name}" for name in cycle)
            faults.append(Fault(pointer("header_maps", cycle[0]), f"a cycle of maps: {way}"))
            graph[cycle[0]].discard(cycle[1])
        else:
            break
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[used] for used in graph[name]), default=0)
        if depth[name] == MAX_DEPTH + 1:
            message = f"more than {MAX_DEPTH} maps, one behind the other"
            faults.append(Fault(pointer("header_maps", name), message))
    return order
