"""nginx's inheritance: the nearest level that has a directive decides, all or nothing."""

from __future__ import annotations

from typing import Final

from admin.nginx.reading import Directive
from admin.nginx.report import Report


class Scope:
    """The directives of a block, and behind them those of the blocks around it."""

    def __init__(
        self,
        report: Report,
        block: tuple[Directive, ...],
        outer: Scope | None,
        path: str = "",
    ) -> None:
        self.report: Final = report
        self.outer: Final = outer
        self.path: Final = path
        """What a location is for, without its modifier; of other blocks empty."""
        self.content: Final = block
        self._own: Final[dict[str, list[Directive]]] = {}
        for directive in block:
            self._own.setdefault(directive.name, []).append(directive)

    def own(self, name: str) -> list[Directive]:
        """Return the directives of that name in this very block."""
        return self._own.get(name, [])

    def precedes(self, one: Directive, other: Directive) -> bool:
        """Tell whether a directive of this very block stands before another one."""
        return self.content.index(one) < self.content.index(other)

    def all(self, name: str) -> list[Directive]:
        """Return the directives of that name at the nearest level that has any."""
        found = self.own(name)
        return found if found or self.outer is None else self.outer.all(name)

    def together(self, *names: str) -> list[Directive]:
        """Return the directives of these names, which are inherited as one, in their order."""
        found = [directive for directive in self.content if directive.name in names]
        return found if found or self.outer is None else self.outer.together(*names)

    def one(self, name: str) -> Directive | None:
        """Return the directive in force; a second one on its level is a fault, as in nginx."""
        found = self.all(name)
        for another in found[1:]:
            self.report.fault(another, f'"{name}" directive is duplicate')
        return found[0] if found else None

    def word(self, name: str, default: str) -> str:
        """Return the first argument of the directive in force."""
        found = self.one(name)
        return found.args[0] if found is not None and found.args else default
