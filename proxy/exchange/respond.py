"""Our own answers: errors and redirects.  Small, and nothing inside leaks."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Final

from proxy.errors import Failure
from proxy.message import Request

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}

MAX_RANGES: Final = 16
"""Media ranges of an ``Accept`` field that are looked at."""

_WEIGHT: Final = re.compile(r"\bq\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)(?![.\d])")

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def phrase(status: int) -> str:
    """Return the registered reason phrase, or an empty string."""
    return _PHRASES.get(status, "")


def error(failure: Failure, request: Request | None, *, keep_alive: bool) -> bytes:
    """Return a whole response for a request that failed; ``None``: its head was not understood."""
    status = failure.status
    request_id = b"" if request is None else request.request_id
    if request is not None and _prefers_json(request):
        document = {"status": status, "title": phrase(status), "reason": failure.reason}
        if request_id:
            document["request_id"] = request_id.decode("latin-1")
        body = json.dumps(document).encode() + b"\n"
        media = b"application/json"
    else:
        body = f"{status} {phrase(status)}: {failure.reason.replace('_', ' ')}\n".encode()
        media = b"text/plain; charset=utf-8"
    return _assemble(status, b"Content-Type: %b\r\n" % media, body, request, keep_alive=keep_alive)


def redirect(location: bytes, request: Request, *, keep_alive: bool) -> bytes:
    """Return a 301 to ``location``."""
    return _assemble(301, b"Location: %b\r\n" % location, b"", request, keep_alive=keep_alive)


def _assemble(
    status: int, fields: bytes, body: bytes, request: Request | None, *, keep_alive: bool
) -> bytes:
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, phrase(status).encode()), fields]
    lines.append(b"Content-Length: %d\r\n" % len(body))
    if request is not None and request.request_id:
        lines.append(b"X-Request-Id: %b\r\n" % request.request_id)
    if not keep_alive:
        lines.append(b"Connection: close\r\n")
    elif request is not None and not request.version_minor:
        lines.append(b"Connection: keep-alive\r\n")
    lines.append(b"\r\n")
    if request is None or request.method != b"HEAD":
        lines.append(body)
    return b"".join(lines)


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
