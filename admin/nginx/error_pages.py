"""``error_page`` and ``proxy_intercept_errors``, and the named locations they lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from admin.nginx.answers import Setting
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError
from admin.nginx.scope import Scope
from proxy.errors import FaultError

NO_FILE: Final = "hotsplice serves no files: the text of the error stays as it is"

_STATUS: Final = re.compile(r"\d{1,6}", re.ASCII)


def error_pages(at: Setting, named: Mapping[str, str]) -> dict[str, Any]:
    """Return ``error_pages`` and ``intercept_errors`` of a route, if there are any.

    ``named`` are the routes of named locations, by the location's name.
    """
    report, pages = at.draft.report, []
    for directive in at.scope.all("error_page"):
        with report.judging(directive):
            if directive.args[-1] in at.server.files:
                report.approximated(directive, NO_FILE)
            else:
                pages.append(_page(directive, at, named))
    made: dict[str, Any] = {"error_pages": pages} if pages else {}
    if pages and at.scope.word("proxy_intercept_errors", "off").lower() == "on":
        made["intercept_errors"] = True
    return made


def _page(directive: Directive, at: Setting, named: Mapping[str, str]) -> dict[str, Any]:
    *before, target = directive.args
    page: dict[str, Any] = {}
    if len(before) > 1 and before[-1].startswith("="):
        shown = before.pop()[1:]
        if shown and not _STATUS.fullmatch(shown):
            raise FaultError(f'invalid value "={shown[:60]}"')
        if shown and not 200 <= int(shown) <= 599:
            raise RefusalError(f"{shown} is no final status of HTTP", "use one from 200 to 599")
        page["status"] = int(shown) if shown else "page"
    page = {"statuses": [_status(text) for text in before]} | page
    if target.startswith("@"):
        if target not in named:
            raise RefusalError(f"there is no location {target[:60]}", "name one that there is")
        return page | {"route": named[target]}
    if target.startswith("/"):
        return page | {"path": at.template(target)}
    if not re.match(r"https?://|\$", target, re.IGNORECASE):
        raise RefusalError("neither a path nor a named location nor a URL", "begin it with /")
    if page.get("status") not in {None, 301, 302, 303, 307, 308}:
        del page["status"]  # nginx redirects with 302 then
    return page | {"location": at.template(target)}


def _status(text: str) -> int:
    if not _STATUS.fullmatch(text):
        raise FaultError(f'invalid value "{text[:60]}"')
    if not 300 <= int(text) <= 599:
        raise FaultError(f'value "{text[:60]}" must be between 300 and 599')
    return int(text)


def plain_paths(scope: Scope, block: tuple[Directive, ...]) -> Iterator[str]:
    """Give the paths that error pages of a server lead to, and that change no status."""
    inner = [each for each in block if each.name == "error_page"]
    for directive in inner or scope.all("error_page"):
        if not any(word.startswith("=") for word in directive.args):
            yield directive.args[-1]
    for each in block:
        if each.name == "location":
            yield from plain_paths(scope, each.block or ())


def references(scopes: Iterable[Scope]) -> Iterator[str]:
    """Give the names of the locations that error pages in these scopes lead to."""
    for scope in scopes:
        for directive in scope.all("error_page"):
            if directive.args[-1].startswith("@"):
                yield directive.args[-1]
