"""Which server takes a request, by its ``Host``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import LISTEN, ORIGINS, Row, numbered, table
from tests.peers.client import request


def _server(name: str, shown: str, listen: str = LISTEN) -> str:
    return f"""
    server {{
        listen {listen};
        {f"server_name {name};" if name else ""}
        location / {{
            proxy_pass http://one;
            proxy_set_header X-Server {shown};
            proxy_set_header X-Host $host;
            proxy_set_header X-Http-Host $http_host;
        }}
    }}
    """


_CONF: Final = (
    f"upstream one {{ server {ORIGINS[0]}; }}"
    + _server("a.test .b.test", "a-$server_name")
    + _server("d.test", "default-$server_name", f"{LISTEN} default_server")
    + _server("*.test www.*", "wild-$server_name")
    + _server("~^(?<user>[a-z]+)[.]users[.] a.test", "regex-$user")
    + _server('c.test ""', "empty")
    + _server("", "nameless")
)
_HOSTS: Final = [
    b"a.test", b"A.TEST", b"a.test:80", b"a.test:8080", b"a.test.", b"b.test", b"x.b.test",
    b"y.x.b.test", b"d.test", b"c.test", b"z.test", b".test", b"test", b"www.example.org",
    b"www.b.test", b"www.", b"joe.users.example.org", b"JOE.users.example.org",
    b"users.example.org", b"nobody.example.org", b"[::1]", b"[::1]:8080", b"127.0.0.1",
    b"127.0.0.1:80", b"localhost", b"a_b.test", b"-.test", b"a..test", b"*.test", b"%61.test",
    b"", b"a.test:", b"a.test:x", b"a.test:99999", b"a.test/", b"a test", b"a.test, d.test",
    b"user@a.test", b"\xc3\xa4.test", b"[::1", b"..", b".", b"a.test..",
]  # fmt: skip


def hosts() -> Iterator[Row]:
    """Each host once, and hosts that come in other ways."""
    octets = [request(b"GET", b"/", host=host) for host in _HOSTS]
    octets += [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: d.test\r\n\r\n",
        b"GET http://a.test/x HTTP/1.1\r\nHost: d.test\r\n\r\n",
        b"GET http://z.test:81/x?y HTTP/1.1\r\nHost: d.test\r\n\r\n",
        b"GET http://a.test HTTP/1.1\r\nHost: d.test\r\n\r\n",
        b"GET http://a.test?q HTTP/1.1\r\nHost: d.test\r\n\r\n",
        b"GET HTTP://A.test/x HTTP/1.1\r\nHost: d.test\r\n\r\n",
        b"GET http://a.test/x HTTP/1.0\r\n\r\n",
        b"GET https://a.test/x HTTP/1.1\r\nHost: d.test\r\n\r\n",
        b"GET ws://a.test/x HTTP/1.1\r\nHost: d.test\r\n\r\n",
    ]
    yield from table("host", _CONF, numbered(octets))
