"""What tests ask of an answer."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientResponse


async def problem(response: ClientResponse, status: int) -> dict[str, Any]:
    """Check that an answer is a problem as RFC 9457 has it, and return it."""
    body: dict[str, Any] = await response.json(content_type="application/problem+json")
    assert (response.status, body["status"]) == (status, status), body
    assert set(body) == {"type", "title", "status", "detail", "errors"}
    assert body["detail"]
    for error in body["errors"]:
        assert set(error) - {"hint"} == {"path", "message"}
    return body


async def paths(response: ClientResponse, status: int) -> list[str]:
    """Return the places of the faults in a problem."""
    return [error["path"] for error in (await problem(response, status))["errors"]]


async def ok(response: ClientResponse, status: int = 200) -> Any:
    """Check the status of a JSON answer and return its body."""
    assert response.status == status, await response.text()
    return await response.json()
