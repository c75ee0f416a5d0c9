"""A route's header rules for one direction: remove, then set, then append.

``dropped`` says what must not pass through, ``render`` gives the lines that take its place.  All
that is constant is put together when the rules are compiled, so that a route pays only for what
differs from request to request.

``Connection`` and ``Upgrade`` towards an upstream are decided for each request from what the rules
and the client say of them (``exchange.request_head``); their lines stand where the rules have them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from proxy.errors import Fault, pointer
from proxy.headers.hop_by_hop import HOP_BY_HOP
from proxy.headers.template import Scope, Template, asks_response, compile_at, is_of_fields
from proxy.headers.variables import Getter
from proxy.message import Request
from proxy.spec import HeaderRulesSpec, Pairs, ResponseRulesSpec
from proxy.telemetry.counters import RouteCounters

SUCCESSES: Final = frozenset({200, 201, 204, 206, 301, 302, 303, 304, 307, 308})
"""Statuses that the rules ``on_success`` are for (nginx ``add_header`` without ``always``)."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
_OURS_TO_CLIENT: Final = frozenset(name.decode() for name in HOP_BY_HOP)
_DECIDED: Final = {
    "connection": Template("", attrgetter("sent_connection")),
    "upgrade": Template("", attrgetter("sent_upgrade")),
}
"""What is written in the place of rules for these towards an upstream: what came out of them."""
_NOTHING: Final = Template("", lambda request: b"", constant=b"")

Named = list[tuple[str, str]]
"""Names of fields, each with its place in the configuration."""
Lines = list[tuple[str, Template]]
"""Names of fields with their values."""


class Block:
    """Header lines that rules write; empty (false) without rules."""

    __slots__ = ("_counters", "_lines", "constant", "of_fields", "render")

    def __init__(self, lines: Lines, counters: RouteCounters, settled: Set[Template]) -> None:
        self._lines: Final = lines
        self._counters: Final = counters
        self.of_fields: Final = settled
        """Those of its values that depend on the request's fields alone, and on its pool."""
        render, constant = _renderer(lines, counters)
        self.render: Final = render
        """Return the lines, ``Name: value`` and CRLF each.  A value that is empty, or that holds
        CR, LF or NUL, has no line."""
        self.constant: Final = constant
        """The lines, if they are the same for every request."""

    def __bool__(self) -> bool:
        return self.constant != b""

    def settled(self, request: Request) -> tuple[Getter, bytes | None]:
        """Return ``render`` and ``constant`` for requests with the same fields and pool."""
        lines: Lines = []
        for name, value in self._lines:
            if value in self.of_fields:
                text = value.render(request)
                if not (10 in text or 13 in text or 0 in text):  # such a one counts each time
                    lines.append((name, Template(value.text, value.render, constant=text)))
                    continue
            lines.append((name, value))
        return _renderer(lines, self._counters)


class Rules:
    """Compiled rules."""

    __slots__ = (
        "appended", "asks_response", "connection", "dropped", "drops_all", "plain",
        "removes_connection", "removes_upgrade", "set", "settles", "upgrade",
    )  # fmt: skip

    def __init__(
        self,
        dropped: frozenset[bytes],
        set_: Block,
        appended: Block,
        connection: Template | None = None,
        upgrade: Template | None = None,
        *,
        plain: Block,
        removes_connection: bool = False,
        removes_upgrade: bool = False,
        drops_all: bool = False,
        asks_response: bool = False,
        settles: bool = False,
    ) -> None:
        self.dropped: Final = dropped
        """Lower-case names of fields that do not pass through, because of ``remove`` or ``set``."""
        self.set: Final = set_
        self.appended: Final = appended
        self.connection: Final = connection
        """What a rule makes of ``Connection`` towards the upstream."""
        self.upgrade: Final = upgrade
        self.plain: Final = plain
        """What ``set`` is for requests that ask for no upgrade."""
        self.removes_connection: Final = removes_connection
        self.removes_upgrade: Final = removes_upgrade
        self.drops_all: Final = drops_all
        """Nothing that the client sent passes."""
        self.asks_response: Final = asks_response
        """A value has to do with the response."""
        self.settles: Final = settles
        """What becomes of the connection depends on the request's fields alone."""


@dataclass(frozen=True, slots=True)
class _Written:
    """Rules with their templates compiled, not yet put together."""

    removed: frozenset[str]
    """Names, in lower case."""
    set: Lines
    appended: Lines


def compile_rules(
    spec: HeaderRulesSpec,
    scope: Scope,
    path: str,
    faults: list[Fault],
    counters: RouteCounters,
    *,
    response: bool,
) -> Rules:
    """Compile the rules found at ``path``; what is wrong with them is added to ``faults``."""
    written = _written(spec, scope, path, faults, response=response)
    return _rules(written, scope, counters, to_upstream=not response)


def compile_response_rules(
    spec: ResponseRulesSpec, scope: Scope, path: str, faults: list[Fault], counters: RouteCounters
) -> tuple[Rules, Rules]:
    """Compile the rules for responses: for any, and for one whose status is in ``SUCCESSES``.

    They are one object if they are the same.  Of two that set one field, that for successes wins.
    """
    always = _written(spec, scope, path, faults, response=True)
    rules = _rules(always, scope, counters, to_upstream=False)
    if not (spec.on_success.set or spec.on_success.append):
        return rules, rules
    narrow = HeaderRulesSpec(set=spec.on_success.set, append=spec.on_success.append)
    more = _written(narrow, scope, f"{path}/on_success", faults, response=True)
    replaced = {name.lower() for name, _ in more.set}
    kept = [line for line in always.set if line[0].lower() not in replaced]
    both = _Written(always.removed, kept + more.set, always.appended + more.appended)
    return rules, _rules(both, scope, counters, to_upstream=False)


def _written(
    spec: HeaderRulesSpec, scope: Scope, path: str, faults: list[Fault], *, response: bool
) -> _Written:
    """Check the rules and compile their templates."""
    removed = [(name, f"{path}/remove/{index}") for index, name in enumerate(spec.remove)]
    set_ = [(name, path + pointer("set", name)) for name, _ in spec.set]
    appended = _places(spec.append, path)
    for name, place in (*removed, *set_, *appended):
        _check_name(name, place, faults)
    if response:
        _check_not_all(removed, faults)
    if response:
        _check_ours(set_ + appended, faults)
    else:
        _check_upstream(removed, set_, appended, faults)
    _check_once(set_, faults)
    templates = [
        (name, compile_at(text, scope, place, faults))
        for (name, place), (_, text) in zip(set_ + appended, (*spec.set, *spec.append), strict=True)
    ]
    gone = frozenset(name.lower() for name in spec.remove)
    return _Written(gone, templates[: len(set_)], templates[len(set_) :])


def _places(pairs: Pairs, path: str) -> Named:
    """Return where each appended value stands: of several, behind its name and its number."""
    counts = Counter(name for name, _ in pairs)
    seen: Counter[str] = Counter()
    places: Named = []
    for name, _ in pairs:
        place = path + pointer("append", name)
        places.append((name, place if counts[name] == 1 else f"{place}/{seen[name]}"))
        seen[name] += 1
    return places


def _rules(written: _Written, scope: Scope, counters: RouteCounters, *, to_upstream: bool) -> Rules:
    """Put rules together."""
    lines = (*written.set, *written.appended)
    decided = _DECIDED if to_upstream else {}
    said = {name.lower(): value for name, value in lines if name.lower() in decided}
    connection = _guarded(said.get("connection"), counters)
    plain = decided | {"upgrade": _NOTHING}
    if connection is not None and connection.constant is not None:
        plain["connection"] = connection

    settled = {value for _, value in lines if is_of_fields(value, scope)}
    settled |= {*plain.values(), *_DECIDED.values()}

    def block(lines: Lines, ours: Mapping[str, Template]) -> Block:
        lines = [(name, ours.get(name.lower(), value)) for name, value in lines]
        return Block(lines, counters, settled)

    set_ = block(written.set, decided)
    dropped = (written.removed | {name.lower() for name, _ in written.set}) - decided.keys()
    return Rules(
        frozenset(name.encode("ascii", "replace") for name in dropped),
        set_,
        block(written.appended, decided),
        connection,
        _guarded(said.get("upgrade"), counters),
        plain=block(written.set, plain) if said else set_,
        removes_connection=not written.removed.isdisjoint({"connection", "*"}),
        removes_upgrade=not written.removed.isdisjoint({"upgrade", "*"}),
        drops_all="*" in written.removed,
        asks_response=any(asks_response(value, scope) for _, value in lines),
        settles=settled.issuperset(said.values()),
    )


def _check_name(name: str, place: str, faults: list[Fault]) -> None:
    if not _TOKEN.fullmatch(name):
        faults.append(Fault(place, f"{name!r} is not a field name (RFC 9110, 5.1)"))
    elif name.lower() in _FRAMING:
        faults.append(Fault(place, f"{name} says where a message ends; no rule can change it"))


def _check_not_all(removed: Named, faults: list[Fault]) -> None:
    for name, place in removed:
        if name == "*":
            hint = "write the names of the fields"
            faults.append(Fault(place, "`*` is all fields of a request, not of a response", hint))


def _check_ours(written: Named, faults: list[Fault]) -> None:
    for name, place in written:
        if name.lower() in _OURS_TO_CLIENT - _FRAMING:
            message = f"{name} concerns the client's connection; the proxy writes it itself"
            faults.append(Fault(place, message))


def _check_upstream(removed: Named, set_: Named, appended: Named, faults: list[Fault]) -> None:
    for name, place in removed:
        if name.lower() == "host":
            hint = "set it to what the upstream wants"
            faults.append(Fault(place, "a request needs its Host (RFC 9112, 3.2)", hint))
    for name, place in set_ + appended:
        if name.lower() == "expect":
            faults.append(Fault(place, "the proxy itself answers and makes Expect"))
    already = {name.lower() for name, _ in set_} & _DECIDED.keys()
    for name, place in appended:
        if name.lower() == "host" or name.lower() in already:
            faults.append(Fault(place, f"{name} can stand only once in a request", "set it"))
        already |= {name.lower()} & _DECIDED.keys()


def _check_once(set_: Named, faults: list[Fault]) -> None:
    seen: set[str] = set()
    for name, place in set_:
        if name.lower() in seen:
            faults.append(Fault(place, f"{name} is set twice", "case does not matter in names"))
        seen.add(name.lower())


def _guarded(template: Template | None, counters: RouteCounters) -> Template | None:
    """Make a value that holds CR, LF or NUL an empty one, and count it."""
    if template is None or template.constant is not None:
        return template
    get = template.render

    def render(request: Request) -> bytes:
        value = get(request)
        if 10 in value or 13 in value or 0 in value:
            counters.header_rule_failures += 1
            return b""
        return value

    return Template(template.text, render, template.variables)


def _renderer(
    lines: Iterable[tuple[str, Template]], counters: RouteCounters
) -> tuple[Getter, bytes | None]:
    """Join what is constant; return the renderer, and its value if all of it is."""
    steps: list[tuple[bytes, bytes, Getter]] = []
    block = b""
    for name, template in lines:
        field = name.encode("ascii", "replace") + b": "
        if template.constant is None:
            steps.append((block, block + field, template.render))
            block = b""
        elif template.constant:
            block += field + template.constant + b"\r\n"
    if not steps:
        return lambda request: block, block
    return _lines(tuple(steps), block, counters), None


def _lines(
    steps: tuple[tuple[bytes, bytes, Getter], ...], rest: bytes, counters: RouteCounters
) -> Getter:
    """Render each step's constant lines, and behind them the one that varies.

    A step is the constant lines, the same with the field's name behind them, and the value.
    """

    def render(request: Request) -> bytes:
        block = b""
        for constant, with_name, get in steps:
            value = get(request)
            if value and not (10 in value or 13 in value or 0 in value):
                block += with_name + value + b"\r\n"
            else:
                block += constant
                if value:
                    counters.header_rule_failures += 1
        return block + rest

    return render
