"""What operations share: parameters, answers, statuses."""

from __future__ import annotations

import re
from typing import Final, get_args

from admin.api.media import JSON, YAML
from admin.api.operations import BodyOf, Parameter, Reply
from admin.documents.names import ENDPOINT, NAME, VARIABLE
from admin.documents.units import seconds
from proxy.spec import OnRemoval

BOTH: Final = (JSON, YAML)


def _form(pattern: str) -> dict[str, str]:
    return {"type": "string", "pattern": f"^{pattern}$"}


NAMES: Final = {
    "listeners": _form(NAME),
    "pools": _form(NAME),
    "header_maps": _form(VARIABLE),
    "routes": _form(NAME),
    "endpoints": _form(ENDPOINT),
}
"""What the names of objects may be, by kind, as JSON Schema."""

FOUND_OR_WRITTEN: Final = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9_\[][A-Za-z0-9_.:\[\]/@-]{0,319}$",
}
"""What the names of endpoints may be that a document or DNS has."""

CONFIRM_WITHIN: Final = "^([1-9][0-9]{0,3}s|[1-9][0-9]{0,2}m|([1-9]|1[0-9]|2[0-4])h)$"
"""How long a confirmation may be waited for: up to a day."""


def _confirm_within(text: str) -> float:
    if re.fullmatch(CONFIRM_WITHIN, text) is None:
        raise ValueError("a duration from 1s to 24h, in s, m or h")
    return seconds(text)


SPAN: Final = "^([0-9]{1,4}s|[0-9]{1,2}m|1h)$"
LONGEST_S: Final = 3600.0
"""No answer is waited for longer, in seconds."""


def _span(text: str) -> float:
    if re.fullmatch(SPAN, text) is None:
        raise ValueError("a duration such as 30s, 5m or 1h")
    return min(seconds(text), LONGEST_S)


def span(name: str, description: str, default: str | None) -> Parameter:
    """Make a query parameter that says how long something may take."""
    schema = {"type": "string", "pattern": SPAN, "examples": [default or "30s"]}
    if default is not None:
        schema["default"] = default
    return Parameter(name, "query", description, schema, _span)


NOTE: Final = Parameter(
    "note", "query", "Why; kept, and logged.", {"type": "string", "maxLength": 500}
)
VIEW: Final = Parameter(
    "view",
    "query",
    "`written`: as it was written. `effective`: with every default filled in.",
    {"type": "string", "enum": ["written", "effective"], "default": "written"},
)
_TAGS: Final = {"type": "string", "examples": ['"9d6b30b6c5c879e9cf55bb60"']}
# Any list of tags is taken; a program has seen one, or means whatever there is.
_TAG: Final = {"type": "string", "pattern": r'^(\*|"[!#-~]*")$'}
SEEN: Final = Parameter(
    "If-None-Match",
    "header",
    "An ETag seen before: 304 if nothing else would be answered now.",
    _TAGS,
)
CHANGING: Final = (
    Parameter(
        "dry_run",
        "query",
        "Validate, compile and bind, answer what would change, and publish nothing.",
        {"type": "boolean", "default": False},
    ),
    NOTE,
    Parameter(
        "confirm_within",
        "query",
        "Take the change back after this unless it is confirmed; until then any other write is a "
        "409.",
        {
            "type": "string",
            "pattern": CONFIRM_WITHIN,
            "examples": ["60s"],
        },
        _confirm_within,
    ),
    Parameter(
        "If-Match",
        "header",
        "An ETag: write only if the resource still has it, else 412; `*`: only if there is one.",
        _TAG | {"examples": _TAGS["examples"]},
    ),
)
ON_REMOVAL: Final = Parameter(
    "on_removal",
    "query",
    "What becomes of its open tunnels, in place of what the pool says.",
    {"type": "string", "enum": list(get_args(OnRemoval))},
)
WRITING: Final = (
    *CHANGING,
    Parameter(
        "If-None-Match",
        "header",
        "`*`: only create, never replace, else 412.",
        _TAG | {"examples": ["*"]},
    ),
)

APPLIED: Final = BodyOf(
    "api.bodies.applied.Applied", BOTH, leads=(("/v1/revisions/{number}", "/revision"),)
)
WRITTEN: Final = Reply(200, "What was changed. It serves.", APPLIED, etag=True)
CREATED: Final = Reply(201, "Created. It serves.", APPLIED, etag=True)
REMOVED: Final = Reply(200, "Removed.", APPLIED)
NOT_MODIFIED: Final = Reply(304, "Nothing new since the ETag in `If-None-Match`.")
BODY_PROBLEMS: Final = (408, 413, 415, 422)
WRITE_PROBLEMS: Final = (409, 412, 507)
