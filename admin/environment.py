"""The one place where the environment is read."""

from __future__ import annotations

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """Return the process's environment."""
    return os.environ
