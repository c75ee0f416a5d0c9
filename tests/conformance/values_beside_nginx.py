"""Values as nginx and the proxy give them: one file in both, each value a field of its own.

A value stands in brackets, so that an empty one makes a field too.  What a request may know goes
upstream, and the origin tells; what a response may know goes to the client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin.documents import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.peers import Origin, RawClient, Reply, Script, Stage
from tests.peers.nginx import connect, nginx
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
    origin: Origin
    requests: int = 0

    async def ask(self, raw: bytes, method: bytes) -> Rendered:
        await self.client.send(raw)
        answer = await self.client.read_response(method)
        seen: Values = {}
        if len(self.origin.requests) > self.requests:
            self.requests = len(self.origin.requests)
            seen = _values(self.origin.requests[-1].head.fields)
        return Rendered(seen, _values(answer.head.fields), answer)


class Beside:
    """nginx and the proxy with one file, and an origin of its own behind each."""

    def __init__(self, own: Path, theirs: Path, our_origin: Origin, their_origin: Origin) -> None:
        self._own: Final = own
        self._theirs: Final = theirs
        self._origins: Final = our_origin, their_origin

    async def ask(self, *raw: bytes, method: bytes = b"GET") -> tuple[Rendered, Rendered]:
        """Send requests to both, on new connections; return what becomes of the last, ours first.

        ``method`` is theirs.
        """
        clients = await RawClient.connect(f"unix:{self._own}"), await connect(self._theirs)
        try:
            sides = [
                _Side(client, origin, len(origin.requests))
                for client, origin in zip(clients, self._origins, strict=True)
            ]
            for each in raw:
                mine, yours = [await side.ask(each, method) for side in sides]
            return mine, yours
        finally:
            for client in clients:
                client.close()


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


def _values(fields: tuple[tuple[bytes, bytes], ...]) -> Values:
    return {
        name[2:].decode().lower(): value
        for name, value in fields
        if name.lower().startswith(b"v-") and value.startswith(b"[")
    }
