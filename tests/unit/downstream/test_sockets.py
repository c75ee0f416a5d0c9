"""Listening sockets, as the kernel has them."""

from __future__ import annotations

import socket

from proxy.addresses import parse_address
from proxy.downstream.sockets import Sockets


def test_what_is_accepted_is_watched_by_the_kernel_for_a_peer_that_vanished() -> None:
    sockets = Sockets()
    with sockets.bind(parse_address("127.0.0.1:0", any_port=True)) as bound:
        sockets.listen(bound)
        with socket.create_connection(bound.getsockname()):
            bound.setblocking(True)
            accepted, _ = bound.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
