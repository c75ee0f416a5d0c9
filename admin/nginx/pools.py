"""The pools of an import: one per ``upstream`` and address; and the retry rules of locations."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Final

from admin.documents.units import MIB
from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.scope import Scope
from admin.nginx.upstreams import implicit_upstream, read_upstream, server_address
from admin.nginx.values import duration, milliseconds, whole, words
from admin.nginx.variables import Variables
from proxy.errors import FaultError, pointer

MAX_REPLAY_BYTES: Final = MIB
"""How much of a request body is read ahead and kept; nginx would keep all of it, on disk."""

_CAUSES: Final = words(
    """error timeout invalid_header http_500 http_502 http_503 http_504 http_403 http_404
    http_429"""
)
_NAME_LENGTH: Final = 55


@dataclass(frozen=True, slots=True)
class RetryRules:
    """``proxy_next_upstream`` and its kin."""

    when: tuple[str, ...] = ("error", "timeout")
    max_attempts: int | str = "unlimited"
    budget: str = "unlimited"
    non_idempotent: bool = False
    buffered: bool = True
    """``proxy_request_buffering``: a request body can be sent again."""

    def document(self) -> dict[str, Any]:
        """Write them out."""
        written: dict[str, Any] = {
            "when": list(self.when),
            "max_attempts": self.max_attempts,
            "budget": self.budget,
        }
        if self.non_idempotent:
            written["non_idempotent"] = True
        return written | {"replay_bytes": "1MiB" if self.buffered else 0}


def retry_rules(scope: Scope, report: Report) -> RetryRules:
    """Read those of a location."""
    when, non_idempotent = ["error", "timeout"], False
    directive = scope.one("proxy_next_upstream")
    if directive is not None:
        given = list(dict.fromkeys(directive.args))
        with report.judging(directive):
            unknown = [word for word in given if word not in _CAUSES | {"off", "non_idempotent"}]
            if unknown:
                raise RefusalError(f"{unknown[0][:60]} is no cause to retry", "leave it out")
            non_idempotent = "non_idempotent" in given
            when = [] if "off" in given else [word for word in given if word in _CAUSES]
    attempts: int | str = "unlimited"
    tries = scope.one("proxy_next_upstream_tries")
    if tries is not None:
        with report.judging(tries):
            attempts = whole(tries.args[0]) or "unlimited"
    budget = "unlimited"
    time = scope.one("proxy_next_upstream_timeout")
    if time is not None:
        with report.judging(time):
            budget = duration(time.args[0]) if milliseconds(time.args[0]) else "unlimited"
    buffered = scope.word("proxy_request_buffering", "on").lower() == "on"
    return RetryRules(tuple(when), attempts, budget, non_idempotent, buffered)


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
        self._rules: Final[dict[str, RetryRules]] = {}
        """Of each pool that is used, those of the location that uses it first."""

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

    def use(self, key: str, rules: RetryRules) -> tuple[str, bool]:
        """Return the name of a pool, and whether it has these rules: the first user's it gets."""
        name = self._names[key]
        known = self._rules.setdefault(name, rules)
        self.documents[name]["retry"] = known.document()
        return name, known == rules

    def finish(self) -> None:
        """Give nginx's default rules to the pools that nothing uses."""
        for name in self._names.values():
            if name not in self._rules:
                self.documents[name]["retry"] = RetryRules().document()

    def _add(self, key: str, text: str, pool: dict[str, Any], directive: Directive) -> None:
        name = document_name(text, self.documents)
        self._names[key] = name
        self.documents[name] = pool | {"timeouts": {"connect": "60s"}}
        self.sources[pointer("pools", name)] = directive
