"""``explain`` and ``why``: what would become of a request, and what became of one."""

from __future__ import annotations

import argparse
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from admin.client import text
from admin.client.paths import path_of
from admin.client.session import Session


def add_explain(parser: ArgumentParser) -> None:
    """Describe ``explain``."""
    parser.add_argument("method", metavar="METHOD", help="GET, for example")
    parser.add_argument("url", metavar="URL", help="http://host:port/path, ws://…, or a path")
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="'Name: value'", type=_field,
        help="a header field; may be given again",
    )  # fmt: skip
    parser.add_argument("--client", metavar="IP", help="who sends it; default 127.0.0.1")
    parser.add_argument(
        "--listener", metavar="LISTENER", help="who takes it, if the URL does not say"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="ask this document, and no running sidecar"
    )
    parser.add_argument("--all", action="store_true", help="tell of routes that do not match, too")


def explain(session: Session) -> int:
    """Say what would become of a request, and why."""
    arguments, output = session.arguments, session.output
    asked = _asked(arguments)
    if arguments.config is not None:
        # The data plane itself, which takes its time to load.
        from admin.explaining import explain_file

        told = explain_file(arguments.config, asked)
    else:
        # POST, but it changes nothing: no token that run made is shown.
        told = session.reading.ask(
            "POST", path_of("explain"), body=json.dumps(asked).encode()
        ).value
    if output.for_people:
        for line in text.explanation(told, all_rivals=arguments.all):
            output.line(line)
    else:
        output.json(told)
    return 0


def add_why(parser: ArgumentParser) -> None:
    """Describe ``why``."""
    parser.add_argument("request_id", metavar="REQUEST_ID", help="its X-Request-Id")


def why(session: Session) -> int:
    """Say what became of a request that failed."""
    told = session.read(path_of("failures", session.arguments.request_id))
    if session.output.for_people:
        for line in text.failure(told):
            session.output.line(line)
    else:
        session.output.json(told)
    return 0


def _field(given: str) -> tuple[str, str]:
    name, colon, value = given.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{given!r} is not a field: 'Name: value'")
    return name.strip(), value.strip()


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    headers: dict[str, list[str]] = {}
    for name, value in arguments.header:
        headers.setdefault(name, []).append(value)
    asked = {"method": arguments.method, "url": arguments.url, "headers": headers}
    further = {"client": arguments.client, "listener": arguments.listener}
    return asked | {key: value for key, value in further.items() if value is not None}
