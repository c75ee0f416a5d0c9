from __future__ import annotations

import io
from collections.abc import Mapping

import pytest

from admin.client.output import Cell, Output, compact, size, span, state


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output(to: io.StringIO, environ: Mapping[str, str] | None = None) -> Output:
    return Output(to, io.StringIO(), environ or {})


def test_columns_are_as_wide_as_their_widest_and_empty_ones_are_left_out() -> None:
    to = io.StringIO()
    output(to).table(("A", "NONE", "LONG"), [("wider", "", "x"), ("y", "", "")])
    assert to.getvalue() == "A      LONG\nwider  x\ny\n"


def test_no_rows_are_no_table() -> None:
    to = io.StringIO()
    output(to).table(("A",), [])
    assert to.getvalue() == ""


def test_colours_are_for_terminals_and_do_not_count_as_width() -> None:
    terminal, file = Terminal(), io.StringIO()
    for to in (terminal, file):
        output(to).table(("A", "B"), [(state("down"), "x")])
    assert terminal.getvalue().splitlines()[1] == "\x1b[31mdown\x1b[0m  x"
    assert file.getvalue() == "A     B\ndown  x\n"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_turned_off(environ: Mapping[str, str]) -> None:
    to = Terminal()
    output(to, environ).line(Cell("x", "red"))
    assert to.getvalue() == "x\n"


def test_what_came_from_elsewhere_cannot_steer_a_terminal() -> None:
    to = Terminal()
    output(to).table(("A", "B"), [("\x1b[2J\r\n\x9b", "x")])
    assert to.getvalue().splitlines()[1] == r"\x1b[2J\r\n\x9b  x"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59, "59s"), (61, "1m1s"), (3600, "1h0m"), (90061, "1d1h"), (-3, "0s")],
)
def test_span_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(("octets", "text"), [(0, "0"), (1536, "1.5K"), (5 << 20, "5.0M")])
def test_size_is_short(octets: int, text: str) -> None:
    assert size(octets) == text


@pytest.mark.parametrize(
    ("value", "text"), [("word", "word"), ("", '""'), ("a\n", '"a\\n"'), ({"a": [1]}, '{"a": [1]}')]
)
def test_value_is_one_line(value: object, text: str) -> None:
    assert compact(value) == text
