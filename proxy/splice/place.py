"""Where a connection belongs: what people ask about it, as it was when it was made."""

from __future__ import annotations

from typing import Final

from proxy.message import Peer
from proxy.spec import Pairs


class Place:
    """Words only: nothing of a configuration outlives it in a splice."""

    __slots__ = ("endpoint", "endpoint_address", "labels", "listener", "ordinal", "peer", "pool",
                 "request_id", "revision", "route")  # fmt: skip

    def __init__(
        self,
        peer: Peer,
        listener: str,
        route: str,
        pool: str,
        endpoint: str,
        endpoint_address: str,
        labels: Pairs = (),
        revision: int = 0,
        request_id: bytes = b"",
        ordinal: int = 1,
    ) -> None:
        self.peer: Final = peer
        self.listener: Final = listener
        self.route: Final = route
        self.pool: Final = pool
        self.endpoint: Final = endpoint
        """The endpoint's name."""
        self.endpoint_address: Final = endpoint_address
        self.labels: Final = labels
        """The endpoint's labels."""
        self.revision: Final = revision
        self.request_id: Final = request_id
        self.ordinal: Final = ordinal
        """Which request of its connection became this."""
