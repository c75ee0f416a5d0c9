"""What a request target means: the path that routes match, and what is sent on.

``strict`` refuses whatever two servers may read differently, so that what was matched is what the
upstream sees.  ``nginx`` reads a target as ``ngx_http_parse_complex_uri`` does with
``merge_slashes on`` and forwards it as it came.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy.spec import PathsMode

_REFUSED = re.compile(rb"[\x00-\x20\x7f#]")
_BAD_ESCAPE = re.compile(rb"%(?:00|(?![0-9A-Fa-f]{2}))")
_AMBIGUOUS = re.compile(rb"\\|%2[eE]|%5[cC]")
_KEPT = re.compile(rb"%(2[fF5])")
_DOTS_OR_SLASHES = re.compile(rb"//|/\.\.?(?:/|$)")

# The table ``uri[]`` of ngx_string.c since nginx 1.21.1: what RFC 3986 does not allow in a URI,
# and what would end or change the path.
_UNSAFE = rb"[\x00-\x20\"#%<>?\\^`{|}\x7f-\xff]"
_NEVER_SENT: Final = re.compile(rb"[^\x21-\x7e]|#")
_ESCAPED = {octet: b"%%%02X" % octet[0] for octet in (bytes((code,)) for code in range(256))}
_ESCAPE: Final = {
    "nginx": re.compile(_UNSAFE),
    "strict": re.compile(rb"(?!%2F|%25)" + _UNSAFE),
}


class BadTarget(ValueError):  # noqa: N818  (it names the target, as the answer 400 does)
    """A request target that is refused with 400; the message says why and quotes nothing."""


class Target:
    """A target that was understood.  Immutable, so it may be kept and shared."""

    __slots__ = ("forward", "path", "query", "raw_path")

    def __init__(self, path: bytes, forward: bytes, raw_path: bytes, query: bytes | None) -> None:
        self.path: Final = path
        """Decoded; what routes match, and nginx's ``$uri``.  In ``strict`` mode ``%2F`` and
        ``%25`` stay encoded."""
        self.forward: Final = forward
        """Escaped path and query to send upstream if nothing rewrites them."""
        self.raw_path: Final = raw_path
        """The path as sent."""
        self.query: Final = query
        """What follows ``?``; ``None`` without one."""


def normalise(target: bytes, mode: PathsMode, *, merge: bool = True) -> Target:
    """Read an origin-form target (RFC 9112, 3.2.1).  Raise ``BadTarget``, and nothing else.

    ``merge`` makes one slash of several (nginx ``merge_slashes``).
    """
    # As text, because looking for a substring is several times faster there than in bytes.
    text = target.decode("latin-1")
    path, mark, _ = text.partition("?")
    if not (
        text.isprintable()
        and " " not in text
        and "#" not in text
        and path[:1] == "/"
        and "%" not in path
        and "//" not in path
        and "/." not in path
        and "\\" not in path
    ):
        return _normalise(target, mode, merge)
    if not mark:
        return Target(target, target, target, None)
    raw_path = target[: len(path)]
    return Target(raw_path, target, raw_path, target[len(path) + 1 :])


def _normalise(target: bytes, mode: PathsMode, merge: bool) -> Target:
    raw_path, mark, rest = target.partition(b"?")
    query = rest if mark else None
    if raw_path[:1] != b"/":
        raise BadTarget("the target does not begin with a slash")
    if _REFUSED.search(target):
        raise BadTarget("control byte, space or fragment in the target")
    if _BAD_ESCAPE.search(raw_path):
        raise BadTarget("bad percent escape in the path")
    if mode == "nginx":
        return Target(_resolve(unquote_to_bytes(raw_path), merge), target, raw_path, query)
    if _AMBIGUOUS.search(raw_path):
        raise BadTarget("backslash or encoded dot in the path")
    resolved = _resolve(raw_path, merge)
    # An escaped escape decodes to itself, so %2F and %25 come out as they went in.
    path = unquote_to_bytes(_KEPT.sub(_kept, resolved))
    if resolved == raw_path:
        return Target(path, target, raw_path, query)
    return Target(path, resolved if query is None else resolved + b"?" + query, raw_path, query)


def _kept(escape: re.Match[bytes]) -> bytes:
    return b"%25" + escape[1].upper()


def _resolve(path: bytes, merge: bool) -> bytes:
    """Resolve dot segments and merge slashes (RFC 3986, 5.2.4, but never above the root)."""
    if not _DOTS_OR_SLASHES.search(path):
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    last = segments[-1]
    if not merge and last == b"":
        segments.pop()
    for segment in segments:
        if segment == b"..":
            if not kept:
                raise BadTarget("the path leads above the root")
            kept.pop()
        elif segment != b"." and (segment or not merge):
            kept.append(segment)
    if last in (b"", b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def target_of(path: bytes, mode: PathsMode) -> Target:
    """Return the target that means a decoded path which the configuration has made.

    In ``strict`` mode it is read as if it had been sent: resolved, and refused with ``BadTarget``
    if it is ambiguous.
    """
    escaped = escape_path(path, mode)
    return normalise(escaped, mode) if mode == "strict" else Target(path, escaped, escaped, None)


def escape_path(path: bytes, mode: PathsMode = "nginx") -> bytes:
    """Escape a rewritten path as nginx does (``NGX_ESCAPE_URI``).

    In ``strict`` mode a decoded path still holds ``%2F`` and ``%25``: these stay as they are.
    """
    return _ESCAPE[mode].sub(_escape, path)


def escape_target(target: bytes) -> bytes:
    """Escape what no target may have (RFC 9112, 3.2): anything else stays as it is written."""
    return _NEVER_SENT.sub(_escape, target)


def _escape(octet: re.Match[bytes]) -> bytes:
    return _ESCAPED[octet[0]]
