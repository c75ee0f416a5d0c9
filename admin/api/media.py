"""Bodies in and out: JSON and YAML, which one the client sends and which one it wants."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from admin.api.problems import Problem
from admin.documents.faults import DocumentError
from admin.documents.loading import MAX_YAML_BYTES, dump_yaml, load
from admin.json_text import SPACED, indented, spaced
from admin.offloading import offload
from proxy.errors import Fault

JSON: Final = "application/json"
YAML: Final = "application/yaml"
MERGE_PATCH: Final = "application/merge-patch+json"
HTML: Final = "text/html"
EVENT_STREAM: Final = "text/event-stream"

BODY_BYTES: Final = 8 * 1024 * 1024
"""A request body, at most: some 60,000 endpoints."""

BODY_TIMEOUT_S: Final = 30.0
"""For a whole request body, in seconds."""

CODINGS: Final = ("gzip", "deflate")
"""Content codings of request bodies that are undone."""

UNDERSTOOD: Final = {"Accept-Encoding": ", ".join(CODINGS)}

ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS

YAML_COST: Final = 50
"""YAML takes that many times as long to read and write as JSON of the same length."""

READABLE_BYTES: Final = 32 * 1024
"""What is no longer than this is indented."""

PIECES_BYTES: Final = 512 * 1024
"""What is larger is written in pieces, which takes longer, but holds up nobody."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request body, read."""

    value: object
    octets: int


def choose(accept: str, offered: tuple[str, ...]) -> str:
    """Choose the media type to answer with (RFC 9110, 12.5.1); a 406 ``Problem`` if none will do.

    The server's order decides between what the client likes equally.
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    best = max(offered, key=lambda media: _quality(media, ranges))
    if _quality(best, ranges) <= 0:
        raise Problem(406, f"Offered here: {', '.join(offered)}; the Accept field allows none.")
    return best


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media, float(value)
            except ValueError:
                raise Problem(400, f"Not a quality in the Accept field: {value}") from None
    return media, 1.0


def _quality(media: str, ranges: list[tuple[str, float]]) -> float:
    """Take the quality of the most specific range that covers a media type."""
    for pattern in (media, media.partition("/")[0] + "/*", "*/*"):
        for candidate, quality in ranges:
            if candidate == pattern:
                return quality
    return 0.0


async def read_body(request: web.Request, accepted: tuple[str, ...]) -> Body:
    """Read and parse the request body: 400, 408, 413 or 415 as a ``Problem``."""
    media = _media_type(request, accepted)
    if (request.content_length or 0) > BODY_BYTES:
        raise Problem(413, f"The body is over {BODY_BYTES:,} bytes.")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            data = await request.read()
    except TimeoutError:
        raise Problem(408, f"The body did not arrive within {BODY_TIMEOUT_S:.0f} s.") from None
    except web.RequestPayloadError:
        raise Problem(400, "The body broke off, or is not encoded as its fields say.") from None
    yaml = media == YAML
    data = await _unpacked(request, data)
    if yaml and len(data) > MAX_YAML_BYTES:
        raise Problem(413, f"A body of YAML over {MAX_YAML_BYTES:,} bytes; JSON may be larger.")
    try:
        value = await offload(len(data) * (YAML_COST if yaml else 1), load, data, yaml=yaml)
    except DocumentError as error:
        language = "YAML" if yaml else "JSON"
        raise Problem(400, f"The body is not valid {language}.", error.faults) from error
    return Body(value, len(data))


async def _unpacked(request: web.Request, data: bytes) -> bytes:
    """Undo the content coding of a body, if it has one."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding == "identity":
        return data
    if coding not in CODINGS:
        raise Problem(415, f"A body packed as {coding} is not understood here.", (), UNDERSTOOD)
    unpacking = zlib.decompressobj(ZLIB_OR_GZIP)
    try:
        # In a thread: little that comes may be much, and zlib lets go of the interpreter.
        unpacked = await asyncio.to_thread(unpacking.decompress, data, BODY_BYTES + 1)
    except zlib.error:
        unpacked = b""
    if len(unpacked) > BODY_BYTES:
        raise Problem(413, f"The body is over {BODY_BYTES:,} bytes.")
    if not unpacking.eof:
        raise Problem(400, "The body broke off, or is not encoded as its fields say.")
    return unpacked


def _media_type(request: web.Request, accepted: tuple[str, ...]) -> str:
    """Return the body's type; a body that says nothing is taken for the first accepted one."""
    if "Content-Type" not in request.headers:
        return accepted[0]
    charset = (request.charset or "utf-8").lower()
    if request.content_type in accepted and charset in ("utf-8", "utf8", "us-ascii"):
        return request.content_type
    field = "Accept-Patch" if request.method == "PATCH" else "Accept"
    raise Problem(
        415,
        f"A body of type {request.headers['Content-Type']} is not understood here.",
        [Fault("Content-Type", "unsupported media type", f"send {' or '.join(accepted)}")],
        {field: ", ".join(accepted)},
    )


async def answer(
    value: object, media: str, *, size: int = 0, status: int = 200, tag: str | None = None
) -> web.Response:
    """Make an answer of JSON or YAML; ``size`` is how many octets it may have, about."""
    if media == YAML:
        data = (await offload(size * YAML_COST, dump_yaml, value)).encode()
    else:
        data = await offload(size, _json, value, size)
    headers = {"Vary": "Accept", "Cache-Control": "no-cache"}
    if tag is not None:
        headers["ETag"] = tag
    return web.Response(status=status, body=data, content_type=media, headers=headers)


async def fresh(value: object, media: str, *, size: int = 0) -> web.Response:
    """Make an answer that is out of date at once."""
    response = await answer(value, media, size=size)
    response.headers["Cache-Control"] = "no-store"
    return response


def _json(value: object, size: int) -> bytes:
    text = spaced(value) if size > PIECES_BYTES else SPACED.encode(value).encode()
    if len(text) <= READABLE_BYTES:
        text = indented(value)
    return text + b"\n"
