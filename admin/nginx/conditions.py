"""The condition of an ``if``, as a document has it."""

from __future__ import annotations

from typing import Any, Final

from admin.nginx.answers import Setting
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError
from admin.nginx.variables import pattern
from proxy.errors import FaultError

_FILES: Final = frozenset({"-f", "-d", "-e", "-x"})
_OPERATORS: Final = {
    "=": ("when", "equals"),
    "!=": ("unless", "equals"),
    "~": ("when", "matches"),
    "~*": ("when", "matches"),
    "!~": ("unless", "matches"),
    "!~*": ("unless", "matches"),
}


def read_condition(directive: Directive, at: Setting) -> tuple[str, dict[str, Any]]:
    """Return the key (``when`` or ``unless``) and the condition of an ``if``.

    Raises:
        FaultError: nginx would not take it.
        RefusalError: nginx would, and a document cannot say it.
    """
    words = words_of(directive)
    first = words[0]
    if first.lstrip("!") in _FILES:
        raise RefusalError("hotsplice looks at no files", "let an upstream serve them")
    if not first.startswith("$") or len(first) < 2 or len(words) not in (1, 3):
        raise FaultError(f'invalid condition "{" ".join(words)[:60]}"')
    value = at.template(first)
    if len(words) == 1:
        return "when", {"value": value}
    operator, operand = words[1:]
    if operator not in _OPERATORS:
        raise FaultError(f'unexpected "{operator[:60]}" in condition')
    key, test = _OPERATORS[operator]
    if test == "equals":
        return key, {"value": value, "equals": at.template(operand)}
    condition: dict[str, Any] = {"value": value, "matches": pattern(operand)}
    return key, condition | ({"ignore_case": True} if operator.endswith("*") else {})


def words_of(directive: Directive) -> list[str]:
    """Take the parentheses off, which stand alone or at the words inside of them."""
    words = list(directive.args)
    if not words or not words[0].startswith("(") or not words[-1].endswith(")"):
        raise FaultError(f'invalid condition "{" ".join(words)[:60]}"')
    words[0] = words[0][1:]
    words[-1] = words[-1][:-1]
    words = words if words[0] else words[1:]
    words = words if words and (words[-1] or len(words) == 3) else words[:-1]
    if not words:
        raise FaultError("invalid condition: it is empty")
    return words
