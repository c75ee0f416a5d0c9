"""What is kept, record by record, as JSON: each says one thing that happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from admin.json_text import octets_of
from admin.revisions import Origin, Pending, Revision
from proxy.spec import EndpointState

FORMAT: Final = 1
"""Of the records; another number is another program's."""


@dataclass(frozen=True, slots=True)
class Override:
    """Operational state of an endpoint, beside the document, which it beats."""

    pool: str
    endpoint: str
    state: EndpointState
    weight: int | None
    since: float
    """Seconds since 1970."""
    until: float
    author: str
    note: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Pool and endpoint."""
        return self.pool, self.endpoint


@dataclass(frozen=True, slots=True)
class Base:
    """Everything begins with this revision and its document."""

    revision: Revision
    document: object


@dataclass(frozen=True, slots=True)
class Applied:
    """A revision was applied."""

    revision: Revision
    delta: bytes
    """From the document before, as JSON."""
    pending: Pending | None = None
    """If it has to be confirmed."""
    bootstrap: str | None = None
    """If it is what the bootstrap file says: that document's digest."""
    owned: Mapping[str, str] | None = None
    """If it is what a folder says: its objects, by pointer, with the file of each."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The pending revision stays."""


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """The bootstrap file says what serves already."""

    digest: str


@dataclass(frozen=True, slots=True)
class Owned:
    """A folder has these objects of what serves already."""

    owned: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Overridden:
    """An override was set, or removed."""

    pool: str
    endpoint: str
    override: Override | None


Record = Base | Applied | Confirmed | Bootstrapped | Owned | Overridden


def encode(record: Record) -> bytes:
    """Write a record as JSON without line ends."""
    kind = type(record).__name__.lower()
    if isinstance(record, Base):
        content: dict[str, Any] = {"format": FORMAT, "revision": _revision(record.revision)}
        content["document"] = record.document
    elif isinstance(record, Applied):
        content = asdict(record) | {"revision": _revision(record.revision)}
        # It is JSON already, and may be long.
        del content["delta"]
        return b'{"applied":' + octets_of(content)[:-1] + b',"delta":' + record.delta + b"}}"
    else:
        content = asdict(record)
    return octets_of({kind: content})


def decode(line: bytes) -> Record:
    """Read a record; ``ValueError`` if it is none."""
    try:
        ((kind, content),) = json.loads(line).items()
        return _READ[kind](content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no record: {error!r}") from error


def _base(content: Any) -> Base:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}, not {FORMAT}")
    return Base(_read_revision(content["revision"]), content["document"])


def _applied(content: Any) -> Applied:
    return Applied(
        _read_revision(content["revision"]),
        octets_of(content["delta"]),
        _pending(content["pending"]),
        content["bootstrap"],
        content.get("owned"),
    )


def _overridden(content: Any) -> Overridden:
    override = content["override"]
    override = None if override is None else Override(**override)
    return Overridden(content["pool"], content["endpoint"], override)


_READ: Final[dict[str, Callable[[Any], Record]]] = {
    "base": _base,
    "applied": _applied,
    "confirmed": lambda content: Confirmed(**content),
    "bootstrapped": lambda content: Bootstrapped(**content),
    "owned": lambda content: Owned(**content),
    "overridden": _overridden,
}


def _revision(revision: Revision) -> dict[str, Any]:
    return asdict(revision)


def _read_revision(content: Any) -> Revision:
    origin = Origin(**content["origin"])
    return Revision(**content | {"origin": origin, "changed": tuple(content["changed"])})


def _pending(content: Any) -> Pending | None:
    return None if content is None else Pending(**content)
