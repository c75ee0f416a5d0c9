"""Where a connection belongs: what people ask about it, as it was when it was made."""

from __future__ import annotations

from typing import Final

from proxy.spec import Pairs


class Place:
    """Words only: nothing of a configuration outlives it in a splice."""

    __slots__ = (
        "client", "endpoint", "endpoint_address", "endpoint_key", "labels", "listener", "ordinal",
        "pool", "request_id", "revision", "route", "serial", "server",
    )  # fmt: skip

    def __init__(
        self,
        serial: int,
        client: str,
        server: str,
        listener: str,
        route: str,
        pool: str,
        endpoint: str,
        endpoint_address: str,
        labels: Pairs = (),
        revision: int = 0,
        request_id: bytes = b"",
        ordinal: int = 1,
        endpoint_key: str | None = None,
    ) -> None:
        self.serial: Final = serial
        """Number of the client's connection within this process."""
        self.client: Final = client
        """Address of the client's end: ``host:port``, ``[v6]:port`` or ``unix:``."""
        self.server: Final = server
        """Our own address that it came to."""
        self.listener: Final = listener
        self.route: Final = route
        self.pool: Final = pool
        self.endpoint: Final = endpoint
        """The endpoint's name."""
        self.endpoint_address: Final = endpoint_address
        self.endpoint_key: Final = endpoint_address if endpoint_key is None else endpoint_key
        """Which of the endpoints with that address, where there are several."""
        self.labels: Final = labels
        """The endpoint's labels."""
        self.revision: Final = revision
        self.request_id: Final = request_id
        self.ordinal: Final = ordinal
        """Which request of its connection became this."""
