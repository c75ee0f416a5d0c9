"""Refusals, as problem details (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, Field


class FaultDetails(BaseModel):
    """One fault, with its place."""

    path: str = Field(
        description="JSON pointer (RFC 6901) into the document, or the name of a parameter."
    )
    message: str = Field(description="What is wrong.")
    hint: str | None = Field(None, description="What would be right, if that is known.")


class ProblemDetails(BaseModel):
    """Why a request was refused (RFC 9457).  Nothing was changed."""

    type: str = Field(description="`about:blank`: the status says what kind of problem it is.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="This very problem in words.")
    errors: list[FaultDetails] = Field(description="Every fault found; may be empty.")
