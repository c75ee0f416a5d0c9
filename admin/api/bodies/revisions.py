"""What is told of revisions, and of what differs between two."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from admin.revisions import Source


class RevisionSummary(BaseModel):
    """One applied change."""

    model_config = ConfigDict(defer_build=True)

    number: int = Field(description="0 is the empty document a process starts with.")
    time: float = Field(description="When it was published, in seconds since 1970.")
    source: Source = Field(description="Where it came from.")
    author: str = Field(description="A token's name, `unix`, `anonymous` or `hotsplice` itself.")
    note: str | None = Field(description="What its author said of it.")
    changed: list[str] = Field(description="Pointers to what differed from the one before.")
    restores: int | None = Field(description="The revision whose document it has again.")
    serving: bool = Field(description="Whether it is the one that serves.")


class RevisionPage(BaseModel):
    """Revisions, the newest first."""

    items: list[RevisionSummary]
    next: str | None = Field(description="`cursor` of the next page; null after the last.")


class RevisionDetails(RevisionSummary):
    """A revision with its document."""

    document: dict[str, Any] = Field(description="As it was written.")


class DifferenceDetails(BaseModel):
    """One value that differs; objects are gone into, a list is one value."""

    path: str = Field(description="JSON pointer into the document.")
    before: Any = Field(None, description="Absent if it was not there.")
    after: Any = Field(None, description="Absent if it is not there any more.")


class RevisionDiff(BaseModel):
    """What leads from one revision to another."""

    from_: int = Field(alias="from", description="The revision before.")
    to: int = Field(description="The revision after.")
    differences: list[DifferenceDetails]
