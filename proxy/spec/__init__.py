"""What to run: the configuration as frozen plain data.

This is the middle of the three representations of a configuration.  ``admin`` translates its
documents into these dataclasses, ``proxy.snapshot`` compiles them, and whoever embeds
``proxy.Server`` writes them by hand.  They are picklable, compare by value (a swap reuses whatever
compares equal), hold no behaviour and import nothing of ours.

Durations are seconds (``_s``), sizes are octets (``_bytes``), and ``None`` where it is allowed
means "no limit" or "off"; the number 0 never does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from proxy.spec.header_map import HeaderMapSpec, RegexEntry
from proxy.spec.header_rules import (
    HeaderRulesSpec,
    ResponseRulesSpec,
    SubstitutionKind,
    SubstitutionSpec,
    SuccessRulesSpec,
)
from proxy.spec.listener import (
    ClientAddressSpec,
    ListenerLimits,
    ListenerSpec,
    ListenerTimeouts,
    LogEscape,
    LogSpec,
    PathsMode,
)
from proxy.spec.pairs import Pairs
from proxy.spec.pool import (
    BalanceKind,
    BalanceSpec,
    DiscoverySpec,
    DnsRecords,
    DnsSpec,
    DrainSpec,
    EndpointSpec,
    EndpointState,
    KeepaliveSpec,
    OnRemoval,
    Overrides,
    OverrideSpec,
    PassiveHealthSpec,
    PoolSpec,
    PoolTimeouts,
    RetrySpec,
)
from proxy.spec.route import (
    INHERIT,
    ClientTimeouts,
    HttpVersion,
    PathKind,
    PathSpec,
    RouteSpec,
    RouteTimeouts,
    TunnelSpec,
)
from proxy.spec.steps import (
    SILENCE,
    AccessRuleSpec,
    AnswerSpec,
    ConditionSpec,
    ConditionTest,
    ErrorPageSpec,
    RewriteSpec,
    RewriteThen,
    StepSpec,
)

__all__ = [
    "EMPTY",
    "INHERIT",
    "SILENCE",
    "AccessRuleSpec",
    "AnswerSpec",
    "BalanceKind",
    "BalanceSpec",
    "ClientAddressSpec",
    "ClientTimeouts",
    "ConditionSpec",
    "ConditionTest",
    "DiscoverySpec",
    "DnsRecords",
    "DnsSpec",
    "DrainSpec",
    "EndpointSpec",
    "EndpointState",
    "ErrorPageSpec",
    "HeaderMapSpec",
    "HeaderRulesSpec",
    "HttpVersion",
    "KeepaliveSpec",
    "ListenerLimits",
    "ListenerSpec",
    "ListenerTimeouts",
    "LogEscape",
    "LogSpec",
    "OnRemoval",
    "OverrideSpec",
    "Overrides",
    "Pairs",
    "PassiveHealthSpec",
    "PathKind",
    "PathSpec",
    "PathsMode",
    "PoolSpec",
    "PoolTimeouts",
    "RegexEntry",
    "ResponseRulesSpec",
    "RetrySpec",
    "RewriteSpec",
    "RewriteThen",
    "RouteSpec",
    "RouteTimeouts",
    "Spec",
    "StepSpec",
    "SubstitutionKind",
    "SubstitutionSpec",
    "SuccessRulesSpec",
    "TunnelSpec",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A whole configuration: named objects, each under its own name."""

    listeners: Mapping[str, ListenerSpec] = field(default_factory=dict)
    pools: Mapping[str, PoolSpec] = field(default_factory=dict)
    header_maps: Mapping[str, HeaderMapSpec] = field(default_factory=dict)
    routes: Mapping[str, RouteSpec] = field(default_factory=dict)


EMPTY: Final = Spec()
