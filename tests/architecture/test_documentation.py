"""What the documents at the root say is true: checked as far as a program can."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, cast

import pytest

from admin.controller import Controller
from admin.documents.document import validate
from admin.documents.loading import load
from admin.settings import DEMO, RUN
from admin.telemetry import control_plane
from admin.translate import to_spec
from proxy.snapshot import NOTHING, compile_snapshot
from proxy.telemetry.counters import Ledger
from proxy.telemetry.exposition import render
from proxy.telemetry.reading import Reading
from tests.architecture.sources import ROOT, modules

if TYPE_CHECKING:
    from admin.plane import DataPlane

README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """Return a section of the README."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("text", blocks(README, "yaml"))
def test_every_document_in_the_readme_is_sound(text: str) -> None:
    spec = to_spec(validate(load(text.encode(), yaml=True)))
    compile_snapshot(spec, NOTHING, {}, {}, Ledger())


def test_the_program_in_the_readme_runs() -> None:
    (program,) = blocks(README, "python")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\{'public': '127\.0\.0\.1:\d+'\}\n", done.stdout)


def test_the_readme_has_every_flag_with_its_variable_and_default() -> None:
    rows = [row for row in section("Command line").splitlines() if row.startswith("| `--")]
    for option in RUN:
        row = next((row for row in rows if re.match(rf"\| `--{option.flag}[ `]", row)), "")
        assert f"`{option.twin}`" in row, option.flag
        assert option.default is None or f"`{option.default}`" in row, option.flag
    assert len(rows) == len(RUN)
    assert all(f"`--{option.flag}" in README for option in DEMO)


def test_the_readme_has_every_metric_and_no_other() -> None:
    controller = Controller(cast("DataPlane", None))
    text, _ = render(NOTHING_LIVE, "", control_plane(controller, Counter({200: 1})))
    exposed = set(re.findall(r"^# TYPE hotsplice_(\w+)", text.decode(), re.MULTILINE))
    rows = [row for row in section("Metrics and logs").splitlines() if row.startswith("| ")]
    told = set(re.findall(r"`([a-z_]+)(?:\{[a-z_,]*\})?`", "\n".join(rows)))
    # Only after a first apply are these two there.
    assert told - exposed == {
        "config_last_apply_successful",
        "config_last_apply_timestamp_seconds",
    }
    assert exposed - told == set()


NOTHING_LIVE = Reading(
    draining=False,
    drain_remaining=0,
    loop_lag_s=0.0,
    listeners=(),
    pools=(),
    routes=(),
    generation=0,
)


def test_every_link_leads_somewhere() -> None:
    for page in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (ROOT / target).exists(), f"{page.name}: {target}"


def test_the_house_in_architecture_is_the_house_as_built() -> None:
    listed = {}
    folders: list[str] = []
    for line in blocks(ARCHITECTURE.partition("## The house")[2], "")[0].splitlines():
        name, _, purpose = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = [name]
        if name.endswith(".py"):
            listed["".join(folders)] = purpose.strip()
    built = {
        path
        for path in modules("proxy", "admin")
        if path.count("/") == 1 or not path.endswith("__init__.py")
    }
    assert listed.keys() == built, "add it to ARCHITECTURE.md, The house"
    assert all(listed.values())
