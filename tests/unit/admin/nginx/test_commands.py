"""``import-nginx`` and ``check --nginx``, and the page that shows what they print."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from admin.cli import main
from admin.documents.document import validate
from admin.documents.loading import dump_yaml, load
from tests.unit.admin.nginx.conf import MAPPED, SIMPLE, document, write

PAGE: Final = Path(__file__).parents[4] / "docs" / "from-nginx.md"
REFUSED: Final = SIMPLE.replace("location /chat/ {", "auth_request /auth; location /chat/ {")


@pytest.mark.parametrize("text", [SIMPLE, MAPPED])
def test_import_prints_the_document_and_reports_on_stderr(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(text)
    assert main(["import-nginx", str(path)]) == 0
    said = capsys.readouterr()
    printed = load(said.out.encode(), yaml=True)
    assert printed == document(text)
    validate(printed)
    lines = said.err.splitlines()
    assert all(
        re.match(rf"{re.escape(str(path))}:\d+: (kept|approximated|refused): ", line)
        for line in lines
    )
    assert sum(": kept: proxy_set_header" in line for line in lines) == 2


def test_refusal_ends_the_import_unless_it_is_lenient(capsys: pytest.CaptureFixture[str]) -> None:
    path = write(REFUSED)
    assert main(["import-nginx", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"{path}:9: auth_request /auth: hotsplice does not authenticate\n"
        "    hint: let the upstream check; with --lenient nobody is let in here\n"
    )
    assert main(["import-nginx", "--lenient", str(path)]) == 0
    said = capsys.readouterr()
    expected = document(SIMPLE)
    expected["routes"]["chat"]["access"] = [{"deny": ["all"]}]
    expected["routes"]["server-rules"] = {"access": [{"deny": ["all"]}]}
    assert load(said.out.encode(), yaml=True) == expected
    assert f"{path}:9: refused: auth_request /auth: " in said.err


def test_check_says_ok_or_every_fault_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--nginx", str(write(SIMPLE))]) == 0
    assert capsys.readouterr().out == "ok\n"
    path = write(REFUSED.replace("http://backend;", "http://backend:1;"))
    assert main(["check", "--nginx", str(path)]) == 2
    said = capsys.readouterr().out
    assert f"{path}:9: " in said
    assert f"{path}:10: " in said


def test_page_shows_what_the_importer_makes_of_the_files() -> None:
    blocks = re.findall(r"```(nginx|yaml)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    pairs = [
        (before, after)
        for (kind, before), (other, after) in pairwise(blocks)
        if (kind, other) == ("nginx", "yaml")
    ]
    assert [before for before, _ in pairs] == [SIMPLE, MAPPED]
    assert [after for _, after in pairs] == [dump_yaml(document(text)) for text, _ in pairs]
