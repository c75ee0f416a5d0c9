"""The kubelet, as far as a mounted ConfigMap sees it: files change all at once, by one rename.

As in Kubernetes' ``pkg/volume/util/atomic_writer.go``: a folder with a time in its name gets the
new files, a link to it is renamed over ``..data``, and then links to files that are new are made,
those of gone files are removed, and the old folder is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final


class ConfigMapMount:
    """A mounted ConfigMap."""

    def __init__(self, path: Path, files: Mapping[str, str]) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path: Final = path
        self._swaps = 0
        self.update(files)

    def update(self, files: Mapping[str, str]) -> None:
        """Let the ConfigMap have these files."""
        data = self.path / "..data"
        old = data.resolve() if data.is_symlink() else None
        self._swaps += 1
        folder = self.path / f"..2026_11_25_18_41_{self._swaps:02}.{self._swaps:010}"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        temporary = self.path / "..data_tmp"
        temporary.symlink_to(folder.name)
        temporary.rename(data)
        for name in files:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        for link in self.path.iterdir():
            if not link.name.startswith("..") and link.name not in files:
                link.unlink()
        if old is not None:
            shutil.rmtree(old)
