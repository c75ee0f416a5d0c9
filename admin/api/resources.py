"""The document and its parts as resources: the whole, the kinds of objects, objects, endpoints.

All are one thing, a value at a place in the document as it was written, and share one path: an edit
at that place, and then whatever a change of the document is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web

from admin.api.audit import REVISION
from admin.api.etags import check_write, not_modified, tag_of, tag_of_text
from admin.api.media import JSON, MERGE_PATCH, YAML, answer, read_body
from admin.api.operations import Call
from admin.api.problems import Problem, unknown
from admin.controller import EFFECTIVE_GROWTH, Outcome, RefusedError, Terms
from admin.documents.merge import merge_patch
from admin.edits import MISSING, Place, look_up, placed, removed, section
from admin.json_text import canonical
from admin.offloading import offload
from admin.revisions import Origin
from proxy.errors import pointer

NOUNS: Final = {
    "listeners": "listener",
    "pools": "pool",
    "header_maps": "header map",
    "routes": "route",
    "endpoints": "endpoint",
}


async def get(call: Call) -> web.Response:
    """Answer with the resource, as written or in effect."""
    controller, place = call.controller, call.place
    raw = controller.raw
    in_effect = call.query.get("view") == "effective"
    shown = await controller.effective() if in_effect else raw
    resource = existing(raw, place)
    representation = "-".join(
        name for name, used in (("effective", in_effect), ("yaml", call.media == YAML)) if used
    )
    written = await offload(controller.size, canonical, resource)
    tag = tag_of_text(written, representation)
    if not_modified(tag, call.field("If-None-Match")):
        return web.Response(status=304, headers={"ETag": tag, "Vary": "Accept"})
    size = len(written) * (EFFECTIVE_GROWTH if in_effect else 1)
    return await answer(existing(shown, place), call.media, size=size, tag=tag)


async def put(call: Call) -> web.Response:
    """Create or replace the resource."""
    body = await read_body(call.request, (JSON, YAML))
    place = call.place
    created = False

    def edit(raw: object) -> object:
        nonlocal created
        check(call, raw)
        existing(raw, place[:-1])
        created = look_up(raw, place) is MISSING
        return placed(raw, place, body.value)

    outcome = await _change(call, edit, body.octets)
    return await success(call, outcome, 201 if created and not _dry(call) else 200)


async def patch(call: Call) -> web.Response:
    """Merge a patch into the resource (RFC 7396)."""
    body = await read_body(call.request, (MERGE_PATCH, JSON))
    place = call.place

    def edit(raw: object) -> object:
        check(call, raw)
        return placed(raw, place, merge_patch(existing(raw, place), body.value))

    return await success(call, await _change(call, edit, body.octets))


async def delete(call: Call) -> web.Response:
    """Remove the resource, if nothing refers to it."""
    place = call.place

    def edit(raw: object) -> object:
        check(call, raw)
        existing(raw, place)
        return removed(raw, place)

    try:
        outcome = await _change(call, edit)
    except RefusedError as error:
        # The document was sound before: what is wrong with it now refers to what was removed.
        raise Problem(
            409, f"The {_noun(place)} {place[-1]} is still used.", error.faults
        ) from error
    return await success(call, outcome)


def origin_of(call: Call) -> Origin:
    """Say where a write comes from."""
    return Origin("rest", call.principal.name, call.query.get("note"))


def terms_of(call: Call) -> Terms:
    """Return the terms that the query sets."""
    query = call.query
    return Terms(
        dry_run=_dry(call),
        confirm_within_s=query.get("confirm_within"),
        on_removal=query.get("on_removal"),
    )


async def _change(call: Call, edit: Callable[[object], object], octets: int = 0) -> Outcome:
    return await call.controller.change(edit, origin_of(call), terms_of(call), added=octets)


async def success(call: Call, outcome: Outcome, status: int = 200) -> web.Response:
    """Answer what a write of the document or a part of it did."""
    call.request[REVISION] = outcome.revision
    body = {
        "revision": outcome.revision,
        "changed": list(outcome.changed),
        "warnings": list(outcome.warnings),
    }
    resource = look_up(outcome.raw, call.place)
    tag = None
    if resource is not MISSING and not _dry(call):
        tag = await offload(call.controller.size, tag_of, resource)
    return await answer(body, call.media, status=status, tag=tag)


def _dry(call: Call) -> bool:
    return bool(call.query.get("dry_run"))


def check(call: Call, raw: object) -> None:
    """Check the preconditions; a 412 ``Problem`` if they do not hold."""
    resource = look_up(raw, call.place)
    check_write(resource, call.field("If-Match"), call.field("If-None-Match"))


def existing(raw: object, place: Place) -> object:
    """Return the value at a place; 404 with the nearest name if there is none."""
    # Keys alternate: a map of objects, which may be left out, and the name of an object in it.
    for length in range(2, len(place) + 1, 2):
        here, name = place[:length], place[length - 1]
        if look_up(raw, here) is MISSING:
            known = section(raw, here[:-1])
            fault = unknown(pointer(*here), _noun(here), name, known)
            raise Problem(404, f"There is no {_noun(here)} {name}.", [fault])
    found = look_up(raw, place)
    return {} if found is MISSING else found


def _noun(place: Place) -> str:
    return NOUNS[place[-2]]
