from __future__ import annotations

import io
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence

import pytest

from admin.__main__ import main
from admin.client import COMMANDS
from admin.client.commands import ACTIONS, parser_of
from admin.client.completion import SCRIPTS, candidates, with_action
from admin.client.output import Output
from admin.client.session import Session
from admin.settings import COMMANDS as OTHERS
from admin.settings import command_line


def parsers() -> Mapping[str, ArgumentParser]:
    return {**{name: parser_of(name) for name in ACTIONS}, **command_line()[1]}


def complete(line: str) -> Sequence[str]:
    """Complete where nobody can be asked for names."""
    arguments = Namespace(admin="unix:/nowhere", token_file=None)
    output = Output(io.StringIO(), io.StringIO(), {})
    return candidates(line, parsers(), Session(arguments, output, {}))


def test_every_name_is_a_command_and_no_other() -> None:
    assert COMMANDS.keys() == ACTIONS.keys()
    assert not COMMANDS.keys() & OTHERS.keys()


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out.split()
    assert {*COMMANDS, *OTHERS} <= set(told)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_is_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert COMMANDS[command].split()[0] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ([], ["list"]),
        (["--limit", "3"], ["list", "--limit", "3"]),
        (["show", "3"], ["show", "3"]),
        (["-h"], ["-h"]),
    ],
)
def test_first_action_is_meant_where_none_is_named(words: list[str], read: list[str]) -> None:
    assert with_action(parser_of("revisions"), words) == read


@pytest.mark.parametrize(
    "words",
    [
        ["patch", "pools/a"],
        ["patch", "pools/a", "{}", "-f", "x"],
        ["patch", "pools/a", "{"],
        ["delete", "config"],
        ["apply", "-f", "/nowhere"],
        ["override", "backend"],
        ["override", "backend", "blue", "down", "--clear"],
        ["drain", "--label", "node"],
        ["drain", "--pool", "a", "--fraction", "150%"],
        ["drain", "--pool", "a", "--process"],
        ["get", "pol"],
    ],
)
def test_command_without_sense_ends_with_2_and_asks_nobody(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--admin", "unix:/nowhere"]) == 2
    assert capsys.readouterr().err.startswith("hotsplice: ")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("hotsplice conf", ["confirm"]),
        ("hotsplice im", ["import-nginx"]),
        ("hotsplice connections ", ["close", "list", "show"]),
        ("hotsplice connections cl", ["close"]),
        ("hotsplice connections --min-", ["--min-age", "--min-idle"]),
        ("hotsplice connections close --co", ["--code"]),
        ("hotsplice get -o ", ["json", "name", "table", "yaml"]),
        ("hotsplice completion f", ["fish"]),
        ("hotsplice override 'a b' c d", ["down", "drain"]),
        ("hotsplice override a c --note 'half ", []),
        ("hotsplice get pools/", []),
        ("hotsplice demo --lis", ["--listen"]),
        ("hotsplice nothing ", []),
        ('hotsplice get "', []),
    ],
)
def test_line_is_completed_from_the_parsers(line: str, found: list[str]) -> None:
    assert complete(line) == found


@pytest.mark.parametrize("shell", SCRIPTS)
def test_script_of_each_shell_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "hotsplice completion candidates" in capsys.readouterr().out


def test_interrupt_ends_as_shells_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "read", interrupt)
    assert main(["status"]) == 130


def test_flags_may_stand_between_an_object_and_its_patch() -> None:
    words = ["pools/a", "--note", "x", "{}"]
    read = parser_of("patch").parse_intermixed_args(words)
    assert (read.what, read.patch, read.note) == ("pools/a", "{}", "x")
