"""Templates: parsing, faults with hints, and values that equal a naive rendering."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Fault, FaultError
from proxy.headers.template import Scope, compile_at, compile_template
from proxy.message import Request
from tests.unit.headers.samples import request, response


class Counting:
    """A header map that counts how often it is evaluated."""

    def __init__(self, value: bytes, *, volatile: bool = False, response: bool = False) -> None:
        self.value = value
        self.evaluations = 0
        self.volatile = volatile
        self.response = response
        self.of_fields = False

    def evaluate(self, _: Request) -> bytes:
        self.evaluations += 1
        return self.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b""),
        ("plain", b"plain"),
        ("100%", b"100%"),
        ("$$5", b"$5"),
        ("$$host", b"$host"),
        ("${host}", b"app.example.org"),
        ("$host", b"app.example.org"),
        ("$Host", b"app.example.org"),
        ("<$host>", b"<app.example.org>"),
        ("${host}name", b"app.example.orgname"),
        ("$scheme://$host%$$", b"http://app.example.org%$"),
        ("é$scheme", "éhttp".encode()),
        ("$1-$2$10", b"one-one0"),
        ("${10}", b"ten"),
        ("$name", b"called"),
        ("$is_args$args", b""),
    ],
)
def test_template_renders_to_its_value(text: str, expected: bytes) -> None:
    captures = {"1": b"one", "2": b"", "10": b"ten", "name": b"called"}
    scope = Scope(captures=frozenset(captures))
    made = request(captures=captures)
    assert compile_template(text, scope).render(made) == expected


def test_constant_template_says_so() -> None:
    template = compile_template("a$$b", Scope())
    assert template.constant == b"a$b"
    assert template.variables == frozenset()
    assert template.text == "a$$b"


def test_varying_template_names_its_variables() -> None:
    template = compile_template("$HOST ${http_X_a} $1", Scope(captures=frozenset({"1"})))
    assert template.constant is None
    assert template.variables == {"host", "http_x_a", "1"}


def test_capture_of_a_request_without_captures_is_empty() -> None:
    template = compile_template("[$1]", Scope(captures=frozenset({"1"})))
    assert template.render(request()) == b"[]"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("$htp_upgrade", "unknown variable $htp_upgrade", "did you mean $http_upgrade?"),
        ("$remote_adr", "unknown variable $remote_adr", "did you mean $remote_addr?"),
        ("$tire", "unknown variable $tire", "did you mean $tier?"),
        ("$zzzzzzzz", "unknown variable $zzzzzzzz", None),
        ("$http_", "unknown variable $http_", None),
        (
            "$secret_key",
            "$secret_key may not stand here",
            "secrets are for request_headers only",
        ),
        ("$status", "$status is only known in routes and logs", None),
        ("$sent_http_x", "$sent_http_x is only known in routes and logs", None),
        ("$1", "there is no capture $1", "only a regex with groups captures"),
        ("a$", "a dollar sign without a name", "$$ stands for a dollar sign"),
        ("$ a", "a dollar sign without a name", "$$ stands for a dollar sign"),
        ("${host", "a dollar sign without a name", "$$ stands for a dollar sign"),
        ("${}", "a dollar sign without a name", "$$ stands for a dollar sign"),
        ("a\nb", "a value cannot hold CR, LF or NUL", None),
        ("a\0b", "a value cannot hold CR, LF or NUL", None),
        ("\ud800", "'\\ud800' is not valid Unicode", None),
    ],
)
def test_bad_template_is_a_fault_with_a_hint(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(FaultError) as caught:
        compile_template(text, Scope(maps={"tier": Counting(b"")}))
    assert caught.value.message == message
    if hint is not None:
        assert caught.value.hint == hint


def test_missing_capture_hint_counts_those_there_are() -> None:
    with pytest.raises(FaultError) as caught:
        compile_template("$3", Scope(captures=frozenset({"1", "2", "name"})))
    assert caught.value.hint == "the regex has 2"


@pytest.mark.parametrize("name", ["host", "tier"])
def test_capture_named_like_a_variable_is_a_fault(name: str) -> None:
    scope = Scope(maps={"tier": Counting(b"")}, captures=frozenset({name}))
    with pytest.raises(FaultError, match=f"{name} is both a capture and a variable"):
        compile_template(f"${name}", scope)


def test_response_variable_in_a_response_scope_is_known() -> None:
    made = request()
    made.response = response(status=204)
    assert compile_template("$status", Scope(response=True)).render(made) == b"204"


@pytest.mark.parametrize("value", [b"gold", b""])
def test_header_map_is_evaluated_once_per_request(value: bytes) -> None:
    tier = Counting(value)
    scope = Scope(maps={"tier": tier})
    twice, again = compile_template("$tier$tier", scope), compile_template("$tier", scope)
    made = request()
    assert tier.evaluations == 0
    assert twice.render(made) + again.render(made) == value * 3
    assert tier.evaluations == 1
    assert again.render(request()) == value
    assert tier.evaluations == 2


def test_variable_of_the_request_is_what_was_assigned_last() -> None:
    template = compile_template("[$Kind]", Scope(variables=frozenset({"kind"})))
    made = request()
    assert template.render(made) == b"[]"
    made.maps = {"kind": b"a"}
    assert template.render(made) == b"[a]"
    assert template.variables == {"kind"}


def test_variable_takes_the_place_of_a_capture_once_it_is_assigned() -> None:
    scope = Scope(captures=frozenset({"User"}), variables=frozenset({"user"}))
    made = request(captures={"User": b"captured"})
    template = compile_template("$User $user", scope)
    assert template.render(made) == b"captured "
    made.maps = {"user": b"assigned"}
    assert template.render(made) == b"assigned assigned"


def test_unknown_variable_may_have_meant_one_that_a_step_assigns() -> None:
    with pytest.raises(FaultError) as caught:
        compile_template("$flavor", Scope(variables=frozenset({"flavour"})))
    assert caught.value.hint == "did you mean $flavour?"


@pytest.mark.parametrize("text", ["a\r\nb", "\0", "$host\n"])
def test_text_of_a_body_may_have_lines(text: str) -> None:
    expected = text.encode().replace(b"$host", b"app.example.org")
    assert compile_template(text, Scope(), lines=True).render(request()) == expected
    assert compile_at(text, Scope(), "", [], lines=True).render(request()) == expected


def test_numbered_captures_are_escaped_where_the_place_asks_for_it() -> None:
    captures = {"1": b"a b", "name": b"c d"}
    scope = Scope(captures=frozenset(captures), escape=lambda _, text: text.replace(b" ", b"+"))
    template = compile_template("$1 $name $arg_x", scope)
    assert template.render(request(target=b"/?x=%20", captures=captures)) == b"a+b c d %20"


def test_volatile_header_map_is_evaluated_each_time() -> None:
    tier = Counting(b"gold", volatile=True)
    made = request()
    assert compile_template("$tier$tier", Scope(maps={"tier": tier})).render(made) == b"goldgold"
    assert tier.evaluations == 2
    assert made.maps is None


def test_header_map_that_asks_for_the_response_is_known_in_routes_and_logs_only() -> None:
    maps = {"tier": Counting(b"gold", response=True)}
    assert compile_template("$tier", Scope(maps=maps, response=True)).render(request()) == b"gold"
    with pytest.raises(FaultError, match="is only known in routes and logs"):
        compile_template("$tier", Scope(maps=maps))


def test_fault_found_at_a_place_carries_its_path() -> None:
    faults: list[Fault] = []
    template = compile_at("$nothing_like_it", Scope(), "/routes/a/rewrite", faults)
    assert [fault.path for fault in faults] == ["/routes/a/rewrite"]
    assert template.constant == b""


PIECES = st.lists(
    st.one_of(
        st.sampled_from(["$host", "${scheme}", "$request_uri", "$1", "$arg_q"]),
        st.text(st.characters(exclude_characters="$\r\n\0", exclude_categories=["Cs"])).map(
            lambda text: f"{text}/"
        ),
        st.just("$$"),
    )
)
VALUES = {
    "$host": b"app.example.org",
    "${scheme}": b"http",
    "$request_uri": b"/x?q=%25",
    "$1": b"%b",
    "$arg_q": b"%25",
    "$$": b"$",
}


@given(PIECES)
def test_template_of_any_pieces_renders_them_in_order(pieces: list[str]) -> None:
    text = "/".join(pieces)
    expected = b"/".join(VALUES.get(piece, piece.encode()) for piece in pieces)
    made = request(target=b"/x?q=%25", captures={"1": b"%b"})
    assert compile_template(text, Scope(captures=frozenset({"1"}))).render(made) == expected


@given(st.text())
def test_template_of_any_text_renders_or_is_a_fault(text: str) -> None:
    try:
        template = compile_template(text, Scope())
    except FaultError as fault:
        assert fault.message
    else:
        assert isinstance(template.render(request()), bytes)
