"""Fields that concern one connection only and are never passed on (RFC 9110, 7.6.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from proxy.message import Fields

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Lower-case names, in both directions.  ``Expect`` and ``Transfer-Encoding`` are made anew."""

REMEMBERED_VALUES: Final = 256
"""Values of ``Connection`` whose meaning is remembered; clients send very few."""

_SHORT: Final = 64  # octets of a value worth remembering
_END_TO_END: Final = frozenset({b"content-length", b"host"})
_NONE: Final[frozenset[bytes]] = frozenset()


def named_by_connection(fields: Fields) -> frozenset[bytes]:
    """Return the lower-case names that the ``Connection`` fields of a message name.

    Options that are no field (``close``) are among them and do no harm.
    """
    named = _NONE
    for name, value in fields:
        if len(name) == 10 and name.lower() == b"connection":
            named = named | connection_options(value) if named else connection_options(value)
    return named


def connection_options(value: bytes) -> frozenset[bytes]:
    """Return the lower-case options of one ``Connection`` value (RFC 9110, 7.6.1).

    ``Host`` and ``Content-Length`` are left out: without them a message is another one, and a
    client must not be able to take them off behind our back.
    """
    return _remembered(value) if len(value) <= _SHORT else _options(value)


def _options(value: bytes) -> frozenset[bytes]:
    options = (option.strip(b" \t") for option in value.lower().split(b","))
    return frozenset(option for option in options if option) - _END_TO_END


_remembered = lru_cache(maxsize=REMEMBERED_VALUES)(_options)
