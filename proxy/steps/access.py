"""Who is let in (nginx ``allow`` and ``deny``): the first rule that names the client decides."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Final

from proxy.errors import Fault, FaultError, pointer
from proxy.networks import Networks
from proxy.spec import AccessRuleSpec

ADDRESSES: Final = 4096
"""Clients whose verdict is remembered, per route; one more and the memory begins anew."""


class Access:
    """Some access rules, compiled: rules of one kind that follow each other are one set."""

    __slots__ = ("_rules", "_verdicts")

    def __init__(self, rules: Iterable[tuple[bool, Networks]]) -> None:
        self._rules: Final = tuple(rules)
        self._verdicts: Final[dict[bytes, bool]] = {}

    def allows(self, address: bytes) -> bool:
        """Tell whether a client is let in; ``address`` as in ``Request.client_ip``."""
        verdict = self._verdicts.get(address)
        if verdict is None:
            if len(self._verdicts) >= ADDRESSES:
                self._verdicts.clear()
            rule = self.deciding(address)
            verdict = self._verdicts[address] = rule is None or self._rules[rule][0]
        return verdict

    def deciding(self, address: bytes) -> int | None:
        """Return the number of the rule that decides on a client; ``None``: no rule names it."""
        for number, (_, networks) in enumerate(self._rules):
            if networks.find(address):
                return number
        return None


def compile_access(specs: Iterable[AccessRuleSpec], path: str, faults: list[Fault]) -> Access:
    """Compile the rules found at ``path``; what is wrong with them is added to ``faults``."""
    sound: list[AccessRuleSpec] = []
    for number, spec in enumerate(specs):
        try:
            Networks(spec.networks)
        except FaultError as error:
            kind = "allow" if spec.allows else "deny"
            faults.append(Fault(path + pointer(number, kind), error.message, error.hint))
        else:
            sound.append(spec)
    return Access(
        (allows, Networks(network for spec in some for network in spec.networks))
        for allows, some in groupby(sound, attrgetter("allows"))
    )
