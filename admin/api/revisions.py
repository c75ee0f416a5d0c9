"""``/v1/revisions``: what was changed when, by whom and why, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from admin.api.media import answer
from admin.api.operations import Call, whole
from admin.api.problems import Problem, pending
from admin.api.resources import check, origin_of, success, terms_of
from admin.delta import differences
from admin.edits import MISSING
from admin.history import History
from admin.offloading import offload
from admin.revisions import Revision
from proxy.errors import Fault

PAGE: Final = 50
"""Revisions of a page, unless the query says otherwise."""

MOST_A_PAGE: Final = 100

GREATEST: Final = 10**12 - 1
"""No revision's number is greater."""


def summary(revision: Revision, serving: int) -> dict[str, object]:
    """Return a revision as it is shown."""
    return {
        "number": revision.number,
        "time": revision.time,
        "source": revision.origin.source,
        "author": revision.origin.author,
        "note": revision.origin.note,
        "changed": list(revision.changed),
        "restores": revision.restores,
        "serving": revision.number == serving,
    }


async def get_list(call: Call) -> web.Response:
    """Answer with the revisions that are kept."""
    history = call.controller.memory.state.history
    body = await offload(history.octets, _page, history, call.query)
    return await answer(body, call.media, size=history.octets)


def _page(history: History, query: Mapping[str, Any]) -> dict[str, object]:
    wanted = query.get("object")
    place = None if wanted is None else "/" + wanted.removeprefix("/")
    cursor = query.get("cursor", history.latest.number + 1)
    found = [
        revision
        for revision in history.newest_first()
        if revision.number < cursor and (place is None or place in revision.changed)
    ]
    limit = query.get("limit", PAGE)
    page = found[:limit]
    return {
        "items": [summary(one, history.latest.number) for one in page],
        "next": str(page[-1].number) if len(found) > limit else None,
    }


async def get(call: Call) -> web.Response:
    """Answer with one revision and its document."""
    revision = _kept(call, call.request.match_info["number"])
    history = call.controller.memory.state.history
    size = call.controller.size + history.octets
    document = await offload(size, history.document, revision.number)
    body = {**summary(revision, history.latest.number), "document": document}
    return await answer(body, call.media, size=size)


async def diff(call: Call) -> web.Response:
    """Answer with what leads from one revision to another."""
    history = call.controller.memory.state.history
    before = _kept(call, call.request.match_info["number"]).number
    after = _kept(call, str(call.query.get("to", history.latest.number))).number

    def compare() -> list[dict[str, object]]:
        return [
            {
                "path": one.path,
                **({} if one.before is MISSING else {"before": one.before}),
                **({} if one.after is MISSING else {"after": one.after}),
            }
            for one in differences(history.document(before), history.document(after))
        ]

    size = call.controller.size + history.octets
    body = {"from": before, "to": after, "differences": await offload(size, compare)}
    return await answer(body, call.media, size=size)


async def restore(call: Call) -> web.Response:
    """Let the document of a revision serve again."""
    number = _kept(call, call.request.match_info["number"]).number

    def checked(raw: object) -> object:
        check(call, raw)
        _kept(call, str(number))
        return raw

    controller = call.controller
    outcome = await controller.restore(number, origin_of(call), terms_of(call), checked)
    return await success(call, outcome)


async def confirm(call: Call) -> web.Response:
    """Let a revision stay."""
    controller = call.controller
    revision = _kept(call, call.request.match_info["number"])
    if not await controller.confirm(revision.number):
        if controller.pending is not None:
            raise pending(controller.pending)
        raise Problem(
            409,
            f"Revision {revision.number} does not wait to be confirmed; "
            f"revision {controller.revision.number} serves.",
        )
    return await answer(summary(revision, controller.revision.number), call.media)


def _kept(call: Call, text: str) -> Revision:
    """Return a revision; 404 if it is not there, or not any more."""
    history = call.controller.memory.state.history
    try:
        found = history.find(whole(text, 0, GREATEST))
    except ValueError:
        found = None
    if found is None:
        hint = f"{history.oldest} to {history.latest.number} are kept"
        fault = Fault("number", f"there is no revision `{text}`", hint)
        raise Problem(404, f"There is no revision {text}.", [fault])
    return found
