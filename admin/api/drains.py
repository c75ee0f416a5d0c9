"""``/v1/drains``: some connections are told to close, paced."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from admin.api.checked import read_checked
from admin.api.connections import SELECTS
from admin.api.media import JSON, YAML, answer, fresh
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.documents.names import NAME, NAME_HINT
from proxy.connections import ANY, Selector
from proxy.drains import DrainOrder, DrainProgress, TooManyDrainsError
from proxy.errors import Fault

if TYPE_CHECKING:
    from admin.api.bodies.drains import DrainBody

REFUSAL: Final = "The drain has faults. Nothing was changed."


async def get_list(call: Call) -> web.Response:
    """Answer with every drain."""
    return await fresh({"items": [_shown(one) for one in call.server.drains()]}, call.media)


async def get(call: Call) -> web.Response:
    """Answer with how far a drain is."""
    name = _name(call)
    progress = call.server.drain_progress(name)
    if progress is None:
        raise _nothing(name)
    return await fresh(_shown(progress), call.media)


async def put(call: Call) -> web.Response:
    """Start a drain, or let the same one go on."""
    body: DrainBody
    body, _ = await read_checked(call, (JSON, YAML), REFUSAL)
    order = _order(body, call)
    name = _checked(_name(call))
    created = call.server.drain_progress(name) is None
    try:
        progress = call.server.start_drain(name, order)
    except TooManyDrainsError as error:
        fault = Fault("", str(error), "cancel one: DELETE /v1/drains/{name}")
        raise Problem(409, "There are too many drains already.", [fault]) from None
    return await answer(_shown(progress), call.media, status=201 if created else 200)


async def delete(call: Call) -> web.Response:
    """Cancel a drain."""
    name = _name(call)
    if not call.server.cancel_drain(name, call.principal.name):
        raise _nothing(name)
    return web.Response(status=204)


def _name(call: Call) -> str:
    return call.request.match_info["name"]


def _checked(name: str) -> str:
    if re.fullmatch(NAME, name) is None:
        fault = Fault("name", "not the name of a drain", NAME_HINT)
        raise Problem(422, "A drain cannot have this name.", [fault])
    return name


def _nothing(name: str) -> Problem:
    return Problem(404, f"There is no drain {name}; GET /v1/drains lists them.")


def _order(body: DrainBody, call: Call) -> DrainOrder:
    order = body.order(call.principal.name, call.query.get("note"))
    if order.selector == ANY:
        hint = f"say at least one of {', '.join(type(body.selector).model_fields)}"
        raise Problem(422, REFUSAL, [Fault("/selector", "takes every connection", hint)])
    return order


def _shown(progress: DrainProgress) -> dict[str, Any]:
    order = progress.order
    return {
        "name": progress.name,
        "selector": _selector(order.selector),
        "cordon": order.cordons,
        "fraction": order.fraction,
        "code": order.code,
        "reason": order.reason,
        "rate": order.rate,
        "timeout": _duration(order.timeout_s),
        "author": order.author,
        "note": order.note,
        "since": progress.since,
        "selected": progress.selected,
        "closed": progress.closed,
        "remaining": progress.remaining,
        "cordoned": list(progress.cordoned),
        "done": progress.done,
    }


def _selector(selector: Selector) -> dict[str, Any]:
    shown: dict[str, Any] = {name: getattr(selector, name) for name in SELECTS}
    shown["labels"] = dict(selector.labels) or None
    for name, span_s in (("min_age", selector.min_age_s), ("min_idle", selector.min_idle_s)):
        shown[name] = None if span_s is None else _duration(span_s)
    return {name: value for name, value in shown.items() if value is not None}


def _duration(span_s: float) -> str:
    whole_s, rest_ms = divmod(round(span_s * 1000), 1000)
    return f"{whole_s}s" * bool(whole_s) + f"{rest_ms}ms" * bool(rest_ms)
