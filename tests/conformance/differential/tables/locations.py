"""Which location takes a path, and what becomes of the path on its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.conformance.differential.row import ORIGINS, Row, numbered, passing, server, table
from tests.peers.client import request

_SEEN: Final = """
    proxy_set_header X-Uri $uri; proxy_set_header X-Args $args; proxy_set_header X-Is-Args $is_args;
    proxy_set_header X-Request-Uri $request_uri; proxy_set_header X-Document-Uri $document_uri;
"""


def _at(name: str, path: str, uri: str = "", more: str = "") -> str:
    seen = f"{_SEEN} proxy_set_header X-At {name}; {more}"
    return passing(seen, path=path, to=f"http://backend{uri}")


_UPSTREAM: Final = f"upstream backend {{ server {ORIGINS[0]}; }}\n"

TREE: Final = _UPSTREAM + server(
    _at("plain", "/plain/"),
    _at("deeper", "/plain/deeper/"),
    _at("replaced", "/replaced/", "/new/"),
    _at("shortened", "/shortened/", "/"),
    _at("unslashed", "/unslashed", "/other"),
    _at("lengthened", "/long/", "/a/much/longer/path/"),
    _at("exact", "= /exact"),
    _at("exact-to", "= /exact-to", "/there"),
    _at("final", "^~ /final/"),
    _at("regex-$1", "~ ^/re/([a-z]+)$"),
    _at("folded", "~* [.]PNG$"),
    _at("named-$kind", "~ ^/by/(?<kind>[^/]+)/"),
    _at("captured", "~ ^/to/([0-9]+)$", "/number/$1$is_args$args"),
    _at("variable", "/variable/", "$request_uri"),
    name="h.test",
)

_PLAIN: Final = [
    b"/plain/", b"/plain/a", b"/plain/a?b=c", b"/plain/?", b"/plain/a%20b", b"/plain/a%2Fb",
    b"/plain/a%2fb", b"/plain//a///b", b"/plain/./a", b"/plain/x/../a", b"/plain/x/%2e%2e/a",
    b"/plain/%2e/a", b"/plain/a%00b", b"/plain/a%zz", b"/plain/a%", b"/plain/a%3Fb",
    b"/plain/a%23b", b"/plain/a\\b", b"/plain/a+b", b"/plain/a;b=c", b"/plain/%C3%A4",
    b"/plain/a?x=%zz", b"/plain/a?x=/../y", b"/plain/a?x?y", b"/plain/a??", b"/plain/a?a%20b",
    b"/plain/deeper/a", b"/plain/deeper/../a", b"/plain/deeperer", b"/plain", b"/plain?x=y",
    b"/Plain/", b"/%70lain/a", b"/plain%2Fa", b"/plain/.", b"/plain/..", b"/plain/...",
    b"/plain/a/.", b"/plain/a/..", b"/plain/.a", b"/plain/..a", b"/plain/a.", b"/plain/a..",
    b"/plain/a/./../b/", b"/plain/%2E%2E/exact", b"/plain/a%2f..%2fb", b"/plain/a%25b",
    b"/plain/'\"<>[]{}|^`", b"/plain/!$&'()*+,;=:@-._~", b"/plain/a%0Db", b"/plain/a%09b",
    b"/plain/a%0AX-Evil:%201", b"//plain/a", b"///plain//a", b"/./plain/a", b"/plain/a#b",
    b"/plain/a?b#c",
]  # fmt: skip
_OTHERS: Final = [
    b"/exact", b"/exact?x", b"/exact/", b"/exac%74", b"/x/../exact", b"/EXACT", b"/exact%20",
    b"/exact-to", b"/exact-to?x=%2F", b"/final/a.png", b"/plain/a.png", b"/plain/a.PnG",
    b"/plain/a.png/", b"/plain/a.png?x", b"/plain/a%2Epng", b"/final", b"/finale/a.png",
    b"/re/abc", b"/re/ABC", b"/re/abc/d", b"/re/a%62c", b"/re/abc?d", b"/re//abc", b"/re/a%0A",
    b"/by/x/y", b"/by/%C3%A4/y", b"/by/x", b"/by/a%20b/c.png", b"/to/12", b"/to/12?a=b&c",
    b"/to/12?", b"/to/1a", b"/to//12",
    b"/variable/a%20b?c", b"/variable//a", b"/variable/x/../y", b"/variable/%2e", b"/variable",
    b"/..", b"/../plain/a", b"/plain/../..", b"/nothing", b"/", b"/?x", b"/.", b"/%2e%2e/",
]  # fmt: skip
_REPLACED: Final = [
    b"/replaced/", b"/replaced/a", b"/replaced/a?b=c", b"/replaced/a?", b"/replaced/a%20b",
    b"/replaced/a%2Fb", b"/replaced/a%25b", b"/replaced/a%3Fb", b"/replaced/a%23b",
    b"/replaced/a%7Fb", b"/replaced/a%22b", b"/replaced/a%5Cb", b"/replaced/a%5Eb",
    b"/replaced/a%7Bb", b"/replaced/a%7Cb", b"/replaced/a%3Cb", b"/replaced/a%5Bb",
    b"/replaced/a%60b", b"/replaced/a%3Bb", b"/replaced/a%3Ab", b"/replaced/a%40b",
    b"/replaced/a%2Bb", b"/replaced/a%26b", b"/replaced/%7Eb", b"/replaced/%41",
    b"/replaced/a+b;c,d:e@f&g=h$i!j~k*l'm(n)", b"/replaced/%C3%A4", b"/replaced/%FF",
    b"/replaced//a//b", b"/replaced/x/../a", b"/replaced/../plain/a", b"/replaced/a/",
    b"/replaced/./a", b"/replaced", b"/replaced?x=y", b"/replaced%2Fa", b"/%72eplaced/a",
    b"/shortened/", b"/shortened/a/b", b"/shortened/a%20b?x", b"/shortened//a", b"/shortened",
    b"/unslashed", b"/unslashed/", b"/unslashed/a", b"/unslashedmore", b"/unslashed?x",
    b"/unslashed%20more", b"/long/", b"/long/a", b"/long/a?b", b"/long/../long/c", b"/long",
]  # fmt: skip

_NESTED: Final = _UPSTREAM + server(
    f"""
    location /a {{ proxy_pass http://backend; {_SEEN}
        location /a/b {{ proxy_pass http://backend/c; {_SEEN}
            location = /a/b/exact {{ proxy_pass http://backend; }}
        }}
        location ^~ /a/final {{ proxy_pass http://backend/f; }}
    }}
    location ^~ /final/ {{ proxy_pass http://backend/;
        location /final/deep/ {{ proxy_pass http://backend; }}
    }}
    location ~ [.]png$ {{ proxy_pass http://backend; proxy_set_header X-At first; }}
    location ~* ^/U/([0-9]+)$ {{
        proxy_pass http://backend/users/$1$is_args$args; proxy_set_header X-At second-$1;
    }}
    location ~* png {{ proxy_pass http://backend; proxy_set_header X-At third; }}
    location /re-only/ {{ proxy_pass http://backend/x/; }}
    """
)
_NESTED_TARGETS: Final = [
    b"/a", b"/a/b", b"/a/b/x?q=1", b"/ab", b"/a/b.png", b"/a/b/exact", b"/a/b/exact/",
    b"/a/final", b"/a/final.png", b"/final/a.png", b"/final/deep/a.png", b"/final", b"/final/deep",
    b"/x.png", b"/x.PNG", b"/apng", b"/u/7", b"/U/7?x=y", b"/u/7x", b"/re-only/a.png",
    b"/re-only/a", b"/re-only", b"/A", b"/u/7%0A",
]  # fmt: skip

_SLASHES: Final = _UPSTREAM + server(
    _at("root", "/"),
    _at("slash", "/dir/"),
    _at("deep", "/dir/sub/"),
    _at("escaped", '"/dir with space/"'),
    _at("exactly", "= /only"),
)
_SLASH_TARGETS: Final = [
    b"/dir", b"/dir?a=b&c", b"/dir?", b"/dir/", b"/dir/sub", b"/dir/./sub", b"/x/../dir", b"/d%69r",
    b"//dir", b"/dir%20with%20space", b"/dir%20with%20space/x", b"/only", b"/only/", b"/dirs",
]  # fmt: skip


def locations() -> Iterator[Row]:
    """Each target once."""
    for topic, conf, targets in (
        ("path", TREE, _PLAIN),
        ("place", TREE, _OTHERS),
        ("replaced", TREE, _REPLACED),
        ("nested", _NESTED, _NESTED_TARGETS),
        ("slash", _SLASHES, _SLASH_TARGETS),
    ):
        octets = [request(b"GET", target, host=b"h.test") for target in targets]
        yield from table(topic, conf, numbered(octets))
    redirected = {
        "port": request(b"GET", b"/dir", host=b"h.test:8080"),
        "upper-host": request(b"GET", b"/dir", host=b"H.Test"),
        "other-host": request(b"GET", b"/dir?x", host=b"other.test"),
        "v6-host": request(b"GET", b"/dir", host=b"[::1]:80"),
        "no-host": b"GET /dir HTTP/1.0\r\n\r\n",
        "old-host": b"GET /dir HTTP/1.0\r\nHost: h.test\r\n\r\n",
        "head": request(b"HEAD", b"/dir", host=b"h.test"),
        "post": request(b"POST", b"/dir", host=b"h.test", body=b"hello"),
        "absolute": b"GET http://a.test/dir?y HTTP/1.1\r\nHost: h.test\r\n\r\n",
    }
    yield from table("redirect", _SLASHES, redirected)
