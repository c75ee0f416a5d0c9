"""What every file of the project keeps to."""

from __future__ import annotations

import ast
import re
import tomllib
from itertools import chain
from typing import Final

from tests.architecture.sources import ROOT, modules, project_files

LINES: Final = 450
LARGEST: Final = {
    "proxy/downstream/connection.py": 520,  # one state machine: its states belong together
    "proxy/exchange/exchange.py": 520,  # likewise; its phases are modules of their own already
}
"""Files that may be longer, and how long."""

LEFT_OPEN: Final = re.compile(r"\b(?:[T]ODO|[F]IXME|[X]XX|[N]otImplementedError)\b")

NOT_OURS: Final = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.|crates\.io|index[-]url|file:/{3}"
    r"|/(?:home|Users|root|workspace)/\w|/work/\w|[A-Z]:\\\\",
)
"""Where one machine installs from, or keeps its files: nobody else's business or use."""


def texts() -> dict[str, str]:
    """Return the text of every file that is one, by path from the root."""
    return {
        str(path.relative_to(ROOT)): path.read_bytes().decode("utf-8", "replace")
        for path in project_files()
    }


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path
        for path, tree in modules("proxy", "admin").items()
        if len(ast.get_docstring(tree) or "") <= 20
    ]
    assert silent == []


def test_no_module_grows_beyond_reading() -> None:
    lengths = {
        path: len((ROOT / path).read_text().splitlines()) for path in modules("proxy", "admin")
    }
    assert lengths.keys() >= LARGEST.keys()
    too_long = {
        path: length for path, length in lengths.items() if length > LARGEST.get(path, LINES)
    }
    assert too_long == {}


def test_nothing_is_left_open() -> None:
    found = {
        path: left
        for path, text in texts().items()
        if path.endswith(".py") and (left := LEFT_OPEN.findall(text))
    }
    assert found == {}


def test_no_file_tells_of_one_machine() -> None:
    found = {path: told for path, text in texts().items() if (told := NOT_OURS.findall(text))}
    assert found == {}


def test_the_lock_pins_with_hashes_and_names_no_place() -> None:
    lock = (ROOT / "requirements-dev.lock").read_text()
    requirements = re.findall(r"^(\S+)((?:.*\\\n)+.*)", lock, re.MULTILINE)
    assert requirements
    assert [name for name, rest in requirements if "==" not in name or "--hash=" not in rest] == []
    assert not re.search(r"^\s*-(?!-hash)|://|@", lock, re.MULTILINE)


def test_the_lock_has_everything_that_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    asked = [*project["project"]["dependencies"], *chain.from_iterable(groups.values())]
    # What is no text includes another group.
    texts = [one for one in asked if isinstance(one, str)]
    names = {_normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in texts}
    lock = (ROOT / "requirements-dev.lock").read_text()
    locked = {_normal(name) for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    assert names - locked == set(), "run: make lock"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
