"""``set``, ``if``, ``rewrite``, ``break`` and ``return`` become the steps of a route."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from admin.nginx.answers import Setting, is_absolute, location, read_return
from admin.nginx.conditions import read_condition, words_of
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError
from admin.nginx.values import words
from admin.nginx.variables import assigned_name, pattern
from proxy.errors import FaultError
from proxy.patterns import Pattern

NAMES: Final = words("set if rewrite break return")
"""The directives of nginx's rewrite module that do something to a request."""

_FLAGS: Final[dict[str, dict[str, Any]]] = {
    "last": {"then": "route"},
    "break": {"then": "stop"},
    "redirect": {"redirect": 302},
    "permanent": {"redirect": 301},
}
_ORDER: Final = ("set", "rewrite", "respond", "stop")
"""In which order the parts of a step are done."""

Step = dict[str, Any]


class Steps:
    """The steps of one block, with the directive behind each."""

    def __init__(self, at: Setting) -> None:
        self.document: Final[list[Step]] = []
        self.sources: Final[list[Directive]] = []
        self._at: Final = at

    def read(self, block: tuple[Directive, ...]) -> None:
        """Translate what a block does to a request, in its order."""
        report = self._at.draft.report
        for directive in block:
            if directive.name in NAMES:
                with report.judging(directive):
                    try:
                        self._read(directive)
                    except RefusalError:
                        self._close(directive)
                        raise

    def remember(self, variables: dict[str, str], directive: Directive) -> None:
        """Assign variables before everything else."""
        if variables:
            self._add({"set": variables}, directive)

    def _read(self, directive: Directive) -> None:
        if directive.name == "if":
            self._add_if(directive)
        else:
            self._add(self._part(directive), directive)

    def _close(self, directive: Directive) -> None:
        """Turn everybody away where an ``if`` that is refused turns some away.

        An import that is lenient must not open what was closed.
        """
        for each in directive.block or ():
            if each.name == "return" and re.fullmatch(r"4\d\d", each.args[0], re.ASCII):
                self._add({"respond": {"status": int(each.args[0])}}, directive)
                return

    def _add(self, part: Step, directive: Directive) -> None:
        if self.document and _joins(self.document[-1], part):
            _join(self.document[-1], part)
        else:
            self.document.append(part)
            self.sources.append(directive)

    def _part(self, directive: Directive) -> Step:
        """Return what one directive does, as part of a step."""
        at, args = self._at, directive.args
        if directive.name == "set":
            if len(args[0]) < 2 or not args[0].startswith("$"):
                raise FaultError(f'invalid variable name "{args[0][:60]}"')
            name = at.draft.variables.assigned(args[0][1:])
            return {"set": {name: at.template(args[1])}}
        if directive.name == "break":
            return {"stop": True}
        if directive.name == "return":
            return {"respond": read_return(directive, at)}
        return {"rewrite": self._rewrite(directive)}

    def _rewrite(self, directive: Directive) -> dict[str, Any]:
        match, to, *flags = directive.args
        made: dict[str, Any] = {"match": pattern(match)}
        at = _behind(Pattern(match), self._at)
        if flags and flags[0] not in _FLAGS:
            raise FaultError(f'invalid parameter "{flags[0][:60]}"')
        flag = _FLAGS[flags[0]] if flags else {}
        if is_absolute(to) and "redirect" not in flag:
            flag = {"redirect": 302}
        if "redirect" in flag:
            return made | {"to": location(to, directive, at)} | flag
        if not to.startswith(("/", "$")):
            raise RefusalError("the new path does not begin with a slash", f"write /{to[:40]}")
        return made | {"to": at.template(to)} | flag

    def _add_if(self, directive: Directive) -> None:
        report = self._at.draft.report
        key, condition = read_condition(directive, self._at)
        inner: list[Step] = []
        for each in directive.block or ():
            if each.name in NAMES and each.name != "if":
                with report.judging(each):
                    report.kept(each)
                    part = self._part(each)
                    if inner and _joins(inner[-1], part):
                        _join(inner[-1], part)
                    else:
                        inner.append(part)
            elif each.name != "if":
                hint = "of what may stand in an if, only set, rewrite, break and return is"
                report.refused(each, "not supported within an if", hint)
        for step in self._guarded(key, condition, inner):
            self.document.append(step)
            self.sources.append(directive)

    def _guarded(self, key: str, condition: dict[str, Any], inner: list[Step]) -> Iterator[Step]:
        """Put a condition before steps; where they are several, it is asked once, as in nginx."""
        if len(inner) == 1:
            yield {key: condition, **inner[0]}
        elif inner:
            flag = self._at.draft.variables.add_flag()
            yield {"set": {flag: ""}}
            yield {key: condition, "set": {flag: "1"}}
            for step in inner:
                yield {"when": {"value": f"${flag}"}, **step}


def _behind(matched: Pattern, at: Setting) -> Setting:
    """Return the same place once an expression has matched: what else had a number has none."""
    gone = {str(number): "" for number in range(1, 10) if str(number) not in matched.names}
    own = {number: f"${number}" for number in matched.names if number.isdecimal()}
    return replace(at, local=at.local | gone | own)


def ends(steps: list[Step]) -> bool:
    """Tell whether no request gets past some steps."""
    return any("respond" in step and not {"when", "unless"} & step.keys() for step in steps)


def _joins(step: Step, part: Step) -> bool:
    """Tell whether a part can be done within a step, behind what that does already."""
    if {"when", "unless", "stop", "respond"} & step.keys():
        return False
    (kind,) = part
    last = max(_ORDER.index(key) for key in step)
    if kind == "set":
        # A value may use what an assignment before it has made; in a step the order is kept.
        return last == 0 and not step["set"].keys() & part["set"].keys()
    return _ORDER.index(kind) > last and "redirect" not in step.get("rewrite", {})


def _join(step: Step, part: Step) -> None:
    (kind,) = part
    if kind == "set":
        step["set"] |= part["set"]
    else:
        step.update(part)


def assignments(tree: tuple[Directive, ...]) -> Iterator[str]:
    """Give the names of all variables that ``set`` assigns, wherever."""
    for directive in tree:
        if directive.name == "set" and directive.args and assigned_name(directive.args[0]):
            yield directive.args[0][1:]
        yield from assignments(directive.block or ())


def captured_numbers(tree: tuple[Directive, ...]) -> frozenset[str]:
    """Return the numbers that regular expressions of ``rewrite`` and ``if`` capture, wherever."""
    found: set[str] = set()
    for directive in tree:
        with suppress(FaultError):  # told where it is read
            texts = directive.args[:1] if directive.name == "rewrite" else ()
            if directive.name == "if":
                texts = tuple(words_of(directive)[2:])
            for text in texts:
                found.update(filter(str.isdecimal, Pattern(text).names))
        found |= captured_numbers(directive.block or ())
    return frozenset(found)
