"""Our own answers: errors, redirects, and whatever the configuration says."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Final

from proxy.errors import Failure
from proxy.message import Request
from proxy.steps.answer import Answer

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}

MAX_RANGES: Final = 16
"""Media ranges of an ``Accept`` field that are looked at."""

_WEIGHT: Final = re.compile(r"\bq\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)(?![.\d])")

BODILESS: Final = frozenset({204, 304})
"""Statuses whose responses have no body (RFC 9110, 6.4.1)."""

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def phrase(status: int) -> str:
    """Return the registered reason phrase, or an empty string."""
    return _PHRASES.get(status, "")


def error(failure: Failure, request: Request | None, *, keep_alive: bool) -> bytes:
    """Return a whole response for a request that failed; ``None``: its head was not understood."""
    answer = Answer(failure.status)
    return whole(failure.status, answer, failure.reason, request, keep_alive=keep_alive)


def whole(
    status: int,
    answer: Answer,
    reason: str | None,
    request: Request | None,
    lines: bytes = b"",
    dropped: frozenset[bytes] = frozenset(),
    *,
    keep_alive: bool,
) -> bytes:
    """Return a whole response.

    ``reason`` is why a request failed, ``lines`` are what response rules add, and ``dropped`` the
    lower-case names of the fields whose place that takes.
    """
    media, body, request_id = answer.content_type, answer.body, b""
    if body is None and status >= 400:
        media, body = _error_text(status, reason, request)
        request_id = b"" if request is None else request.request_id
    elif body is None:
        media, body = b"", b""
    bodiless = status in BODILESS
    fields = [(b"Content-Type", b"" if bodiless else media)]
    fields.append((b"Location", answer.location or b""))
    fields.append((b"X-Request-Id", request_id))
    block = [b"HTTP/1.1 %d %b\r\n" % (status, phrase(status).encode())]
    block += [b"%b: %b\r\n" % f for f in fields if f[1] and f[0].lower() not in dropped]
    block.append(lines)
    if not bodiless:
        block.append(b"Content-Length: %d\r\n" % len(body))
    if not keep_alive:
        block.append(b"Connection: close\r\n")
    elif request is not None and not request.version_minor:
        block.append(b"Connection: keep-alive\r\n")
    block.append(b"\r\n")
    if not bodiless and (request is None or request.method != b"HEAD"):
        block.append(body)
    return b"".join(block)


def _error_text(status: int, reason: str | None, request: Request | None) -> tuple[bytes, bytes]:
    """Return the media type and the body of an error: small, and nothing inside leaks."""
    if request is not None and _prefers_json(request):
        document = {"status": status, "title": phrase(status)}
        if reason is not None:
            document["reason"] = reason
        if request.request_id:
            document["request_id"] = request.request_id.decode("latin-1")
        return b"application/json", json.dumps(document).encode() + b"\n"
    said = "" if reason is None else f": {reason.replace('_', ' ')}"
    return b"text/plain; charset=utf-8", f"{status} {phrase(status)}{said}\n".encode()


def _prefers_json(request: Request) -> bool:
    """Tell whether ``Accept`` weighs JSON above plain text (RFC 9110, 12.5.1)."""
    accept = request.headers.get("Accept")
    if accept is None:
        return False
    json_weight = text_weight = 0.0
    for part in accept.split(",")[:MAX_RANGES]:
        name, _, parameters = part.partition(";")
        name = name.strip().lower()
        found = _WEIGHT.search(parameters)
        weight = 1.0 if found is None else float(found[1])
        if name in ("application/json", "application/*", "application/problem+json"):
            json_weight = max(json_weight, weight)
        elif name in ("text/plain", "text/*"):
            text_weight = max(text_weight, weight)
    return json_weight > text_weight
