"""What an upstream sees of a request, and a client of a response."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from proxy.spec import (
    HeaderMapSpec,
    HeaderRulesSpec,
    KeepaliveSpec,
    ListenerSpec,
    ResponseRulesSpec,
    RouteSpec,
    SubstitutionSpec,
    SuccessRulesSpec,
)
from tests.peers import (
    OK,
    Conn,
    Origin,
    Recorded,
    Running,
    Stage,
    answers,
    build_spec,
    echo,
    everything,
    listener,
    pool,
    reply,
    route,
)
from tests.peers.client import request
from tests.peers.frames import HANDSHAKE_FIELDS
from tests.peers.origin import websocket


async def sent_upstream(
    stage: Stage,
    *fields: bytes,
    routed: RouteSpec | None = None,
    listening: ListenerSpec | None = None,
    maps: tuple[HeaderMapSpec, ...] = (),
    method: bytes = b"GET",
    target: bytes = b"/",
    host: bytes = b"example.test",
) -> Recorded:
    """Send one request with ``fields`` through one route; return what the origin recorded."""
    origin = stage.origin()
    running = await stage.serve(
        build_spec(
            origin.address,
            listeners=[listening or listener()],
            routes=[routed or everything()],
            header_maps=maps,
        )
    )
    client = await running.connect()
    assert (await client.request(method, target, *fields, host=host)).status == 200
    return origin.requests[0]


def rules(**differs: object) -> RouteSpec:
    return everything(request_headers=HeaderRulesSpec(**differs))  # type: ignore[arg-type]


# -- what passes ----------------------------------------------------------------------------------


async def test_fields_pass_in_order_case_and_repetition(stage: Stage) -> None:
    fields = [b"X-One: 1", b"x-two: 2", b"X-ONE: 3", b"Accept: a", b"accept: b", b"Z: \xe4"]
    recorded = await sent_upstream(stage, *fields)
    passed = [b": ".join(field) for field in recorded.head.fields if b": ".join(field) in fields]
    assert passed == fields


@pytest.mark.parametrize("host", [b"example.test", b"Example.TEST:8080", b"[::1]:99"])
async def test_host_is_kept_as_sent(stage: Stage, host: bytes) -> None:
    assert (await sent_upstream(stage, host=host)).get(b"host") == host


async def test_request_of_http_1_0_without_a_host_never_goes_on_without_one(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    answer = await client.read_response()
    # What goes upstream is HTTP/1.1, and that needs a Host (RFC 9112, 3.2).
    assert answer.status == 400 or origin.requests[0].get(b"host") is not None


async def test_absolute_form_becomes_origin_form_and_its_authority_the_host(stage: Stage) -> None:
    recorded = await sent_upstream(stage, target=b"http://Other.test:81/p?q")
    assert (recorded.target, recorded.get(b"host")) == (b"/p?q", b"Other.test:81")


async def test_absolute_form_without_a_path_asks_for_the_root(stage: Stage) -> None:
    assert (await sent_upstream(stage, target=b"http://other.test")).target == b"/"
    assert (await sent_upstream(stage, target=b"http://other.test?q=1")).target == b"/?q=1"


@pytest.mark.parametrize(
    "target",
    [b"/", b"/a%2Fb", b"/a%20b?c=%zz", b"/?", b"/a?b?c", b"/a;b=c/d", b"/%C3%A4?%C3%A4", b"/a+b"],
    ids=repr,
)
async def test_target_passes_byte_for_byte(stage: Stage, target: bytes) -> None:
    assert (await sent_upstream(stage, target=target)).target == target


@pytest.mark.parametrize(
    ("target", "forwarded"),
    [(b"/a/./b", b"/a/b"), (b"/a/x/../b?q", b"/a/b?q"), (b"//a///b", b"/a/b"), (b"/a/..", b"/")],
    ids=repr,
)
async def test_path_that_was_resolved_is_forwarded_resolved(
    stage: Stage, target: bytes, forwarded: bytes
) -> None:
    assert (await sent_upstream(stage, target=target)).target == forwarded


async def test_rewrite_replaces_the_prefix_and_keeps_the_query(stage: Stage) -> None:
    routed = route("some", "/chat/", rewrite="/v2/")
    recorded = await sent_upstream(stage, target=b"/chat/room%20one?a=%20", routed=routed)
    assert recorded.target == b"/v2/room%20one?a=%20"


async def test_rewrite_of_a_regex_route_uses_its_captures(stage: Stage) -> None:
    routed = route("some", "^/u/(?P<user>[a-z]+)/(.*)$", kind="regex", rewrite="/$user?p=$2")
    recorded = await sent_upstream(stage, target=b"/u/ann/x", routed=routed)
    assert recorded.target.startswith(b"/ann")


async def test_prefix_without_its_slash_is_redirected(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address, routes=[route("some", "/chat/")]))
    client = await running.connect()
    answer = await client.request(b"GET", b"/chat?a=b", host=b"h.test:81")
    assert answer.status == 301
    assert answer.get(b"location") == b"http://h.test:81/chat/?a=b"
    assert origin.raw == b""


@pytest.mark.parametrize(
    ("octets", "location"),
    [
        (b"GET /chat? HTTP/1.1\r\nHost: h.test", b"http://h.test/chat/"),
        (b"GET /x/../ch%61t HTTP/1.1\r\nHost: h.test", b"http://h.test/chat/"),
        (b"GET //a%20b HTTP/1.1\r\nHost: h.test", b"http://h.test/a%20b/"),
        (b"GET /chat?a HTTP/1.0", b"/chat/?a"),  # nobody said which host this is
    ],
)
async def test_redirect_leads_to_the_path_that_was_matched(
    stage: Stage, octets: bytes, location: bytes
) -> None:
    routes = [route("some", "/chat/"), route("spaced", "/a b/")]
    running = await stage.serve(build_spec(stage.refused(), routes=routes))
    client = await running.connect()
    await client.send(octets + b"\r\n\r\n")
    answer = await client.read_response()
    assert (answer.status, answer.get(b"location")) == (301, location)


@pytest.mark.parametrize(
    ("target", "sent"),
    [(b"/old/a?", b"/new/a"), (b"/old/a?b", b"/new/a?b"), (b"/as/it?", b"/as/it?")],
)
async def test_empty_query_is_left_out_where_the_path_is_rewritten(
    stage: Stage, target: bytes, sent: bytes
) -> None:
    routes = [route("old", "/old/", rewrite="/new/"), route("as", "/as/")]
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address, routes=routes))
    assert (await (await running.connect()).get(target)).status == 200
    assert origin.requests[0].target == sent


async def test_request_that_names_no_host_is_for_the_default_one(stage: Stage) -> None:
    origin = stage.origin()
    named = everything(
        hosts=("www.test",), request_headers=HeaderRulesSpec(set=(("X-Host", "$host"),))
    )
    spec = build_spec(
        origin.address,
        listeners=[listener(default_host="www.test")],
        routes=[named, route("below", "/below/", hosts=("www.test",))],
    )
    client = await (await stage.serve(spec)).connect()
    await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (await client.read_response()).status == 200
    assert origin.requests[0].get(b"x-host") == b"www.test"
    await client.send(b"GET /below HTTP/1.0\r\n\r\n")
    assert (await client.read_response()).get(b"location") == b"http://www.test/below/"


# -- hop by hop -----------------------------------------------------------------------------------

HOP_BY_HOP = {
    "connection": [b"Connection: keep-alive"],
    "keep-alive": [b"Keep-Alive: timeout=5"],
    "proxy-connection": [b"Proxy-Connection: keep-alive"],
    "te": [b"TE: trailers"],
    "trailer": [b"Trailer: X-Sum"],
    "upgrade": [b"Upgrade: websocket"],
    "proxy-authenticate": [b"Proxy-Authenticate: Basic"],
    "proxy-authorization": [b"Proxy-Authorization: Basic eA=="],
    "x-named": [b"Connection: X-Named", b"X-Named: secret"],
    "x-other-case": [b"Connection: x-OTHER-case", b"X-Other-Case: a", b"x-other-case: b"],
    "x-second": [b"Connection: close, X-First", b"Connection: X-Second", b"X-Second: a"],
}


@pytest.mark.parametrize("name", HOP_BY_HOP)
async def test_hop_by_hop_field_of_a_request_stops_here(stage: Stage, name: str) -> None:
    recorded = await sent_upstream(stage, *HOP_BY_HOP[name], b"X-End: to-end")
    assert recorded.all(name.encode()) == []
    assert recorded.get(b"x-end") == b"to-end"
    assert recorded.all(b"connection") == []


@pytest.mark.parametrize("name", HOP_BY_HOP)
async def test_hop_by_hop_field_of_a_response_stops_here(stage: Stage, name: str) -> None:
    origin = stage.origin(answers(reply(b"ok", *HOP_BY_HOP[name], b"X-End: to-end")))
    running = await stage.serve(build_spec(origin.address))
    answer = await (await running.connect()).get()
    assert answer.head.all(name.encode()) == []
    assert answer.get(b"x-end") == b"to-end"
    assert answer.head.all(b"connection") == []


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"Transfer-Encoding"])
async def test_field_that_routes_or_frames_cannot_be_named_away(stage: Stage, name: bytes) -> None:
    origin = stage.origin(echo)
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    answer = await client.request(b"POST", b"/", b"Connection: " + name, body=b"body")
    assert answer.body == b"body"
    assert origin.requests[0].get(b"host") == b"example.test"


async def test_fields_named_by_connection_never_frame_a_response(stage: Stage) -> None:
    running = await stage.serve(
        build_spec(stage.origin(answers(reply(b"ok", b"Connection: Content-Length"))).address)
    )
    client = await running.connect()
    assert (await client.get()).body == b"ok"
    assert (await client.get()).body == b"ok"


async def test_underscored_fields_are_dropped_and_counted(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address))
    client = await running.connect()
    await client.get(b"/", b"X_User: admin", b"Content_Length: 5", b"X-User: me")
    assert origin.requests[0].head.names().count(b"x_user") == 0
    assert origin.requests[0].get(b"x-user") == b"me"
    assert running.rejected() == {"underscore_field": 2}


async def test_underscored_fields_pass_where_allowed(stage: Stage) -> None:
    allowing = listener(underscores_in_headers=True)
    recorded = await sent_upstream(stage, b"X_User: admin", listening=allowing)
    assert recorded.get(b"x_user") == b"admin"


# -- forwarding headers ---------------------------------------------------------------------------

FORGED = (
    b"X-Forwarded-For: 6.6.6.6",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: evil.test",
    b"X-Forwarded-Port: 666",
    b"Forwarded: for=6.6.6.6",
    b"X-Real-IP: 6.6.6.6",
)
TRUSTING = listener(trusted_proxies=("127.0.0.0/8",))


async def test_untrusted_peer_is_not_believed(stage: Stage) -> None:
    recorded = await sent_upstream(stage, *FORGED)
    assert recorded.get(b"x-forwarded-for") == b"127.0.0.1"
    assert recorded.get(b"x-forwarded-proto") == b"http"
    assert recorded.get(b"x-forwarded-host") == b"example.test"
    assert b"6.6.6.6" not in recorded.head.raw
    assert b"evil" not in recorded.head.raw


async def test_trusted_peer_is_believed_and_appended_to(stage: Stage) -> None:
    recorded = await sent_upstream(stage, *FORGED, listening=TRUSTING)
    assert recorded.get(b"x-forwarded-for") == b"6.6.6.6, 127.0.0.1"
    assert recorded.get(b"x-forwarded-proto") == b"https"
    assert recorded.get(b"x-forwarded-host") == b"evil.test"
    assert recorded.get(b"forwarded") == b"for=6.6.6.6"


@pytest.mark.parametrize(
    ("forwarded_for", "client_ip"),
    [
        (b"1.1.1.1", b"1.1.1.1"),
        (b"9.9.9.9, 1.1.1.1", b"1.1.1.1"),
        (b"9.9.9.9, 1.1.1.1, 127.0.0.9", b"1.1.1.1"),
        (b"2001:db8::1", b"2001:db8::1"),
    ],
)
async def test_client_address_is_the_rightmost_untrusted(
    stage: Stage, forwarded_for: bytes, client_ip: bytes
) -> None:
    routed = rules(set=(("X-Client", "$client_ip"), ("X-Remote", "$remote_addr")))
    recorded = await sent_upstream(
        stage, b"X-Forwarded-For: " + forwarded_for, routed=routed, listening=TRUSTING
    )
    assert recorded.get(b"x-client") == recorded.get(b"x-remote") == client_ip


async def test_route_without_forwarding_leaves_the_fields_alone(stage: Stage) -> None:
    recorded = await sent_upstream(stage, *FORGED, routed=everything(forwarded_headers=False))
    assert recorded.get(b"x-forwarded-for") == b"6.6.6.6"
    assert recorded.get(b"x-real-ip") == b"6.6.6.6"


REQUEST_ID = re.compile(rb"[\w.-]{1,64}")


@pytest.mark.parametrize(
    ("sent", "trusted", "kept"),
    [
        (b"abc-1.2_3", True, True),
        (b"abc-1.2_3", False, False),
        (b"a" * 64, True, True),
        (b"a" * 65, True, False),
        (b"a b", True, False),
        (b"a;b", True, False),
        (b"", True, False),
    ],
)
async def test_request_id_is_kept_only_if_trusted_and_well_formed(
    stage: Stage, sent: bytes, trusted: bool, kept: bool
) -> None:
    listening = TRUSTING if trusted else listener()
    recorded = await sent_upstream(stage, b"X-Request-Id: " + sent, listening=listening)
    request_id = recorded.get(b"x-request-id")
    assert request_id is not None
    assert REQUEST_ID.fullmatch(request_id)
    assert (request_id == sent) is kept


# -- rules ----------------------------------------------------------------------------------------


async def test_set_replaces_every_occurrence(stage: Stage) -> None:
    recorded = await sent_upstream(stage, b"X-A: 1", b"x-a: 2", routed=rules(set=(("X-A", "new"),)))
    assert recorded.all(b"x-a") == [b"new"]


async def test_append_adds_to_what_came(stage: Stage) -> None:
    recorded = await sent_upstream(stage, b"X-A: 1", routed=rules(append=(("X-A", "new"),)))
    assert recorded.all(b"x-a") == [b"1", b"new"]


async def test_remove_comes_before_set_and_append(stage: Stage) -> None:
    routed = rules(remove=("X-A", "X-B"), set=(("X-A", "new"),))
    recorded = await sent_upstream(stage, b"X-A: 1", b"x-b: 2", routed=routed)
    assert (recorded.all(b"x-a"), recorded.all(b"x-b")) == ([b"new"], [])


async def test_empty_value_omits_the_field(stage: Stage) -> None:
    routed = rules(set=(("X-A", ""), ("X-B", "$http_x_missing")), append=(("X-C", "$arg_none"),))
    recorded = await sent_upstream(stage, b"X-A: 1", b"X-B: 2", routed=routed)
    for name in (b"x-a", b"x-b", b"x-c"):
        assert recorded.all(name) == []


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("$host", b"example.test"),
        ("$http_host", b"Example.Test:81"),
        ("$request_method", b"GET"),
        ("$request_uri", b"/a%20b?x=1&y=two"),
        ("$uri", b"/a b"),
        ("$args", b"x=1&y=two"),
        ("$query_string", b"x=1&y=two"),
        ("$is_args", b"?"),
        ("$arg_y", b"two"),
        ("$cookie_user", b"ann"),
        ("$http_x_thing", b"thing"),
        ("$scheme", b"http"),
        ("$server_protocol", b"HTTP/1.1"),
        ("$remote_addr", b"127.0.0.1"),
        ("$server_addr", b"127.0.0.1"),
        ("$proxy_host", b"backend"),
        ("<${host}>-$$", b"<example.test>-$"),
    ],
)
async def test_variable_in_a_rule_has_the_requests_value(
    stage: Stage, template: str, value: bytes
) -> None:
    recorded = await sent_upstream(
        stage,
        b"X-Thing: thing",
        b"Cookie: a=b; user=ann",
        target=b"/a%20b?x=1&y=two",
        host=b"Example.Test:81",
        routed=rules(set=(("X-Out", template),)),
    )
    assert recorded.get(b"x-out") == value


async def test_host_may_be_set_by_a_rule(stage: Stage) -> None:
    recorded = await sent_upstream(stage, routed=rules(set=(("Host", "$proxy_host"),)))
    assert recorded.all(b"host") == [b"backend"]


async def test_rule_that_renders_a_line_break_omits_the_field_and_is_counted(
    stage: Stage,
) -> None:
    origin = stage.origin()
    routed = rules(set=(("X-Out", "$uri"), ("X-After", "1")))
    running = await stage.serve(build_spec(origin.address, routes=[routed]))
    client = await running.connect()
    assert (await client.get(b"/a%0d%0aX-Evil:%20yes")).status == 200
    recorded = origin.requests[0]
    assert recorded.all(b"x-out") == []
    assert recorded.all(b"x-evil") == []
    assert recorded.get(b"x-after") == b"1"
    assert running.route().counters.header_rule_failures == 1


async def test_rules_of_the_response_remove_set_and_append(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"ok", b"Server: secret", b"X-A: 1", b"Vary: a")))
    routed = everything(
        response_headers=ResponseRulesSpec(
            remove=("Server",),
            set=(
                ("X-A", "$status"),
                ("X-Up", "$upstream_http_vary"),
                ("X-Where", "$upstream_addr"),
            ),
            append=(("Vary", "b"),),
        )
    )
    running = await stage.serve(build_spec(origin.address, routes=[routed]))
    answer = await (await running.connect()).get()
    assert answer.get(b"server") is None
    assert answer.get(b"x-a") == b"200"
    assert answer.head.all(b"vary") == [b"a", b"b"]
    assert answer.get(b"x-up") == b"a"
    assert answer.get(b"x-where") == origin.address.encode()


REWRITING = ResponseRulesSpec(
    set=(("X-Always", "$status"),),
    on_success=SuccessRulesSpec(append=(("X-Success", "1"), ("X-Success", "2"))),
    rewrite_location=(SubstitutionSpec(kind="prefix", value="http://inner/", to="/"),),
    absolute_location=True,
    rewrite_cookie_path=(SubstitutionSpec(kind="match", value="^/app(/.*)", to="/$host$1"),),
)


async def test_where_a_client_is_sent_and_whose_a_cookie_is_are_rewritten(stage: Stage) -> None:
    fields = [b"Location: http://inner/x", b"Set-Cookie: a=b; Path=/app/1", b"Refresh: 1;url=x"]
    origin = stage.origin(answers(reply(b"", *fields, status=b"302 Found")))
    routed = everything(response_headers=REWRITING)
    running = await stage.serve(build_spec(origin.address, routes=[routed]))
    client = await running.connect()
    for _ in range(2):  # the second one's head is remembered
        answer = await client.get()
        port = running.address().rpartition(":")[2].encode()
        assert answer.get(b"location") == b"http://example.test:" + port + b"/x"
        assert answer.get(b"set-cookie") == b"a=b; Path=/example.test/1"
        assert answer.get(b"refresh") == b"1;url=x"
        assert answer.get(b"x-always") == b"302"
        assert answer.head.all(b"x-success") == [b"1", b"2"]


async def test_failure_of_the_upstream_has_no_field_of_a_success(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"", status=b"500 Error")))
    routed = everything(response_headers=REWRITING)
    running = await stage.serve(build_spec(origin.address, routes=[routed]))
    answer = await (await running.connect()).get()
    assert answer.get(b"x-always") == b"500"
    assert answer.head.all(b"x-success") == []


async def test_rewritten_value_that_would_break_the_line_is_left_out_and_counted(
    stage: Stage,
) -> None:
    origin = stage.origin(answers(reply(b"", b"Location: /x", status=b"302 Found")))
    rewrite = SubstitutionSpec(kind="prefix", value="/", to="$uri")
    routed = everything(response_headers=ResponseRulesSpec(rewrite_location=(rewrite,)))
    running = await stage.serve(build_spec(origin.address, routes=[routed]))
    client = await running.connect()
    answer = await client.get(b"/a%0d%0aX-Evil:%20yes")
    assert (answer.get(b"location"), answer.get(b"x-evil")) == (None, None)
    assert running.route().counters.header_rule_failures == 1
    assert (await client.get(b"/a/")).get(b"location") == b"/a/x"


async def test_response_fields_pass_in_order_case_and_repetition(stage: Stage) -> None:
    fields = [b"Set-Cookie: a=1", b"set-cookie: b=2", b"X-Z: \xff", b"Date: x", b"Server: y"]
    origin = stage.origin(answers(reply(b"ok", *fields)))
    running = await stage.serve(build_spec(origin.address))
    answer = await (await running.connect()).get()
    passed = [b": ".join(field) for field in answer.head.fields]
    assert [one for one in passed if one in fields] == fields


async def test_reason_phrase_passes(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"", status=b"299 Quite Alright")))
    running = await stage.serve(build_spec(origin.address))
    answer = await (await running.connect()).get()
    assert answer.head.start == b"HTTP/1.1 299 Quite Alright"


# -- Connection and Upgrade by rule, as nginx needs them -------------------------------------------

CONNECTION_UPGRADE = HeaderMapSpec(
    name="connection_upgrade", source="$http_upgrade", default="upgrade", exact=(("", "close"),)
)
MAPPED = route(
    "chat",
    "/chat/",
    request_headers=HeaderRulesSpec(
        set=(("Upgrade", "$http_upgrade"), ("Connection", "$connection_upgrade"))
    ),
)


async def seed(stage: Stage, origin: Origin, routed: RouteSpec) -> Running:
    return await stage.serve(
        build_spec(origin.address, routes=[routed], header_maps=[CONNECTION_UPGRADE])
    )


async def test_mapped_connection_is_upgrade_for_a_websocket(stage: Stage) -> None:
    origin = stage.origin(websocket())
    running = await seed(stage, origin, MAPPED)
    client = await running.connect()
    answer = await client.request(b"GET", b"/chat/", *HANDSHAKE_FIELDS)
    assert answer.status == 101
    head = await origin.head()
    assert head.get(b"connection") == b"upgrade"
    assert head.get(b"upgrade") == b"websocket"


async def test_mapped_connection_is_close_for_plain_http_and_not_pooled(stage: Stage) -> None:
    origin = stage.origin()
    running = await seed(stage, origin, MAPPED)
    client = await running.connect()
    for _ in range(2):
        assert (await client.get(b"/chat/")).closes is False
    assert [one.get(b"connection") for one in origin.requests] == [b"close", b"close"]
    assert [one.conn for one in origin.requests] == [1, 2]
    await origin.closed(1)


async def test_constant_connection_upgrade_on_plain_http_is_sent_as_the_rule_says(
    stage: Stage,
) -> None:
    routed = route(
        "chat",
        "/chat/",
        request_headers=HeaderRulesSpec(
            set=(("Upgrade", "$http_upgrade"), ("Connection", "upgrade"))
        ),
    )
    origin = stage.origin()
    running = await seed(stage, origin, routed)
    client = await running.connect()
    assert (await client.get(b"/chat/")).body == b"ok"
    assert origin.requests[0].get(b"connection") == b"upgrade"
    assert origin.requests[0].get(b"upgrade") is None


async def test_rule_that_says_close_forbids_the_upgrade(stage: Stage) -> None:
    origin = stage.origin()
    routed = rules(set=(("Connection", "close"),))
    running = await stage.serve(build_spec(origin.address, routes=[routed]))
    client = await running.connect()
    assert (await client.request(b"GET", b"/", *HANDSHAKE_FIELDS)).status == 200
    assert origin.requests[0].get(b"connection") == b"close"
    assert origin.requests[0].get(b"upgrade") is None


async def test_close_of_the_client_does_not_reach_the_upstream(stage: Stage) -> None:
    origin = stage.origin()
    running = await stage.serve(build_spec(origin.address))
    for _ in range(2):
        client = await running.connect()
        assert (await client.get(b"/", b"Connection: close")).closes
    assert len(origin.connections) == 1


async def test_http_1_0_upstream_is_said_and_its_connection_not_pooled(stage: Stage) -> None:
    origin = stage.origin()
    old = everything(upstream_http_version="1.0")
    running = await stage.serve(build_spec(origin.address, routes=[old]))
    client = await running.connect()
    for _ in range(2):
        assert (await client.get(b"/a")).status == 200
    assert [one.head.start for one in origin.requests] == [b"GET /a HTTP/1.0"] * 2
    assert len(origin.connections) == 2


async def test_http_1_0_upstream_that_is_asked_to_keep_alive_is_pooled(stage: Stage) -> None:
    origin = stage.origin()
    kept = replace(rules(set=(("Connection", "keep-alive"),)), upstream_http_version="1.0")
    running = await stage.serve(build_spec(origin.address, routes=[kept]))
    client = await running.connect()
    for _ in range(2):
        assert (await client.get()).status == 200
    assert len(origin.connections) == 1


async def test_chunked_body_is_sent_as_http_1_1_to_an_http_1_0_upstream(stage: Stage) -> None:
    origin = stage.origin()
    old = everything(upstream_http_version="1.0")
    running = await stage.serve(build_spec(origin.address, routes=[old]))
    client = await running.connect()
    head = request(b"PUT", b"/", b"Transfer-Encoding: chunked")
    await client.send(head + b"2\r\nab\r\n0\r\n\r\n")
    assert (await client.read_response(b"PUT")).status == 200
    assert (origin.requests[0].head.start, origin.requests[0].body) == (b"PUT / HTTP/1.1", b"ab")


# -- the pool of idle connections -----------------------------------------------------------------


async def test_pool_of_none_idle_opens_one_per_request(stage: Stage) -> None:
    origin = stage.origin()
    none = pool(origin.address, keepalive=KeepaliveSpec(max_idle=0))
    running = await stage.serve(build_spec(pools=[none]))
    client = await running.connect()
    for _ in range(3):
        await client.get()
    assert len(origin.connections) == 3
    for number in range(1, 4):
        await origin.closed(number)


async def test_connection_is_retired_after_its_number_of_requests(stage: Stage) -> None:
    origin = stage.origin()
    two = pool(origin.address, keepalive=KeepaliveSpec(max_requests=2))
    running = await stage.serve(build_spec(pools=[two]))
    client = await running.connect()
    for _ in range(5):
        await client.get()
    assert [one.conn for one in origin.requests] == [1, 1, 2, 2, 3]


async def test_idle_connection_is_closed_at_its_timeout(stage: Stage) -> None:
    origin = stage.origin()
    brief = pool(origin.address, keepalive=KeepaliveSpec(idle_timeout_s=0.2))
    running = await stage.serve(build_spec(pools=[brief]))
    await (await running.connect()).get()
    assert running.endpoint(origin.address).connections_idle == 1
    await origin.closed(1)
    assert running.endpoint(origin.address).connections_idle == 0


async def test_upstreams_keep_alive_timeout_is_honoured(stage: Stage) -> None:
    origin = stage.origin(answers(reply(b"ok", b"Keep-Alive: timeout=1")))
    patient = pool(origin.address, keepalive=KeepaliveSpec(idle_timeout_s=60))
    running = await stage.serve(build_spec(pools=[patient]))
    await (await running.connect()).get()
    await origin.closed(1)


async def test_idle_connections_are_bounded_per_endpoint(stage: Stage) -> None:
    async def wait_for_all(conn: Conn) -> None:
        await conn.next_request()
        await conn.origin.request(4)
        await conn.send(OK)

    origin = stage.origin(wait_for_all)
    two = pool(origin.address, keepalive=KeepaliveSpec(max_idle=2))
    running = await stage.serve(build_spec(pools=[two]))
    clients = [await running.connect() for _ in range(4)]
    for client in clients:
        await client.send(request())
    for client in clients:
        assert (await client.read_response()).status == 200
    assert running.endpoint(origin.address).connections_idle == 2
