"""``/v1/lifecycle/drain``: the drain of the process, started, watched and undone by REST."""

from __future__ import annotations

from aiohttp import web

from admin.api.media import answer
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.drain import ProcessDrain, StoppingError
from proxy.errors import Fault


async def start(call: Call) -> web.Response:
    """Start the drain, or join the one that runs."""
    call.drain.start(call.principal.name, call.query.get("note"))
    return await _progress(call)


async def get(call: Call) -> web.Response:
    """Answer how far it is; with ``wait``, once it is done."""
    await call.drain.wait(call.query.get("wait", 0.0))
    return await _progress(call)


async def undo(call: Call) -> web.Response:
    """Accept again."""
    try:
        await call.drain.undo(call.principal.name)
    except StoppingError:
        raise Problem(409, "The process has been told to stop; this is not undone.") from None
    except OSError as error:
        fault = Fault("", f"cannot listen again: {error.strerror or error}", "free the address")
        raise Problem(409, "The drain goes on.", [fault]) from error
    return await _progress(call)


async def _progress(call: Call) -> web.Response:
    response = await answer(_shown(call.drain), call.media)
    response.headers["Cache-Control"] = "no-store"
    return response


def _shown(drain: ProcessDrain) -> dict[str, object]:
    begun = drain.begun
    return {
        "state": drain.state,
        "remaining": drain.remaining,
        "since": None if begun is None else begun.since,
        "accepting_until": None if begun is None else begun.accepting_until,
        "until": None if begun is None else begun.until,
        "author": None if begun is None else begun.author,
        "note": None if begun is None else begun.note,
        "stopping": drain.stopping,
    }
