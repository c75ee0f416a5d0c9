"""What ``--config`` or ``--nginx-conf`` names: read at the start, and again on SIGHUP."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from admin.documents import DocumentError, load
from admin.folder.reading import read_folder
from admin.settings import RunSettings
from proxy.errors import Fault
from proxy.telemetry.logging import get_logger

_log = get_logger("admin.config_file")


def bootstrap(settings: RunSettings) -> Callable[[], object] | None:
    """Return what reads the document that the process was given, if it was given one."""
    if settings.config is not None:
        return partial(read_document, settings.config)
    if settings.nginx_conf is not None:
        return partial(read_nginx_conf, settings.nginx_conf, lenient=settings.lenient)
    return None


def read_document(path: Path) -> object:
    """Read and parse a file, JSON if its name ends so, else YAML; ``DocumentError`` if it fails.

    A folder is read as one document.
    """
    if path.is_dir():
        return read_folder(path).document
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DocumentError([Fault("", f"{path} cannot be read: {error.strerror}")]) from error
    return load(data, yaml=path.suffix != ".json")


def read_nginx_conf(path: Path, *, lenient: bool) -> object:
    """Import an nginx.conf, and log how it differs; ``DocumentError`` if it cannot be used."""
    from admin.nginx import import_nginx
    from admin.nginx.report import Verdict

    report = (imported := import_nginx(path, lenient=lenient)).report
    differs = report.told(Verdict.APPROXIMATED)
    _log.info("nginx_conf_imported", path=str(path), approximated=differs)
    if refused := report.told(Verdict.REFUSED):
        _log.warning("nginx_conf_left_out", path=str(path), refused=refused)
    return imported.document
