"""What hadolint has to say about the Dockerfile, and what it may not be about."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent))
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.skipif(HADOLINT is None, reason="hadolint has no wheel for this machine")
def test_hadolint_finds_nothing() -> None:
    assert HADOLINT is not None
    done = subprocess.run(
        [HADOLINT, "--no-color", "-"], input=DOCKERFILE, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(HADOLINT is None, reason="hadolint has no wheel for this machine")
def test_hadolint_would_find_something() -> None:
    assert HADOLINT is not None
    shell = DOCKERFILE.replace('ENTRYPOINT ["hotsplice"]', "ENTRYPOINT hotsplice")
    assert shell != DOCKERFILE
    done = subprocess.run(
        [HADOLINT, "--no-color", "-"], input=shell, capture_output=True, text=True, check=False
    )
    assert "DL3025" in done.stdout


def test_everything_that_is_copied_is_let_through() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for source in line.split()
    }
    kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"]
    assert copied == {line[1:] for line in kept}
    assert all((ROOT / source).exists() for source in copied)


def test_image_has_the_version_of_the_project() -> None:
    project = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    image = re.search(r"^ARG VERSION=(.+)", DOCKERFILE, re.MULTILINE)
    assert project is not None
    assert image is not None
    assert image[1] == project[1]
