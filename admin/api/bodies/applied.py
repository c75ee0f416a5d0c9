"""What a write answers with: what it did."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Applied(BaseModel):
    """What a write did."""

    revision: int = Field(description="The revision that serves now.")
    changed: list[str] = Field(
        description="JSON pointers to the objects that differ; empty if the write changed nothing."
    )
    warnings: list[str] = Field(description="What is allowed, but probably not meant.")
