"""Request heads that RFC 9112 forbids or leaves ambiguous, as a table.

A row is the whole head as it goes over the wire, and the status that refuses it.  Each one has been
used, somewhere, to make two parsers disagree about where a request ends or to whom it belongs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

TCHAR: Final = frozenset(
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
CONTROLS: Final = tuple(octet for octet in (*range(0x20), 0x7F) if octet not in b"\r\n")


@dataclass(frozen=True, slots=True)
class Row:
    """A head, and the status that refuses it; several where a case can be read twice."""

    name: str
    raw: bytes
    status: frozenset[int]

    def __str__(self) -> str:
        return self.name


def head(*fields: bytes, line: bytes = b"GET /hidden HTTP/1.1", host: bytes | None = b"a") -> bytes:
    """Write a head of well-ended lines, whatever stands in them."""
    lines = [line, *([] if host is None else [b"Host: " + host]), *fields]
    return b"".join(one + b"\r\n" for one in lines) + b"\r\n"


def row(name: str, raw: bytes, *status: int) -> Row:
    return Row(name, raw, frozenset(status or (400,)))


def line_endings() -> Iterator[Row]:
    """RFC 9112, 2.2: a bare CR is invalid, a bare LF may be; here it is."""
    yield row("bare-lf-after-request-line", b"GET /hidden HTTP/1.1\nHost: a\r\n\r\n")
    yield row("bare-lf-after-field", b"GET /hidden HTTP/1.1\r\nHost: a\nX: b\r\n\r\n")
    yield row(
        "bare-lf-before-last-field-ends", b"GET /hidden HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n"
    )
    yield row("bare-lf-everywhere", b"GET /hidden HTTP/1.1\nHost: a\n\n")
    yield row("bare-lf-blank-line", b"GET /hidden HTTP/1.1\r\nHost: a\r\n\nX: b\r\n\r\n")
    yield row("lf-cr", b"GET /hidden HTTP/1.1\r\nHost: a\n\rX: b\r\n\r\n")
    yield row("bare-cr-in-value", head(b"X: a\rb"))
    yield row("bare-cr-then-field", head(b"X: a\rContent-Length: 5"))
    yield row("bare-cr-at-value-start", head(b"X:\ra"))
    yield row("bare-cr-in-name", head(b"X\rY: a"))
    yield row("bare-cr-in-request-line", head(line=b"GET /hidden\rX HTTP/1.1"))
    yield row("bare-cr-after-request-line", b"GET /hidden HTTP/1.1\rHost: a\r\n\r\n")
    yield row("cr-cr-lf-after-request-line", b"GET /hidden HTTP/1.1\r\r\nHost: a\r\n\r\n")
    yield row("cr-cr-lf-after-field", b"GET /hidden HTTP/1.1\r\nHost: a\r\r\nX: b\r\n\r\n")
    yield row("cr-cr-lf-blank-line", b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\r\nX: b\r\n\r\n")
    yield row("nul-after-crlf", b"GET /hidden HTTP/1.1\r\n\x00Host: a\r\n\r\n")


def field_lines() -> Iterator[Row]:
    """RFC 9112, 5: no whitespace before the colon, no folding, a token for a name."""
    yield row("obs-fold-space", head(b"X: a\r\n b"))
    yield row("obs-fold-tab", head(b"X: a\r\n\tb"))
    yield row("obs-fold-of-host", b"GET /hidden HTTP/1.1\r\nHost: a\r\n b\r\n\r\n")
    yield row("obs-fold-empty", head(b"X: a\r\n "))
    yield row("obs-fold-hides-length", head(b"X: a\r\n Content-Length: 5"))
    yield row("obs-fold-of-transfer-encoding", head(b"Transfer-Encoding:\r\n chunked"))
    yield row("space-before-first-field", b"GET /hidden HTTP/1.1\r\n Host: a\r\n\r\n")
    yield row("tab-before-first-field", b"GET /hidden HTTP/1.1\r\n\tHost: a\r\n\r\n")
    yield row("space-before-colon", head(b"X : a"))
    yield row("tab-before-colon", head(b"X\t: a"))
    yield row("space-before-colon-of-host", b"GET /hidden HTTP/1.1\r\nHost : a\r\n\r\n")
    yield row("space-before-colon-of-length", head(b"Content-Length : 5"))
    yield row("space-before-colon-of-coding", head(b"Transfer-Encoding : chunked"))
    yield row("space-in-name", head(b"X Y: a"))
    yield row("no-name", head(b": a"))
    yield row("no-colon", head(b"X"))
    yield row("no-colon-but-value", head(b"Content-Length 5"))
    for octet in range(0x100):
        if octet not in TCHAR and octet not in b" \t\r\n:":
            yield row(f"name-with-{octet:02x}", head(b"X%cY: a" % octet))
    for octet in CONTROLS:
        if octet != 0x09:
            yield row(f"value-with-{octet:02x}", head(b"X: a%cb" % octet))


def content_lengths() -> Iterator[Row]:
    """RFC 9110, 8.6 and RFC 9112, 6.3: digits only, once."""
    bad = {
        "plus": b"+5",
        "minus": b"-5",
        "minus-zero": b"-0",
        "hex": b"0x5",
        "hex-digit": b"5a",
        "letters": b"five",
        "exponent": b"1e3",
        "point": b"5.0",
        "quoted": b'"5"',
        "inner-space": b"5 5",
        "semicolon": b"5;",
        "comma": b"5,",
        "list-same": b"5, 5",
        "list-differing": b"5, 6",
        "list-empty-member": b",5",
        "underscore": b"1_0",
        "arabic-digit": "\u0665".encode(),
        "fullwidth-digit": "\uff15".encode(),
        "empty": b"",
        "vertical-tab": b"\x0b5",
        "nul": b"5\x00",
        "over-64-bits": b"18446744073709551616",
        "over-63-bits-huge": b"9" * 40,
    }
    for name, value in bad.items():
        yield row(f"length-{name}", head(b"Content-Length: " + value))
    yield row("two-lengths-same", head(b"Content-Length: 5", b"Content-Length: 5"))
    yield row("two-lengths-differing", head(b"Content-Length: 5", b"Content-Length: 6"))
    yield row("two-lengths-zero-first", head(b"Content-Length: 0", b"Content-Length: 5"))
    yield row("two-lengths-other-case", head(b"Content-Length: 5", b"content-length: 5"))
    yield row("two-lengths-far-apart", head(b"Content-Length: 5", b"X: y", b"CONTENT-LENGTH: 5"))


def transfer_codings() -> Iterator[Row]:
    """RFC 9112, 6.1: nothing but one final ``chunked``, never with a length, never in 1.0."""
    chunked = b"Transfer-Encoding: chunked"
    yield row("length-then-chunked", head(b"Content-Length: 5", chunked))
    yield row("chunked-then-length", head(chunked, b"Content-Length: 5"))
    yield row("chunked-with-length-zero", head(chunked, b"Content-Length: 0"))
    yield row("identity-with-length", head(b"Transfer-Encoding: identity", b"Content-Length: 5"))
    yield row("empty-coding-with-length", head(b"Transfer-Encoding:", b"Content-Length: 5"))
    bad = {
        "gzip": b"gzip",
        "identity": b"identity",
        "empty": b"",
        "comma": b",",
        "gzip-chunked": b"gzip, chunked",
        "deflate-chunked": b"deflate, chunked",
        "compress-chunked": b"compress, chunked",
        "identity-chunked": b"identity, chunked",
        "chunked-gzip": b"chunked, gzip",
        "chunked-identity": b"chunked, identity",
        "chunked-chunked": b"chunked, chunked",
        "leading-comma": b", chunked",
        "trailing-comma": b"chunked,",
        "parameter": b"chunked;q=1",
        "semicolon": b"chunked;",
        "prefix": b"xchunked",
        "suffix": b"chunkedx",
        "two-words": b"x chunked",
        "quoted": b'"chunked"',
        "vertical-tab-before": b"\x0bchunked",
        "vertical-tab-behind": b"chunked\x0b",
        "form-feed": b"\x0cchunked",
        "nul": b"chunked\x00",
        "non-ascii": b"\xa0chunked",
    }
    for name, value in bad.items():
        yield row(f"coding-{name}", head(b"Transfer-Encoding: " + value))
    yield row("two-codings-same", head(chunked, chunked))
    yield row("two-codings-gzip-first", head(b"Transfer-Encoding: gzip", chunked))
    yield row("two-codings-identity-last", head(chunked, b"Transfer-Encoding: identity"))
    yield row("two-codings-other-case", head(chunked, b"transfer-encoding: chunked"))
    yield row("chunked-in-1.0", head(chunked, line=b"POST /hidden HTTP/1.0"))
    yield row(
        "chunked-in-1.0-kept-alive",
        head(chunked, b"Connection: keep-alive", line=b"POST /hidden HTTP/1.0"),
    )
    yield row("gzip-in-1.0", head(b"Transfer-Encoding: gzip", line=b"POST /hidden HTTP/1.0"))


def hosts() -> Iterator[Row]:
    """RFC 9112, 3.2: exactly one ``Host``, and it is ``uri-host [":" port]``."""
    yield row("host-missing", head(host=None))
    yield row("host-missing-among-others", head(b"X: a", host=None))
    yield row("host-twice-same", head(b"Host: a"))
    yield row("host-twice-differing", head(b"Host: b"))
    yield row("host-twice-other-case", head(b"HOST: a"))
    yield row("host-twice-in-1.0", head(b"Host: b", line=b"GET /hidden HTTP/1.0"))
    bad = {
        "empty": b"",
        "inner-space": b"a b",
        "inner-tab": b"a\tb",
        "comma": b"a, b",
        "userinfo": b"user@a",
        "userinfo-password": b"user:secret@a",
        "port-letters": b"a:b",
        "port-mixed": b"a:80x",
        "port-negative": b"a:-1",
        "port-plus": b"a:+80",
        "port-too-large": b"a:65536",
        "port-huge": b"a:99999999999999999999",
        "port-twice": b"a:80:80",
        "port-only": b":80",
        "port-space": b"a: 80",
        "slash": b"a/b",
        "query": b"a?b",
        "fragment": b"a#b",
        "backslash": b"a\\b",
        "scheme": b"http://a",
        "angle": b"<a>",
        "quote": b'a"b',
        "brace": b"{a}",
        "caret": b"a^b",
        "pipe": b"a|b",
        "backquote": b"a`b",
        "non-ascii": "ä".encode(),
        "bad-utf-8": b"a\xff",
        "bad-escape": b"a%zz",
        "v6-unclosed": b"[::1",
        "v6-unopened": b"::1]",
        "v6-bare": b"::1",
        "v6-empty": b"[]",
        "v6-letters": b"[zz]",
        "v6-two-gaps": b"[1::2::3]",
        "v6-too-long": b"[1:2:3:4:5:6:7:8:9]",
        "v6-behind": b"[::1]x",
        "v6-port-letters": b"[::1]:x",
        "v6-twice": b"[::1][::1]",
    }
    for name, value in bad.items():
        yield row(f"host-{name}", head(host=value))


def targets() -> Iterator[Row]:
    """RFC 9112, 3.2: origin-form or absolute-form, no fragment, no control bytes."""
    bad = {
        "fragment": b"/hidden#x",
        "fragment-empty": b"/hidden#",
        "fragment-in-query": b"/hidden?q#x",
        "fragment-only": b"#",
        "no-slash": b"hidden",
        "query-only": b"?hidden",
        "asterisk-get": b"*",
        "authority-form": b"a:80",
        "dot": b".",
        "absolute-no-authority": b"http://",
        "absolute-empty-authority": b"http:///hidden",
        "absolute-userinfo": b"http://user@a/hidden",
        "absolute-userinfo-password": b"http://user:secret@a/hidden",
        "absolute-userinfo-empty": b"http://@a/hidden",
        "absolute-bad-port": b"http://a:b/hidden",
        "absolute-port-only": b"http://:80/hidden",
        "absolute-bad-v6": b"http://[::1/hidden",
        "absolute-fragment": b"http://a/hidden#x",
        "absolute-one-slash": b"http:/hidden",
    }
    for name, value in bad.items():
        yield row(f"target-{name}", head(line=b"GET %b HTTP/1.1" % value))
    for octet in CONTROLS:
        yield row(f"target-with-{octet:02x}", head(line=b"GET /hidden%cx HTTP/1.1" % octet))
    for octet in (0x00, 0x01, 0x09, 0x1F, 0x7F):
        yield row(f"query-with-{octet:02x}", head(line=b"GET /hidden?q%cx HTTP/1.1" % octet))
    yield row("options-asterisk", head(line=b"OPTIONS * HTTP/1.1"))


def paths() -> Iterator[Row]:
    """``paths: strict``: what could mean two different resources means none."""
    bad = {
        "dot-dot": b"/..",
        "dot-dot-slash": b"/../hidden",
        "dot-dot-deeper": b"/a/../../hidden",
        "encoded-dot": b"/%2e/hidden",
        "encoded-dot-upper": b"/%2E/hidden",
        "encoded-dot-dot": b"/a/%2e%2e/hidden",
        "encoded-dot-half": b"/a/.%2e/hidden",
        "backslash": b"/a\\hidden",
        "encoded-backslash": b"/a%5chidden",
        "encoded-backslash-upper": b"/a%5Chidden",
        "encoded-nul": b"/hidden%00",
        "bare-percent": b"/hidden%",
        "half-escape": b"/hidden%2",
        "bad-escape": b"/hidden%zz",
        "unicode-escape": b"/hidden%u0041",
    }
    for name, value in bad.items():
        yield row(f"path-{name}", head(line=b"GET %b HTTP/1.1" % value))


def request_lines() -> Iterator[Row]:
    """RFC 9112, 3: three parts, one space between them."""
    bad = {
        "two-spaces-before-target": b"GET  /hidden HTTP/1.1",
        "leading-space": b" GET /hidden HTTP/1.1",
        "leading-tab": b"\tGET /hidden HTTP/1.1",
        "trailing-space": b"GET /hidden HTTP/1.1 ",
        "trailing-word": b"GET /hidden HTTP/1.1 x",
        "four-parts": b"GET /hidden /hidden HTTP/1.1",
        "tab-before-target": b"GET\t/hidden HTTP/1.1",
        "tab-before-version": b"GET /hidden\tHTTP/1.1",
        "no-target": b"GET HTTP/1.1",
        "empty-target": b"GET  HTTP/1.1",
        "method-only": b"GET",
        "target-first": b"/hidden GET HTTP/1.1",
        "version-first": b"HTTP/1.1 GET /hidden",
        "response": b"HTTP/1.1 200 OK",
        "nul-method": b"G\x00T /hidden HTTP/1.1",
        "method-with-slash": b"G/T /hidden HTTP/1.1",
        "method-with-paren": b"G(T /hidden HTTP/1.1",
        "method-with-at": b"G@T /hidden HTTP/1.1",
        "method-non-ascii": b"G\xc3\xa4T /hidden HTTP/1.1",
        "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    }
    for name, line in bad.items():
        yield row(f"line-{name}", head(line=line))


def versions() -> Iterator[Row]:
    """RFC 9110, 15.6.6, and what is no version at all."""
    for version in (b"0.0", b"0.9", b"1.2", b"1.9", b"2.0", b"2.1", b"3.0", b"9.9"):
        name = f"version-{version.decode()}"
        yield row(name, head(line=b"GET /hidden HTTP/%b" % version), 505)
    bad = {
        "none": b"GET /hidden",
        "one-digit": b"GET /hidden HTTP/1",
        "trailing-point": b"GET /hidden HTTP/1.",
        "no-point": b"GET /hidden HTTP/11",
        "comma": b"GET /hidden HTTP/1,1",
        "three-parts": b"GET /hidden HTTP/1.1.1",
        "two-minor-digits": b"GET /hidden HTTP/1.10",
        "leading-zero": b"GET /hidden HTTP/01.1",
        "minus": b"GET /hidden HTTP/-1.1",
        "space": b"GET /hidden HTTP/ 1.1",
        "letters": b"GET /hidden HTTP/x.y",
        "lower-case": b"GET /hidden http/1.1",
        "misspelt": b"GET /hidden HTP/1.1",
        "https": b"GET /hidden HTTPS/1.1",
        "rtsp": b"GET /hidden RTSP/1.0",
        "rtsp-1.1": b"OPTIONS /hidden RTSP/1.1",
        "ice": b"GET /hidden ICE/1.0",
        "ice-source": b"SOURCE /hidden ICE/1.0",
    }
    for name, line in bad.items():
        yield row(f"version-{name}", head(line=line), 400, 505)
    yield row("h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 501, 505)


def methods() -> Iterator[Row]:
    """RFC 9110, 9: ``CONNECT`` and ``TRACE`` are known and refused, others are not known."""
    yield row("connect-authority", head(line=b"CONNECT a:443 HTTP/1.1"), 405)
    yield row("connect-path", head(line=b"CONNECT /hidden HTTP/1.1"), 405)
    yield row("connect-absolute", head(line=b"CONNECT http://a/hidden HTTP/1.1"), 400, 405)
    yield row("trace", head(line=b"TRACE /hidden HTTP/1.1"), 405)
    for method in (b"FOO", b"get", b"Get", b"GETT", b"GE", b"X-Y", b"HTTP", b"BREW"):
        name = f"method-{method.decode()}"
        yield row(name, head(line=b"%b /hidden HTTP/1.1" % method), 501)


def singletons() -> Iterator[Row]:
    """Fields that may stand once and came twice."""
    yield row("user-agent-twice", head(b"User-Agent: a", b"User-Agent: b"))
    yield row("content-type-twice", head(b"Content-Type: a/b", b"Content-Type: c/d"))


def expectations() -> Iterator[Row]:
    """RFC 9110, 10.1.1: one expectation is known."""
    post = b"POST /hidden HTTP/1.1"
    zero = b"Content-Length: 0"
    yield row("expect-unknown", head(b"Expect: wonders", zero, line=post), 417)
    yield row("expect-two", head(b"Expect: 100-continue, wonders", zero, line=post), 417)
    yield row("expect-suffix", head(b"Expect: 100-continued", zero, line=post), 417)


def limits() -> Iterator[Row]:
    """Exceed the default limits of a listener, well-formed as it is."""
    yield row("field-too-long", head(b"X: " + b"a" * 40_000), 431)
    yield row("name-too-long", head(b"X" * 40_000 + b": a"), 431)
    yield row("fields-too-long-together", head(*[b"X: " + b"a" * 4000] * 10), 431)
    yield row("fields-too-many", head(*[b"X: a"] * 101), 431)
    yield row("target-too-long", head(line=b"GET /hidden" + b"a" * 40_000 + b" HTTP/1.1"), 414)
    yield row("query-too-long", head(line=b"GET /hidden?" + b"a" * 40_000 + b" HTTP/1.1"), 414)


ROWS: Final = tuple(
    row
    for group in (
        line_endings,
        field_lines,
        content_lengths,
        transfer_codings,
        hosts,
        targets,
        paths,
        request_lines,
        versions,
        methods,
        singletons,
        expectations,
        limits,
    )
    for row in group()
)

ACCEPTED: Final = {
    "leading-crlf": b"\r\n" + head(line=b"GET /good HTTP/1.1"),
    "no-space-behind-colon": b"GET /good HTTP/1.1\r\nHost:a\r\nX:b\r\n\r\n",
    "spaces-around-value": b"GET /good HTTP/1.1\r\nHost: \t a \t\r\nX: \t b \t \r\n\r\n",
    "empty-value": head(b"X:", line=b"GET /good HTTP/1.1"),
    "tab-in-value": head(b"X: a\tb", line=b"GET /good HTTP/1.1"),
    "obs-text-in-value": head(b"X: \xe4\xff", line=b"GET /good HTTP/1.1"),
    "name-of-every-tchar": head(b"!#$%&'*+-.^`|~0123456789azAZ: x", line=b"GET /good HTTP/1.1"),
    "repeated-list-field": head(b"Accept: a", b"Accept: b", line=b"GET /good HTTP/1.1"),
    "length-zero": head(b"Content-Length: 0", line=b"GET /good HTTP/1.1"),
    "length-leading-zeros": head(b"Content-Length: 003", line=b"POST /good HTTP/1.1") + b"abc",
    "chunked-upper-case": head(b"Transfer-Encoding: CHUNKED", line=b"POST /good HTTP/1.1")
    + b"3\r\nabc\r\n0\r\n\r\n",
    "chunked-spaces-around": head(b"Transfer-Encoding: \t chunked \t", line=b"POST /good HTTP/1.1")
    + b"3\r\nabc\r\n0\r\n\r\n",
    "host-with-port": head(line=b"GET /good HTTP/1.1", host=b"a.example:8080"),
    "host-v4": head(line=b"GET /good HTTP/1.1", host=b"127.0.0.1"),
    "host-v6": head(line=b"GET /good HTTP/1.1", host=b"[::1]"),
    "host-v6-with-port": head(line=b"GET /good HTTP/1.1", host=b"[2001:db8::7]:80"),
    "host-v4-in-v6": head(line=b"GET /good HTTP/1.1", host=b"[::ffff:1.2.3.4]"),
    "host-trailing-dot": head(line=b"GET /good HTTP/1.1", host=b"a.example."),
    "host-underscore": head(line=b"GET /good HTTP/1.1", host=b"a_b"),
    "host-upper-case": head(line=b"GET /good HTTP/1.1", host=b"A.EXAMPLE"),
    "absolute-form": head(line=b"GET http://a/good HTTP/1.1"),
    "absolute-form-upper-scheme": head(line=b"GET HTTP://a/good HTTP/1.1"),
    "absolute-form-other-host": head(line=b"GET http://b:81/good HTTP/1.1"),
    "query-with-question-mark": head(line=b"GET /good?a=?/:@ HTTP/1.1"),
    "query-empty": head(line=b"GET /good? HTTP/1.1"),
    "http-1.0": head(line=b"GET /good HTTP/1.0"),
    "exactly-100-fields": head(*[b"X: a"] * 99, line=b"GET /good HTTP/1.1"),
    "long-target": head(line=b"GET /good?" + b"a" * 6000 + b" HTTP/1.1"),
    "webdav-method": head(line=b"PROPFIND /good HTTP/1.1"),
}
"""Unusual, and right: a proxy that refuses these breaks somebody's client."""
