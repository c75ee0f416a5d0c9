"""``completion``: shells complete commands, flags, and the names of what there is.

The scripts are small: on each press of the key they hand the line up to the cursor to ``hotsplice
completion candidates``, which walks the parsers and asks the sidecar for names.
"""

from __future__ import annotations

import argparse
import shlex
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from admin.client.paths import KINDS, path_of
from admin.client.problems import ClientError
from admin.client.session import Session

SCRIPTS: Final = {
    "bash": r"""_hotsplice() {
    local word=${COMP_LINE:0:COMP_POINT} IFS=$'\n'
    COMPREPLY=($(hotsplice completion candidates "$word" 2>/dev/null))
    word=${word##* }
    # bash takes what follows a colon for a word of its own.
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
    fi
}
complete -o default -F _hotsplice hotsplice
""",
    "zsh": r"""#compdef hotsplice
_hotsplice() {
    local -a found
    found=("${(@f)$(hotsplice completion candidates "${LBUFFER}" 2>/dev/null)}")
    if [[ -n $found ]]; then compadd -Q -a found; else _files; fi
}
compdef _hotsplice hotsplice
""",
    "fish": r"""function __hotsplice
    hotsplice completion candidates (commandline -cp) 2>/dev/null
end
complete -c hotsplice -a '(__hotsplice)'
""",
}
"""What each shell is told, once."""

RESOURCES: Final = ("config", *KINDS, "status", "overrides")


def add_completion(parser: ArgumentParser) -> None:
    """Describe ``completion``."""
    parser.add_argument("shell", choices=(*SCRIPTS, "candidates"), help="what prints a script")
    parser.add_argument("line", nargs="?", default="", help=argparse.SUPPRESS)


def completion(session: Session) -> int:
    """Print a script, or what the last word of a line may become."""
    arguments = session.arguments
    if arguments.shell in SCRIPTS:
        session.output.raw(SCRIPTS[arguments.shell])
    elif found := candidates(arguments.line, arguments.parsers(), session):
        session.output.raw("\n".join(found))
    return 0


def candidates(line: str, parsers: Mapping[str, ArgumentParser], session: Session) -> list[str]:
    """Return what the last word of a line may become; nothing where files are meant."""
    words = _words(line)[1:] or [""]
    command, *before, last = words if len(words) > 1 else ["", *words]
    if not command:
        return sorted(name for name in parsers if name.startswith(last))
    parser = parsers.get(command)
    if parser is None:
        return []
    if before or last.startswith("-"):
        before = with_action(parser, before)
    parser, before = innermost(parser, before)
    return sorted({one for one in _fitting(parser, before, last, session) if one.startswith(last)})


def with_action(parser: ArgumentParser, words: Sequence[str]) -> list[str]:
    """Return the words after a command, with its first action if they name none."""
    actions = _actions(parser)
    if not actions or words[:1] in (["-h"], ["--help"]):
        return list(words)
    named = bool(words) and words[0] in actions
    return [*words] if named else [next(iter(actions)), *words]


def _words(line: str) -> list[str]:
    """Split a line as a shell does; what is quoted and still open counts as a word."""
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words, ""] if line[-1:].isspace() and not closing else words
    return []


def innermost(parser: ArgumentParser, words: Sequence[str]) -> tuple[ArgumentParser, list[str]]:
    """Go down to the parser of the action, if there are actions."""
    actions = _actions(parser)
    if words and words[0] in actions:
        return actions[words[0]], list(words[1:])
    return parser, list(words)


def has_actions(parser: ArgumentParser) -> bool:
    """Tell whether a parser leads to others."""
    return bool(_actions(parser))


def _actions(parser: ArgumentParser) -> Mapping[str, ArgumentParser]:
    # argparse shows its tree in no other way.
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


def _fitting(
    parser: ArgumentParser, before: Sequence[str], last: str, session: Session
) -> Iterable[str]:
    flags = {
        flag: action
        for action in parser._actions
        for flag in action.option_strings
        if action.help != argparse.SUPPRESS
    }
    given = flags.get(before[-1]) if before else None
    if given is not None and given.nargs != 0:
        return _values(given, before, flags, session)
    if last.startswith("-"):
        return flags
    places = [action for action in parser._actions if not action.option_strings]
    at = len(_positionals(before, flags))
    if at < len(places):
        return _values(places[at], before, flags, session)
    if places and places[-1].nargs in ("*", "+"):
        return _values(places[-1], before, flags, session)
    return ()


def _positionals(words: Sequence[str], flags: dict[str, argparse.Action]) -> list[str]:
    found: list[str] = []
    value_next = False
    for word in words:
        if value_next:
            value_next = False
        elif word.startswith("-") and word != "-":
            action = flags.get(word)
            value_next = action is not None and action.nargs != 0
        else:
            found.append(word)
    return found


def _values(
    action: argparse.Action,
    before: Sequence[str],
    flags: dict[str, argparse.Action],
    session: Session,
) -> Iterable[str]:
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    try:
        return _live(str(action.metavar), before, flags, session)
    except ClientError:
        # Nobody is there to ask: there is nothing to complete, and nobody wants to hear of it.
        return ()


def _live(
    metavar: str, before: Sequence[str], flags: dict[str, argparse.Action], session: Session
) -> Iterable[str]:
    """Return the names that there are of what an argument holds."""
    if metavar in ("WHAT", "KIND/NAME"):
        document = session.read(path_of("config"))
        names = [f"{kind}/{name}" for kind in KINDS for name in document.get(kind, {})]
        return [*names, *(RESOURCES if metavar == "WHAT" else ("config",))]
    if metavar in ("POOL", "ROUTE", "LISTENER"):
        return list(session.read(path_of(f"{metavar.lower()}s")))
    if metavar == "ENDPOINT":
        words = _positionals(before, flags)
        pool = before[before.index("--pool") + 1] if "--pool" in before else (words or [""])[0]
        return list(session.read(path_of("pools", pool, "endpoints")))
    if metavar in ("N", "M"):
        return [str(one["number"]) for one in session.read(path_of("revisions"))["items"]]
    return ()
