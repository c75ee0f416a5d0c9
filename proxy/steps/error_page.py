"""What takes the place of an error (nginx ``error_page``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from proxy.errors import Fault, pointer
from proxy.headers.template import Scope, Template, compile_at
from proxy.spec import ErrorPageSpec
from proxy.steps.answer import LEAST_STATUS, MOST_STATUS

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""Statuses with which a client may be sent elsewhere; any other gives way to 302."""


class ErrorPage:
    """One error page, compiled: exactly one of a path, a route and a location."""

    __slots__ = ("location", "path", "query", "route", "status")

    def __init__(
        self,
        status: int | Literal["page"] | None,
        path: Template | None,
        query: Template | None,
        location: Template | None,
        route: str | None,
    ) -> None:
        self.status: Final = status
        self.path: Final = path
        self.query: Final = query
        self.location: Final = location
        self.route: Final = route


def compile_error_pages(
    specs: Iterable[ErrorPageSpec], scope: Scope, path: str, faults: list[Fault]
) -> dict[int, ErrorPage]:
    """Compile the pages found at ``path``, by status; the first for a status is the one."""
    pages: dict[int, ErrorPage] = {}
    for number, spec in enumerate(specs):
        at = path + pointer(number)

        def template(text: str | None, place: str) -> Template | None:
            return None if text is None else compile_at(text, scope, place, faults)

        if isinstance(spec.status, int) and not LEAST_STATUS <= spec.status <= MOST_STATUS:
            hint = f"from {LEAST_STATUS} to {MOST_STATUS}"
            faults.append(Fault(f"{at}/status", f"{spec.status} is no status of an answer", hint))
        text, mark, query = (spec.path or "").partition("?")
        page = ErrorPage(
            spec.status,
            template(text if spec.path is not None else None, f"{at}/path"),
            template(query if mark else None, f"{at}/path"),
            template(spec.location, f"{at}/location"),
            spec.route,
        )
        for status in spec.statuses:
            pages.setdefault(status, page)
    return pages
