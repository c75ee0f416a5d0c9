"""Names with their values, in order: plain data that compares and is hashed by value."""

Pairs = tuple[tuple[str, str], ...]
