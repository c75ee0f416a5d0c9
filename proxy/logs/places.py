"""Where lines of access logs may go.  Pure."""

from __future__ import annotations

import re
from typing import Final

from proxy.errors import FaultError

STREAM_NAMES: Final = ("stderr", "stdout")

PATH_CHARACTERS: Final = 1024

_PATH: Final = re.compile(r"(/[^/]+)+")


def check_target(target: str) -> None:
    """Raise ``FaultError`` if lines cannot go there.

    A file's name has to end in ``.log``: whoever may write a configuration decides what is in the
    lines, and must not be able to write it into whatever file else this process may append to.
    """
    if target in STREAM_NAMES:
        return
    if not _PATH.fullmatch(target) or {".", ".."} & set(target.split("/")):
        raise FaultError(
            f"{target[:80]!r} is no place for a log", "stderr, stdout or /PATH/NAME.log"
        )
    if len(target) > PATH_CHARACTERS or re.search(r"[\x00-\x1f\x7f]", target):
        raise FaultError("a path of a log that is too long, or holds control characters")
    if not target.endswith(".log"):
        hint = "documents can append to logs, not to other files"
        raise FaultError(f"the name of {target[:80]!r} does not end in .log", hint)
