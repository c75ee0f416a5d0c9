"""What the names of objects look like, as patterns."""

from __future__ import annotations

from typing import Final

NAME: Final = "[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
NAME_HINT: Final = "up to 63 letters, digits, `_`, `.` and `-`, a letter or digit first"

VARIABLE: Final = "[a-z][a-z0-9_]{0,62}"

ENDPOINT: Final = r"[A-Za-z0-9\[][A-Za-z0-9_.:\[\]/-]{0,127}"
