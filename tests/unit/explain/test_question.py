"""Requests as they are asked about, and the listener that takes them."""

from __future__ import annotations

import pytest

from proxy.errors import FaultError
from proxy.explain.inquiry import stand_ins
from proxy.explain.question import choose_listener, question
from proxy.spec import Spec
from tests.peers import build_spec
from tests.peers.specs import listener


@pytest.mark.parametrize(
    ("url", "head"),
    [
        ("/a?b", b"GET /a?b HTTP/1.1\r\n\r\n"),
        ("//a/../b", b"GET //a/../b HTTP/1.1\r\n\r\n"),
        ("http://h/a", b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("HTTP://h:81/a#part", b"GET /a HTTP/1.1\r\nHost: h:81\r\n\r\n"),
        ("https://h", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("http://h?x", b"GET /?x HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("http://[::1]:81/%2F", b"GET /%2F HTTP/1.1\r\nHost: [::1]:81\r\n\r\n"),
    ],
)
def test_url_becomes_the_head_of_a_request(url: str, head: bytes) -> None:
    assert question("GET", url).head == head


def test_host_that_is_given_stands_in_for_that_of_the_url() -> None:
    asked = question("GET", "http://127.0.0.1:81/", [("host", "example.org"), ("A", "é")])
    assert asked.head == b"GET / HTTP/1.1\r\nhost: example.org\r\nA: \xc3\xa9\r\n\r\n"
    assert (asked.authority, asked.port) == ("127.0.0.1", 81)


def test_websocket_url_asks_for_an_upgrade() -> None:
    head = question("GET", "ws://h/chat").head
    assert b"Upgrade: websocket\r\n" in head
    assert b"Connection: Upgrade\r\n" in head
    assert head.count(b"Upgrade: ") == question("GET", "ws://h/", [("Upgrade", "x")]).head.count(
        b"Upgrade: "
    )


@pytest.mark.parametrize(
    ("method", "url", "headers", "client"),
    [
        ("G T", "/", [], None),
        ("", "/", [], None),
        ("GET", "a", [], None),
        ("GET", "ftp://a/", [], None),
        ("GET", "http:///a", [], None),
        ("GET", "http://a:b/", [], None),
        ("GET", "http://u:p@a/", [], None),
        ("GET", "/a\r\nX: y", [], None),
        ("GET", "/", [("X Y", "z")], None),
        ("GET", "/", [("X", "z\r\nY: z")], None),
        ("GET", "/", [("X", "\0")], None),
        ("GET", "/", [], "localhost"),
        ("GET", "/", [], "1.2.3.4:x"),
        ("GET", "/", [], "name:80"),
    ],
)
def test_what_no_client_could_send_is_a_fault(
    method: str, url: str, headers: list[tuple[str, str]], client: str | None
) -> None:
    with pytest.raises(FaultError):
        question(method, url, headers, client=client)


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        (None, "127.0.0.1", 0),
        ("192.0.2.1", "192.0.2.1", 0),
        ("192.0.2.1:99", "192.0.2.1", 99),
        ("2001:db8::1", "2001:db8::1", 0),
        ("[2001:db8::1]:99", "2001:db8::1", 99),
        ("unix:", "unix:", 0),
    ],
)
def test_client_is_an_address_with_or_without_port(
    text: str | None, address: str, port: int
) -> None:
    asked = question("GET", "/", client=text)
    assert (asked.client, asked.client_port) == (address, port)


def spec(**binds: str) -> Spec:
    return build_spec(listeners=[listener(name, bind) for name, bind in binds.items()])


BOTH = spec(public="0.0.0.0:80", private="127.0.0.1:81", unix="unix:/run/x.sock")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://example.org/", "public"),
        ("ws://example.org/", "public"),
        ("http://example.org:81/", "private"),
        ("http://127.0.0.1:81/", "private"),
    ],
)
def test_port_and_host_of_the_url_choose_the_listener(url: str, name: str) -> None:
    choice, _ = choose_listener(question("GET", url), BOTH, {})
    assert choice.name == name
    assert "URL" in choice.why


def test_exact_address_wins_over_all_addresses_at_the_same_port() -> None:
    two = spec(wide="0.0.0.0:80", narrow="127.0.0.2:80")
    choice, at = choose_listener(question("GET", "http://127.0.0.2/"), two, {})
    assert (choice.name, at.text) == ("narrow", "127.0.0.2:80")
    choice, _ = choose_listener(question("GET", "http://a.org/"), two, {})
    assert choice.name == "wide"


def test_port_that_the_kernel_chose_counts() -> None:
    bound = {"public": "0.0.0.0:4711"}
    choice, at = choose_listener(
        question("GET", "http://h:4711/"), spec(public="0.0.0.0:0", other="0.0.0.0:1"), bound
    )
    assert (choice.name, at.port) == ("public", 4711)


def test_only_listener_is_taken_whatever_the_url_says() -> None:
    choice, _ = choose_listener(question("GET", "https://h/"), spec(a="127.0.0.1:5"), {})
    assert (choice.name, choice.why) == ("a", "it is the only one")


def test_listener_may_be_named() -> None:
    asked = question("GET", "http://h:80/", listener="unix")
    choice, at = choose_listener(asked, BOTH, {})
    assert (choice.name, at.kind) == ("unix", "unix")


@pytest.mark.parametrize("asked", [question("GET", "/"), question("GET", "/", listener="nope")])
def test_listener_that_nobody_can_tell_is_a_fault_that_lists_them(asked: object) -> None:
    with pytest.raises(FaultError) as caught:
        choose_listener(asked, BOTH, {})  # type: ignore[arg-type]
    assert "public (0.0.0.0:80)" in (caught.value.hint or "")
    with pytest.raises(FaultError):
        choose_listener(question("GET", "http://h/"), spec(), {})


def test_names_stand_for_themselves_unless_they_are_known() -> None:
    names = build_spec("app:80", "db:81", "127.0.0.1:82", "bad address")
    assert stand_ins(names, {"db:81": ("10.0.0.1:81",)}) == {
        "app:80": ("app:80",),
        "db:81": ("10.0.0.1:81",),
    }
