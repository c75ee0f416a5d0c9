"""What hotsplice makes of each directive, before it is known what the directive says.

A directive that no table here knows is refused: nothing is dropped silently.
"""

from __future__ import annotations

from typing import Final

from admin.nginx.logs import judge_error_log
from admin.nginx.reading import Directive
from admin.nginx.report import Report
from admin.nginx.values import words

BUILT: Final = words(
    """
    events http server location upstream map split_clients
    listen server_name client_header_timeout client_body_timeout send_timeout keepalive_timeout
    keepalive_requests large_client_header_buffers client_max_body_size underscores_in_headers
    set_real_ip_from real_ip_header real_ip_recursive
    least_conn ip_hash hash random keepalive
    proxy_pass proxy_http_version proxy_set_header proxy_hide_header proxy_pass_header add_header
    proxy_connect_timeout proxy_send_timeout proxy_read_timeout proxy_next_upstream
    proxy_next_upstream_timeout proxy_next_upstream_tries proxy_request_buffering
    proxy_method proxy_set_body proxy_pass_request_headers proxy_pass_request_body merge_slashes
    ignore_invalid_headers chunked_transfer_encoding keepalive_time
    return rewrite set if break internal error_page proxy_intercept_errors allow deny satisfy
    absolute_redirect port_in_redirect server_name_in_redirect default_type types
    proxy_redirect proxy_cookie_domain proxy_cookie_path proxy_ignore_headers
    access_log log_format
    """
)
"""The handlers have read these, and note themselves what differs."""

_STREAMED: Final = "bodies are streamed, nothing is put on disk"


def _each(names: str, why: str) -> dict[str, str]:
    return dict.fromkeys(sorted(words(names)), why)


ACCEPTED: Final[dict[str, str]] = {
    **_each(
        """
        worker_processes worker_connections worker_rlimit_nofile worker_rlimit_core
        worker_cpu_affinity worker_priority worker_aio_requests use
        multi_accept accept_mutex accept_mutex_delay timer_resolution pcre_jit thread_pool lock_file
        debug_points working_directory env master_process
        """,
        "hotsplice is one process with an event loop; the pod sets its limits",
    ),
    **_each(
        """
        server_names_hash_max_size server_names_hash_bucket_size variables_hash_max_size
        variables_hash_bucket_size map_hash_max_size map_hash_bucket_size types_hash_max_size
        types_hash_bucket_size proxy_headers_hash_max_size proxy_headers_hash_bucket_size
        """,
        "tables are sized by themselves",
    ),
    **_each(
        """
        proxy_buffering proxy_buffers proxy_busy_buffers_size proxy_max_temp_file_size
        proxy_temp_file_write_size proxy_temp_path client_body_buffer_size client_body_temp_path
        client_body_in_single_buffer output_buffers postpone_output directio directio_alignment
        read_ahead
        """,
        _STREAMED,
    ),
    **_each(
        """
        connection_pool_size request_pool_size client_header_buffer_size sendfile sendfile_max_chunk
        aio aio_write
        """,
        "memory and sockets are managed by hotsplice",
    ),
    **_each("send_lowat proxy_send_lowat", "it does nothing on Linux, in nginx either"),
    "tcp_nopush": "about files that sendfile sends, and there are none",
    **_each(
        """
        root index etag if_modified_since open_file_cache open_file_cache_valid
        open_file_cache_min_uses open_file_cache_errors log_not_found max_ranges
        """,
        "about files, which hotsplice does not serve",
    ),
    **_each(
        """
        proxy_cache_background_update proxy_cache_bypass proxy_cache_convert_head proxy_cache_key
        proxy_cache_lock proxy_cache_lock_age proxy_cache_lock_timeout proxy_cache_max_range_offset
        proxy_cache_methods proxy_cache_min_uses proxy_cache_path proxy_cache_purge
        proxy_cache_revalidate proxy_cache_use_stale proxy_cache_valid proxy_no_cache
        """,
        "it does nothing without proxy_cache",
    ),
    **_each(
        """
        gzip_buffers gzip_comp_level gzip_disable gzip_http_version gzip_min_length gzip_proxied
        gzip_types gzip_vary gunzip_buffers
        """,
        "it does nothing without gzip",
    ),
    "gzip_static": "about files, which hotsplice does not serve",
    "auth_basic_user_file": "it does nothing without auth_basic",
    **_each(
        "limit_conn_zone limit_conn_status limit_conn_log_level limit_conn_dry_run",
        "it does nothing without limit_conn",
    ),
    **_each(
        "limit_req_zone limit_req_status limit_req_log_level limit_req_dry_run",
        "it does nothing without limit_req",
    ),
    "debug_connection": "about nginx's own log",
    "daemon": "hotsplice runs in the foreground",
    "pid": "no such file is written: there is one process, and whoever started it knows it",
    "user": "hotsplice keeps the user it is started as",
    "load_module": "there are no modules to load",
    "zone": "there is one process, so state is shared anyway",
    "log_subrequest": "there are no subrequests",
    "rewrite_log": "rewrites are not logged",
    "uninitialized_variable_warn": "a variable that nothing has assigned is empty",
    "open_log_file_cache": "a log is open as long as it is configured",
    "server_tokens": "no version is shown, in any case",
    "msie_padding": "for browsers long gone",
    "msie_refresh": "for browsers long gone",
}
"""Kept, because they change nothing that a client or an upstream could see."""

_AS_SENT: Final = "bodies go to the client as the upstream sends them"
_LINGERS: Final = (
    "where a close could cost the client its answer, what it still sends is read for 5 s, or 4 MiB"
)

APPROXIMATED: Final[dict[str, str]] = {
    "resolver": "names are resolved by the system's resolver",
    "resolver_timeout": "names are resolved by the system's resolver",
    "proxy_buffer_size": "response heads of up to 64 KiB pass",
    "lingering_time": _LINGERS,
    "lingering_timeout": _LINGERS,
    "worker_shutdown_timeout": "a reload closes nothing; at the end --drain-timeout holds",
}
"""Approximated, and how that differs."""

_UNLESS: Final[dict[str, tuple[str, str]]] = {
    "gzip": ("off", _AS_SENT),
    "gunzip": ("off", _AS_SENT),
    "keepalive_disable": ("none", "connections are kept alive for every browser"),
    "lingering_close": ("on", _LINGERS),
    "proxy_socket_keepalive": ("off", "TCP keep-alive is on in tunnels alone"),
    "reset_timedout_connection": ("off", "a connection that times out is closed as any other"),
    "tcp_nodelay": ("on", "what there is to send is sent at once"),
}
"""Approximated, unless it is this choice; and how that differs."""

_CHOICES: Final[dict[str, tuple[str, str]]] = {
    "proxy_ignore_client_abort": ("off", "a request is cancelled when its client goes away"),
    "proxy_cache": ("off", "hotsplice does not cache"),
    "proxy_store": ("off", "hotsplice does not store responses"),
    "proxy_bind": ("off", "connections leave from the address that the kernel chooses"),
    "proxy_limit_rate": ("0", "responses are not slowed down"),
    "proxy_force_ranges": ("off", "ranges are the upstream's business"),
    "proxy_cookie_flags": ("off", "a cookie keeps the flags that the upstream gave it"),
    "client_body_in_file_only": ("off", _STREAMED),
    "limit_rate": ("0", "responses are not slowed down"),
    "charset": ("off", "the Content-Type goes to the client as the upstream sends it"),
    "ssi": ("off", "bodies are not changed"),
    "recursive_error_pages": ("off", "the error of an error page is answered as it is"),
}
"""The choice that is how hotsplice does it; any other is refused, and why."""

_NOTHING_ALONE: Final = {
    "ssl_": "it does nothing without listen … ssl",
    "proxy_ssl_": "it does nothing without proxy_pass https://",
}
"""Kept, by how their names begin: what needs them is refused where it stands."""

_OTHER_PROTOCOLS: Final = ("fastcgi_", "grpc_", "memcached_", "scgi_", "uwsgi_")

_AUTHENTICATING: Final = frozenset({"auth_basic", "auth_request"})
_UNCHECKED: Final = (
    "hotsplice does not authenticate",
    "let the upstream check; with --lenient nobody is let in here",
)
_OTHER_PROTOCOL: Final = ("only proxy_pass is supported", "put what speaks HTTP before it")
_LIMITED: Final = "limit them in front of hotsplice"
_REFUSED: Final[dict[str, tuple[str, str | None]]] = {
    "limit_except": (
        "methods are not a condition of access",
        "let the upstream refuse methods; with --lenient nobody is let in here",
    ),
    "try_files": ("hotsplice serves no files", "proxy_pass to something that does"),
    "alias": ("hotsplice serves no files", "proxy_pass to something that does"),
    "expires": ("response fields by age are not supported", "use add_header Cache-Control"),
    "geo": ("addresses cannot be looked up", "use a map of $remote_addr"),
    "stream": ("only HTTP is proxied", "keep nginx for it"),
    "mail": ("only HTTP is proxied", "keep nginx for it"),
    "mirror": ("requests are not mirrored", None),
    "autoindex": ("hotsplice serves no files", "proxy_pass to something that does"),
    "limit_req": ("requests are not rate-limited", _LIMITED),
    "limit_conn": ("connections are not counted by key", "upstream servers take max_conns"),
    "fastcgi_pass": _OTHER_PROTOCOL,
    "grpc_pass": _OTHER_PROTOCOL,
    "memcached_pass": _OTHER_PROTOCOL,
    "scgi_pass": _OTHER_PROTOCOL,
    "uwsgi_pass": _OTHER_PROTOCOL,
    "stub_status": ("nginx's numbers are not here", "ask for /metrics of the telemetry listener"),
    "sub_filter": ("bodies are not changed", "let the upstream write what it means"),
    "ssl": ("TLS is not supported yet", "put what ends TLS in front of hotsplice"),
}
"""Refused: why, and what to do."""

_NO_DIRECTIVES: Final = frozenset({"map", "split_clients", "types", "if"})
"""Blocks whose content is no directives, or is judged where it is read."""


def judge(tree: tuple[Directive, ...], report: Report) -> None:
    """Note a first verdict on every directive; the handlers add what they find."""
    for directive in tree:
        name = directive.name
        if name in BUILT:
            report.kept(directive)
            if directive.block is not None and name not in _NO_DIRECTIVES:
                judge(directive.block, report)
        else:
            _judge_unbuilt(directive, report)


def _judge_unbuilt(directive: Directive, report: Report) -> None:
    name = directive.name
    if name == "error_log":
        judge_error_log(directive, report)
    elif name in ACCEPTED:
        report.kept(directive, ACCEPTED[name])
    elif name in APPROXIMATED:
        report.approximated(directive, APPROXIMATED[name])
    elif name in _UNLESS:
        choice, how = _UNLESS[name]
        if directive.args == (choice,):
            report.kept(directive)
        else:
            report.approximated(directive, how)
    elif name in _CHOICES:
        choice, why = _CHOICES[name]
        if directive.args[:1] == (choice,):
            report.kept(directive)
        else:
            report.refused(directive, why, f"what hotsplice does is `{name} {choice}`")
    elif name in _AUTHENTICATING:
        if directive.args[:1] == ("off",):
            report.kept(directive)
        else:
            report.refused(directive, *_UNCHECKED)
    elif name in _REFUSED:
        report.refused(directive, *_REFUSED[name])
    elif (reason := _does_nothing_alone(name)) is not None:
        report.kept(directive, reason)
    else:
        report.refused(directive, "not supported", "leave it out if it does not matter")


def _does_nothing_alone(name: str) -> str | None:
    """Return why a directive changes nothing without another one; ``None`` if it may."""
    for prefix in _OTHER_PROTOCOLS:
        if name.startswith(prefix):
            return f"it does nothing without {prefix}pass"
    prefixed = (why for prefix, why in _NOTHING_ALONE.items() if name.startswith(prefix))
    return next(prefixed, None)
