"""The steps of a route: what is done to a request, in order, before it is passed on.

They are what nginx's rewrite module does, as one list.  A step with a condition that does not hold
is passed over; otherwise it assigns variables, rewrites the path, answers, and may be the last.

What was captured goes into a variable as it is.  nginx escapes it, as for a query, until a rewrite
has matched (``ngx_http_rewrite_handler`` sets ``e->quote``); so it is done with ``paths: nginx``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final

from proxy.errors import Fault, pointer
from proxy.headers.template import Scope, Template, compile_at, is_reserved
from proxy.message import Request
from proxy.patterns import captured_names
from proxy.spec import StepSpec
from proxy.steps.answer import Answer, AnswerPlan, compile_answer
from proxy.steps.condition import Condition, compile_condition, taken
from proxy.steps.escapes import escape_value, safe_query
from proxy.steps.rewrite import Rewrite, compile_rewrite

MAX_REROUTES: Final = 10
"""How often a request may be led to another path (nginx ``NGX_HTTP_MAX_URI_CHANGES``)."""

MAX_RENDERED_BYTES: Final = 1024 * 1024
"""How much the steps of a route may make of variables and paths, taken together, per request."""

QUERY: Final = "args"
"""The built-in variable that a step may assign."""


_TOO_MUCH: Final = Answer(500)


class Course(Enum):
    """What follows the steps of a route."""

    ON = "on"
    """The route takes the request, whose path is as it was."""
    REQUERIED = "requeried"
    """The route takes the request, whose query is another one now."""
    REWRITTEN = "rewritten"
    """The route takes the request, whose path is another one now."""
    REROUTE = "reroute"
    """Look for a route with the new path."""


class Step:
    """One step, compiled."""

    __slots__ = ("answer", "assigned", "requeries", "rewrite", "stop", "when")

    def __init__(
        self,
        when: Condition | None,
        assigned: tuple[tuple[str, Template], ...],
        rewrite: Rewrite | None,
        answer: AnswerPlan | None,
        *,
        stop: bool,
    ) -> None:
        self.when: Final = when
        self.assigned: Final = assigned
        self.requeries: Final = any(name == QUERY for name, _ in assigned)
        self.rewrite: Final = rewrite
        self.answer: Final = answer
        self.stop: Final = stop


def take(steps: Sequence[Step], request: Request) -> Course | Answer:
    """Take the steps; return what follows, or the answer that ends the request.

    ``request.uri`` and ``request.query`` are what the steps have made of them.
    """
    moved = requeried = False
    request.quotes_captures = not request.keeps_escapes
    left = MAX_RENDERED_BYTES
    for step in steps:
        if step.when is not None and not step.when(request):
            continue
        left = _assign(step, request, left)
        requeried |= step.requeries
        done = False if step.rewrite is None else step.rewrite.apply(request)
        if isinstance(done, Answer):
            return done
        if done:
            moved = True
            request.quotes_captures = False
            left -= len(request.uri) + len(request.query or b"")
        if left < 0:
            return _TOO_MUCH
        if step.rewrite is not None and done and step.rewrite.then != "next":
            return Course.REWRITTEN if step.rewrite.then == "stop" else Course.REROUTE
        if step.answer is not None:
            return step.answer.render(request)
        if step.stop:
            return Course.REWRITTEN if moved else _stayed(requeried)
    return Course.REROUTE if moved else _stayed(requeried)


def _assign(step: Step, request: Request, left: int) -> int:
    """Assign a step's variables; return how much may still be made, below 0 if it was too much."""
    for name, template in step.assigned:
        value = template.render(request)
        left -= len(value)
        if left < 0:
            break
        if name == QUERY:
            request.query = safe_query(value) or None
            continue
        values = request.maps = {} if request.maps is None else request.maps
        values[name] = value
    return left


def _stayed(requeried: bool) -> Course:
    return Course.REQUERIED if requeried else Course.ON


Defined = tuple[frozenset[str], frozenset[str]]
"""What steps define: names of variables, and numbers of captures."""


def defined(steps: Iterable[StepSpec]) -> Defined:
    """Return what some steps define, by assigning and by capturing.

    It lasts: numbers until another regular expression matches, variables to the end of the request.
    So any route may see it: a prelude comes before it, a step elsewhere may lead to it.
    """
    names: set[str] = set()
    for step in steps:
        names.update(name for name, _ in step.set)
        for text in _patterns(step):
            names |= captured_names(text)
    numbers = frozenset(filter(str.isdecimal, names))
    return frozenset(map(str.lower, names - numbers)) - {QUERY}, numbers


def defined_by(some: Iterable[Defined]) -> Defined:
    """Put together what the steps of several routes define."""
    names: set[str] = set()
    numbers: set[str] = set()
    for more_names, more_numbers in some:
        names |= more_names
        numbers |= more_numbers
    return frozenset(names), frozenset(numbers)


def _patterns(step: StepSpec) -> Iterable[str]:
    if step.when is not None and step.when.test == "matches":
        yield step.when.operand
    if step.rewrite is not None:
        yield step.rewrite.match


def compile_steps(
    specs: Sequence[StepSpec], scope: Scope, path: str, faults: list[Fault]
) -> tuple[Step, ...]:
    """Compile the steps found at ``path``; what is wrong with them is added to ``faults``."""
    return tuple(
        _compile_step(spec, scope, path + pointer(number), faults)
        for number, spec in enumerate(specs)
    )


def _compile_step(spec: StepSpec, scope: Scope, at: str, faults: list[Fault]) -> Step:
    when = None
    if spec.when is not None:
        place = "unless" if spec.when.negated else "when"
        when = compile_condition(spec.when, scope, f"{at}/{place}", faults)
    quoting = replace(scope, escape=escape_value)
    assigned: list[tuple[str, Template]] = []
    for name, text in spec.set:
        place = f"{at}/set{pointer(name)}"
        problem = None if name.lower() == QUERY else taken(name, scope)
        if problem is not None:
            hint = "choose another name"
            if is_reserved(name.lower()):
                hint += f"; of the built-in ones only `{QUERY}` can be set"
            faults.append(Fault(place, problem, hint))
        assigned.append((name.lower(), compile_at(text, quoting, place, faults)))
    rewrite = answer = None
    if spec.rewrite is not None:
        rewrite = compile_rewrite(spec.rewrite, scope, f"{at}/rewrite", faults)
    if spec.answer is not None:
        answer = compile_answer(spec.answer, scope, f"{at}/respond", faults)
    return Step(when, tuple(assigned), rewrite, answer, stop=spec.stop)
