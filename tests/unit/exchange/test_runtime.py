"""Request ids."""

from __future__ import annotations

import asyncio
import re
from typing import cast

from proxy.exchange.runtime import Runtime


class Loop:
    """Parsers only keep it."""


def test_request_ids_are_32_hexadecimal_digits_and_never_the_same() -> None:
    runtime = Runtime(cast("asyncio.AbstractEventLoop", Loop()), None, None)
    ids = [runtime.new_request_id() for _ in range(1000)]
    assert all(re.fullmatch(rb"[0-9a-f]{32}", one) for one in ids)
    assert len(set(ids)) == len(ids)
