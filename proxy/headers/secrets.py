"""``$secret_NAME``: values that stand in no configuration, only in what is sent.

They are for fields that go upstream and nothing else, so that no log, answer or other variable can
hold one.  Whoever shows what would be sent renders it ``masked``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from proxy.errors import FaultError
from proxy.headers.variables import Getter
from proxy.message import Request

PREFIX: Final = "secret_"


class Secrets(Protocol):
    """Where secrets are."""

    def known(self, name: str) -> bool:
        """Tell whether there is one of that name, now."""

    def value(self, name: str) -> bytes:
        """Return its present value, which may change; empty if it is gone."""


class AnySecret:
    """Every name is taken for one: for checks apart from the process that has them."""

    def known(self, name: str) -> bool:
        """Tell that there is."""
        return True

    def value(self, name: str) -> bytes:
        """Return nothing."""
        return b""


class GivenSecrets:
    """Secrets that never change."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, bytes]) -> None:
        self._values: Final = values

    def known(self, name: str) -> bool:
        """Tell whether there is one of that name."""
        return name in self._values

    def value(self, name: str) -> bytes:
        """Return its value."""
        return self._values.get(name, b"")


class ExpectedSecrets:
    """Secrets of a configuration that has served: one that is missing is no fault, but empty."""

    __slots__ = ("_secrets", "missing")

    def __init__(self, secrets: Secrets) -> None:
        self._secrets: Final = secrets
        self.missing: Final[set[str]] = set()
        """Names of those that were asked for and are none."""

    def known(self, name: str) -> bool:
        """Take note if there is none of that name."""
        if not self._secrets.known(name):
            self.missing.add(name)
        return True

    def value(self, name: str) -> bytes:
        """Return its present value."""
        return self._secrets.value(name)


ANY: Final = AnySecret()
NONE: Final = GivenSecrets({})

_masked = False


@contextmanager
def masked() -> Iterator[None]:
    """Render ``$secret_NAME`` as that text, in whatever is done on this thread meanwhile.

    For the event loop's thread alone, and for what does not wait.
    """
    global _masked
    before, _masked = _masked, True
    try:
        yield
    finally:
        _masked = before


def missing(secrets: Secrets) -> tuple[str, ...]:
    """Say which of the expected ones are missing; one sentence each."""
    if not isinstance(secrets, ExpectedSecrets):
        return ()
    return tuple(
        f"there is no secret {name!r}; nothing is sent in its place"
        for name in sorted(secrets.missing)
    )


def secret(name: str, secrets: Secrets) -> Getter:
    """Return what reads a secret; ``FaultError`` if there is none of that name."""
    if not secrets.known(name):
        raise FaultError(f"there is no secret {name!r}", "a file of that name in --secrets-dir")
    shown = f"${PREFIX}{name}".encode()

    def get(request: Request) -> bytes:
        return shown if _masked else secrets.value(name)

    return get
