"""What ``--config`` or ``--nginx-conf`` names: read at the start, and again on SIGHUP."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from admin.documents.faults import DocumentError
from admin.documents.loading import load
from admin.folder.reading import read_folder
from admin.settings import RunSettings
from proxy.errors import Fault
from proxy.telemetry.logging import get_logger

_log = get_logger("admin.config_file")


def _here(module: str, name: str, *args: object) -> Any:
    return getattr(import_module(module), name)(*args)


def bootstrap(
    settings: RunSettings, call: Callable[..., Any] = _here
) -> Callable[[], object] | None:
    """Return what reads the document that the process was given, if it was given one.

    ``call`` calls a function of a module, here or elsewhere.
    """
    if settings.config is not None:
        return partial(call, __name__, read_document.__name__, settings.config)
    if settings.nginx_conf is not None:
        return partial(read_nginx_conf, settings.nginx_conf, settings.lenient, call)
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


def read_nginx_conf(path: Path, lenient: bool, call: Callable[..., Any]) -> object:
    """Import an nginx.conf, and log how it differs; ``DocumentError`` if it cannot be used."""
    document, differs, refused = call(__name__, import_nginx_conf.__name__, path, lenient)
    _log.info("nginx_conf_imported", path=str(path), approximated=differs)
    if refused:
        _log.warning("nginx_conf_left_out", path=str(path), refused=refused)
    return document


def import_nginx_conf(path: Path, lenient: bool) -> tuple[object, list[str], list[str]]:
    """Import an nginx.conf: the document, what is approximated, and what is left out."""
    from admin.nginx import import_nginx
    from admin.nginx.report import Verdict

    imported = import_nginx(path, lenient=lenient)
    told = imported.report.told
    return imported.document, told(Verdict.APPROXIMATED), told(Verdict.REFUSED)
