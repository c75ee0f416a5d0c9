"""The audit log: a line for every request that would change something, whatever became of it.

It says who, what and with what outcome, and never what the request showed for a credential.  Those
who show none, or a wrong one, cannot fill the log: of their lines only so many are written, and the
next one says how many were not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from admin.api.attempts import Allowance
from admin.api.auth import Principal
from admin.controller import Controller
from proxy.telemetry.logging import get_logger

STRANGERS_BURST: Final = 50
"""Lines about requests that were refused for want of a credential, in a row."""

STRANGERS_EVERY_S: Final = 0.5
"""Seconds after which there may be one more."""

PRINCIPAL: Final = web.RequestKey("principal", Principal)
"""Who asks, once that is known."""

OPERATION: Final = web.RequestKey("operation", str)
"""The operation's name."""

REVISION: Final = web.RequestKey("revision", int)
"""The revision that a write led to."""

REFUSAL: Final = web.RequestKey("refusal", str)
"""Why it was refused, in words."""

_log = get_logger("admin.audit")


class Audit:
    """Writes the lines; ``clock`` gives monotonic seconds."""

    def __init__(self, controller: Controller, clock: Callable[[], float] = time.monotonic) -> None:
        self._controller: Final = controller
        self._clock: Final = clock
        self._strangers: Final = Allowance(STRANGERS_BURST, STRANGERS_EVERY_S)
        self._suppressed = 0

    def take(self, request: web.Request, response: web.StreamResponse, duration_s: float) -> None:
        """Take note of a request that has been answered."""
        principal = request.get(PRINCIPAL)
        facts: dict[str, object] = {
            "method": request.method,
            "path": request.path,
            "status": response.status,
            "author": None if principal is None else principal.name,
            "duration_ms": round(duration_s * 1000, 3),
        }
        if request.method in ("GET", "HEAD"):
            _log.debug("admin_request", **facts)
            return
        if response.status in (401, 403, 429):
            now = self._clock()
            if self._strangers.wait_s(now):
                self._suppressed += 1
                return
            self._strangers.spend(now)
        suppressed, self._suppressed = self._suppressed, 0
        _log.info(
            "audit",
            **facts,
            operation=request.get(OPERATION),
            outcome=_outcome(request, response.status),
            detail=request.get(REFUSAL),
            revision=request.get(REVISION, self._controller.revision.number),
            note=request.query.get("note"),
            peer=request.remote or "unix",
            **({"suppressed": suppressed} if suppressed else {}),
        )


def _outcome(request: web.Request, status: int) -> str:
    if status >= 500:
        return "failed"
    if status >= 400:
        return "refused"
    return "tried" if request.query.get("dry_run") == "true" else "done"
