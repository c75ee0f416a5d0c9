"""Values as nginx and the proxy give them: one file in both, each value a field of its own.

A value stands in brackets, so that an empty one makes a field too.  What a request may know goes
upstream, and the origin tells; what a response may know goes to the client.  The addresses of the
origin and of the listener, which differ, are ORIGIN and LISTEN.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin.documents.document import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.peers import Origin, RawClient, Reply, Script, Stage
from tests.peers.nginx import connect, nginx
from tests.peers.wire import Head
from tests.unit.admin.nginx.conf import write

Values = dict[str, bytes]
Texts = Mapping[str, str]
"""Values of nginx, by a name that a field can have."""


@dataclass
class Rendered:
    """One side's values."""

    request: Values
    response: Values
    answer: Reply


@dataclass
class _Side:
    client: RawClient
    listen: Path
    origin: Origin

    async def ask(self, raw: bytes, method: bytes) -> Rendered:
        before = len(self.origin.requests)
        await self.client.send(raw)
        answer = await self.client.read_response(method)
        seen: Values = {}
        if len(self.origin.requests) > before:
            seen = self._values(self.origin.requests[-1].head)
        return Rendered(seen, self._values(answer.head), answer)

    def _values(self, head: Head) -> Values:
        origin, listen = self.origin.address.encode(), str(self.listen).encode()
        return {
            name[2:].decode().lower(): value.replace(origin, b"ORIGIN").replace(listen, b"LISTEN")
            for name, value in head.fields
            if name.lower().startswith(b"v-") and value.startswith(b"[")
        }


class Beside:
    """nginx and the proxy with one file, and an origin of its own behind each."""

    def __init__(self, own: Path, theirs: Path, our_origin: Origin, their_origin: Origin) -> None:
        self._own: Final = own, our_origin
        self._theirs: Final = theirs, their_origin

    async def ask(self, *raw: bytes, method: bytes = b"GET") -> tuple[Rendered, Rendered]:
        """Send requests to both, on new connections; return what becomes of the last, ours first.

        ``method`` is theirs.
        """
        own = _Side(await RawClient.connect(f"unix:{self._own[0]}"), *self._own)
        theirs = _Side(await connect(self._theirs[0]), *self._theirs)
        try:
            for each in raw:
                mine, yours = await own.ask(each, method), await theirs.ask(each, method)
            return mine, yours
        finally:
            own.client.close()
            theirs.client.close()


@asynccontextmanager
async def beside_nginx_with(
    stage: Stage,
    *scripts: Script,
    request: Texts | None = None,
    response: Texts | None = None,
    http: str = "",
    server: str = "",
    location: str = "",
    to: str = "http://backend",
) -> AsyncIterator[Beside]:
    """Serve ``/`` by both, each value of ``request`` and ``response`` in a field.

    ORIGIN in ``http`` is the origin's address.
    """
    lines = [f'proxy_set_header V-{name} "[{text}]";' for name, text in (request or {}).items()]
    lines += [f'add_header V-{name} "[{text}]" always;' for name, text in (response or {}).items()]
    own, socket = stage.path("own.sock"), stage.path("nginx.sock")
    ours, theirs = stage.origin(*scripts), stage.origin(*scripts)

    def text(listen: Path, origin: Origin) -> str:
        return (
            f"upstream backend {{ server ORIGIN; }}\n{http}\n".replace("ORIGIN", origin.address)
            + f"server {{ listen unix:{listen}; {server}\n"
            f"location / {{ proxy_pass {to}; {location}\n" + "\n".join(lines) + "} }"
        )

    imported = import_nginx(write(f"events {{}} http {{ {text(own, ours)} }}"))
    await stage.serve(to_spec(validate(imported.document)))
    async with nginx(socket.parent, text(socket, theirs)):
        yield Beside(own, socket, ours, theirs)
