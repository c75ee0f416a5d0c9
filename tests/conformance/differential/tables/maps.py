"""``map`` against odd values, as header values and as the choice of an upstream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import ORIGINS, Row, numbered, passing, server, table
from tests.peers.client import request

_VALUES: Final = r"""
    map $http_x_in $out {
        hostnames;
        default        other;
        ""             nothing;
        one            first;
        TWO            second;
        *.example.org  suffix;
        *.b.example.org longer;
        .dotted.test   dotted;
        www.example.*  prefix;
        \default       literally;
        ~^svc-(.+)$    <$1>;
        ~*^MIXED       folded;
        ~(?<tail>..)$  tail-$tail;
    }
    map $http_x_in $twice { default "$out/$http_host"; one $http_host; }
    map $http_x_in $bare { one 1; ~^t two$is_args; }
    map "$http_x_in:$arg_q" $both { default none; "one:1" match; ~^(.+):2$ $1-2; }
    map $arg_q $vol { volatile; default $http_x_in; 1 ""; }
"""
_SHOWN: Final = " ".join(
    f"proxy_set_header X-{name} ${name};" for name in ("out", "twice", "bare", "both", "vol")
)
_CONF: Final = _VALUES + server(passing(_SHOWN))
_INPUTS: Final = [
    b"", b"one", b"One", b"ONE", b"two", b"three", b"a.example.org", b"example.org",
    b"a.b.example.org", b"b.example.org", b"www.example.com", b"www.example.", b"A.EXAMPLE.ORG",
    b"svc-x", b"svc-", b"SVC-x", b"mixed up", b"mIxEd", b"z", b"one ", b"1234567", b"default",
    b"dotted.test", b"x.dotted.test", b"xdotted.test", b"*.example.org", b".example.org",
    b"a.example.org.", b"www.example.a.b", b"one\tone", b"\xc3\xa4", b"\xff", b"'\"$out",
    b"one,one", b"one;q=1",
]  # fmt: skip

_CHOICE: Final = f"""
    map $http_x_tier $tier {{
        hostnames; default one; beta two; *.example.org two; ~^g(.)mma$ two;
    }}
    map $http_x_tier $address {{ default {ORIGINS[0]}; beta {ORIGINS[1]}; }}
    map $cookie_canary $canary {{ default one; "1" two; }}
    upstream one {{ server {ORIGINS[0]}; }}
    upstream two {{ server {ORIGINS[1]}; }}
    """ + server(
    "location /tier/ { proxy_pass http://$tier; }",
    "location /address/ { proxy_pass http://$address; }",
    "location /canary/ { proxy_pass http://$canary; proxy_set_header X-Canary $canary; }",
)
_TIERS: Final = [b"", b"beta", b"BETA", b"x.example.org", b"gamma", b"gmma", b"other"]
_COOKIES: Final = [
    b"canary=1", b"canary=0", b"canary=", b"canary", b"a=b; canary=1", b"a=b;canary=1",
    b"xcanary=1", b"canary=1; canary=0", b"Canary=1", b'canary="1"', b"canary=1 ; x=y", b"",
]  # fmt: skip


def maps() -> Iterator[Row]:
    """Each value once, and some against a second source."""
    octets = [request(b"GET", b"/", b"X-In: " + value) for value in _INPUTS]
    octets += [
        request(b"GET", b"/?q=" + q, b"X-In: " + value)
        for q in (b"1", b"2", b"%31", b"1&q=2")
        for value in (b"one", b"", b"x:y")
    ]
    octets.append(request(b"GET", b"/"))
    octets.append(request(b"GET", b"/", b"X-In: one", b"X-In: two"))
    yield from table("map", _CONF, numbered(octets))
    octets = [
        request(b"GET", path, b"X-Tier: " + tier)
        for path in (b"/tier/", b"/address/")
        for tier in _TIERS
    ]
    octets += [request(b"GET", b"/canary/", b"Cookie: " + cookie) for cookie in _COOKIES]
    octets.append(request(b"GET", b"/canary/", b"Cookie: a=b", b"Cookie: canary=1"))
    yield from table("choice", _CHOICE, numbered(octets))
