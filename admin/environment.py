"""The one place where the environment is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

CERTIFICATES: Final = "SSL_CERT_FILE"
"""Where OpenSSL looks for whom to trust."""


def environment() -> Mapping[str, str]:
    """Return the process's environment."""
    return os.environ


def without_plugins() -> None:
    """Have pydantic not look into every installed package for plugins, at each start."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


@contextmanager
def without_certificates() -> Iterator[None]:
    """Have nobody read the system's certificates.

    aiohttp makes its client ready for TLS when it is imported, twice: 50 ms and 2 MB, for nothing,
    because nobody here is such a client.
    """
    before = os.environ.get(CERTIFICATES)
    os.environ[CERTIFICATES] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ[CERTIFICATES]
        else:
            os.environ[CERTIFICATES] = before
