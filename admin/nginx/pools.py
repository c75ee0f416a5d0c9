"""The pools of an import: one per ``upstream`` and address, and per set of retry rules."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Final

from admin.documents.scalars import MIB
from admin.nginx.reading import Directive
from admin.nginx.report import Report
from admin.nginx.upstreams import implicit_upstream, read_upstream, server_address
from admin.nginx.variables import Variables
from proxy.errors import FaultError, pointer

MAX_REPLAY_BYTES: Final = MIB
"""How much of a request body is kept for a retry; nginx would keep all of it, on disk."""

_NAME_LENGTH: Final = 55


@dataclass(frozen=True, slots=True)
class RetryRules:
    """``proxy_next_upstream`` and its kin."""

    when: tuple[str, ...] = ("error", "timeout")
    max_attempts: int | str = "unlimited"
    budget: str = "unlimited"
    non_idempotent: bool = False

    def document(self, replay_bytes: int) -> dict[str, Any]:
        """Write them out."""
        written: dict[str, Any] = {
            "when": list(self.when),
            "max_attempts": self.max_attempts,
            "budget": self.budget,
        }
        if self.non_idempotent:
            written["non_idempotent"] = True
        kept = "1MiB" if replay_bytes == MIB else replay_bytes
        return written | {"replay_bytes": kept}


def document_name(text: str, taken: Container[str]) -> str:
    """Return a name of its own that looks like ``text``."""
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", text)[:_NAME_LENGTH].strip("-_.") or "root"
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    return unique


class Pools:
    """Makes the pools of a document as they are used."""

    def __init__(self, variables: Variables, report: Report) -> None:
        self.documents: Final[dict[str, dict[str, Any]]] = {}
        self.sources: Final[dict[str, Directive]] = {}
        self._variables: Final = variables
        self._report: Final = report
        self._names: Final[dict[str, str]] = {}
        """Pools by what nginx calls them: an upstream's name, or an address."""
        self._variants: Final[dict[str, dict[RetryRules, str]]] = {}
        self._replay: Final[dict[str, int]] = {}

    def add_upstream(self, directive: Directive) -> None:
        """Add an ``upstream`` block."""
        key = directive.args[0].lower()
        if key in self._names:
            self._report.fault(directive, f'duplicate upstream "{directive.args[0][:60]}"')
            return
        pool = read_upstream(directive, self._variables, self._report)
        self._add(key, directive.args[0], pool, directive)

    def find(self, host: str, directive: Directive) -> str:
        """Return the key of an upstream, or of an address that gets a pool now.

        Raises:
            FaultError: it is neither.
        """
        key = host.lower()
        if key in self._names:
            return key
        name, colon, port = key.rpartition(":")
        if colon and name in self._names and port.isdecimal():
            raise FaultError(f'upstream "{name[:60]}" may not have port {port[:10]}')
        address = server_address(host)
        if address not in self._names:
            self._add(address, address, implicit_upstream(address), directive)
        return address

    def use(self, key: str, rules: RetryRules, replay_bytes: int, directive: Directive) -> str:
        """Return the name of the pool that serves ``key`` under these rules."""
        variants = self._variants.setdefault(key, {})
        name = variants.get(rules)
        if name is None:
            name = self._names[key]
            if variants:
                first, name = name, document_name(name, self.documents)
                self.documents[name] = dict(self.documents[first])
                self.sources[pointer("pools", name)] = directive
                remark = (
                    f"other rules of proxy_next_upstream than elsewhere: pool {name} is a copy of "
                    f"{first} that counts failures and takes turns by itself"
                )
                self._report.approximated(directive, remark)
            variants[rules] = name
        self._replay[name] = max(self._replay.get(name, 0), min(replay_bytes, MAX_REPLAY_BYTES))
        self.documents[name]["retry"] = rules.document(self._replay[name])
        return name

    def finish(self) -> None:
        """Give nginx's default rules to the pools that nothing uses."""
        for key, name in self._names.items():
            if key not in self._variants:
                self.documents[name]["retry"] = RetryRules().document(MAX_REPLAY_BYTES)

    def _add(self, key: str, text: str, pool: dict[str, Any], directive: Directive) -> None:
        name = document_name(text, self.documents)
        self._names[key] = name
        self.documents[name] = pool | {"timeouts": {"connect": "60s"}}
        self.sources[pointer("pools", name)] = directive
