"""The commands of the client, and the way from words to an exit status.

``admin.settings`` has the other commands; ``admin.__main__`` decides whose a command is before
anything of either is imported.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from admin.client import (
    COMMANDS,
    completion,
    drains,
    events,
    explaining,
    live,
    objects,
    overrides,
    revisions,
)
from admin.client.completion import has_actions, innermost, with_action
from admin.client.output import Output
from admin.client.problems import FAILED, INTERRUPTED, ClientError
from admin.client.session import Session
from admin.environment import environment

Parsers = Callable[[], Mapping[str, ArgumentParser]]
Describe = Callable[[ArgumentParser], None]
Run = Callable[[Session], int]

TABLE_OR_JSON: Final = ("table", "json")


class Action(NamedTuple):
    """A command, or an action of one."""

    describe: Describe
    run: Run
    formats: tuple[str, ...] = TABLE_OR_JSON


class Actions(NamedTuple):
    """A command of several actions; without one, the first is meant."""

    by_name: Mapping[str, Action]


def _nothing(parser: ArgumentParser) -> None:
    """Describe a command that takes nothing."""


def _status(session: Session) -> int:
    session.arguments.what = ["status"]
    session.arguments.effective = session.arguments.etag = False
    return objects.get(session)


ACTIONS: Final[Mapping[str, Action | Actions]] = {
    "get": Action(objects.add_get, objects.get, ("table", "json", "yaml", "name")),
    "status": Action(_nothing, _status),
    "apply": Action(objects.add_apply, objects.apply),
    "patch": Action(objects.add_patch, objects.patch),
    "delete": Action(objects.add_delete, objects.delete),
    "override": Action(overrides.add_override, overrides.override),
    "revisions": Actions(
        {
            "list": Action(revisions.add_list, revisions.list_),
            "show": Action(revisions.add_number, revisions.show, ("table", "json", "yaml")),
            "diff": Action(revisions.add_diff, revisions.diff),
            "restore": Action(revisions.add_restore, revisions.restore),
            "confirm": Action(revisions.add_confirm, revisions.confirm),
        }
    ),
    "restore": Action(revisions.add_restore, revisions.restore),
    "confirm": Action(revisions.add_confirm, revisions.confirm),
    "connections": Actions(
        {
            "list": Action(live.add_list, live.list_),
            "show": Action(live.add_id, live.show),
            "close": Action(live.add_close, live.close),
        }
    ),
    "drain": Action(drains.add_drain, drains.drain),
    "events": Action(events.add_events, events.events),
    "explain": Action(explaining.add_explain, explaining.explain),
    "why": Action(explaining.add_why, explaining.why),
    "completion": Action(completion.add_completion, completion.completion),
}
"""What each command of ``COMMANDS`` takes and does."""


def main(
    words: Sequence[str], others: Parsers = dict, environ: Mapping[str, str] | None = None
) -> int:
    """Run a command of the client and return its exit status; the first word is its name.

    ``others`` gives the parsers of the commands that are not the client's, for completion.
    """
    environ = environment() if environ is None else environ
    output = Output(sys.stdout, sys.stderr, environ)
    try:
        arguments = _read(words)
        output = Output(sys.stdout, sys.stderr, environ, arguments.output)
        arguments.parsers = partial(_parsers, others)
        run: Run = arguments.run
        status = run(Session(arguments, output, environ))
        sys.stdout.flush()
    except ClientError as error:
        error.tell(sys.stderr)
        return error.status
    except BrokenPipeError:
        # Whoever read has seen enough; the interpreter must not stumble over it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _read(words: Sequence[str]) -> Namespace:
    command, *rest = words
    parser = parser_of(command)
    inner, rest = innermost(parser, with_action(parser, rest))
    # Flags may stand anywhere: before an object, or between it and a patch.
    return parser.parse_args(rest) if has_actions(inner) else inner.parse_intermixed_args(rest)


def _parsers(others: Parsers) -> Mapping[str, ArgumentParser]:
    return {**{command: parser_of(command) for command in ACTIONS}, **others()}


def parser_of(command: str) -> ArgumentParser:
    """Return the parser of a command of the client."""
    parser = ArgumentParser(
        f"hotsplice {command}", description=f"{COMMANDS[command]}.", allow_abbrev=False
    )
    chosen = ACTIONS[command]
    if isinstance(chosen, Action):
        _complete(parser, chosen)
        return parser
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, action in chosen.by_name.items():
        summary = (action.run.__doc__ or "").partition(".")[0]
        inner = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        _complete(inner, action)
    return parser


def _complete(parser: ArgumentParser, action: Action) -> None:
    action.describe(parser)
    shared = parser.add_argument_group("where, and how it is told")
    shared.add_argument(
        "--admin",
        metavar="ADDR",
        help="host:port or unix:PATH; default 127.0.0.1:9901 [HOTSPLICE_ADMIN]",
    )
    shared.add_argument(
        "--token-file",
        metavar="FILE",
        help="holds a token; default: the one that run made [HOTSPLICE_TOKEN_FILE]",
    )
    shared.add_argument(
        "-o", "--output", choices=action.formats, default="table", help="default table"
    )
    parser.set_defaults(run=action.run)
