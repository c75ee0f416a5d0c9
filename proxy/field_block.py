"""Field blocks: what a request's head says behind its target, and what was made of that.

Clients that poll, browse and call send the same version and fields again and again, with another
path each time.  So this part of a head is understood once, and remembered by its octets; and what a
route makes of the fields alone is kept with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDictProxy

if TYPE_CHECKING:
    from proxy.message import Request

BLOCKS: Final = 256
"""Blocks that a listener remembers; more begin the memory anew."""

PASSAGES: Final = 32
"""Ways upstream that are remembered of a block; more begin anew."""

BLOCK_BYTES: Final = 2048
"""Longer blocks are understood each time."""

Fields = tuple[tuple[bytes, bytes], ...]
"""Header fields as they came: order, case and repetition kept."""


Way = tuple[int, bytes, bool]
"""Number of a compiled route, which a block must not keep alive; name of the pool; whether the peer
is a trusted proxy.  What a request's rules may ask for beyond these and its fields, differs between
requests."""


class Passage:
    """A field block on its way upstream: a head but for target and lines that tell who forwards."""

    __slots__ = ("before", "behind", "between", "more", "persistent", "set", "upgrade")

    def __init__(self, upgrade: bytes, *, persistent: bool) -> None:
        self.before = b""
        """From the version on."""
        self.set: Callable[[Request], bytes] | None = None
        """Renders lines that differ from request to request, if there are any."""
        self.between = b""
        """From there to the lines that tell who forwards."""
        self.behind = b""
        """From these on."""
        self.more: Callable[[Request], bytes] | None = None
        """Renders what differs and comes last."""
        self.upgrade: Final = upgrade
        """Protocol that the final request asks to upgrade to, or empty."""
        self.persistent: Final = persistent
        """It does not ask for the end of the connection (RFC 9112, 9.3)."""


class FieldBlock:
    """The version and the fields of a request; ``None`` for what they do not say."""

    __slots__ = (
        "authority", "chunked", "connection", "content_length", "expects_continue", "fields",
        "has_odd_names", "has_underscores", "headers", "host", "keep_alive", "passages",
        "upgrade", "version_minor",
    )  # fmt: skip

    def __init__(
        self,
        fields: Fields,
        headers: CIMultiDictProxy[str],
        version_minor: int,
        *,
        keep_alive: bool,
    ) -> None:
        self.fields: Final = fields
        self.headers: Final = headers
        """The same fields for look-ups by name; values decoded as UTF-8 with surrogateescape."""
        self.version_minor: Final = version_minor
        """0 or 1, of HTTP/1.x."""
        self.keep_alive: Final = keep_alive
        """Another request may follow."""
        self.authority = b""
        """The ``Host`` as sent; empty if there is none."""
        self.host: bytes | None = None
        """The same in lower case, without port."""
        self.connection = b""
        """All values of ``Connection``, comma-separated."""
        self.upgrade = b""
        """Protocol that the client asks to upgrade to, as it was spelled."""
        self.content_length: int | None = None
        self.chunked = False
        self.expects_continue = False
        self.has_odd_names = False
        """A field has a name of the kind ``ODD``."""
        self.has_underscores = False
        """A field's name has an underscore."""
        self.passages: Final[dict[Way, Passage | None]] = {}
        """By the ways that such requests took; only what comes again is worth one."""
