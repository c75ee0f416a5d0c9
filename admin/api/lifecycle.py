"""``/v1/lifecycle/drain``: the drain of the process, started, watched and undone by REST."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from admin.api.media import answer
from admin.api.operations import Call
from admin.api.problems import Problem
from admin.drain import ProcessDrain, State, StoppingError
from proxy.errors import Fault


class DrainProgress(BaseModel):
    """How far the drain of the process is."""

    model_config = ConfigDict(defer_build=True)

    state: State = Field(description="`serving`: there is none.")
    remaining: int = Field(description="Client connections that it waits for.")
    since: float | None = Field(description="In seconds since 1970.")
    accepting_until: float | None = Field(description="Listeners accept until then.")
    until: float | None = Field(description="What is left then is cut.")
    author: str | None = Field(description="Who started it; `hotsplice` for a signal.")
    note: str | None
    stopping: bool = Field(description="Whether the process ends with it, told by a signal.")


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
    return DrainProgress(
        state=drain.state,
        remaining=drain.remaining,
        since=None if begun is None else begun.since,
        accepting_until=None if begun is None else begun.accepting_until,
        until=None if begun is None else begun.until,
        author=None if begun is None else begun.author,
        note=None if begun is None else begun.note,
        stopping=drain.stopping,
    ).model_dump()
