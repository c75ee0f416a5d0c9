"""The client of the admin API: ``hotsplice get``, ``apply``, ``override`` and the like.

It runs beside the sidecar, under the same memory limit, and has to start fast.  So it is made of
the standard library alone, and nothing here imports the rest of the project but
``admin.runtime``, which knows where ``run`` leaves its token, and ``admin.environment``.
"""

from typing import Final

COMMANDS: Final = {
    "get": "show the document, its objects or what is live",
    "status": "show how everything is, as get status",
    "apply": "replace the document or an object by a file",
    "patch": "change the document or an object in part",
    "delete": "remove an object",
    "override": "take an endpoint out or in for a while, beside the document",
    "revisions": "show who changed what; list, show, diff, restore or confirm",
    "restore": "let the document of a revision serve again",
    "confirm": "let a revision stay that was made with --confirm-within",
    "connections": "show who is connected; list, show or close",
    "drain": "close connections gently, of a selector or of the process",
    "events": "follow what happens",
    "explain": "say where a request would go, and why",
    "why": "say why a request failed",
    "completion": "print what makes bash, zsh or fish complete all this",
}
"""Each with what it does."""
