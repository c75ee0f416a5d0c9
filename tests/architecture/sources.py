"""The files of the project, as the rules about them see them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

OURS: Final = frozenset({".ci", ".dockerignore", ".editorconfig", ".github", ".gitignore"})
"""What begins with a dot and is not somebody's cache."""

MADE: Final = frozenset({"__pycache__", "build", "dist"})


def project_files(folder: Path = ROOT) -> Iterator[Path]:
    """Give every file that belongs to the project.  Works without Git, as in an archive."""
    for path in sorted(folder.iterdir()):
        if (path.name.startswith(".") and path.name not in OURS) or path.name in MADE:
            continue
        if path.is_dir():
            yield from project_files(path)
        else:
            yield path


def modules(*packages: str) -> dict[str, ast.Module]:
    """Return the syntax trees of some packages' modules, by path from the root."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_bytes())
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def imported(tree: ast.Module, *, at_run_time: bool = False) -> Iterator[tuple[str, int]]:
    """Give each module that is imported, anywhere in a file, with its line.

    ``from a import b`` gives ``a`` and ``a.b``, for ``b`` may be a module.  ``at_run_time`` leaves
    out what stands under ``if TYPE_CHECKING``.
    """
    for node in _walk(tree, at_run_time=at_run_time):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module, node.lineno
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def _walk(node: ast.AST, *, at_run_time: bool) -> Iterator[ast.AST]:
    yield node
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if at_run_time and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        children = node.orelse
    for child in children:
        yield from _walk(child, at_run_time=at_run_time)


def is_within(module: str, package: str) -> bool:
    """Tell whether a module is a package or in it."""
    return module == package or module.startswith(package + ".")
