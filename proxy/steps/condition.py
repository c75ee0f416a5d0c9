"""Whether a step is taken (nginx ``if``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from proxy.errors import Fault, FaultError
from proxy.headers.template import Scope, compile_at, is_reserved
from proxy.message import Request
from proxy.patterns import Pattern
from proxy.spec import ConditionSpec
from proxy.steps.escapes import escape_value

Condition = Callable[[Request], bool]

_FALSE: Final = (b"", b"0")


def compile_condition(
    spec: ConditionSpec, scope: Scope, path: str, faults: list[Fault]
) -> Condition:
    """Compile the condition found at ``path``; what is wrong with it is added to ``faults``."""
    value = compile_at(spec.value, scope, f"{path}/value", faults).render
    negated = spec.negated
    if spec.test == "truth":
        return lambda request: (value(request) in _FALSE) is negated
    if spec.test == "equals":
        quoting = replace(scope, escape=escape_value)
        operand = compile_at(spec.operand, quoting, f"{path}/equals", faults).render
        return lambda request: (value(request) == operand(request)) is not negated
    place = f"{path}/matches"
    pattern = compile_pattern(spec.operand, scope, place, faults, ignore_case=spec.ignore_case)
    if pattern is None:
        return lambda request: False

    def matches(request: Request) -> bool:
        return match(pattern, value(request), request) is not negated

    return matches


def compile_pattern(
    text: str, scope: Scope, path: str, faults: list[Fault], *, ignore_case: bool
) -> Pattern | None:
    """Compile the regular expression found at ``path``; what is wrong is added to ``faults``."""
    try:
        pattern = Pattern(text, ignore_case=ignore_case)
    except FaultError as error:
        faults.append(Fault(path, error.message, error.hint))
        return None
    for name in sorted(pattern.names):
        problem = None if name.isdecimal() else taken(name, scope)
        if problem is not None:
            faults.append(Fault(path, problem, "rename the capture"))
    return pattern


def taken(name: str, scope: Scope) -> str | None:
    """Say why a step cannot define the variable ``name``, if it cannot."""
    lower = name.lower()
    if lower in scope.maps:
        return f"${name} is a header map"
    if is_reserved(lower):
        return f"${name} is a built-in variable"
    return None


def match(pattern: Pattern, text: bytes, request: Request) -> bool:
    """Match a step's regular expression, and put what it captures in place of what was before.

    As in nginx, numbers are lost when an expression with groups does not match, too; names become
    variables of the request, and outlast the next match.
    """
    captures = pattern.captures(text)
    if captures is None:
        if request.captures and pattern.names:
            _remember(request, {})
        return False
    _remember(request, captures)
    return True


def _remember(request: Request, captures: dict[str, bytes]) -> None:
    before = request.captures or {}
    named = {name: text for name, text in captures.items() if not name.isdecimal()}
    # What is there may be shared with other requests: it is never changed.
    kept = {name: text for name, text in before.items() if not name.isdecimal()}
    request.captures = kept | {name: captures[name] for name in captures.keys() - named}
    if named:
        values = request.maps = {} if request.maps is None else request.maps
        values |= {name.lower(): text for name, text in named.items()}
