"""The round-robin of nginx 1.22.1, line by line: what ours must be indistinguishable from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(eq=False)
class Peer:
    """``ngx_http_upstream_rr_peer_t``, with times in float seconds."""

    name: str
    weight: int = 1
    max_fails: int = 1
    fail_timeout: float = 10.0
    max_conns: int = 0
    effective_weight: int = 0
    current_weight: int = 0
    conns: int = 0
    fails: int = 0
    accessed: float = 0.0
    checked: float = 0.0

    def __post_init__(self) -> None:
        self.effective_weight = self.weight

    def out(self, now: float) -> bool:
        return bool(
            self.max_fails
            and self.fails >= self.max_fails
            and now - self.checked <= self.fail_timeout
        )


def get_peer(peers: list[Peer], now: float, tried: Collection[Peer] = ()) -> Peer | None:
    """``ngx_http_upstream_get_peer``."""
    best: Peer | None = None
    total = 0
    for peer in peers:
        if peer in tried or peer.out(now):
            continue
        if peer.max_conns and peer.conns >= peer.max_conns:
            continue
        peer.current_weight += peer.effective_weight
        total += peer.effective_weight
        if peer.effective_weight < peer.weight:
            peer.effective_weight += 1
        if best is None or peer.current_weight > best.current_weight:
            best = peer
    if best is None:
        return None
    best.current_weight -= total
    if now - best.checked > best.fail_timeout:
        best.checked = now
    return best


def free_peer(peer: Peer, now: float, *, failed: bool) -> None:
    """``ngx_http_upstream_free_round_robin_peer``, for a pool of several."""
    if failed:
        peer.fails += 1
        peer.accessed = now
        peer.checked = now
        if peer.max_fails:
            peer.effective_weight -= peer.weight // peer.max_fails
        peer.effective_weight = max(0, peer.effective_weight)
    elif peer.accessed < peer.checked:
        peer.fails = 0
