"""Every refusal of the admin API as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from admin.documents.faults import nearest
from admin.folder.ownership import OwnedError
from admin.revisions import Pending
from proxy.errors import Fault

MEDIA_TYPE: Final = "application/problem+json"

LISTED: Final = 5
"""Objects that a sentence names; the list of faults has all of them."""

COMPARED: Final = 1000
"""Among more names than this the nearest is not searched for: it would hold up the event loop."""


class Problem(Exception):  # noqa: N818 (RFC 9457 calls it a problem)
    """Ends a request with a status that refuses it."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Iterable[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status: Final = status
        self.detail: Final = detail
        self.errors: Final = tuple(errors)
        self.headers: Final = dict(headers or {})

    def response(self) -> web.Response:
        """Make the answer."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "errors": [_fault(fault) for fault in self.errors],
        }
        return web.Response(
            status=self.status,
            body=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
            content_type=MEDIA_TYPE,
            headers=self.headers,
        )


def _fault(fault: Fault) -> dict[str, str]:
    shown = {"path": fault.path, "message": fault.message}
    if fault.hint is not None:
        shown["hint"] = fault.hint
    return shown


def unknown(path: str, noun: str, name: str, known: Collection[str]) -> Fault:
    """Make the fault of a name that nothing has, with the nearest that something has."""
    hint = nearest(name, known, f"{noun}s") if len(known) <= COMPARED else None
    return Fault(path, f"there is no {noun} `{name}`", hint)


def pending(waiting: Pending) -> Problem:
    """Make the refusal of a write while a revision waits to be confirmed."""
    number, back_to = waiting.revision, waiting.back_to
    left_s = max(waiting.until - time.time(), 0.0)
    hint = (
        f"POST /v1/revisions/{number}/confirm keeps it, "
        f"/v1/revisions/{back_to}/restore takes it back at once"
    )
    return Problem(
        409,
        f"Revision {number} waits to be confirmed, for {left_s:.0f} s more.",
        [Fault(f"/v1/revisions/{number}", "it is not confirmed", hint)],
    )


def owned(error: OwnedError) -> Problem:
    """Make the refusal of a write of what belongs to a folder."""
    files = ", ".join(sorted(set(error.owned.values())))
    hint = "change it there, or override an endpoint for a while"
    return Problem(
        409,
        f"{', '.join(list(error.owned)[:LISTED])} {'is' if len(error.owned) == 1 else 'are'} "
        f"of the folder {error.folder} ({files}). Nothing was changed.",
        [Fault(at, f"it belongs to the file {file}", hint) for at, file in error.owned.items()],
    )


def not_kept(reason: str) -> Problem:
    """Make the refusal of a write that the disk does not take."""
    return Problem(507, f"The state cannot be written: {reason}. Nothing was changed.")
