"""One call of the client: what was asked for, the connection, and where to say what came of it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from admin.client.connection import YAML, Answer, Connection
from admin.client.discovery import find
from admin.client.output import Output


class Session:
    """What a command has at hand."""

    def __init__(self, arguments: Namespace, output: Output, environ: Mapping[str, str]) -> None:
        self.arguments: Final = arguments
        self.output: Final = output
        self._environ: Final = environ

    def get(self, path: str, query: Mapping[str, str] | None = None, **more: Any) -> Answer:
        """Read a resource."""
        return self._reader.ask("GET", path, query, **more)

    def read(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Read a resource, which is JSON."""
        return self.get(path, query).value

    def yaml(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Read a resource as YAML."""
        return self.get(path, query, accept=YAML).text

    def write(self, method: str, path: str, *args: Any, **more: Any) -> Answer:
        """Change something."""
        return self._writer.ask(method, path, *args, **more)

    @property
    def reading(self) -> Connection:
        """The connection for what changes nothing."""
        return self._reader

    @cached_property
    def _reader(self) -> Connection:
        return self._find(writes=False)

    @cached_property
    def _writer(self) -> Connection:
        return self._find(writes=True)

    def _find(self, *, writes: bool) -> Connection:
        given = self.arguments
        return find(given.admin, given.token_file, self._environ, writes=writes)
