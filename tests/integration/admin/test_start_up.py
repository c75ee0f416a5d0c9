"""What a start loads: every module is time until ready, and memory for as long as it runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, is_within
from tests.integration.admin.process import process
from tests.integration.admin.test_run import document
from tests.integration.admin.test_state import Sidecar, sidecar

LATE = {
    "admin.api.docs", "admin.api.openapi", "admin.client.commands", "admin.client.connection",
    "admin.demo", "admin.explaining", "admin.nginx", "crossplane", "difflib",
    "proxy.explain.rehearsal", "proxy.explain.rivals", "ruamel",
}  # fmt: skip
"""What a process that runs on JSON, and is asked nothing, has no use for."""


async def loaded(folder: Path, name: str) -> set[str]:
    """Run with the demo's document in a file of that name; return what was loaded meanwhile."""
    config = folder / name
    config.write_text(json.dumps(document("127.0.0.1:9")))
    flags = ("--config", str(config), "--drain-accept", "0s", "--state-dir", str(folder / "state"))
    async with process(folder, "run", *flags, PYTHONPROFILEIMPORTTIME="1") as running:
        await running.ready()
        status, said = await running.terminated()
    assert status == 0, said
    return set(re.findall(r"^import time: .*\| +(\S+)$", said, re.MULTILINE))


async def test_start_loads_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    modules = await loaded(tmp_path, "hotsplice.json")
    assert {"admin.app", "proxy.server", "pydantic"} <= modules
    late = {one for one in modules if any(is_within(one, package) for package in LATE)}
    assert late == set()


async def test_models_are_loaded_with_the_first_change(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as running:
        for path in ("config", "pools", "status", "revisions", "connections", "drains"):
            await running.read(f"/v1/{path}")
        assert not models_in(running)
        assert children_of(running) == []
        assert (await running.put(1))[0] == 200
        assert models_in(running)


def models_in(running: Sidecar) -> bool:
    """Tell whether pydantic is in the memory of a process."""
    return "_pydantic_core" in Path(f"/proc/{running.running.process.pid}/maps").read_text()


def children_of(running: Sidecar) -> list[str]:
    pid = running.running.process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def test_yaml_is_loaded_for_who_uses_it(tmp_path: Path) -> None:
    assert "ruamel.yaml" in await loaded(tmp_path, "hotsplice.yaml")


@pytest.mark.parametrize("module", ["pydantic", "ruamel", "crossplane", "admin"])
def test_data_plane_alone_loads_nothing_of_the_control_plane(module: str) -> None:
    program = textwrap.dedent("""
        import pkgutil, sys, proxy
        for found in pkgutil.walk_packages(proxy.__path__, "proxy."):
            __import__(found.name)
        print(*sys.modules)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    assert "proxy.explain.rehearsal" in found
    assert [one for one in found if is_within(one, module)] == []
