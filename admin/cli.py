"""The commands, each imported when it is called: ``check`` need not load a web server."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, TextIO

from admin.environment import without_certificates, without_plugins
from admin.settings import CheckSettings, ImportSettings, parse
from proxy.errors import Fault

BOTH_NEED: Final = ("admin.candidate", "proxy.logs.access", "proxy.route")
"""What the process that examines the document needs as well as the one that serves: on one core it
is worth loading once, before they part.  None of it starts a thread."""

FAULTY = 2
"""Exit status for a document or a setting with faults."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    settings = parse(sys.argv[1:] if argv is None else argv)
    if isinstance(settings, CheckSettings):
        return check_nginx(settings.file) if settings.nginx else check(settings.file)
    if isinstance(settings, ImportSettings):
        return import_nginx(settings.file, lenient=settings.lenient)
    if settings.listen is None:
        from admin.beside import Beside

        without_plugins()
        for module in BOTH_NEED:
            import_module(module)
        try:
            beside = Beside("admin.examining")  # before anything else is loaded
        except OSError:
            beside = None  # there are too many processes; then it is done here
        with without_certificates():
            from admin.app import run

        return run(settings, beside)
    from admin.demo import run_demo

    return run_demo(settings, settings.listen)


def check(path: Path) -> int:
    """Say everything that is wrong with a document, or a folder's, without opening a socket."""
    from admin.config_file import read_document
    from admin.documents.document import validate
    from admin.documents.faults import DocumentError
    from admin.folder.reading import NOTHING as NO_FOLDER
    from admin.folder.reading import read_folder
    from admin.translate import to_spec
    from proxy.errors import SpecError
    from proxy.snapshot import NOTHING, compile_snapshot
    from proxy.telemetry.counters import Ledger

    folded = NO_FOLDER
    try:
        if path.is_dir():
            document: object = (folded := read_folder(path)).document
        else:
            document = read_document(path)
        compile_snapshot(to_spec(validate(document)), NOTHING, {}, {}, Ledger())
    except (DocumentError, SpecError) as error:
        report(map(folded.located, error.faults), sys.stdout)
        return FAULTY
    print("ok")
    return 0


def check_nginx(path: Path) -> int:
    """Say everything that is wrong with an nginx.conf, or that hotsplice cannot do."""
    from admin.documents.faults import DocumentError
    from admin.nginx import import_nginx

    try:
        import_nginx(path)
    except DocumentError as error:
        report(error.faults, sys.stdout)
        return FAULTY
    print("ok")
    return 0


def import_nginx(path: Path, *, lenient: bool) -> int:
    """Print the document that does what an nginx.conf does, and what became of each directive."""
    from admin.documents.faults import DocumentError
    from admin.documents.loading import dump_yaml
    from admin.nginx import import_nginx

    try:
        imported = import_nginx(path, lenient=lenient)
    except DocumentError as error:
        report(error.faults, sys.stderr)
        return FAULTY
    print(dump_yaml(imported.document), end="")
    print(*imported.report.lines(), sep="\n", file=sys.stderr)
    return 0


def report(faults: Iterable[Fault], to: TextIO) -> None:
    """Print faults for people: where, what, and what would be right."""
    for fault in faults:
        print(f"{fault.path or '/'}: {fault.message}", file=to)
        if fault.hint:
            print(f"    hint: {fault.hint}", file=to)
