"""Documents that tests start from: one that says everything, and ways to change it."""

from __future__ import annotations

import copy
from typing import Any

EVERYTHING_YAML = """\
version: 1
x-note: this is ignored
listeners:
  public:
    bind: "0.0.0.0:8080"             # host:port, "[::]:8080", unix:/path
    trusted_proxies: []              # CIDRs (or `private`) whose X-Forwarded-* are believed
    paths: strict                    # strict | nginx
    merge_slashes: true
    timeouts: {header: 10s, body: 60s, write: 60s, idle: 75s}
    limits:
      connections: 10000
      header_bytes: 32KiB
      headers: 100
      body_bytes: unlimited
      requests_per_connection: unlimited
    underscores_in_headers: drop     # drop | allow
    odd_header_names: allow          # drop | allow
pools:
  backend:
    balance: round_robin             # or least_connections, random, ip_hash, {hash: "$http_x_user"}
    endpoints:                       # the key is the endpoint's name; `address` defaults to it
      blue-0:
        address: "10.0.0.7:8000"
        seat: 1
        weight: 1
        backup: false
        max_connections: unlimited
        labels: {node: n7}
      127.0.0.1:8000: {}
    passive_health: {max_fails: 3, fail_timeout: 10s}     # or `off`; may be given per endpoint too
    keepalive:
      max_idle: 32
      max_idle_total: unlimited
      idle_timeout: 4s
      max_requests: unlimited
      max_age: unlimited
    timeouts: {connect: 5s, send: 60s, read: 60s}
    retry:
      when: [error]
      max_attempts: 3
      budget: 10s
      non_idempotent: false
      replay_bytes: 64KiB
    on_removal: drain                # keep | drain | close: live splices of a removed endpoint
    drain: {timeout: 30s, rate: 100, close_code: 1012, reason: "service restart"}
header_maps:
  connection_upgrade:                # becomes the variable $connection_upgrade
    source: "$http_upgrade"
    default: upgrade
    exact: {"": close}
    hostnames: {}                    # "*.example.org": …, "www.*": …
    regex: []                        # [{match: "^svc-(.*)", value: "$1", ignore_case: true}]
routes:
  chat:
    listeners: [public]              # absent: all
    hosts: [chat.example.com, "*.example.org"]            # absent: any
    path: {prefix: /chat/, internal: false}   # exactly one of exact | prefix | regex
    steps: []                        # what is done before the request is passed on
    access: []                       # [{allow: [10.0.0.0/8]}, {deny: [all]}]
    error_pages: []                  # [{statuses: [502], path: /sorry.html}]
    intercept_errors: false          # of the upstream too
    pool: backend                    # or pools: {stable: 95, canary: 5} with split_by
    host_priority: 0
    rewrite: /                       # replaces the matched prefix; absent: the target goes on
    method: $request_method
    body: "a"
    request_buffer: off
    retry: {when: []}
    chunked_responses: true
    upgrades: [websocket]            # [] none, ["*"] any but h2c
    request_headers:
      set: {Upgrade: "$http_upgrade", Connection: "$connection_upgrade"}
      append: {}
      remove: []
    response_headers:
      set: {}
      append: {Link: ["</a.css>", "</b.js>"]}
      remove: []
      on_success: {set: {}, append: {Cache-Control: max-age=3600}}
      rewrite_location: [{prefix: "http://backend/", to: /}, {match: "^http://([^/]+)", to: "//$1"}]
      absolute_location: false
      rewrite_cookie_domain: [{exact: backend.internal, to: "$host"}]
      rewrite_cookie_path: [{match: "^/app(/.*)", ignore_case: true, to: "$1"}]
    forwarded_headers: true          # X-Forwarded-For/Proto/Host, X-Request-Id
    http_version: "1.1"              # or "1.0", of what goes upstream
    timeouts: {read: 60s, body: 60s} # over the pool's and the listener's
    limits: {body_bytes: 1MiB, requests_per_connection: 9}   # over the listener's; absent: inherit
    tunnel: {idle_timeout: 1h, ping_interval: off}
"""

SMALL: dict[str, Any] = {
    "listeners": {"public": {"bind": "127.0.0.1:0"}},
    "pools": {"backend": {"endpoints": {"127.0.0.1:8000": {}}}},
    "header_maps": {"tier": {"source": "$http_x_tier", "default": "backend"}},
    "routes": {"all": {"path": {"prefix": "/"}, "pool": "backend"}},
}
"""One object of each kind."""

RICH: dict[str, Any] = {
    "version": 1,
    "listeners": {
        "public": {
            "bind": "[::1]:8080",
            "trusted_proxies": ["private", "unix", "192.0.2.7", "2001:db8::/32"],
            "client_address": {"header": "X-Real-IP", "recursive": False},
            "default_host": "WWW.example.org",
            "paths": "nginx",
            "timeouts": {"header": "1m30s"},
            "limits": {"connections": "unlimited", "body_bytes": 1048576, "header_bytes": "8KiB"},
            "underscores_in_headers": "allow",
        },
        "local": {"bind": "unix:/run/hotsplice/data.sock"},
    },
    "pools": {
        "stable": {
            "balance": {"hash": "$cookie_user"},
            "endpoints": {
                "unix:/run/app.sock": {"state": "drain", "passive_health": "off"},
                "[2001:db8::1]:80": {"weight": 5, "passive_health": {"max_fails": 1}},
                "named": {"address": "app.example.org:8080", "backup": True, "max_connections": 9},
            },
            "limits": {"header_bytes": "16KiB"},
        },
        "canary": {
            "endpoints": {"10.0.0.1:80": {"labels": {"app.kubernetes.io/name": "a b"}}},
            "passive_health": "off",
            "retry": {"when": [], "budget": "unlimited", "max_attempts": "unlimited"},
        },
    },
    "header_maps": {
        "tier": {
            "source": "$host",
            "default": "stable",
            "hostnames": {"*.canary.example.org": "canary"},
            "regex": [{"match": "^c(.*)", "value": "canary", "ignore_case": True}],
        },
        "shown": {"source": "$tier", "exact": {"canary": "c-$http_x_user"}},
        "variant": {"source": "$client_ip", "shares": {"blue": "0.5%", "b-$host": "20%"}},
    },
    "routes": {
        "split": {
            "path": {"prefix": "/split/", "final": True},
            "pools": {"stable": 95, "canary": 0},
            "split_by": "$cookie_user",
            "hosts": [".Example.org", "www.*", "~^a(?P<n>[0-9]+)\\.example\\.net$"],
        },
        "mapped": {
            "path": {"regex": "^/users/(?P<user>[^/]+)", "priority": 3, "ignore_case": True},
            "pool": "${tier}",
            "rewrite": "/u/$user",
            "upgrades": ["*"],
            "timeouts": {"connect": "500ms"},
            "limits": {"body_bytes": "unlimited"},
            "tunnel": {"idle_timeout": "off"},
            "response_headers": {"set": {"X-Served-By": "$upstream_addr"}},
        },
        "health": {"path": {"exact": "/healthz"}, "pool": "canary", "listeners": ["local"]},
        "outer": {"path": {"prefix": "/outer/"}, "pool": "canary"},
        "inner": {"path": {"regex": "x", "within": "outer"}, "pool": "canary", "target": "/$uri"},
    },
}
"""What ``EVERYTHING_YAML`` leaves out."""


STEPPED: dict[str, Any] = {
    "listeners": {"public": {"bind": "127.0.0.1:0"}},
    "pools": {"backend": {"endpoints": {"127.0.0.1:8000": {}}}, "other": {}},
    "header_maps": {"tier": {"source": "$kind", "default": "free", "exact": {"plain": "paid"}}},
    "routes": {
        "first": {
            "hosts": ["a.example.org"],
            "steps": [
                {"when": {"value": "$http_x_debug"}, "respond": {"status": 403}},
                {"rewrite": {"match": "^/v1/(?P<rest>.*)$", "to": "/$rest", "then": "route"}},
                {"set": {"kind": "plain", "args": "$args&v=1"}},
            ],
            "access": [{"allow": ["10.0.0.0/8", "private", "unix"]}, {"deny": ["all"]}],
            "error_pages": [{"statuses": [404], "path": "/sorry.html?for=$uri"}],
            "response_headers": {"set": {"X-Status": "$status"}},
        },
        "all": {
            "hosts": ["a.example.org"],
            "path": {"prefix": "/"},
            "pool": "backend",
            "steps": [
                {
                    "unless": {"value": "$request_method", "matches": "^(get|head)$",
                               "ignore_case": True},
                    "respond": {"status": 405, "body": "no $kind\r\n", "type": "text/html"},
                },
                {"when": {"value": "$kind", "equals": "plain"}, "stop": True},
                {"rewrite": {"match": "^/old/(.*)$", "to": "https://$host/$1?", "redirect": 308,
                             "ignore_case": True}},
            ],
            "error_pages": [
                {"statuses": [502, 504], "route": "fallback", "status": "page"},
                {"statuses": [413], "location": "https://a.example.org/$tier", "status": 303},
                {"statuses": [500], "path": "/sorry.html", "status": 200},
            ],
            "intercept_errors": True,
        },
        "sorry": {
            "hosts": ["a.example.org"],
            "path": {"exact": "/sorry.html", "internal": True},
            "respond": {"status": 200, "body": "sorry", "type": "text/html; charset=utf-8"},
        },
        "moved": {"path": {"exact": "/moved"}, "respond": {"status": 301, "location": "/$tier"}},
        "fallback": {"pool": "other", "rewrite": "/fallback"},
    },
}  # fmt: skip
"""What is done before a request is passed on, and instead."""


def changed(at: str, value: object, base: dict[str, Any] = SMALL) -> dict[str, Any]:
    """Return a copy of ``base`` with ``value`` at a place, its parts separated by spaces."""
    copied: dict[str, Any] = copy.deepcopy(base)
    node: Any = copied
    *way, last = at.split(" ")
    for part in way:
        node = node.setdefault(part, {})
    node[last] = value
    return copied
