"""The description of the API: for programs at ``/openapi.json``, for people at ``/docs``."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from admin.api.media import HTML, answer
from admin.api.operations import Call

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
    # Late, as below: it reads the table that this stands in, and few processes are ever asked.
    from admin.api.openapi import document

    return await answer(document(guarded=call.guard.asks), call.media)


async def docs(call: Call) -> web.Response:
    """Answer with the same as a page."""
    from admin.api.docs import page
    from admin.api.openapi import document

    base = f"http://{call.request.headers.get('Host', 'localhost')}"
    return web.Response(
        text=page(document(guarded=call.guard.asks), base),
        content_type=HTML,
        charset="utf-8",
        headers=HTML_FIELDS,
    )
