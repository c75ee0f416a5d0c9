"""A folder of documents, read as one: whose files say what, and what stands there twice.

The kubelet changes a mounted ConfigMap by putting another folder behind the link ``..data``.  So
where there is such a link, everything is read from the one folder it leads to, or read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin.documents.faults import DocumentError
from admin.documents.loading import load
from admin.edits import KINDS, same
from proxy.errors import Fault, pointer

SUFFIXES: Final = (".yaml", ".yml", ".json")

DATA: Final = "..data"
"""The kubelet's link to the files as they are now."""

ATTEMPTS: Final = 5
"""How often a folder is read that is being changed meanwhile."""

Signature = tuple[object, ...]
"""What tells whether files may say something else than before."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What a folder says."""

    document: Mapping[str, object]
    files: Mapping[str, str]
    """By pointer to a named object, or another key of the document, the file that has it."""

    def located(self, fault: Fault) -> Fault:
        """Return a fault of the document with the file that it is in, if it is in one."""
        parts = fault.path.split("/")
        for length in (3, 2):
            file = self.files.get("/".join(parts[:length]))
            if file is not None:
                return Fault(f"{file}:{fault.path}", fault.message, fault.hint)
        return fault


NOTHING: Final = Folded({}, {})
"""What a folder says that was never read."""


def signature_of(folder: Path) -> Signature:
    """Look at a folder without reading its files; ``OSError`` if it is not there."""
    root = _root(folder)
    status = root.stat()
    files = [file.stat() for file in _files(root)]
    looks = [(file.st_ino, file.st_mtime_ns, file.st_size) for file in files]
    return (str(root), status.st_dev, status.st_ino, *looks)


def read_folder(folder: Path) -> Folded:
    """Read the documents of a folder as one; ``DocumentError`` with every fault.

    Faults have ``file:pointer`` for a path.
    """
    for _ in range(ATTEMPTS):
        root = _root(folder)
        try:
            texts = {file.name: file.read_bytes() for file in _files(root)}
        except OSError as error:
            if _root(folder) == root:
                message = f"cannot be read: {error.strerror}"
                raise DocumentError([Fault(error.filename or str(folder), message)]) from error
        else:
            if _root(folder) == root:
                return _folded(folder, texts)
    raise DocumentError([Fault(str(folder), "it is changed faster than it can be read")])


def _root(folder: Path) -> Path:
    data = folder / DATA
    return data.resolve() if data.is_symlink() else folder


def _files(root: Path) -> list[Path]:
    found = (path for path in root.iterdir() if path.suffix in SUFFIXES and path.name[0] != ".")
    return sorted(path for path in found if path.is_file())


def _folded(folder: Path, texts: Mapping[str, bytes]) -> Folded:
    if not texts:
        hint = f"a document is a file named {', '.join(f'*{suffix}' for suffix in SUFFIXES)}"
        raise DocumentError([Fault(str(folder), "there is no document in it", hint)])
    faults: list[Fault] = []
    merging = _Merging(faults)
    for file, text in texts.items():
        try:
            merging.add(file, load(text, yaml=not file.endswith(".json")))
        except DocumentError as error:
            faults += [Fault(f"{file}:{one.path}", one.message, one.hint) for one in error.faults]
    if faults:
        raise DocumentError(faults)
    return Folded(merging.document, merging.files)


class _Merging:
    """Documents, put together."""

    def __init__(self, faults: list[Fault]) -> None:
        self.document: Final[dict[str, object]] = {"version": 1}
        self.files: Final[dict[str, str]] = {}
        self._faults: Final = faults

    def add(self, file: str, document: object) -> None:
        """Add a file; nothing of it may be there already."""
        if not isinstance(document, dict):
            self._faults.append(Fault(f"{file}:", "a document is an object"))
            return
        for key, value in document.items():
            if key == "version":
                if not same(value, 1):
                    self._faults.append(Fault(f"{file}:/version", "this version's format is 1"))
            elif key not in KINDS:
                self._put(file, self.document, (key,), value)
            elif isinstance(value, dict):
                section = self.document.setdefault(key, {})
                assert isinstance(section, dict)
                for name, each in value.items():
                    self._put(file, section, (key, name), each)
            else:
                self._faults.append(Fault(f"{file}:/{key}", "it holds objects by name"))

    def _put(
        self, file: str, into: dict[str, object], place: tuple[str, ...], value: object
    ) -> None:
        at = pointer(*place)
        other = self.files.setdefault(at, file)
        if other != file:
            hint = "an object stands in one file"
            self._faults.append(Fault(f"{file}:{at}", f"{other} has it too", hint))
        into[place[-1]] = value
