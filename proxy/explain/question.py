"""What is asked: a request that nobody sends, and the listener that would take it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from proxy.addresses import Address, parse_address
from proxy.errors import FaultError
from proxy.explain.explanation import ListenerChoice
from proxy.spec import Spec

PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
"""Schemes that are understood, with their ports; a listener itself speaks plain HTTP."""

LOOPBACK: Final = "127.0.0.1"
"""Who asks, unless it is said."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNFIT: Final = re.compile(r"[\x00\r\n]")
_ANYWHERE: Final = frozenset({"0.0.0.0", "::", ""})
_URL: Final = re.compile(r"(?i:(https?|wss?))://([^/?#@]+)([^#]*)(?:#.*)?")
_HANDSHAKE: Final = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)


class QuestionError(FaultError):
    """Nobody can tell; ``place`` is the part of the question that is at fault."""

    def __init__(self, place: str, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.place: Final = place


Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """A request, as octets, and who sends it."""

    head: bytes
    authority: str
    """Host and port of the URL, empty if it has none."""
    port: int
    listener: str | None = None
    """The listener to take; ``None``: the URL chooses it."""
    client: str = LOOPBACK
    client_port: int = 0


def question(
    method: str,
    url: str,
    headers: Headers = (),
    *,
    client: str | None = None,
    listener: str | None = None,
) -> Question:
    """Write a request.  Raise ``QuestionError`` for what no client could send.

    ``client`` is an IP address, with a port if need be, or ``unix:``.
    """
    given = tuple(headers)
    if not _TOKEN.fullmatch(method):
        raise QuestionError("method", f"{method!r} is not a method", "GET, for example")
    for name, value in given:
        if not _TOKEN.fullmatch(name) or _UNFIT.search(value):
            raise QuestionError(
                "headers", f"{name!r} is not a header field", "Name: value, on one line"
            )
    scheme, authority, target = _split(url)
    fields = [*given]
    names = {name.lower() for name, _ in given}
    if authority and "host" not in names:
        fields.insert(0, ("Host", authority))
    if scheme in ("ws", "wss") and "upgrade" not in names:
        fields += _HANDSHAKE
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("utf-8", "surrogateescape")
    host, port = _host_and_port(scheme, authority)
    address, client_port = _client(client)
    return Question(head, host, port, listener, address, client_port)


def _split(url: str) -> tuple[str, str, str]:
    """Return scheme, authority and target of a URL, as they stand; of a path, the target alone."""
    if _UNFIT.search(url):
        raise QuestionError("url", "a URL holds no line break")
    if url.startswith("/"):
        return "", "", url
    found = _URL.fullmatch(url)
    if found is None:
        raise QuestionError("url", f"{url!r} is not a URL", "http://host:port/path, or a path")
    target = found[3]
    return found[1].lower(), found[2], target if target.startswith("/") else f"/{target}"


def _host_and_port(scheme: str, authority: str) -> tuple[str, int]:
    if not authority:
        return "", 0
    bare = authority.endswith("]") or ":" not in authority
    port = PORTS[scheme]
    try:
        address = parse_address(f"{authority}:{port}" if bare else authority)
    except FaultError as error:
        raise QuestionError("url", f"{authority!r} is no host with a port", error.hint) from None
    return address.host, address.port


def _client(text: str | None) -> tuple[str, int]:
    if text is None:
        return LOOPBACK, 0
    if text == "unix:":
        return text, 0
    try:
        return str(ip_address(text)), 0
    except ValueError:
        pass
    try:
        address = parse_address(text)
        return str(ip_address(address.host)), address.port
    except ValueError:
        hint = "192.0.2.7, 192.0.2.7:5000, [2001:db8::1]:5000 or unix:"
        raise QuestionError("client", f"{text!r} is not the address of a client", hint) from None


def choose_listener(
    asked: Question, spec: Spec, addresses: Mapping[str, str]
) -> tuple[ListenerChoice, Address]:
    """Return the listener that takes a request, and where it is bound.

    ``addresses`` are those where listeners are bound by now, by name.  Raise ``QuestionError`` if
    the URL does not say which one is meant.
    """
    bound = {
        name: parse_address(addresses.get(name, one.bind), any_port=True)
        for name, one in spec.listeners.items()
    }
    name, why = _chosen(asked, bound)
    return ListenerChoice(name, why), bound[name]


def _chosen(asked: Question, bound: Mapping[str, Address]) -> tuple[str, str]:
    if asked.listener is not None:
        if asked.listener not in bound:
            raise QuestionError(
                "listener", f"there is no listener {asked.listener!r}", _known(bound)
            )
        return asked.listener, "it was asked for by name"
    if asked.authority:
        fits = {
            name: at for name, at in bound.items() if at.kind == "tcp" and at.port == asked.port
        }
        exact = [name for name, at in fits.items() if at.host == asked.authority]
        if len(exact) == 1:
            return exact[0], f"it is bound to {bound[exact[0]]}, as in the URL"
        wide = [name for name, at in fits.items() if at.host in _ANYWHERE] or list(fits)
        if len(wide) == 1:
            return wide[0], f"it is the one at port {asked.port}, as in the URL"
    if len(bound) == 1:
        return next(iter(bound)), "it is the only one"
    if not bound:
        raise QuestionError("listener", "there is no listener", "nothing is served")
    raise QuestionError("listener", "the URL does not say which listener is meant", _known(bound))


def _known(bound: Mapping[str, Address]) -> str:
    return "name one: " + ", ".join(f"{name} ({at})" for name, at in sorted(bound.items()))
