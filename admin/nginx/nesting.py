"""``location`` blocks as a tree, and whether routes side by side do what it does.

nginx searches level by level: of the locations beside each other the exact one or the longest
prefix, then within that one, and on the way back the regular expressions of each level.  Routes
beside each other do the same, unless there are regular expressions within a location, or a prefix
that takes requests away from a longer one within another.  Those stand ``within`` a route.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from admin.nginx.closing import closes, wider
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.scope import Scope
from admin.nginx.variables import pattern
from proxy.errors import FaultError

NAMED: Final = "named"

MODIFIERS: Final = {"=": "exact", "^~": "prefix", "~": "regex", "~*": "regex"}

_DOTS: Final = re.compile(r"/\.\.?(?:/|$)")


@dataclass(eq=False, slots=True)
class Location:
    """A ``location`` block."""

    directive: Directive
    scope: Scope
    kind: str
    """exact, prefix, regex or named."""
    text: str
    """The path, the regular expression, or the name with its ``@``."""
    path: dict[str, Any]
    """As the document has it, without ``within``; of a named location, nothing."""
    outer: Location | None = None
    inner: list[Location] = field(default_factory=list)
    stands_within: bool = False
    """It has to be said within which route it stands."""
    closed: bool = False
    """It takes the place of one that is refused, and turns everybody away."""

    @property
    def proxy_pass(self) -> Directive | None:
        """Where it passes its requests on to, if it does."""
        return next(iter(self.scope.own("proxy_pass")), None)

    def all(self) -> Iterator[Location]:
        """Give it and all that is in it."""
        yield self
        for location in self.inner:
            yield from location.all()


def read_locations(
    block: tuple[Directive, ...], around: Scope, report: Report, outer: Location | None = None
) -> list[Location]:
    """Read the locations of a block and those in them; what is wrong with one is reported."""
    found: list[Location] = []
    for directive in block:
        if directive.name != "location":
            continue
        with report.judging(directive):
            path = _modifier(directive.args)[1]
            scope = Scope(report, directive.block or (), around, path)
            try:
                location = _location(directive, scope, outer)
            except RefusalError:
                if closes(directive.block or ()):
                    found.append(_closed(directive, Scope(report, (), around), outer))
                raise
            remark = _never_matches(location)
            if remark is not None:
                report.kept(directive, remark)
                continue
            taken = (location.kind, location.text)
            if location.kind != "regex" and any(taken == (o.kind, o.text) for o in found):
                raise FaultError(f'duplicate location "{location.text[:60]}"')
            found.append(location)
            location.inner = read_locations(directive.block or (), scope, report, location)
    _order(found)
    if outer is None:
        for location in found:
            _place(location, found)
    return found


def _location(directive: Directive, scope: Scope, outer: Location | None) -> Location:
    """Read modifier and path."""
    modifier, text = _modifier(directive.args)
    if modifier == "@":
        if outer is not None:
            raise FaultError("a named location cannot be inside another location")
        return Location(directive, scope, NAMED, f"@{text}", {})
    kind = MODIFIERS.get(modifier, "prefix")
    if outer is not None:
        if outer.kind in {"exact", NAMED}:
            raise FaultError(f"a location cannot be inside this {outer.kind} location")
        if kind != "regex" and not text.startswith(outer.text):
            raise FaultError(f'location "{text[:60]}" is outside the location around it')
    if kind == "regex":
        path: dict[str, Any] = {"regex": pattern(text)}
        if modifier == "~*":
            path["ignore_case"] = True
        return Location(directive, scope, kind, text, path | _internal(scope), outer)
    if "?" in text:
        hint = "leave the query out: locations are for paths"
        raise RefusalError("only an encoded question mark could match it", hint)
    path = {kind: text or "/"}
    if modifier == "^~":
        path["final"] = True
    return Location(directive, scope, kind, text, path | _internal(scope), outer)


def _closed(directive: Directive, scope: Scope, outer: Location | None) -> Location:
    """Return what turns away whoever might have got to a location that is refused."""
    modifier, text = _modifier(directive.args)
    if not modifier.startswith("~"):
        return Location(
            directive, scope, "regex", text, {"regex": "^" + re.escape(text)}, outer, closed=True
        )
    path: dict[str, Any] = {"regex": wider(text)}
    if modifier == "~*":
        path["ignore_case"] = True
    return Location(directive, scope, "regex", text, path, outer, closed=True)


def _internal(scope: Scope) -> dict[str, bool]:
    return {"internal": True} if scope.all("internal") else {}


def _modifier(args: tuple[str, ...]) -> tuple[str, str]:
    if len(args) == 2:
        if args[0] not in MODIFIERS:
            raise FaultError(f'invalid location modifier "{args[0][:60]}"', "one of = ~ ~* ^~")
        return args[0], args[1]
    found = re.fullmatch(r"(=|\^~|~\*|~|@|)(.*)", args[0], re.DOTALL)
    return (found[1], found[2]) if found else ("", args[0])


def _never_matches(location: Location) -> str | None:
    """Return why no request can get there, if none can."""
    text = location.text
    if location.kind in {"regex", NAMED} or (not text and location.kind == "prefix"):
        return None
    if not text.startswith("/"):
        return "no path begins so"
    if _DOTS.search(text):
        return "dot segments are resolved before, so no request matches"
    if "//" in text and location.scope.word("merge_slashes", "on").lower() == "on":
        return "repeated slashes are merged before, so no request matches"
    return None


def _order(beside: list[Location]) -> None:
    """Let regular expressions be tried in the order of the file."""
    regexes = [location for location in beside if location.kind == "regex"]
    if len(regexes) > 1:
        for place, location in enumerate(reversed(regexes), 1):
            location.path["priority"] = place


def _place(outermost: Location, beside: list[Location]) -> None:
    """Decide for a location of the server whether what is in it stands beside it."""
    inside = list(outermost.all())[1:]
    nested = any(each.kind == "regex" for each in inside) or outermost.kind == "regex"
    if nested or any(_is_shadowed(each, beside) for each in inside):
        for each in inside:
            each.stands_within = True
        return
    for each in inside:
        # Regular expressions stand beside the outermost location, so its modifier counts.
        if each.kind == "prefix":
            each.path.pop("final", None)
            if outermost.path.get("final"):
                each.path["final"] = True


def _is_shadowed(location: Location, outermost: Iterable[Location]) -> bool:
    """Tell whether beside a location around it stands one that takes some of its requests."""
    outer = location.outer
    while outer is not None:
        beside = outermost if outer.outer is None else outer.outer.inner
        for other in beside:
            if other is outer or other.kind == "regex":
                continue
            if other.kind == "exact" and other.text == location.text:
                return True
            longer = len(other.text) > len(outer.text)
            if other.kind == "prefix" and longer and location.text.startswith(other.text):
                return True
        outer = outer.outer
    return False
