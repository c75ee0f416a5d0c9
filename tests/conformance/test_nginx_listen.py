"""``listen``: a wildcard beside addresses of its port, each with servers of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from admin.documents.document import validate
from admin.nginx import import_nginx
from admin.translate import to_spec
from tests.peers import RawClient, Stage
from tests.peers.client import request
from tests.peers.nginx import beside_nginx, nginx

pytestmark = beside_nginx

_SERVERS: Final = {
    "wild": ("PORT", "a.test"),
    "both": ("PORT; listen 127.0.0.1:PORT", "b.test"),
    "one": ("127.0.0.1:PORT default_server", "c.test"),
    "two": ("127.0.0.2:PORT", "b.test"),
    "v6-one": ("[::1]:PORT", "c.test"),
    "v6-both": ("[::1]:PORT default_server; listen [::]:PORT", "b.test"),
}
_LOCAL: Final = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "[::1]")
_HOSTS: Final = (b"a.test", b"b.test", b"c.test", b"z.test")


@contextmanager
def _port() -> Iterator[str]:
    """Give a port that nobody else is given by the kernel meanwhile."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield str(kept.getsockname()[1])


def _http(port: str) -> str:
    return "\n".join(
        f"server {{ listen {listen.replace('PORT', port)}; server_name {name};"
        f' return 200 "{shown} $server_name $server_addr"; }}'
        for shown, (listen, name) in _SERVERS.items()
    )


async def _answers(port: str) -> dict[tuple[str, bytes], bytes]:
    found = {}
    for address in _LOCAL:
        for host in _HOSTS:
            client = await RawClient.connect(f"{address}:{port}")
            await client.send(request(b"GET", b"/", host=host))
            found[address, host] = (await client.read_response()).body
            client.close()
    return found


async def test_wildcard_beside_addresses_goes_by_the_address_as_in_nginx(
    stage: Stage, tmp_path: Path
) -> None:
    with _port() as port, _port() as another:
        file = tmp_path / "imported.conf"
        file.write_text(f"events {{}} http {{ {_http(port)} }}")
        await stage.serve(to_spec(validate(import_nginx(file).document)))
        async with nginx(tmp_path, _http(another)):
            mine, yours = await _answers(port), await _answers(another)
    assert mine == yours
    shown = {body.split()[0].decode() for body in mine.values()}
    assert shown == _SERVERS.keys()
