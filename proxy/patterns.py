"""What a configuration matches against: regular expressions, all of them RE2, and host names.

RE2 takes linear time whatever the input, so no request can stall the loop.  Octets are matched as
Latin-1, which is PCRE's way in nginx without ``(*UTF8)``: every octet is a character, so nothing a
client sends can make ``.`` refuse to match.  A letter beyond ASCII in a pattern stands for its
UTF-8 octets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import re2

from proxy.errors import FaultError

MAX_CHARACTERS: Final = 1024
"""Length of one regular expression, at most."""

PATTERN_MEMORY_BYTES: Final = 2 * 1024 * 1024
"""What RE2 may use for one pattern: its program, and the states it caches while it runs."""

SET_MEMORY_BYTES: Final = 8 * 1024 * 1024
"""The same for one set; patterns that need more are spread over several sets."""

_GROUP: Final = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>", re.ASCII)

T = TypeVar("T")

_HINTS: Final = (
    (r"operator: \(\?<?[=!]", "RE2 has no lookaround: list the cases apart, the first match wins"),
    (
        r"operator: (\(\?>|.*[*+?}]\+$)",
        "RE2 never backtracks: atomic and possessive are not needed",
    ),
    (r"escape sequence: \\[1-9gk]|operator: \(\?P$", "RE2 has no backreferences"),
    (r"escape sequence: \\Z", r"write \z for the end of the text"),
    (r"operator: \(\?'", "write (?P<name>…)"),
    (r"argument for repetition operator: \*$", "RE2 has no (*VERBS), and matches octets anyway"),
    (r"repetition size", "a repetition counts to 1,000 at most"),
    (r"pattern too large", "use smaller repetitions"),
    (r"perl operator", "the syntax is RE2's"),
)


def octets(text: str) -> bytes:
    """Encode configured text as UTF-8; ``FaultError`` for a lone surrogate (JSON can hold one)."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise FaultError(f"{text!r} is not valid Unicode") from None


def _options(max_mem: int) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False  # RE2 would write to stderr by itself
    options.max_mem = max_mem
    return options


def _fault(error: Exception) -> FaultError:
    said = error.args[0] if error.args else ""
    message = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    hint = next((hint for sign, hint in _HINTS if re.search(sign, message)), None)
    return FaultError(f"not an RE2 regular expression: {message}", hint)


class Pattern:
    """One regular expression, found anywhere in its subject unless it is anchored."""

    __slots__ = ("_expression", "_keys", "names", "source")

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        """Compile ``text``; ``FaultError`` if it is too long or not RE2."""
        if len(text) > MAX_CHARACTERS:
            raise FaultError(
                f"a regular expression of {len(text):,} characters",
                f"at most {MAX_CHARACTERS:,} characters are allowed",
            )
        self.source: Final = (b"(?i)" if ignore_case else b"") + octets(text)
        try:
            self._expression: Final = re2.compile(self.source, _options(PATTERN_MEMORY_BYTES))
        except re2.error as error:
            raise _fault(error) from None
        named: Mapping[bytes, int] = self._expression.groupindex
        count: int = self._expression.groups
        by_number = [(str(number), number) for number in range(1, count + 1)]
        by_name = [(name.decode("utf-8", "replace"), number) for name, number in named.items()]
        self._keys: Final = (*by_number, *by_name)
        self.names: Final = frozenset(name for name, _ in self._keys)
        """What may be captured: numbers from ``"1"``, and names."""

    def captures(self, subject: bytes) -> dict[str, bytes] | None:
        """Return captures by number and name (unset: empty), or ``None`` if nothing matches."""
        match = self._expression.search(subject)
        if match is None:
            return None
        return {key: match[number] or b"" for key, number in self._keys}


def captured_names(text: str) -> frozenset[str]:
    """Return what a regular expression captures, by number and by name.

    Of a bad one it is whatever it may have been meant to, so that nobody calls that unknown: the
    expression itself is what is wrong.
    """
    try:
        return Pattern(text).names
    except FaultError:
        return frozenset((*map(str, range(1, 100)), *_GROUP.findall(text[:MAX_CHARACTERS])))


class PatternList:
    """Patterns of which the first that matches wins, whatever their number tried in one pass.

    Only the winner's captures are extracted.
    """

    __slots__ = ("_patterns", "_sets")

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns: Final = tuple(patterns)
        self._sets: Final = _sets(self._patterns, 0) if len(self._patterns) > 1 else ()

    def __len__(self) -> int:
        return len(self._patterns)

    def find(self, subject: bytes) -> tuple[int, dict[str, bytes]] | None:
        """Return the winner's index and captures, or ``None``."""
        if not self._sets:
            captures = self._patterns[0].captures(subject) if self._patterns else None
            return None if captures is None else (0, captures)
        for offset, some in self._sets:
            hits = some.Match(subject)
            if hits:
                index = offset + min(hits)
                winner = self._patterns[index]
                return index, (winner.captures(subject) or {}) if winner.names else {}
        return None


def _sets(patterns: tuple[Pattern, ...], offset: int) -> tuple[tuple[int, Any], ...]:
    """Build one RE2 set of ``patterns``, or as many, in order, as its memory asks for."""
    some = re2.Set.SearchSet(_options(SET_MEMORY_BYTES))
    try:
        for pattern in patterns:
            some.Add(pattern.source)
        some.Compile()
    except re2.error:
        if len(patterns) == 1:
            raise FaultError(f"{patterns[0].source!r} needs too much memory") from None
        half = len(patterns) // 2
        return _sets(patterns[:half], offset) + _sets(patterns[half:], offset + half)
    return ((offset, some),)


def host_keys(pattern: str) -> tuple[bytes, ...]:
    """Return the keys under which ``HostNames`` finds a pattern (nginx ``server_name``).

    ``example.org`` is itself, ``*.example.org`` any name that ends so, ``www.*`` any that begins
    so, and ``.example.org`` stands for the first two.  Raise ``FaultError`` for anything else.
    """
    name = octets(pattern.lower())
    middle = name[2:] if name.startswith(b"*.") else name.removesuffix(b".*").removeprefix(b".")
    if not name.isascii():
        raise FaultError(f"{pattern!r} is not a host name", "write it in its xn-- form")
    if re.search(rb"[\x00-\x20\x7f/*]|\.\.", middle) or (name and not middle):
        hint = "a name, *.suffix or prefix.*; no hosts at all stands for any"
        raise FaultError(f"{pattern!r} is not a host name", hint)
    if b":" in middle and not (middle.startswith(b"[") and middle.endswith(b"]")):
        raise FaultError(f"{pattern!r} is not a host name", "leave the port out")
    if not name.startswith(b"."):
        return (name,)
    if b"*" in name:
        raise FaultError(f"{pattern!r} is not a host name", "one wildcard, at one end")
    return name[1:], b"*" + name


class HostNames(Generic[T]):
    """Values by host name: exact, else the longest ``*.suffix``, else the longest ``prefix.*``.

    One hash look-up per distinct length of a wildcard, however many there are.
    """

    __slots__ = ("_heads", "_prefixes", "_suffixes", "_tails", "exact", "wildcards")

    def __init__(self, entries: Mapping[bytes, T]) -> None:
        """Take keys of ``host_keys``."""
        self.exact: Final[dict[bytes, T]] = {}
        self._suffixes: Final[dict[bytes, T]] = {}
        self._prefixes: Final[dict[bytes, T]] = {}
        for key, value in entries.items():
            if key.startswith(b"*."):
                self._suffixes[key[1:]] = value
            elif key.endswith(b".*"):
                self._prefixes[key[:-1]] = value
            else:
                self.exact[key] = value
        self._tails: Final = tuple(sorted({-len(key) for key in self._suffixes}))
        self._heads: Final = tuple(sorted({len(key) for key in self._prefixes}, reverse=True))
        self.wildcards: Final = bool(self._tails or self._heads)

    def find(self, host: bytes) -> T | None:
        """Return the value of ``host``, which is in lower case."""
        found = self.exact.get(host)
        if found is not None or not self.wildcards:
            return found
        for length in self._tails:
            found = self._suffixes.get(host[length:])
            if found is not None:
                return found
        for length in self._heads:
            found = self._prefixes.get(host[:length])
            if found is not None:
                return found
        return None
