"""Where a request is led other than its target says: by steps, and by error pages.

Most requests never have a detour, and pay for none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.errors import Failure
    from proxy.exchange.exchange import Exchange
    from proxy.message import Fields
    from proxy.route import Route


class Detour:
    """What is to be remembered of one."""

    __slots__ = (
        "answered", "began", "bodiless", "challenge", "failure", "inside", "method", "moved",
        "paged", "prelude", "reroutes", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.prelude: Route | None = None
        """Whose rules hold as long as no route is found."""
        self.reroutes = 0
        self.moved = False
        """Path or query are not those that the client sent."""
        self.inside = False
        """Not the client, but a rewrite or an error page led to the present path."""
        self.paged = False
        """An error page takes the place of an error, and no other takes its own."""
        self.status: int | None = None
        """What the client sees instead of the status of the error page."""
        self.failure: Failure | None = None
        """The error that led to the page."""
        self.challenge: Fields = ()
        """The ``WWW-Authenticate`` fields of a 401 in whose place the page stands: they go with it,
        as in nginx."""
        self.answered = 0
        """The status with which the page's upstream answered."""
        self.began: float | None = None
        """When the present route began, if that was later than the request (monotonic seconds)."""
        self.bodiless = False
        """The request goes on without the body that the client sends."""
        self.method: bytes | None = None
        """What the client asked for, if the request goes on as something else."""


def detour_of(exchange: Exchange) -> Detour:
    """Return the exchange's detour, made if there is none yet."""
    if exchange.detour is None:
        exchange.detour = Detour()
    return exchange.detour


def rules_route(exchange: Exchange) -> Route | None:
    """Return the route whose error pages and response rules hold."""
    if exchange.route is not None or exchange.detour is None:
        return exchange.route
    return exchange.detour.prelude
