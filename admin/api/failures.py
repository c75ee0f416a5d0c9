"""``/v1/failures``: the last requests that failed, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from aiohttp import web

from admin.api.media import fresh
from admin.api.operations import Call
from admin.api.problems import Problem
from proxy import errors
from proxy.telemetry.failures import FailedRequest

PAGE: Final = 100
"""Failures shown, unless more are asked for."""

REASONS: Final = tuple(sorted(failure.reason for failure in errors.ALL))


async def get_list(call: Call) -> web.Response:
    """Answer with the last failures."""
    failures, limit = call.server.failures, call.query.get("limit", PAGE)
    items = [asdict(failed) for failed in failures if _asked_for(failed, call)][:limit]
    return await fresh({"items": items, "recorded": failures.recorded}, call.media)


async def get(call: Call) -> web.Response:
    """Answer with the failure of one request."""
    request_id = call.request.match_info["request_id"]
    failed = call.server.failures.find(request_id)
    if failed is None:
        detail = f"No failed request {request_id} is remembered: it succeeded, or is long ago."
        raise Problem(404, detail)
    return await fresh(asdict(failed), call.media)


def _asked_for(failed: FailedRequest, call: Call) -> bool:
    wanted = call.query
    return (
        wanted.get("route") in (None, failed.route)
        and wanted.get("pool") in (None, failed.pool)
        and wanted.get("reason") in (None, failed.reason)
    )
