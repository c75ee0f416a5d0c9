"""An nginx.conf as a tree: crossplane's lexer and its tables of directives, includes expanded.

crossplane's own tree builder drops whatever stands unfinished at the end of a file and follows an
include that includes itself, so the tree is built here.
"""

from __future__ import annotations

import glob
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from crossplane.analyzer import analyze, enter_block_ctx
from crossplane.errors import NgxParserBaseException
from crossplane.lexer import _lex_file_object as lex

from admin.documents.faults import DocumentError
from proxy.errors import Fault

MAX_DEPTH: Final = 50
"""Blocks and includes within each other."""
MAX_FILES: Final = 1_000
"""Files read, one that is included twice counted twice."""

_ESCAPE: Final = re.compile(r"\\([\\\"'trn])")
_ESCAPED: Final = {"t": "\t", "r": "\r", "n": "\n"}

Token: TypeAlias = tuple[str, int, bool]
"""Text, line, and whether it was quoted."""
Context: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, eq=False)
class Directive:
    """A directive with its arguments and, if it has one, its block.  Equal to itself only."""

    name: str
    args: tuple[str, ...]
    place: Place
    block: tuple[Directive, ...] | None = None

    def __str__(self) -> str:
        words = " ".join(word or "''" for word in (self.name, *self.args))
        text = words if words.isprintable() else ascii(words)[1:-1]
        return text if len(text) <= 80 else text[:79] + "…"


def read_tree(path: Path) -> tuple[Directive, ...]:
    """Read a file and all that it includes.

    Raises:
        DocumentError: something cannot be read, or nginx would not take it; every fault has
            ``file:line`` for its path.
    """
    reader = _Reader(path.parent)
    tree = reader.file(str(path), (), (), None)
    if reader.faults:
        raise DocumentError(reader.faults)
    return tree


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.faults: Final[list[Fault]] = []
        """What ``file`` found and could go on after."""
        self._folder: Final = folder
        self._files = 0

    def file(
        self, name: str, context: Context, within: tuple[str, ...], place: Place | None
    ) -> tuple[Directive, ...]:
        """Read a file; ``within`` are the files that led to it, ``place`` where it is included."""
        at = str(place or name)
        real = os.path.realpath(name)
        self._files += 1
        if real in within:
            raise _fault(at, f"{name} includes itself")
        if self._files > MAX_FILES or len(within) >= MAX_DEPTH:
            raise _fault(at, f"more than {MAX_FILES:,} files, or {MAX_DEPTH} within each other")
        try:
            data = Path(name).read_bytes()
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or "not a file name"
            raise _fault(at, f"{name} cannot be read: {said}") from error
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise _fault(Place(name, line), "not UTF-8") from error
        tokens = iter(_tokens(text, name))
        return self._block(tokens, name, context, (*within, real), opened=None)

    def _block(
        self,
        tokens: Iterator[Token],
        file: str,
        context: Context,
        within: tuple[str, ...],
        *,
        opened: Place | None,
        depth: int = 0,
    ) -> tuple[Directive, ...]:
        """Read to the end of the block that began at ``opened``, or of the file."""
        found: list[Directive] = []
        for text, line, quoted in tokens:
            place = Place(file, line)
            if text in {"{", "}", ";"} and not quoted:
                if text == "}" and opened is not None:
                    return tuple(found)
                raise _fault(place, f'unexpected "{text}"')
            args, end = _arguments(tokens, text, place)
            name = _unescaped(text)
            self._analyze(name, args, end, place, context)
            block = None
            if end == "{":
                if depth >= MAX_DEPTH:
                    raise _fault(place, f"more than {MAX_DEPTH} blocks within each other")
                inner = enter_block_ctx({"directive": name}, context)
                block = self._block(tokens, file, inner, within, opened=place, depth=depth + 1)
            elif name == "include" and len(args) == 1:
                found += self._include(args[0], context, within, place)
                continue
            found.append(Directive(name, args, place, block))
        if opened is not None:
            raise _fault(opened, 'unexpected end of file, expecting "}" for this block')
        return tuple(found)

    def _analyze(
        self, name: str, args: tuple[str, ...], end: str, place: Place, context: Context
    ) -> None:
        """Check context and number of arguments as nginx does."""
        # A % in an argument would be taken for a place to fill in by crossplane's messages.
        safe = [arg.replace("%", "%%") for arg in args]
        statement = {"directive": name, "line": place.line, "args": safe}
        try:
            analyze(place.file, statement, end, context)
        except NgxParserBaseException as error:
            self.faults.append(Fault(str(place), str(error.strerror)))

    def _include(
        self, pattern: str, context: Context, within: tuple[str, ...], place: Place
    ) -> list[Directive]:
        """Read what an ``include`` names; relative to the folder of the main file, as in nginx."""
        path = str(self._folder / pattern)
        if "\0" in path:
            raise _fault(place, "a file name has no NUL in it")
        names = sorted(glob.glob(path)) if glob.has_magic(path) else [path]  # noqa: PTH207
        return [each for name in names for each in self.file(name, context, within, place)]


def _tokens(text: str, file: str) -> list[Token]:
    """Cut a text up.  A brace behind it shows whether the lexer got to its end."""
    tokens: list[Token] = []
    try:
        tokens += (each for each in lex(io.StringIO(text + "\n}")) if not _is_comment(each))
    except NgxParserBaseException as error:
        raise _fault(Place(file, error.lineno or 1), str(error.strerror)) from error
    last = text.count("\n") + 2
    if not tokens or tokens[-1] != ("}", last, False):
        line = tokens[-1][1] if tokens else 1
        message = "unexpected end of file: a quoted text or a block does not end"
        raise _fault(Place(file, line), message)
    return tokens[:-1]


def _is_comment(token: Token) -> bool:
    return token[0].startswith("#") and not token[2]


def _arguments(tokens: Iterator[Token], name: str, place: Place) -> tuple[tuple[str, ...], str]:
    """Read what follows a directive's name; return it, and ``;`` or ``{``."""
    args: list[str] = []
    for text, _, quoted in tokens:
        if quoted or text not in {"{", "}", ";"}:
            args.append(_unescaped(text))
        elif text == "}":
            raise _fault(place, f'directive "{name[:60]}" is not terminated by ";"')
        else:
            return tuple(args), text
    raise _fault(place, 'unexpected end of file, expecting ";" or "}"')


def _unescaped(text: str) -> str:
    r"""Resolve escapes as ``ngx_conf_read_token`` does: of ``\d`` both characters stay."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)


def _fault(place: Place | str, message: str) -> DocumentError:
    return DocumentError([Fault(str(place), message)])
