"""What the tests of this folder compile."""

from __future__ import annotations

from typing import Any

from proxy.errors import Fault
from proxy.headers.map import compile_maps
from proxy.headers.template import Scope
from proxy.spec import AnswerSpec, ConditionSpec, HeaderMapSpec, RewriteSpec, StepSpec
from proxy.steps.step import Step, compile_steps, defined


def when(value: str, **differs: Any) -> ConditionSpec:
    """Write a condition; ``equals`` or ``matches`` stand for test and operand."""
    for test in ("equals", "matches"):
        if test in differs:
            differs |= {"test": test, "operand": differs.pop(test)}
    return ConditionSpec(value=value, **differs)


def step(**parts: Any) -> StepSpec:
    """Write a step.

    ``set`` is a dict; ``rewrite`` is what to match and the new path, and then what follows, or a
    redirect's status; ``answer`` is a status or a spec.
    """
    if isinstance(parts.get("set"), dict):
        parts["set"] = tuple(parts["set"].items())
    if isinstance(parts.get("rewrite"), tuple):
        match, to, *more = parts["rewrite"]
        differs: dict[str, Any] = {}
        for each in more:
            differs["redirect" if isinstance(each, int) else "then"] = each
        parts["rewrite"] = RewriteSpec(match=match, to=to, **differs)
    if isinstance(parts.get("answer"), int):
        parts["answer"] = AnswerSpec(status=parts["answer"])
    return StepSpec(**parts)


def scope_of(*steps: StepSpec, maps: tuple[HeaderMapSpec, ...] = (), captures: str = "") -> Scope:
    """Return what templates of a route with these steps may name."""
    variables, numbers = defined(steps)
    compiled = compile_maps({one.name: one for one in maps}, [], variables)
    names = frozenset(captures.split()) | numbers
    return Scope(maps=compiled, captures=names, variables=variables)


def compiled(*steps: StepSpec, **more: Any) -> tuple[Step, ...]:
    """Compile steps that are good."""
    faults: list[Fault] = []
    made = compile_steps(steps, scope_of(*steps, **more), "", faults)
    assert faults == []
    return made


def faults_of(*steps: StepSpec, **more: Any) -> list[Fault]:
    """Return what is wrong with steps."""
    faults: list[Fault] = []
    compile_steps(steps, scope_of(*steps, **more), "/steps", faults)
    return faults
