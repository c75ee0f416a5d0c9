"""What regular expressions capture by number: of the one that matched last, wherever that was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import LISTEN, ORIGINS, Row, numbered, table
from tests.peers.client import request


def _passing(path: str, shown: str, to: str = "") -> str:
    value = f'proxy_set_header X-Shown "{shown}";'
    return f"location {path} {{ proxy_pass http://{ORIGINS[0]}{to}; {value} }}\n"


_BY_NUMBER: Final = f"""
    server {{
        listen {LISTEN};
        server_name ~^(www\\.)?(.+)\\.c$ ~^v(\\d+)$;
        error_page 418 @named;
        error_page 404 /page;
        rewrite ^/last/(.*)$ /prefix/q last;
        rewrite ^/two/(.*)$ /prefix/$1-$2? last;
        rewrite ^/none$ /prefix/none;
        if ($http_a ~ ^(a)(b)?) {{ set $one s$1; }}
        set $two t$2;
        {_passing("/", "$1|$2|$3|$one|$two")}
        {_passing("/prefix/", "$1|$2")}
        {_passing("~ ^/regex/(.)$", "$1|$2")}
        {_passing("~ ^/bare/", "$1|$2")}
        {_passing("= /up", "", "/$2/x")}
        location = /tea {{ return 418; }}
        location @named {{ return 200 "$1|$2"; }}
        location = /lost {{ return 404; }}
        location = /page {{ return 200 "$1|$2"; }}
    }}
"""
_PATHS: Final = (b"/", b"/last/z", b"/two/z", b"/none", b"/prefix/", b"/regex/k", b"/bare/x",
               b"/tea", b"/lost", b"/up")  # fmt: skip

_BY_NAME: Final = f"""
    server {{
        listen {LISTEN};
        server_name ~^(?<sub>.+)\\.c$;
        rewrite ^/last/(.*)$ /prefix/q last;
        {_passing("/", "$sub|$1")}
        {_passing("/prefix/", "$sub|$1")}
        {_passing("~ ^/bare/", "$sub|$1")}
    }}
"""

_CONDITIONS: Final = f"""
    server {{
        listen {LISTEN};
        if ($http_a ~ ^(a)(b)$) {{ return 200 "glued $2"; }}
        if ( $http_a ~* "^(b)(c)(d)$" ) {{ return 200 "apart $3"; }}
        {_passing("/", "$1|$3")}
    }}
"""


def captures() -> Iterator[Row]:
    """Each place where they are asked for, behind each expression that may have matched."""
    octets = [
        request(b"GET", path, *fields, host=host)
        for path in _PATHS
        for host in (b"www.foo.c", b"foo.C", b"v12", b"zz")
        for fields in ((), (b"A: ab",), (b"A: a",))
    ]
    yield from table("captures", _BY_NUMBER, numbered(octets))
    octets = [
        request(b"GET", path, host=host)
        for path in (b"/", b"/last/z", b"/prefix/", b"/bare/k")
        for host in (b"foo.c", b"zz")
    ]
    yield from table("captures-named", _BY_NAME, numbered(octets))
    octets = [request(b"GET", b"/", b"A: " + text) for text in (b"ab", b"BCD", b"x")]
    yield from table("captures-if", _CONDITIONS, numbered(octets))
