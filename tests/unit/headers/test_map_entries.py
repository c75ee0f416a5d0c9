"""Which entry of a header map a request meets, for explanations: the one whose value it gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.headers.map import HeaderMap, compile_maps
from proxy.spec import HeaderMapSpec, RegexEntry
from tests.unit.headers.samples import request

WORDS = ["", "a", "A.", "b.example.org", "www.b", "www.example.org.", "example.org", "zz"]


def compiled(**differs: object) -> HeaderMap:
    spec = HeaderMapSpec(name="m", source="$http_x", **differs)  # type: ignore[arg-type]
    faults: list[object] = []
    maps = compile_maps({"m": spec}, faults)  # type: ignore[arg-type]
    assert faults == []
    return maps["m"]


FULL = {
    "default": "value of /default",
    "exact": (("a", "value of /exact/a"), ("b/c", "value of /exact/b~1c")),
    "hostnames": (
        ("*.example.org", "value of /hostnames/*.example.org"),
        (".Dotted.net", "value of /hostnames/.Dotted.net"),
    ),
    "regex": (
        RegexEntry(match="^q(.)", value="value of /regex/0"),
        RegexEntry(match="q", value="value of /regex/1"),
    ),
}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("A", "/exact/a"),
        ("b/c", "/exact/b~1c"),
        ("x.example.org.", "/hostnames/*.example.org"),
        ("dotted.net", "/hostnames/.Dotted.net"),
        ("x.dotted.net", "/hostnames/.Dotted.net"),
        ("qa", "/regex/0"),
        ("xq", "/regex/1"),
        ("", "/default"),
        ("elsewhere", "/default"),
    ],
)
def test_entry_that_matches_is_named(value: str, place: str) -> None:
    asked = request(("X", value))
    header_map = compiled(**FULL)
    assert header_map.which(asked).place == place
    assert header_map.evaluate(asked) == f"value of {place}".encode()


def test_share_that_a_source_falls_into_is_named() -> None:
    header_map = compiled(shares=(("blue", 5000), ("green", 2500)), default="rest")
    values = {"/shares/blue": b"blue", "/shares/green": b"green", "/default": b"rest"}
    met = set()
    for number in range(50):
        asked = request(("X", f"user {number}"))
        chosen = header_map.which(asked)
        assert header_map.evaluate(asked) == values[chosen.place]
        assert chosen.subject == b"user %d" % number
        met.add(chosen.place)
    assert met == set(values)


@given(
    exact=st.lists(st.sampled_from(WORDS), unique_by=str.lower, max_size=3),
    hostnames=st.lists(
        st.sampled_from(["*.example.org", "www.*", "example.org", "*.org"]), unique=True
    ),
    regex=st.lists(st.sampled_from(["a", "^w", r"\.org", "."]), max_size=2),
    value=st.sampled_from([*WORDS, "c.example.org", "other", "A"]),
)
def test_value_of_any_map_is_that_of_the_entry_named(
    exact: list[str], hostnames: list[str], regex: list[str], value: str
) -> None:
    header_map = compiled(
        exact=tuple((key, f"e{key}") for key in exact),
        hostnames=tuple((key, f"h{key}") for key in hostnames if key not in exact),
        regex=tuple(RegexEntry(match=key, value=f"r{key}") for key in regex),
        default="d",
    )
    asked = request(("X", value))
    assert header_map.which(asked).value.render(asked) == header_map.evaluate(asked)
