from __future__ import annotations

from admin.client.events import Event, parsed


def test_stream_is_read_as_the_standard_says() -> None:
    lines = b""": a comment
event: revision
data: {"a":
data:1}
id: 7

data: plain
retry: 3

event: nothing

data
""".split(b"\n")
    assert list(parsed(lines)) == [
        Event("revision", '{"a":\n1}', "7"),
        Event("message", "plain", "7"),
        Event("message", "", "7"),
    ]


def test_data_that_is_no_json_is_text() -> None:
    assert Event("x", "{", None).value == "{"
    assert Event("x", '{"a": 1}', None).value == {"a": 1}
