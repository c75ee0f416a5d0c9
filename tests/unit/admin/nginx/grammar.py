"""A grammar of nginx.conf: the directives that an importer meets, with what people write there.

A pattern is what may stand behind a directive's name; words in capitals stand for values of a kind.
Most of what comes out of it could be a file of somebody, and some of it is broken on purpose: wrong
values, other contexts, odd quoting, ends that are missing.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from admin.nginx.values import words

GOOD: Final[dict[str, tuple[str, ...]]] = {
    "ADDRESS": ("80", "127.0.0.1:8080", "127.0.0.1", "[::]:80", "*:80", "unix:/run/a.sock"),
    "TIME": ("60s", "1", "500ms", "1m30s", "1h"),
    "SIZE": ("8k", "1", "1m", "16"),
    "NUMBER": ("1", "3", "100", "4"),
    "FLAG": ("on", "off"),
    "NAME": ("X-A", "Host", "Connection", "Upgrade", "Set-Cookie", "Location", "X-Forwarded-For",
             "Content-Type", "x-b", "ETag"),
    "VALUE": (
        "text", "$host", "$http_host", '"$scheme://$host"', "$proxy_add_x_forwarded_for", '""',
        "$m", "${m}x", "$http_upgrade", "$proxy_host:$proxy_port", "$remote_addr", "$arg_x",
        "$cookie_x", "$is_args$args", "$uri", '"a b"', "$kind", "$request_uri",
    ),
    "PATH": ("/", "/a", "/a/", "/a/b/", "= /", "= /a", "^~ /a/", "~ ^/r/(.*)$", "~* [.]png$",
             "~ ^/(?<kind>[a-z]+)/", "@named", "@other", '"/a b"'),
    "REGEX": ("^/old/(.*)$", "^(.+)$", "[.]php$", "^/(?<kind>[a-z]+)/", "(?i)x", "^", '"a{2}"'),
    "URI": ("/", "/new", "/new/", "/new/$1", "/new?a=b", "$request_uri", "/$1$is_args$args",
            "https://example.org$request_uri", "http://h/", "/x?", "@named"),
    "URL": (
        "http://backend", "http://backend/", "http://backend/x/", "http://127.0.0.1:8000",
        "http://$m", "http://$split", "http://backend$request_uri", "http://unix:/run/a.sock",
        "http://unix:/run/a.sock:/x", "http://[::1]:80/", "http://127.0.0.1",
    ),
    "STATUS": ("200", "204", "301", "302", "307", "308", "400", "403", "404", "500", "502", "503"),
    "CONDITION": (
        '($http_x = "a")', "($http_x)", "($host ~ ^www)", '($http_user_agent ~* "bot|crawl")',
        "($request_method !~ ^(GET|HEAD)$)", "($arg_x != 1)", "($m = b)", "($args ~ a=(.*))",
        "( $host = a )", "($http_cookie !~* x)",
    ),
    "VAR": ("$set", "$other", "$mine"),
    "CIDR": ("10.0.0.0/8", "127.0.0.1", "all", "unix:", "::1", "fc00::/7"),
    "HOST": ("example.org", "*.example.org", ".example.org", "www.*", '""', "_",
             "~^(?<user>.+)[.]org$", "localhost"),
    "SERVER": ("127.0.0.1:8000", "127.0.0.1:8001", "[::1]:80", "unix:/run/b.sock", "127.0.0.1"),
    "FILE": ("/nowhere/*.conf",),
    "LOG": ("/var/log/a.log", "off", "stderr", "/dev/stdout", "a.log"),
    "CAUSE": tuple(sorted(words(
        """error timeout invalid_header http_500 http_502 http_503 http_504 http_403 http_404
        http_429 non_idempotent off"""))),
    "METHOD": ("GET", "POST"),
    "FORMAT": ("main", "combined", "json"),
    "TEXT": ('"$remote_addr - $request"', "'{\"a\":\"$status\"}'", "$request_time"),
}  # fmt: skip
"""Values of a kind that somebody may mean."""

BAD: Final[dict[str, tuple[str, ...]]] = {
    "ADDRESS": ("0.0.0.0:0", "65536", "example.org:x", "localhost:80"),
    "TIME": ("0", "1y", "off", "-1", "99999999999999", "1x"),
    "SIZE": ("0", "off", "1x", "99999999999999999", "1g"),
    "NUMBER": ("0", "65535", "auto", "-1", "x", "999999999999"),
    "FLAG": ("On", "yes", "2"),
    "NAME": ("Content-Length", "Transfer-Encoding", "Expect", "X_B", "x y", "", '"a:b"'),
    "VALUE": ("$1", "$split", "$set", "a$b$c", "$", "''", "$upstream_addr", "$status", "${",
              "$sent_http_x", "$request_time", "$unknown", "$UPSTREAM_ADDR", "$1$2$9"),
    "PATH": ("~ (?=x)", "~ (", "a", "//a", "/a%20b", "/a/../b", "~ ^/a$ x", "=", "~"),
    "REGEX": ("(?=x)", "(", "\\d", "a{2}", "[", "(?<a>x)(?<a>y)"),
    "URI": ("/$kind", "/a%20b", "=404", "?x", "", "$uri", "/$9", "$", "@nobody", "http://"),
    "URL": (
        "http://$split/x", "https://backend", "backend", "http://", "$m", "http://backend:81",
        "http://other", "http://$set", "http://backend/$1", "http://backend/x?y", "http://$kind",
        "http://localhost", "http://$host:80", "http://[::1", "http://unix:", "HTTP://BACKEND",
    ),
    "STATUS": ("444", "499", "599", "99", "1000", "x", "0", "-1"),
    "CONDITION": ("(-f $request_filename)", "$host", "($host =)", "()", "($set)", "(!-e /x)",
                  '($http_x ~ "(")', "(", "($host ~ a", "($a = b = c)", "(host = a)"),
    "VAR": ("$kind", "$m", "$host", "$args", "$1", "$", "set", "$split", "$limit_rate", "$SET"),
    "CIDR": ("10.0.0.1/8", "x", "/8", "10.0.0.0/99", ""),
    "HOST": ("~(", "a b", "$hostname", "EXAMPLE.org", "*", "a..b", "~", "*.*", ".", "a.*.b"),
    "SERVER": ("127.0.0.1:x", "example.org", "localhost:80", "", ":80", "unix:"),
    "FILE": ("mime.types", "*.conf", "nginx.conf", "/nowhere", ".", ""),
    "LOG": ("syslog:server=127.0.0.1", "", "$host.log"),
    "CAUSE": ("updating", "http_418", "x"),
    "METHOD": ("get", "X-Y", "$request_method", '""'),
    "FORMAT": ("other", ""),
    "TEXT": ("escape=json", "$", "$unknown", '""'),
}  # fmt: skip
"""Values of a kind that nginx or hotsplice may not take."""

PATTERNS: Final[dict[str, tuple[str, ...]]] = {
    # http, server, location
    "listen": ("ADDRESS", "ADDRESS default_server", "ADDRESS backlog=NUMBER reuseport",
               "ADDRESS ssl", "ADDRESS http2", "ADDRESS proxy_protocol"),
    "server_name": ("HOST", "HOST HOST", "HOST HOST HOST"),
    "return": ("STATUS", "STATUS VALUE", "STATUS URI", "URI"),
    "rewrite": ("REGEX URI", "REGEX URI last", "REGEX URI break", "REGEX URI redirect",
                "REGEX URI permanent", "REGEX URI STATUS"),
    "set": ("VAR VALUE", "VAR \"\"", "VAR VAR"),
    "error_page": ("STATUS URI", "STATUS STATUS URI", "STATUS =STATUS URI", "STATUS = URI",
                   "STATUS @named"),
    "allow": ("CIDR",),
    "deny": ("CIDR",),
    "satisfy": ("all", "any"),
    "internal": ("",),
    "access_log": ("LOG", "LOG FORMAT", "LOG FORMAT buffer=SIZE flush=TIME", "LOG FORMAT if=VAR"),
    "error_log": ("LOG", "LOG info", "LOG VALUE"),
    "log_format": ("FORMAT TEXT", "FORMAT TEXT TEXT", "FORMAT escape=json TEXT"),
    "include": ("FILE",),
    "root": ("/var/www",),
    "index": ("index.html",),
    "try_files": ("$uri @named", "$uri $uri/ =404"),
    "default_type": ("text/plain", "VALUE"),
    "client_max_body_size": ("SIZE",),
    "client_header_timeout": ("TIME",),
    "client_body_timeout": ("TIME",),
    "client_header_buffer_size": ("SIZE",),
    "large_client_header_buffers": ("NUMBER SIZE",),
    "keepalive_timeout": ("TIME", "TIME TIME"),
    "keepalive_requests": ("NUMBER",),
    "send_timeout": ("TIME",),
    "underscores_in_headers": ("FLAG",),
    "ignore_invalid_headers": ("FLAG",),
    "merge_slashes": ("FLAG",),
    "server_tokens": ("FLAG", "build"),
    "absolute_redirect": ("FLAG",),
    "port_in_redirect": ("FLAG",),
    "recursive_error_pages": ("FLAG",),
    "real_ip_header": ("NAME", "proxy_protocol"),
    "real_ip_recursive": ("FLAG",),
    "set_real_ip_from": ("CIDR",),
    "add_header": ("NAME VALUE", "NAME VALUE always"),
    "expires": ("TIME", "max"),
    "resolver": ("127.0.0.1",),
    # proxy
    "proxy_pass": ("URL",),
    "proxy_set_header": ("NAME VALUE",),
    "proxy_hide_header": ("NAME",),
    "proxy_pass_header": ("NAME",),
    "proxy_http_version": ("1.1", "1.0", "2.0"),
    "proxy_method": ("METHOD",),
    "proxy_set_body": ("VALUE",),
    "proxy_pass_request_headers": ("FLAG",),
    "proxy_pass_request_body": ("FLAG",),
    "proxy_connect_timeout": ("TIME",),
    "proxy_read_timeout": ("TIME",),
    "proxy_send_timeout": ("TIME",),
    "proxy_next_upstream": ("CAUSE", "CAUSE CAUSE", "CAUSE CAUSE CAUSE"),
    "proxy_next_upstream_tries": ("NUMBER",),
    "proxy_next_upstream_timeout": ("TIME",),
    "proxy_buffering": ("FLAG",),
    "proxy_request_buffering": ("FLAG",),
    "proxy_redirect": ("off", "default", "URI URI", "~REGEX URI", "~*REGEX URI", "http://a/ /"),
    "proxy_cookie_domain": ("off", "HOST HOST", "~REGEX VALUE"),
    "proxy_cookie_path": ("off", "/a/ /", "~REGEX URI", "URI URI"),
    "proxy_cookie_flags": ("off", "one httponly"),
    "proxy_ignore_headers": ("X-Accel-Redirect", "Expires Cache-Control", "NAME"),
    "proxy_intercept_errors": ("FLAG",),
    # upstream
    "server": ("SERVER", "SERVER weight=NUMBER", "SERVER max_fails=NUMBER fail_timeout=TIME",
               "SERVER backup", "SERVER down", "SERVER max_conns=NUMBER", "SERVER weight=2 VALUE"),
    "least_conn": ("",),
    "ip_hash": ("",),
    "hash": ("VALUE", "VALUE consistent", "VALUE FLAG"),
    "random": ("", "two", "two least_conn", "two x"),
    "keepalive": ("NUMBER",),
    "zone": ("a 64k",),
    # main and events
    "worker_processes": ("NUMBER",),
    "worker_connections": ("NUMBER",),
    "daemon": ("FLAG",),
    "pid": ("/run/a.pid",),
    "user": ("nginx",),
    "load_module": ("modules/a.so",),
}  # fmt: skip

_LOCATION: Final = words(
    """
    return rewrite set error_page allow deny satisfy internal access_log error_log root index
    try_files default_type client_max_body_size client_body_timeout keepalive_timeout
    keepalive_requests send_timeout absolute_redirect port_in_redirect recursive_error_pages
    real_ip_header real_ip_recursive set_real_ip_from add_header expires resolver proxy_pass
    proxy_set_header proxy_hide_header proxy_pass_header proxy_http_version proxy_method
    proxy_set_body proxy_pass_request_headers proxy_pass_request_body proxy_connect_timeout
    proxy_read_timeout proxy_send_timeout proxy_next_upstream proxy_next_upstream_tries
    proxy_next_upstream_timeout proxy_buffering proxy_request_buffering proxy_redirect
    proxy_cookie_domain proxy_cookie_path proxy_cookie_flags proxy_ignore_headers
    proxy_intercept_errors include server_tokens
    """
)
_SERVER: Final = (_LOCATION - {"proxy_pass", "internal"}) | words(
    """
    listen server_name client_header_timeout client_header_buffer_size merge_slashes
    large_client_header_buffers underscores_in_headers ignore_invalid_headers
    """
)
_HTTP: Final = (_SERVER - {"listen", "server_name", "return", "rewrite", "set", "try_files"}) | {
    "log_format"
}
CONTEXTS: Final[dict[str, frozenset[str]]] = {
    "main": words("worker_processes daemon pid user load_module error_log include"),
    "http": _HTTP,
    "server": _SERVER,
    "location": _LOCATION,
    "if": words("return rewrite set"),
    "if in location": words("return rewrite set add_header proxy_pass access_log error_page"),
    "limit_except": words("allow deny proxy_pass access_log"),
    "upstream": words("server least_conn ip_hash hash random keepalive zone keepalive_timeout"),
}
"""Which directives belong where."""
_BLOCKS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "server": (("location", "location PATH"), ("if", "if CONDITION")),
    "location": (("location", "location PATH"), ("if in location", "if CONDITION"),
                 ("limit_except", "limit_except METHOD")),
}  # fmt: skip
"""Blocks that stand in others: their context, and how they begin."""

_TABLES: Final = """
    upstream backend { server 127.0.0.1:8000; server 127.0.0.1:8001 backup; }
    map $http_a $m { default backend; b 127.0.0.1:1; ~^(.)x $1; }
    split_clients $uri $split { 10% backend; * 127.0.0.1:2; }
    map $http_b $kind { default ""; }
"""
_PATTERNS: Final = {name: st.sampled_from(some) for name, some in PATTERNS.items()}
_KINDS: Final = {
    careful: {
        kind: st.sampled_from(GOOD[kind] if careful else GOOD[kind] + BAD[kind]) for kind in GOOD
    }
    for careful in (True, False)
}
_METHODS: Final = words("least_conn ip_hash hash random")
_ODD: Final = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["{", "}", ";", '"', "'", "\\", "#", "$", "${", "\r", "\x00", "{}", "\\\n"]),
)


@st.composite
def _filled(draw: st.DrawFn, pattern: str, careful: bool) -> str:
    """Put values in the place of kinds; if not ``careful``, now and then something odd."""
    made = []
    for word in pattern.split():
        kind = next((kind for kind in GOOD if kind in word), None)
        filled = word if kind is None else word.replace(kind, draw(_KINDS[careful][kind]))
        chance = 9 if careful else draw(st.integers(0, 40))
        if chance == 0:
            filled = draw(_ODD)
        elif chance == 1:
            filled = f'"{filled}"'
        if chance != 2:
            made.append(filled)
    return " ".join(made)


@st.composite
def _directives(draw: st.DrawFn, context: str, careful: bool) -> list[str]:
    """Write directives of a context; if not ``careful``, twice the same, and some of another."""
    names = draw(st.lists(st.sampled_from(sorted(CONTEXTS[context])), max_size=6, unique=careful))
    if careful:
        methods = [name for name in names if name in _METHODS]
        names = [name for name in names if name not in methods[1:]]
    if not careful:
        names += draw(st.lists(st.sampled_from(sorted(PATTERNS)), max_size=1))
    return [f"{name} {draw(_filled(draw(_PATTERNS[name]), careful))};" for name in names]


@st.composite
def _block(draw: st.DrawFn, context: str, depth: int, careful: bool) -> str:
    """Write what stands in a block."""
    parts = draw(_directives(context, careful))
    passes = any(part.startswith("proxy_pass ") for part in parts)
    if context == "location" and not passes and draw(st.integers(0, 3)):
        parts.append(f"proxy_pass {draw(_KINDS[careful]['URL'])};")
    if depth and context in _BLOCKS:
        least = 2 if context == "server" else 0
        # Most locations are outside of most others, and that is a fault.
        choices = _BLOCKS[context][1:] if careful and context == "location" else _BLOCKS[context]
        inner = st.lists(st.sampled_from(choices), min_size=least, max_size=least + 2)
        for kind, start in draw(inner):
            head = draw(_filled(start, careful))
            parts.append(f"{head} {{\n{draw(_block(kind, depth - 1, careful))}\n}}")
    return "\n".join(parts)


@st.composite
def files(draw: st.DrawFn, careful: bool) -> str:
    """Write a whole file; if not ``careful``, with faults, and broken now and then."""
    servers = draw(st.lists(_block("server", 3, careful), min_size=1, max_size=2))
    http = "\n".join(draw(_directives("http", careful)))
    text = draw(_block("main", 0, careful)) + "\nevents {}\nhttp {" + _TABLES + http
    text += "".join(f"\nserver {{\n{server}\n}}" for server in servers)
    text += (
        f"\nupstream more {{ server 127.0.0.1:9;\n{draw(_block('upstream', 0, careful))}\n}}\n}}\n"
    )
    broken = 9 if careful else draw(st.integers(0, 9))
    if broken == 0:
        text = text[: draw(st.integers(0, len(text)))]
    elif broken == 1:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(_ODD) + text[at:]
    return text
