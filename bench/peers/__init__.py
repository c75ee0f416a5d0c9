"""The proxies that are compared, a module each.  Another one is another module, named here."""

from __future__ import annotations

from typing import Final

from bench.peers import configurable_http_proxy, envoy, haproxy, hotsplice, nginx, tutorial
from bench.peers.peer import Peer

BASELINE: Final = nginx.PEER.name
"""The one whose figures the others' are divided by."""

PEERS: Final[dict[str, Peer]] = {
    module.PEER.name: module.PEER
    for module in (nginx, hotsplice, haproxy, envoy, configurable_http_proxy, tutorial)
}
"""In the order of the tables."""
