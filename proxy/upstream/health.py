"""Passive health: when failures take an endpoint out, and when it is back.

The thresholds are nginx's (``max_fails``, ``fail_timeout``; ``free_round_robin_peer``).  ``fails``
counts failures; at ``max_fails`` the endpoint is out until ``fail_timeout`` has passed since the
last one.  The first pick after a ``fail_timeout`` is a check, during which nobody else is let in;
its success clears ``fails``, its failure prolongs the ejection.  Every failure also lowers the
effective weight by weight / max_fails.

The functions report flips, so that callers say only what changed.
"""

from __future__ import annotations

from proxy.upstream.endpoint import Member


def ejected(member: Member, now: float) -> bool:
    """Tell whether failures keep the member out at ``now`` (monotonic seconds)."""
    endpoint = member.endpoint
    return (
        0 < member.max_fails <= endpoint.fails and now - endpoint.checked <= member.fail_timeout_s
    )


def failed(member: Member, now: float) -> bool:
    """Count a failure.  Return whether it took the member out."""
    if not member.max_fails:
        return False
    endpoint = member.endpoint
    was_out = ejected(member, now)
    endpoint.fails += 1
    endpoint.accessed = endpoint.checked = now
    endpoint.penalty = min(member.weight, endpoint.penalty + member.weight // member.max_fails)
    return not was_out and endpoint.fails >= member.max_fails


def picked(member: Member, now: float) -> None:
    """Note a pick; the first one after a ``fail_timeout`` begins a check."""
    endpoint = member.endpoint
    if endpoint.fails and now - endpoint.checked > member.fail_timeout_s:
        endpoint.checked = now


def succeeded(member: Member) -> bool:
    """Count a success.  Return whether it ended a series that had taken the member out."""
    endpoint = member.endpoint
    if not endpoint.fails or endpoint.accessed >= endpoint.checked:
        return False
    was_marked = 0 < member.max_fails <= endpoint.fails
    endpoint.fails = 0
    return was_marked
