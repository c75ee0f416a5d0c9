"""Objects as they are named on the command line, and their paths in the API."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from admin.client.problems import FAULTY, ClientError

KINDS: Final = ("listeners", "pools", "routes", "header_maps")
"""The kinds of objects of a document."""

SINGULAR: Final = {kind.removesuffix("s"): kind for kind in KINDS}


def path_of(*parts: str) -> str:
    """Return the path of a resource, its parts percent-encoded."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def parts_of(text: str) -> tuple[str, ...]:
    """Read ``config``, ``KIND``, ``KIND/NAME`` or ``pools/NAME/endpoints[/ENDPOINT]``.

    A pointer as answers have it (``/pools/NAME``) will do too; what follows ``endpoints/`` is a
    name to its end, slashes included.  Raise ``ClientError`` if it is none of them.
    """
    text = text.removeprefix("/v1/").removeprefix("/")
    if text == "config":
        return ("config",)
    kind, _, rest = text.partition("/")
    kind = SINGULAR.get(kind, kind)
    name, _, inner = rest.partition("/")
    if kind not in KINDS or (rest and not name):
        raise _unknown(text)
    if not name:
        return (kind,)
    if not inner:
        return (kind, name)
    within, _, endpoint = inner.partition("/")
    if kind != "pools" or within != "endpoints":
        raise _unknown(text)
    return (kind, name, within, endpoint) if endpoint else (kind, name, within)


def object_of(text: str) -> tuple[str, ...]:
    """Read what can be replaced, changed and removed: one object, an endpoint, or ``config``."""
    parts = parts_of(text)
    if parts == ("config",) or len(parts) % 2 == 0:
        return parts
    raise ClientError(f"{text} is not one object", f"{text}/NAME is", FAULTY)


def _unknown(text: str) -> ClientError:
    hint = f"config, or one of {', '.join(KINDS)}, with /NAME; pools/NAME/endpoints/ENDPOINT"
    return ClientError(f"there is nothing called {text!r}", hint, FAULTY)
