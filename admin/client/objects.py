"""``get``, ``apply``, ``patch``, ``delete``: the document and its objects."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from admin.client import views
from admin.client.connection import JSON, MERGE_PATCH, YAML
from admin.client.paths import KINDS, object_of, parts_of, path_of
from admin.client.problems import FAULTY, ClientError
from admin.client.session import Session
from admin.client.writing import add_create, add_terms, preconditions, tell, terms

SPECIAL: Final = {"status": views.status, "overrides": views.overrides}
"""What ``get`` shows beside the document, and how it is told to people."""


def add_get(parser: ArgumentParser) -> None:
    """Describe ``get``."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        help="config, listeners, pools, routes or header_maps, with /NAME; "
        "pools/NAME/endpoints/ENDPOINT; status, overrides; default: all objects",
    )
    parser.add_argument("--effective", action="store_true", help="with every default filled in")
    parser.add_argument("--etag", action="store_true", help="only the ETag, for --if-match")


def get(session: Session) -> int:
    """Show what there is."""
    arguments, output = session.arguments, session.output
    whats = arguments.what or list(KINDS)
    if arguments.etag:
        for what in whats:
            output.raw(str(session.get(_path(what)).etag))
    elif output.format == "json":
        shown = {what: _value(session, what) for what in whats}
        output.json(shown[whats[0]] if len(whats) == 1 else shown)
    elif output.format == "yaml":
        texts = [session.yaml(_path(what), _view(session)) for what in whats]
        output.raw("---\n".join(texts))
    elif output.format == "name":
        for what in whats:
            _names(session, parts_of(what))
    else:
        for number, what in enumerate(whats):
            if number:
                output.raw("")
            _show(session, what)
    return 0


def _value(session: Session, what: str) -> Any:
    if what == "overrides":
        return session.read(path_of("status"))["overrides"]
    return session.read(_path(what), _view(session))


def _show(session: Session, what: str) -> None:
    if what in SPECIAL:
        SPECIAL[what](session)
        return
    parts = parts_of(what)
    if parts[0] in views.TABLES and len(parts) == 1:
        views.TABLES[parts[0]](session)
    elif parts[0] == "pools" and len(parts) < 4 and not session.arguments.effective:
        session.get(path_of(*parts))  # the status has pools that are gone, too
        views.endpoints(session, [parts[1]])
        views.owner(session, parts)
    else:
        session.output.raw(session.yaml(path_of(*parts), _view(session)))
        if len(parts) > 1:
            views.owner(session, parts)


def _names(session: Session, parts: tuple[str, ...]) -> None:
    value = session.read(path_of(*parts))
    if parts == ("config",):
        names = [f"{kind}/{name}" for kind in KINDS for name in value.get(kind, {})]
    elif len(parts) % 2:
        names = ["/".join((*parts, name)) for name in value]
    else:
        names = ["/".join(parts)]
    if names:
        session.output.raw("\n".join(names))


def _path(what: str) -> str:
    return path_of("status") if what == "status" else path_of(*parts_of(what))


def _view(session: Session) -> dict[str, str] | None:
    return {"view": "effective"} if session.arguments.effective else None


def add_apply(parser: ArgumentParser) -> None:
    """Describe ``apply``."""
    parser.add_argument(
        "what",
        nargs="?",
        default="config",
        metavar="KIND/NAME",
        help="the object that the file holds; default: config, the whole document",
    )
    parser.add_argument(
        "-f", "--file", required=True, metavar="FILE", help="YAML or JSON; - is standard input"
    )
    add_terms(parser)
    add_create(parser)


def apply(session: Session) -> int:
    """Replace the document, or create or replace an object of it."""
    arguments = session.arguments
    parts = object_of(arguments.what)
    body = _content(arguments.file)
    media = JSON if _is_json(body) else YAML
    answer = session.write(
        "PUT", path_of(*parts), terms(arguments),
        body=body, media=media, headers=preconditions(arguments),
    )  # fmt: skip
    return tell(session, answer)


def add_patch(parser: ArgumentParser) -> None:
    """Describe ``patch``."""
    parser.add_argument("what", metavar="KIND/NAME", help="an object, an endpoint, or config")
    parser.add_argument(
        "patch",
        nargs="?",
        metavar="JSON",
        help="a merge patch: what is absent stays, null removes",
    )
    parser.add_argument("-f", "--file", metavar="FILE", help="holds the patch; - is standard input")
    add_terms(parser)


def patch(session: Session) -> int:
    """Change the document or an object in part."""
    arguments = session.arguments
    if (arguments.patch is None) == (arguments.file is None):
        raise ClientError("a patch: on the command line, or by -f FILE", status=FAULTY)
    given = arguments.patch
    body = _content(arguments.file) if given is None else given.encode("utf-8", "surrogateescape")
    try:
        json.loads(body)
    except ValueError as error:
        hint = 'a patch is JSON, as in \'{"balance": "random"}\''
        raise ClientError(f"the patch is not JSON: {error}", hint, FAULTY) from error
    answer = session.write(
        "PATCH", path_of(*object_of(arguments.what)), terms(arguments),
        body=body, media=MERGE_PATCH, headers=preconditions(arguments),
    )  # fmt: skip
    return tell(session, answer)


def add_delete(parser: ArgumentParser) -> None:
    """Describe ``delete``."""
    parser.add_argument(
        "what", metavar="KIND/NAME", help="an object, or pools/NAME/endpoints/ENDPOINT"
    )
    parser.add_argument(
        "--on-removal",
        choices=("keep", "drain", "close"),
        help="what becomes of an endpoint's open tunnels; default: as its pool says",
    )
    add_terms(parser)


def delete(session: Session) -> int:
    """Remove an object."""
    arguments = session.arguments
    parts = object_of(arguments.what)
    if parts == ("config",):
        raise ClientError("the document cannot be removed", "apply -f another one", FAULTY)
    fields: Any = preconditions(arguments)
    query = terms(arguments)
    if arguments.on_removal is not None:
        query["on_removal"] = arguments.on_removal
    answer = session.write("DELETE", path_of(*parts), query, headers=fields)
    return tell(session, answer)


def _content(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ClientError(f"{file}: {error.strerror or error}", status=FAULTY) from error


def _is_json(body: bytes) -> bool:
    """JSON is sent as such: of YAML, which it would be too, the server takes less."""
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
