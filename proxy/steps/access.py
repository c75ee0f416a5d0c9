"""Who is let in (nginx ``allow`` and ``deny``): the first rule that names the client decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

    __slots__ = ("_rules", "_sets", "_verdicts")

    def __init__(self, specs: Sequence[AccessRuleSpec]) -> None:
        self._rules: Final = tuple(Networks(spec.networks) for spec in specs)
        self._sets: Final = tuple(
            (allows, Networks(network for spec in some for network in spec.networks))
            for allows, some in groupby(specs, attrgetter("allows"))
        )
        self._verdicts: Final[dict[bytes, bool]] = {}

    def allows(self, address: bytes) -> bool:
        """Tell whether a client is let in; ``address`` as in ``Request.client_ip``."""
        verdict = self._verdicts.get(address)
        if verdict is None:
            if len(self._verdicts) >= ADDRESSES:
                self._verdicts.clear()
            verdict = self._verdicts[address] = next(
                (allows for allows, networks in self._sets if networks.find(address)), True
            )
        return verdict

    def deciding(self, address: bytes) -> int | None:
        """Return the number of the rule that decides on a client; ``None``: no rule names it."""
        found = (number for number, each in enumerate(self._rules) if each.find(address))
        return next(found, None)


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
    return Access(sound)
