"""Autobahn's testsuite in a virtual environment of its own: it runs under Python 2.7 alone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.autobahn.verdicts import Cases

FOLDER: Final = Path(__file__).parents[2] / ".autobahn"
"""``make clean`` removes it."""

REPORTS: Final = FOLDER / "reports"

REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")

VIRTUALENV: Final = "virtualenv==20.21.1"
"""One of the last that make environments for Python 2.7, with a pip that still runs there."""

CASES: Final = 517
"""So many has the version that is pinned."""


class SkippedError(Exception):
    """The suite cannot run on this machine; the message says why."""


class SuiteError(Exception):
    """The suite did not do what it was asked for."""


class Report(NamedTuple):
    """What the suite wrote of one server."""

    announced: int
    """Cases that it said it would run."""
    cases: Cases


def prepare() -> Path:
    """Return the suite's command; install it first, if it is not there as it is pinned."""
    environment = FOLDER / "env"
    stamp, pins = environment / "installed", REQUIREMENTS.read_text()
    if not (stamp.exists() and stamp.read_text() == pins):
        python = _python27()
        print(f"installing the testsuite for {python}", flush=True)
        shutil.rmtree(environment, ignore_errors=True)
        tools = FOLDER / "tools"
        _install([sys.executable], "--upgrade", "--target", str(tools), VIRTUALENV)
        _call([sys.executable, "-m", "virtualenv", "--quiet", "--python", python, str(environment)],
              PYTHONPATH=str(tools))  # fmt: skip
        pip = [str(environment / "bin" / "python")]
        _install(pip, "--no-deps", "--require-hashes", "--requirement", str(REQUIREMENTS))
        stamp.write_text(pins)
    return environment / "bin" / "wstest"


async def run(wstest: Path, name: str, url: str, cases: Sequence[str]) -> Report:
    """Run cases, or patterns of them, against a server; its reports are in a folder by its name."""
    folder = REPORTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spec, log, index = (folder / file for file in ("spec.json", "log", "index.json"))
    servers = [{"agent": name, "url": url}]
    order = {"outdir": str(folder), "servers": servers, "cases": list(cases)}
    spec.write_text(json.dumps({**order, "exclude-cases": [], "exclude-agent-cases": {}}))
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            str(wstest), "--mode", "fuzzingclient", "--spec", str(spec),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
        try:
            await child.wait()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    # The exit status says nothing: it is 0 whatever happened.
    said = log.read_text(errors="replace")
    announced = re.search(r"will run (\d+) test cases", said)
    if announced is None or not index.exists():
        raise SuiteError(f"the suite made no report of {name}:\n{said[-2000:]}")
    return Report(int(announced[1]), json.loads(index.read_text())[name])


def _python27() -> str:
    for candidate in filter(None, map(shutil.which, _candidates())):
        ask = [candidate, "-c", "import sys; sys.exit(sys.version_info[:2] != (2, 7))"]
        if subprocess.run(ask, capture_output=True, check=False).returncode == 0:
            return candidate
    raise SkippedError(
        "Autobahn's testsuite runs under Python 2.7 alone, and there is none here: not as "
        "$PYTHON27, not as python2.7, and pyenv has none"
    )


def _candidates() -> list[str]:
    named = os.environ.get("PYTHON27")
    if named:
        return [named]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    # pyenv's own python2.7 runs only where it was chosen.
    return ["python2.7", *map(str, sorted(pyenv.glob("versions/2.7*/bin/python2.7")))]


def _install(python: list[str], *words: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    _call([*python, "-m", "pip", "install", *quiet, *words], PIP_NO_PYTHON_VERSION_WARNING="1")


def _call(command: Sequence[str], **environ: str) -> None:
    done = subprocess.run(command, env={**os.environ, **environ}, check=False)
    if done.returncode:
        raise SuiteError(f"could not install the testsuite: {' '.join(command)} failed")
