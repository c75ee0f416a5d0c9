"""What the API says of itself, held against it by schemathesis: every operation, every check.

``HOTSPLICE_TEST_EXAMPLES=100`` makes it as thorough as a release asks for; by default it takes less
than a minute.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.integration.admin.process import ROOT, process
from tests.integration.admin.test_run import FAST, document, write

EXAMPLES: Final = int(os.environ.get("HOTSPLICE_TEST_EXAMPLES", "5"))
"""For each operation, in the phases that draw lots."""

HOOKS: Final = "tests.integration.admin.schemathesis_hooks"

LIMIT_S: Final = 120 + 15 * EXAMPLES
"""Of the whole run, on a machine that does other things too."""

SEED: Final = "1"
"""The same examples each time: a test that fails has to fail again."""


async def schemathesis(tmp_path: Path, admin: str, *flags: str) -> tuple[int, str]:
    """Run it against the API at an address; return its exit status and what it says."""
    shutil.copy(ROOT / "schemathesis.toml", tmp_path)  # its cache is left beside it
    command = Path(sys.executable).with_name("schemathesis")
    child = await asyncio.create_subprocess_exec(
        str(command), "run", f"http://{admin}/openapi.json",
        "--checks", "all", "--max-examples", str(EXAMPLES), "--seed", SEED,
        "--continue-on-failure", *flags,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode or 0, said.decode()


@pytest.mark.timeout(LIMIT_S + 60)
async def test_api_is_what_it_says_it_is(tmp_path: Path, blue: str) -> None:
    config = write(tmp_path / "c.json", document(blue))
    flags = ("--config", config, "--admin-auth", "off", "--log-level", "warning", *FAST)
    async with process(tmp_path, "run", *flags) as running:
        ready = await running.ready()
        status, said = await schemathesis(tmp_path, ready["admin"])
        assert status == 0, said
        ended, log = await running.terminated()
    assert ended == 0
    assert "admin_request_failed" not in log
    assert "Traceback" not in log
