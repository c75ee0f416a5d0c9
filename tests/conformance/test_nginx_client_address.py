"""``set_real_ip_from``, ``real_ip_header``, ``real_ip_recursive``: who the client is in nginx."""

from __future__ import annotations

from typing import Final

import pytest

from tests.conformance.values_beside_nginx import beside_nginx_with
from tests.peers import Stage
from tests.peers.client import request
from tests.peers.nginx import beside_nginx

pytestmark = beside_nginx

VALUES: Final = {
    name: f"${name}"
    for name in (
        "remote_addr", "remote_port", "realip_remote_addr", "realip_remote_port",
        "proxy_add_x_forwarded_for", "http_x_forwarded_for",
    )
}  # fmt: skip

FOR: Final = "real_ip_header X-Forwarded-For;"
ALL: Final = "set_real_ip_from unix:; set_real_ip_from 10.0.0.0/8; set_real_ip_from fd00::/8;"
CONFS: Final = {
    "nobody": FOR,
    "others": FOR + "set_real_ip_from 10.0.0.0/8;",
    "default": ALL,
    "default, recursive": ALL + "real_ip_recursive on;",
    "forwarded-for": ALL + FOR,
    "forwarded-for, recursive": ALL + FOR + "real_ip_recursive on;",
    "any": "set_real_ip_from unix:; set_real_ip_from 0.0.0.0/0; real_ip_recursive on;" + FOR,
    "another field": ALL + "real_ip_header CF-Connecting-IP; real_ip_recursive on;",
}
WAYS: Final = [
    "1.1.1.1",
    "1.1.1.1:123",
    "1.1.1.1:0",
    "1.1.1.1:65536",
    "1.1.1.1:x",
    "1.1.1.1:",
    "1.1.1.1, 2.2.2.2",
    "1.1.1.1,2.2.2.2",
    "1.1.1.1 2.2.2.2",
    "1.1.1.1 , 2.2.2.2 ,",
    "1.1.1.1, 10.0.0.1",
    "1.1.1.1:80, 10.0.0.1:81, 10.0.0.2:82",
    "10.0.0.1, 10.0.0.2",
    "1.1.1.1, unknown, 10.0.0.1",
    "1.1.1.1, unknown",
    "unknown",
    "_hidden, 10.0.0.9",
    "2001:DB8::1",
    "2001:db8:0:0:1::1, fd00::1",
    "[2001:db8::1]:443",
    "[fd00::1]:443, [fd00::2]:444",
    "1.1.1",
    "1.1.1.1.1",
    "1.1.1.256",
    "10.0.0.1, ,, 10.0.0.2",
    ",",
    "unix:",
    "fe80::1%eth0",
]
FIELDS: Final = (b"X-Forwarded-For: ", b"X-Real-IP: ", b"CF-Connecting-IP: ")


@pytest.mark.parametrize("conf", CONFS)
async def test_client_is_who_nginx_says(stage: Stage, conf: str) -> None:
    requests = [[field + way.encode() for field in FIELDS] for way in WAYS]
    requests += [
        [],
        [b"X-Forwarded-For: 1.1.1.1", b"X-Forwarded-For: 2.2.2.2"],
        [b"X-Forwarded-For: 1.1.1.1", b"X-Forwarded-For: 10.0.0.1"],
        [b"X-Forwarded-For: 1.1.1.1, 10.0.0.3", b"X-Forwarded-For: 10.0.0.1, 10.0.0.2"],
        [b"X-Forwarded-For: 1.1.1.1", b"X-Forwarded-For: x", b"X-Forwarded-For: 10.0.0.2"],
        [b"X-Forwarded-For: 1.1.1.1", b"X-Forwarded-For:"],
        [b"X-Real-IP: 1.1.1.1", b"X-Real-IP: 2.2.2.2"],
        [b"CF-Connecting-IP: 1.1.1.1", b"cf-connecting-ip: 2.2.2.2"],
        [b"CF-Connecting-IP: 1.1.1.1, 10.0.0.1", b"CF-Connecting-IP: 10.0.0.2"],
    ]
    changed = 0
    async with beside_nginx_with(stage, request=VALUES, server=CONFS[conf]) as both:
        for fields in requests:
            mine, yours = await both.ask(request(b"GET", b"/", *fields))
            assert mine.request == yours.request, fields
            changed += yours.request["remote_addr"] != b"[unix:]"
    assert bool(changed) == (conf not in {"nobody", "others"})


LEVELS: Final = {
    "location alone": ("", ALL + FOR),
    "location, recursive": ("", ALL + FOR + "real_ip_recursive on;"),
    "field of the location": (ALL, FOR),
    "server has replaced it": (ALL + FOR, ALL + "real_ip_header CF-Connecting-IP;"),
    "another field": (ALL + FOR, "real_ip_header CF-Connecting-IP;"),
    "server believes others": ("set_real_ip_from 10.0.0.0/8;", ALL + FOR),
    "location believes others": (ALL, "set_real_ip_from 10.0.0.0/8;" + FOR),
    "behind steps": ("", ALL + FOR + "set $a 1; if ($a) { set $b 2; }"),
    "rewritten": ("", ALL + FOR + "rewrite ^ /x break;"),
    "client is let in": ("", ALL + FOR + "allow 1.1.1.1; allow 2.2.2.2; deny all;"),
    "client is turned away": ("", ALL + FOR + "deny 1.1.1.1; deny unix:;"),
    "server turns it away": ("deny 1.1.1.1; deny 2001:db8::/32;", ALL + FOR),
    "inherited by what is within": ("", ALL + FOR + "location /in { PASS }"),
}  # fmt: skip


@pytest.mark.parametrize("levels", LEVELS)
async def test_location_says_who_the_client_is_where_its_server_has_not(
    stage: Stage, levels: str
) -> None:
    server, location = LEVELS[levels]
    inside = "proxy_pass http://backend; proxy_set_header V-a [$remote_addr];"
    location = location.replace("PASS", inside)
    statuses = set()
    async with beside_nginx_with(stage, request=VALUES, server=server, location=location) as both:
        for way in WAYS[:12] + WAYS[18:20]:
            for fields in ((FIELDS[0],), FIELDS[1:], FIELDS):
                for path in (b"/", b"/in"):
                    raw = request(b"GET", path, *(field + way.encode() for field in fields))
                    mine, yours = await both.ask(raw)
                    assert mine.request == yours.request, raw
                    assert mine.answer.status == yours.answer.status, raw
                    statuses.add(yours.answer.status)
    assert statuses == ({200, 403} if "allow" in location or "deny" in location + server else {200})


async def test_address_holds_for_its_request_only(stage: Stage) -> None:
    text = CONFS["forwarded-for"]
    async with beside_nginx_with(stage, request=VALUES, server=text) as both:
        first = request(b"GET", b"/", b"X-Forwarded-For: 1.1.1.1:9")
        mine, yours = await both.ask(first, request(b"GET", b"/"))
        assert mine.request == yours.request
        assert mine.request["remote_addr"] == b"[unix:]"


@pytest.mark.parametrize(
    ("way", "mine", "yours"),
    [
        # RFC 7239 has an address in brackets without a port, RFC 9110 tabs around list members.
        ("[2001:db8::1]", b"[2001:db8::1]", b"[unix:]"),
        ("1.1.1.1,\t2.2.2.2", b"[2.2.2.2]", b"[unix:]"),
        (",1.1.1.1", b"[1.1.1.1]", b"[unix:]"),
        # Two ways of writing one client would be two clients to every rule.
        ("::ffff:1.1.1.1", b"[1.1.1.1]", b"[::ffff:1.1.1.1]"),
        # 010 is 8 to some.
        ("1.1.1.010", b"[unix:]", b"[1.1.1.10]"),
    ],
)
async def test_entries_that_are_read_differently_on_purpose(
    stage: Stage, way: str, mine: bytes, yours: bytes
) -> None:
    text = CONFS["forwarded-for"]
    async with beside_nginx_with(stage, request=VALUES, server=text) as both:
        ours, theirs = await both.ask(request(b"GET", b"/", b"X-Forwarded-For: " + way.encode()))
        assert (ours.request["remote_addr"], theirs.request["remote_addr"]) == (mine, yours)
