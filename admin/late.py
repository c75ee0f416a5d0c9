"""What is loaded when it is first needed.

Documents and bodies are checked by pydantic's models, which make a fifth of the memory of a process
that serves.  One whose configuration never changes is asked to check nothing.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module


async def load(*modules: str) -> None:
    """Import modules, in a thread: it takes longer than the traffic may wait."""
    missing = [name for name in modules if name not in sys.modules]
    if missing:
        await asyncio.to_thread(_load, missing)


def _load(names: list[str]) -> None:
    for name in names:
        import_module(name)
