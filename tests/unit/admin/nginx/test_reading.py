"""The tree of an nginx.conf, and faults with their lines."""

from __future__ import annotations

import pytest

from admin.nginx.reading import Directive, read_tree
from tests.unit.admin.nginx.conf import faults, imported, server, write


def tree(text: str, **more: str) -> list[Directive]:
    return list(read_tree(write(text, **more)))


def test_words_are_quoted_and_escaped_as_in_nginx() -> None:
    (directive,) = tree(r"""words "a b" 'c"d' e\"f \\g h\.i "j\"k" "l\tm" n#o;""")
    assert directive.args == ("a b", 'c"d', 'e"f', "\\g", "h\\.i", 'j"k', "l\tm", "n#o")


def test_comments_and_line_ends_do_not_matter() -> None:
    found = tree("# one\r\nuser a # two\r\n  b;\r\n# three")
    assert [(str(each), each.place.line) for each in found] == [("user a b", 2)]


def test_variable_in_braces_is_one_word() -> None:
    assert tree("env ${a}b;")[0].args == ("${a}b",)


def test_files_are_included_in_the_order_of_their_names_and_known_by_theirs() -> None:
    found = tree("include part*.conf; user b;", part2="pid 2;", part1="\npid 1;")
    assert [str(each) for each in found] == ["pid 1", "pid 2", "user b"]
    assert [each.place.line for each in found] == [2, 1, 1]
    assert found[0].place.file.endswith("/part1.conf")


def test_pattern_that_no_file_has_includes_nothing() -> None:
    assert tree("include none/*.conf;") == []


def test_map_may_include_its_entries() -> None:
    text = server("location / { proxy_pass http://backend; }").replace(
        "http {", "http { map $host $m { default a; include entries.conf; }", 1
    )
    made = imported(text, entries="b c;\nd e;")
    assert made.document["header_maps"]["m"]["exact"] == {"b": "c", "d": "e"}
    wrong = faults(text, entries="b c;\nd e f;")
    assert wrong == ["entries.conf:2: invalid number of the map parameters"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("daemon", '1: unexpected end of file, expecting ";" or "}"'),
        ("\nhttp {\n", '2: unexpected end of file, expecting "}" for this block'),
        ("}", '1: unexpected "}"'),
        ("http { } }", '1: unexpected "}"'),
        (";", '1: unexpected ";"'),
        ("{ }", '1: unexpected "{"'),
        ("events { use epoll }", '1: directive "use" is not terminated by ";"'),
        ('user a;\n"b', "1: unexpected end of file: a quoted text or a block does not end"),
        ("user a;\nuser 'b", "2: unexpected end of file: a quoted text or a block does not end"),
        ("http {\n\nserver;\n}", '3: directive "server" has no opening "{"'),
        ("events { sendfile on; }", '1: "sendfile" directive is not allowed here'),
        ("http { sendfile maybe; }", '1: invalid value "maybe" in "sendfile" directive'),
        ("http { sendfile %d; }", '1: invalid value "%d" in "sendfile" directive'),
        ("user;", '1: invalid number of arguments in "user" directive'),
        ("http { include; }", '1: invalid number of arguments in "include" directive'),
        ("include gone.conf;", "1: "),
        ("include nginx.conf;", "1: "),
        ("user a;\ninclude a\0b;", "2: a file name has no NUL in it"),
        ("include a\0b/*.conf;", "1: a file name has no NUL in it"),
        ("a " + "{ b " * 60 + ";" + "}" * 60, "1: more than 50 blocks within each other"),
        ("events {}\nhttp {}\nhttp {}", '3: "http" directive is duplicate'),
        ("events {}\nevents {}\nhttp {}", '2: "events" directive is duplicate'),
        ("", '1: no "events" section in configuration'),
        ("http {}", '1: no "events" section in configuration'),
    ],
)
def test_text_that_nginx_does_not_take_is_a_fault_at_its_line(text: str, expected: str) -> None:
    found = faults(text)
    assert [fault for fault in found if fault.startswith(expected)], found


def test_file_that_includes_itself_over_another_is_a_fault_there() -> None:
    (fault,) = faults("include other.conf;", other="\ninclude nginx.conf;")
    assert fault.startswith("other.conf:2: ")
    assert fault.endswith("includes itself")


def test_text_that_is_not_utf_8_is_a_fault_at_its_line() -> None:
    assert faults(b"user a;\nuser \xff;") == ["2: not UTF-8"]


def test_missing_file_is_a_fault() -> None:
    assert "cannot be read" in faults("include missing.conf;")[0]


def test_every_wrong_directive_is_found() -> None:
    found = faults("user;\nhttp {\nsendfile;\nlisten 80;\n}")
    assert [fault.partition(":")[0] for fault in found] == ["1", "3", "4"]
