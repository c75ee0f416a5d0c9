"""What the importer says of files as people have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin.documents.faults import DocumentError
from admin.nginx import import_nginx
from tests.real_configurations.placing import FILES, SERVERS, Placed, copy


def told(placed: Placed, *, lenient: bool = False) -> list[str]:
    """Return what is said of a file: all that is not simply kept, or why it cannot be used."""
    try:
        lines = import_nginx(placed.conf, lenient=lenient).report.lines()
        said = [line for line in lines if ": kept: " not in line]
    except DocumentError as error:
        said = [f"{fault.path}: {fault.message} ({fault.hint})" for fault in error.faults]
    return [line.replace(f"{placed.folder}/", "") for line in said]


@pytest.mark.parametrize("name", SERVERS)
def test_file_is_imported_and_what_differs_is_told(name: str, tmp_path: Path) -> None:
    assert told(copy(name, tmp_path)) == (FILES / name / "report.txt").read_text().splitlines()


def test_file_that_needs_more_than_a_proxy_says_so_line_by_line(tmp_path: Path) -> None:
    expected = (FILES / "certbot" / "report.txt").read_text().splitlines()
    assert told(copy("certbot", tmp_path)) == expected


def test_lenient_import_leaves_out_what_is_refused_and_opens_nothing(tmp_path: Path) -> None:
    placed = copy("certbot", tmp_path)
    routes = import_nginx(placed.conf, lenient=True).document["routes"]
    assert list(routes) == ["site.example-rules", "app.site.example-login", "app.site.example-root"]
    assert routes["app.site.example-root"]["access"] == [{"deny": ["all"]}]
    said = [line for line in told(placed, lenient=True) if ": refused: " in line]
    assert [line.replace(": refused", "") for line in said] == (
        FILES / "certbot" / "report.txt"
    ).read_text().splitlines()
