"""Measurements of the whole process beside others; ``README.md`` says what, how and how to read."""
