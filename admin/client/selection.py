"""Which connections are meant: the same flags for lists and for drains."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any, Final

FLAGS: Final = (
    ("kind", "KIND", "http, websocket or tunnel"),
    ("listener", "LISTENER", "that they came to"),
    ("route", "ROUTE", "that they took"),
    ("pool", "POOL", "that they went to"),
    ("endpoint", "ENDPOINT", "name or address"),
    ("label", "KEY=VALUE", "of the endpoint, as in node=n7"),
    ("min_age", "TIME", "at least so old, as in 10m"),
    ("min_idle", "TIME", "nothing came for at least so long"),
)
"""Names, as the API has them, what they hold, and what that means."""


def add_selection(parser: ArgumentParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("which connections; all that is given has to hold")
    for name, metavar, help_ in FLAGS:
        group.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=help_)


def selection(arguments: Namespace) -> dict[str, str]:
    """Return what is selected, by the API's names; empty if nothing was said."""
    given: dict[str, Any] = {name: getattr(arguments, name) for name, _, _ in FLAGS}
    return {name: value for name, value in given.items() if value is not None}
