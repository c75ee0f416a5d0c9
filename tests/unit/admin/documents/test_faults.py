from __future__ import annotations

import pytest

from admin.documents.document import Document
from admin.documents.endpoint import Endpoint, EndpointPassiveHealth
from admin.documents.faults import (
    MAX_FAULTS,
    SHOWN_CHARACTERS,
    bounded,
    meant,
    nearest,
    one_of,
    shown,
)
from admin.documents.header_map import RegexEntry
from admin.documents.header_rules import HeaderRules, ResponseRules, Substitution
from admin.documents.matching import Path
from admin.documents.pool import HashBalance
from admin.documents.wording import model_at
from proxy.errors import Fault, pointer


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), ""),
        (("",), "/"),
        (("a", 0), "/a/0"),
        (("unix:/x", "m~n", "~1"), "/unix:~1x/m~0n/~01"),
        (("\ud800",), "/\\ud800"),
    ],
)
def test_a_pointer_is_escaped_as_rfc_6901_says(parts: tuple[str | int, ...], expected: str) -> None:
    assert pointer(*parts) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("a'b", '"a\'b"'),
        ("a\nb", r"'a\nb'"),
        ("\ud800", r"'\ud800'"),
        ({"a": 1}, "an object"),
        ([1], "a list"),
        (10**40, "a huge number"),
        (float("nan"), "a huge number"),
        (object(), "a value of type object"),
    ],
)
def test_a_value_is_shown_as_its_writer_knows_it(value: object, expected: str) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize("value", ["x" * 1_000_000, "\0" * 100, 10**29])
def test_a_shown_value_is_short(value: object) -> None:
    assert len(shown(value)) <= SHOWN_CHARACTERS


def test_the_nearest_word_is_the_hint() -> None:
    assert nearest("bakend", ["frontend", "backend"], "pools") == "did you mean `backend`?"


def test_without_a_near_word_the_known_ones_are_the_hint() -> None:
    assert nearest("zzz", ["b", "a"], "pools") == "pools: a, b"
    assert nearest("zzz", map(str, range(100)), "pools").endswith(", …")
    assert nearest("zzz", [], "pools") == "there are no pools"


def test_only_text_can_be_meant_otherwise() -> None:
    assert meant(5, ["5"]) is None
    assert meant("x" * 1_000_000, ["y"]) is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["a"], "`a`"), (["a", "b"], "`a` or `b`"), (list("abc"), "`a`, `b` or `c`")],
)
def test_words_are_joined_as_a_choice(words: list[str], expected: str) -> None:
    assert one_of(words) == expected


def test_faults_are_ordered_and_told_once() -> None:
    twice, first = Fault("/b", "m"), Fault("/a", "n", "h")

    assert bounded([twice, first, twice]) == (first, twice)


def test_faults_beyond_the_bound_are_mentioned() -> None:
    found = bounded(Fault(f"/{number:06}", "m") for number in range(MAX_FAULTS + 7))

    assert len(found) == MAX_FAULTS + 1
    assert found[-1].message == "more than 1,000 faults"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((), Document),
        (("pools", "p", "balance"), HashBalance),
        (("pools", "p", "endpoints", "e"), Endpoint),
        (("pools", "p", "endpoints", "e", "passive_health"), EndpointPassiveHealth),
        (("header_maps", "m", "regex", 3), RegexEntry),
        (("routes", "r", "path"), Path),
        (("routes", "r", "request_headers"), HeaderRules),
        (("routes", "r", "response_headers"), ResponseRules),
        (("routes", "r", "response_headers", "rewrite_location", 2), Substitution),
    ],
)
def test_the_model_at_a_place_is_found(place: tuple[str | int, ...], expected: type) -> None:
    assert model_at(Document, place) is expected
