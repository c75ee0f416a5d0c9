"""Answers of the proxy itself that a configuration asks for (nginx ``return``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from proxy.errors import Fault
from proxy.headers.template import Scope, Template, asks_response, compile_at
from proxy.message import NO_HEADERS, Request, Response
from proxy.spec import AnswerSpec

LEAST_STATUS: Final = 200
MOST_STATUS: Final = 599

_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
_UNSAFE: Final = re.compile(rb"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, ready to be written."""

    status: int
    body: bytes | None = None
    """``None``: the usual short text for an error."""
    content_type: bytes = b"text/plain"
    location: bytes | None = None


class AnswerPlan:
    """An answer, compiled."""

    __slots__ = ("_asks", "_body", "_content_type", "_location", "status")

    def __init__(
        self,
        status: int,
        body: Template | None,
        content_type: bytes,
        location: Template | None,
        *,
        asks_response: bool = False,
    ) -> None:
        self.status: Final = status
        self._asks: Final = asks_response
        self._body: Final = body
        self._content_type: Final = content_type
        self._location: Final = location

    def render(self, request: Request) -> Answer:
        """Return the answer to a request."""
        body, location = self._body, self._location
        if self._asks:
            _begin(request, self.status)
        return Answer(
            self.status,
            None if body is None else body.render(request),
            self._content_type,
            None if location is None else safe_location(location.render(request)),
        )


def _begin(request: Request, status: int) -> None:
    """Let the status be the answer's, unless that is the page of an error with one of its own."""
    led = request.response
    if led is None:
        request.response = Response(status, (), NO_HEADERS)
    elif not led.status:
        request.response = Response(status, led.fields, led.headers, led.attempts)


def safe_location(text: bytes) -> bytes:
    """Escape what no field value, and no URI, may hold: decoded paths can have any octet."""
    return _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], text)


def compile_answer(spec: AnswerSpec, scope: Scope, path: str, faults: list[Fault]) -> AnswerPlan:
    """Compile the answer found at ``path``; what is wrong with it is added to ``faults``."""
    body = location = None
    if not LEAST_STATUS <= spec.status <= MOST_STATUS:
        hint = f"from {LEAST_STATUS} to {MOST_STATUS}"
        faults.append(Fault(f"{path}/status", f"{spec.status} is no status of an answer", hint))
    if _UNPRINTABLE.search(spec.content_type):
        faults.append(Fault(f"{path}/type", "a field value is one line of printable ASCII"))
    if spec.body is not None:
        body = compile_at(spec.body, scope, f"{path}/body", faults, lines=True)
    if spec.location is not None:
        location = compile_at(spec.location, scope, f"{path}/location", faults)
    asks = any(each is not None and asks_response(each, scope) for each in (body, location))
    media = spec.content_type.encode("ascii", "replace")
    return AnswerPlan(spec.status, body, media, location, asks_response=asks)
