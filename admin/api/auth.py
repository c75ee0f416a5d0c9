"""Who may do what on the admin API.

Loopback is not a credential: every container of a pod shares it, and so does whatever a server-side
request forgery makes one of them ask for.  So a write over TCP needs a bearer token wherever it
comes from; a Unix socket is guarded by its mode.  On loopback ``Host`` and ``Origin`` are checked
too, so that no page in a browser gets through, not by a rebound name either.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from admin.api.attempts import Attempts
from admin.api.problems import Problem
from admin.reach import is_loopback, is_private
from proxy.addresses import Address
from proxy.telemetry.logging import get_logger

_log = get_logger("admin.auth")


class Role(enum.IntEnum):
    """What a token may do; each includes those before it."""

    READ = 1
    DRAIN = 2
    WRITE = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    name: str
    role: Role
    known: bool = True
    """False if no token was shown."""


@dataclass(frozen=True, slots=True)
class Token:
    """One line of a token file."""

    name: str
    role: Role
    digest: str
    """SHA-256 of the token, in hexadecimal."""


def digest_of(token: str) -> str:
    """Hash a token as token files hold it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def parse_tokens(text: str) -> tuple[Token, ...]:
    """Read lines ``name:role:sha256-of-token``; ``ValueError`` names the line that is wrong."""
    tokens: list[Token] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            tokens.append(_token(stripped, number))
    return tuple(tokens)


def _token(line: str, number: int) -> Token:
    name, role, digest = (*(part.strip() for part in line.split(":", 2)), "", "")[:3]
    if not name:
        raise ValueError(f"line {number}: not name:role:sha256-of-token")
    if role.upper() not in Role.__members__:
        raise ValueError(f"line {number}: the role is none of read, drain, write")
    if len(digest) != 64 or not set(digest.lower()) <= set("0123456789abcdef"):
        raise ValueError(f"line {number}: no SHA-256 in hexadecimal (64 digits) after the role")
    return Token(name, Role[role.upper()], digest.lower())


class Tokens:
    """The tokens that are accepted."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens

    def find(self, digest: str) -> Principal | None:
        """Return whose token has a digest.  Takes the same time for every wrong one."""
        found: Principal | None = None
        for candidate in self._tokens:
            if hmac.compare_digest(candidate.digest, digest):
                found = Principal(candidate.name, candidate.role)
        return found


class TokenFile(Tokens):
    """The tokens of a file, read again whenever it changes.

    A file that became unreadable or wrong changes nothing, and is logged once.
    """

    def __init__(self, path: Path) -> None:
        """Read the file; ``OSError`` or ``ValueError`` if that fails."""
        self._path: Final = path
        self._seen = self._stat()
        super().__init__(parse_tokens(path.read_text()))

    def find(self, digest: str) -> Principal | None:
        """Return whose token it is, as the file has it now."""
        self._refresh()
        return super().find(digest)

    def _refresh(self) -> None:
        seen = self._stat()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._tokens = parse_tokens(self._path.read_text())
        except (OSError, ValueError) as error:
            _log.error("token_file_refused", path=str(self._path), error=str(error))
        else:
            _log.info("token_file_read", path=str(self._path), tokens=len(self._tokens))

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


class Guard:
    """Lets requests in, or not.  ``tokens`` of ``None`` is ``--admin-auth off``."""

    def __init__(self, address: Address, tokens: Tokens | None) -> None:
        if tokens is None and not is_private(address):
            raise ValueError(f"{address} is not loopback: it needs tokens")
        self._host: Final = address.host
        self._tokens: Final = None if address.kind == "unix" else tokens
        self._checks_browser: Final = address.kind == "tcp" and is_private(address)
        self._stranger: Final = _who_shows_no_token(address, tokens)
        self._attempts: Final = Attempts()

    @property
    def asks(self) -> bool:
        """Whether anybody is asked for a token at all."""
        return self._tokens is not None

    def admit(self, request: web.Request) -> Principal:
        """Say who asks; 401, 403 or 429 as a ``Problem`` if that one may not ask at all."""
        if self._checks_browser:
            _check_no_browser(request, self._host)
        field = request.headers.get("Authorization")
        if field is not None and self._tokens is not None:
            return self._known(self._tokens, field, request.remote or "")
        if self._stranger is None:
            raise _unauthorised("Every request needs a bearer token here.")
        return self._stranger

    def _known(self, tokens: Tokens, field: str, peer: str) -> Principal:
        scheme, _, token = field.partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorised("The Authorization field holds no bearer token.")
        digest = digest_of(token.strip())
        wait_s = self._attempts.wait_s(peer, digest)
        if wait_s:
            after = {"Retry-After": str(math.ceil(wait_s))}
            raise Problem(429, "Too many wrong tokens; this one was not looked at.", (), after)
        principal = tokens.find(digest)
        if principal is None:
            self._attempts.failed(peer, digest)
            _log.warning("authentication_failed", peer=peer)
            raise _unauthorised("The bearer token is not known.", error="invalid_token")
        self._attempts.succeeded(peer, digest)
        return principal


def _who_shows_no_token(address: Address, tokens: Tokens | None) -> Principal | None:
    if address.kind == "unix":
        return Principal("unix", Role.WRITE, known=False)
    if tokens is None:
        return Principal("anonymous", Role.WRITE, known=False)
    return Principal("anonymous", Role.READ, known=False) if is_private(address) else None


def require(principal: Principal, role: Role) -> None:
    """Raise a ``Problem``, 401 or 403, unless the principal has the role."""
    if principal.role >= role:
        return
    if not principal.known:
        raise _unauthorised(f"This needs a bearer token with the role {role.name.lower()}.")
    raise Problem(
        403,
        f"The token {principal.name} has the role {principal.role.name.lower()}; "
        f"this needs {role.name.lower()}.",
    )


def _unauthorised(detail: str, error: str | None = None) -> Problem:
    challenge = 'Bearer realm="hotsplice"' + (f', error="{error}"' if error else "")
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})


def _check_no_browser(request: web.Request, bound: str) -> None:
    host = request.headers.get("Host", "").lower()
    name = _name_of(host)
    if name != bound and not is_loopback(name):
        raise Problem(403, "The Host field names another machine; this is reached as localhost.")
    for field in ("Origin", "Referer"):
        site = request.headers.get(field)
        # A link may lead here, from anywhere; it only reads.
        counts = field == "Origin" or request.method not in ("GET", "HEAD")
        if site is not None and counts and _authority(site) != host:
            raise Problem(403, f"The {field} field names another site; web pages may not ask here.")
    if request.method not in ("GET", "HEAD"):
        came_from = request.headers.get("Sec-Fetch-Site", "none").lower()
        if came_from not in ("none", "same-origin"):
            raise Problem(403, "A page of another site asks; web pages may not ask here.")


def _name_of(host: str) -> str:
    """Return the host of a ``Host`` field without its port; nothing if it is malformed."""
    found = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]*))(?::[0-9]*)?", host)
    return "" if found is None else found[1] or found[2] or ""


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin.lower()).netloc
    except ValueError:
        return ""
