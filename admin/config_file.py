"""The document of ``--config``: read at the start, and again on SIGHUP."""

from __future__ import annotations

from pathlib import Path

from admin.documents import DocumentError, load
from proxy.errors import Fault


def read_document(path: Path) -> object:
    """Read and parse a file, JSON if its name ends so, else YAML; ``DocumentError`` if it fails."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DocumentError([Fault("", f"{path} cannot be read: {error.strerror}")]) from error
    return load(data, yaml=path.suffix != ".json")
