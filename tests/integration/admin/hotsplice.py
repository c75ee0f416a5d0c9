"""The command ``hotsplice`` as people and scripts call it: a process for each call."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import web

from admin.demo import ANYWHERE
from admin.listening import listening
from tests.peers import within

ROOT: Final = Path(__file__).parents[3]


class Done(NamedTuple):
    """How a call ended."""

    status: int
    out: str
    err: str

    def table(self) -> list[list[str]]:
        """Return the rows of a table without its headings; two spaces part columns."""
        return [re.split(r"\s{2,}", line) for line in self.out.splitlines()[1:]]


NOTHING: Final[Mapping[str, str]] = {}


async def hotsplice(
    *words: str,
    environ: Mapping[str, str] = NOTHING,
    cwd: Path = ROOT,
    stdin: str | None = None,
    err: int = asyncio.subprocess.PIPE,
) -> Done:
    """Call the command, with nothing in its environment but what is given."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "admin", *words,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "", **environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=err,
    )  # fmt: skip
    talk = child.communicate((stdin or "").encode())
    out, said = await within(talk, f"hotsplice {' '.join(words)}", 30.0)
    assert child.returncode is not None
    return Done(child.returncode, out.decode(), (said or b"").decode())


async def done(*words: str, **more: Any) -> Done:
    """Call the command and see that all went well."""
    ended = await hotsplice(*words, **more)
    assert ended.status == 0, ended
    return ended


class Asked(NamedTuple):
    """A request that came."""

    line: str
    body: str
    token: str | None


class Scripted:
    """An admin API that answers as it is told, request by request."""

    def __init__(self, *answers: object) -> None:
        self.asked: Final[list[Asked]] = []
        self.address = ""
        self._answers: Final = list(answers)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with the next of what there is: JSON, a response, or nothing for 204."""
        self.asked.append(
            Asked(
                f"{request.method} {request.path_qs}",
                await request.text(),
                request.headers.get("Authorization"),
            )
        )
        assert self._answers, self.asked
        answer = self._answers.pop(0)
        if answer is None:
            return web.Response(status=204)
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    @property
    def lines(self) -> list[str]:
        """Method and target of what was asked."""
        return [one.line for one in self.asked]


@asynccontextmanager
async def scripted(*answers: object) -> AsyncIterator[Scripted]:
    """Listen with such an API."""
    api = Scripted(*answers)
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", api.answer)
    async with listening(app, ANYWHERE) as api.address:
        yield api
