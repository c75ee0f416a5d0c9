"""The steps of a route: what is done to a request, in order, before it is passed on.

They are what nginx's rewrite module does, as one list.  A step with a condition that does not hold
is passed over; otherwise it assigns variables, rewrites the path, answers, and may be the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from proxy.errors import Fault, FaultError, pointer
from proxy.headers.template import Scope, Template, compile_at, is_reserved
from proxy.message import Request
from proxy.patterns import Pattern
from proxy.spec import RouteSpec, StepSpec
from proxy.steps.answer import Answer, AnswerPlan, compile_answer
from proxy.steps.condition import Condition, compile_condition
from proxy.steps.rewrite import Rewrite, compile_rewrite

MAX_REROUTES: Final = 10
"""How often a request may be led to another path (nginx ``NGX_HTTP_MAX_URI_CHANGES``)."""

QUERY: Final = "args"
"""The built-in variable that a step may assign."""


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

    __slots__ = ("answer", "assigned", "rewrite", "stop", "when")

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
        self.rewrite: Final = rewrite
        self.answer: Final = answer
        self.stop: Final = stop


def take(steps: Sequence[Step], request: Request) -> Course | Answer:
    """Take the steps; return what follows, or the answer that ends the request.

    ``request.uri`` and ``request.query`` are what the steps have made of them.
    """
    moved = requeried = False
    for step in steps:
        if step.when is not None and not step.when(request):
            continue
        for name, template in step.assigned:
            requeried |= _assign(request, name, template.render(request))
        rewrite = step.rewrite
        if rewrite is not None:
            done = rewrite.apply(request)
            if isinstance(done, Answer):
                return done
            if done:
                moved = True
                if rewrite.then == "stop":
                    return Course.REWRITTEN
                if rewrite.then == "route":
                    return Course.REROUTE
        if step.answer is not None:
            return step.answer.render(request)
        if step.stop:
            if moved:
                return Course.REWRITTEN
            break
    if moved:
        return Course.REROUTE
    return Course.REQUERIED if requeried else Course.ON


def _assign(request: Request, name: str, value: bytes) -> bool:
    """Assign a variable; return whether that changes what goes upstream."""
    if name == QUERY:
        request.query = value or None
        return True
    values = request.maps = {} if request.maps is None else request.maps
    values[name] = value
    return False


def assigned_variables(routes: Iterable[RouteSpec]) -> frozenset[str]:
    """Return the variables that steps of these routes define, by assigning or capturing them."""
    names: set[str] = set()
    for route in routes:
        for step in route.steps:
            names.update(name.lower() for name, _ in step.set)
            for text in _patterns(step):
                names.update(name.lower() for name in _names(text) if not name.isdecimal())
    names.discard(QUERY)
    return frozenset(names)


def numbered_captures(routes: Iterable[RouteSpec]) -> frozenset[str]:
    """Return the numbers that steps of these routes capture.

    They last until another regular expression matches, so any route may see them: a prelude comes
    before it, a step elsewhere may lead to it.
    """
    steps = [step for route in routes for step in route.steps]
    found = [name for step in steps for text in _patterns(step) for name in _names(text)]
    return frozenset(name for name in found if name.isdecimal())


def _patterns(step: StepSpec) -> Iterable[str]:
    if step.when is not None and step.when.test == "matches":
        yield step.when.operand
    if step.rewrite is not None:
        yield step.rewrite.match


def _names(pattern: str) -> frozenset[str]:
    try:
        return Pattern(pattern).names
    except FaultError:  # said where the step is compiled
        return frozenset()


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
    assigned: list[tuple[str, Template]] = []
    for name, text in spec.set:
        place = f"{at}/set{pointer(name)}"
        lower = name.lower()
        if lower in scope.maps:
            hint = "choose another name"
            faults.append(Fault(place, f"${name} is a header map", hint))
        elif is_reserved(lower) and lower != QUERY:
            hint = f"choose another name; of the built-in ones only `{QUERY}` can be set"
            faults.append(Fault(place, f"${name} is a built-in variable", hint))
        assigned.append((lower, compile_at(text, scope, place, faults)))
    rewrite = answer = None
    if spec.rewrite is not None:
        rewrite = compile_rewrite(spec.rewrite, scope, f"{at}/rewrite", faults)
    if spec.answer is not None:
        answer = compile_answer(spec.answer, scope, f"{at}/respond", faults)
    return Step(when, tuple(assigned), rewrite, answer, stop=spec.stop)
