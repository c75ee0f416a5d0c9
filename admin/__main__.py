"""``python -m admin`` is the command ``hotsplice``.

The commands of the client start fast, so nothing else is imported for them.
"""

from __future__ import annotations

import gc
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Final

from admin.client import COMMANDS

LOADING_THRESHOLD: Final = 20_000
"""Modules leave nothing to collect, and to look for it took a tenth of the time of a start."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        from admin.client.commands import main as client

        return client(words, _others)
    gc.set_threshold(LOADING_THRESHOLD)
    from admin.cli import main as others

    return others(words)


def _others() -> Mapping[str, ArgumentParser]:
    from admin.settings import command_line

    return command_line()[1]


if __name__ == "__main__":
    sys.exit(main())
