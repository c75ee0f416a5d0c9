"""The commands of the client: their arguments, and what each asks for."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from admin.client import COMMANDS, text
from admin.client.connection import ADDRESS, Connection, ProblemError, UnreachableError, place
from admin.environment import environment

FAILED: Final = 1
"""Exit status if nobody answers, or there is nothing to tell."""

FAULTY: Final = 2
"""Exit status for a question or a document with faults."""


def run(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run one of ``COMMANDS`` and return its exit status."""
    name, *words = argv
    parser = argparse.ArgumentParser(
        f"hotsplice {name}", description=COMMANDS[name], allow_abbrev=False
    )
    command = _ARGUMENTS[name](parser)
    arguments = parser.parse_args(words)
    if arguments.admin is None:
        given = environment() if environ is None else environ
        arguments.admin = given.get("HOTSPLICE_ADMIN") or ADDRESS
    try:
        return command(arguments)
    except UnreachableError as error:
        print(f"hotsplice: {error}", file=sys.stderr)
        return FAILED
    except ProblemError as problem:
        _refused(problem)
        return FAULTY if problem.status == 422 else FAILED


Command = Callable[[argparse.Namespace], int]


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--admin",
        metavar="ADDR",
        help=f"the REST API: host:port or unix:PATH; default {ADDRESS} [HOTSPLICE_ADMIN]",
    )
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="text for people, or json"
    )


def _explain_arguments(parser: argparse.ArgumentParser) -> Command:
    _common(parser)
    parser.add_argument("method", metavar="METHOD", help="GET, for example")
    parser.add_argument("url", metavar="URL", help="http://host:port/path, ws://…, or a path")
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="'Name: value'", type=_field,
        help="a header field; may be given again",
    )  # fmt: skip
    parser.add_argument("--client", metavar="IP", help="who sends it; default 127.0.0.1")
    parser.add_argument("--listener", metavar="NAME", help="who takes it, if the URL does not say")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="ask this document, and no running sidecar"
    )
    parser.add_argument("--all", action="store_true", help="tell of routes that do not match, too")
    return _explain


def _why_arguments(parser: argparse.ArgumentParser) -> Command:
    _common(parser)
    parser.add_argument("request_id", metavar="REQUEST_ID", help="its X-Request-Id")
    return _why


_ARGUMENTS: Final[Mapping[str, Callable[[argparse.ArgumentParser], Command]]] = {
    "explain": _explain_arguments,
    "why": _why_arguments,
}


def _field(given: str) -> tuple[str, str]:
    name, colon, value = given.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{given!r} is not a field: 'Name: value'")
    return name.strip(), value.strip()


def _explain(arguments: argparse.Namespace) -> int:
    asked = _asked(arguments)
    if arguments.config is not None:
        # The data plane itself, which takes its time to load.
        from admin.explaining import explain_file

        told = explain_file(arguments.config, asked)
    else:
        told = Connection(arguments.admin).call("POST", place("explain"), asked).value
    _print(told, arguments, text.explanation(told, all_rivals=arguments.all))
    return 0


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    headers: dict[str, list[str]] = {}
    for name, value in arguments.header:
        headers.setdefault(name, []).append(value)
    asked = {"method": arguments.method, "url": arguments.url, "headers": headers}
    further = {"client": arguments.client, "listener": arguments.listener}
    return asked | {key: value for key, value in further.items() if value is not None}


def _why(arguments: argparse.Namespace) -> int:
    told = Connection(arguments.admin).call("GET", place("failures", arguments.request_id)).value
    _print(told, arguments, text.failure(told))
    return 0


def _print(told: object, arguments: argparse.Namespace, lines: Iterable[str]) -> None:
    if arguments.output == "json":
        print(json.dumps(told, indent=2))
    else:
        print(*lines, sep="\n")


def _refused(problem: ProblemError) -> None:
    print(f"hotsplice: {text.plain(problem.detail)}", file=sys.stderr)
    for error in problem.errors:
        print(f"{error.get('path') or '/'}: {text.plain(error.get('message'))}", file=sys.stderr)
        if error.get("hint"):
            print(f"    hint: {text.plain(error['hint'])}", file=sys.stderr)
