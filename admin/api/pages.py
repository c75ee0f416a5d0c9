"""The description of the API: for programs at ``/openapi.json``, for people at ``/docs``."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from admin.api.media import HTML, answer
from admin.api.operations import Call
from admin.late import load

HTML_FIELDS: Final = {
    # Nothing is loaded from anywhere, and nothing in the page runs.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def openapi(call: Call) -> web.Response:
    """Answer with the OpenAPI document."""
    return await answer(await _described(call), call.media)


async def docs(call: Call) -> web.Response:
    """Answer with the same as a page."""
    await load("admin.api.docs")
    from admin.api.docs import page

    base = f"http://{call.request.headers.get('Host', 'localhost')}"
    return web.Response(
        text=page(await _described(call), base),
        content_type=HTML,
        charset="utf-8",
        headers=HTML_FIELDS,
    )


async def _described(call: Call) -> dict[str, Any]:
    # Late: it reads the table that this stands in, and few processes are ever asked.
    await load("admin.api.openapi")
    from admin.api.openapi import document

    return await asyncio.to_thread(document, guarded=call.guard.asks)
