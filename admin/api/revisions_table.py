"""The operations on revisions."""

from __future__ import annotations

from typing import Final

from admin.api import revisions
from admin.api.operations import BodyOf, Operation, Parameter, Reply, whole
from admin.api.parameters import BOTH, CHANGING, WRITE_PROBLEMS, WRITTEN

NUMBER: Final = Parameter(
    "number",
    "path",
    "Number of the revision.",
    {"type": "integer", "minimum": 0, "maximum": revisions.GREATEST, "examples": [12]},
)
REVISION: Final = {
    "number": 12,
    "time": 1764092499.25,
    "source": "rest",
    "author": "alice",
    "note": "node reboots",
    "changed": ["/pools/backend"],
    "restores": None,
    "serving": True,
}
REVISIONS: Final = (
    Operation(
        method="GET",
        path="/v1/revisions",
        name="list_revisions",
        tag="revisions",
        summary="Read what was changed when, by whom and why",
        description="The newest first. The last 100 are kept, fewer if they changed a lot.",
        handler=revisions.get_list,
        parameters=(
            Parameter(
                "object",
                "query",
                "Only what changed this object.",
                {"type": "string", "examples": ["pools/backend"]},
            ),
            Parameter(
                "limit",
                "query",
                "Revisions of a page.",
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": revisions.MOST_A_PAGE,
                    "default": revisions.PAGE,
                },
            ),
            Parameter(
                "cursor",
                "query",
                "`next` of the page before.",
                {"type": "string", "pattern": "^[0-9]{1,12}$"},
                lambda text: whole(text, 0, revisions.GREATEST),
            ),
        ),
        replies=(
            Reply(
                200,
                "A page of them.",
                BodyOf(
                    "api.bodies.revisions.RevisionPage",
                    BOTH,
                    example={"items": [REVISION], "next": None},
                    leads=(("/v1/revisions/{number}", "/items/0/number"),),
                ),
            ),
        ),
    ),
    Operation(
        method="GET",
        path="/v1/revisions/{number}",
        name="get_revision",
        tag="revisions",
        summary="Read a revision and its document",
        handler=revisions.get,
        parameters=(NUMBER,),
        replies=(
            Reply(
                200,
                "The revision.",
                BodyOf(
                    "api.bodies.revisions.RevisionDetails",
                    BOTH,
                    example={**REVISION, "document": {"version": 1, "pools": {"backend": {}}}},
                ),
            ),
        ),
        problems=(404,),
    ),
    Operation(
        method="GET",
        path="/v1/revisions/{number}/diff",
        name="diff_revision",
        tag="revisions",
        summary="Read what leads from a revision to another",
        handler=revisions.diff,
        parameters=(
            NUMBER,
            Parameter(
                "to",
                "query",
                "The other revision; by default the one that serves.",
                {"type": "integer", "minimum": 0, "maximum": revisions.GREATEST},
            ),
        ),
        replies=(
            Reply(
                200,
                "What differs.",
                BodyOf(
                    "api.bodies.revisions.RevisionDiff",
                    BOTH,
                    example={
                        "from": 11,
                        "to": 12,
                        "differences": [
                            {"path": "/pools/backend/endpoints/blue-0/state", "after": "drain"},
                            {
                                "path": "/pools/backend/balance",
                                "before": "random",
                                "after": "ip_hash",
                            },
                        ],
                    },
                ),
            ),
        ),
        problems=(404,),
    ),
    Operation(
        method="POST",
        path="/v1/revisions/{number}/restore",
        name="restore_revision",
        tag="revisions",
        summary="Let the document of a revision serve again",
        description="As a new revision. While a revision waits to be confirmed, restoring the one "
        "that it would fall back to takes it back at once.",
        handler=revisions.restore,
        parameters=(NUMBER, *CHANGING),
        replies=(WRITTEN,),
        problems=(404, *WRITE_PROBLEMS, 422),
    ),
    Operation(
        method="POST",
        path="/v1/revisions/{number}/confirm",
        name="confirm_revision",
        tag="revisions",
        summary="Let a revision stay that was made with `confirm_within`",
        handler=revisions.confirm,
        parameters=(NUMBER,),
        replies=(
            Reply(
                200,
                "It stays; a second time too.",
                BodyOf("api.bodies.revisions.RevisionSummary", BOTH, example=REVISION),
            ),
        ),
        problems=(404, 409, 507),
    ),
)
