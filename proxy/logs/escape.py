r"""How values are kept from being misread in a log line: nginx's three ways.

``default`` writes ``\xHH`` for quotes, backslashes and all that is not printable ASCII, so a line
stays one line of text; ``json`` writes what a JSON string needs, so octets that are not UTF-8 stay
as they are; ``none`` leaves values alone, but for what would end or cut a line, which in nginx
passes.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.spec import LogEscape

_HEX: Final = {bytes([octet]): b"\\x%02X" % octet for octet in range(256)}
_JSON: Final = {bytes([octet]): b"\\u%04X" % octet for octet in range(32)} | {
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
    b"\b": b"\\b",
    b"\f": b"\\f",
    b'"': b'\\"',
    b"\\": b"\\\\",
}


class Escape:
    """One way; ``absent`` stands for a value that is not there, as opposed to an empty one."""

    __slots__ = ("_substitute", "_table", "absent", "safe")

    def __init__(self, pattern: bytes, table: dict[bytes, bytes], absent: bytes = b"") -> None:
        compiled = re.compile(pattern)
        self._table: Final = table
        self._substitute: Final = compiled.sub
        every = (bytes([octet]) for octet in range(256))
        self.safe: Final = b"".join(one for one in every if compiled.match(one) is None)
        """Octets that are written as they are: ``value.translate(None, safe)`` has the others, and
        is the fastest way to see if there are any."""
        self.absent: Final = absent

    def __call__(self, value: bytes) -> bytes:
        """Return the value as it is written."""
        return self._substitute(lambda found: self._table[found[0]], value)


ESCAPES: Final[dict[LogEscape, Escape]] = {
    "default": Escape(rb'[\x00-\x1f"\\\x7f-\xff]', _HEX, absent=b"-"),
    "json": Escape(rb'[\x00-\x1f"\\]', _JSON),
    "none": Escape(rb"[\r\n\x00]", _HEX),
}
