"""The thin client: commands that ask a running sidecar.  The standard library alone, to be quick.

It runs beside the sidecar, under the same memory limit, at three in the morning.  Nothing here
imports the rest of the house, but for a command that is told to do without a sidecar.
"""

from typing import Final

COMMANDS: Final = {
    "explain": "say what would become of a request, and why",
    "why": "say what became of a request that failed",
}
"""The commands with what each does."""
