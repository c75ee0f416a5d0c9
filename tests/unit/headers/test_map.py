"""Header maps: the order of look-ups, laziness, cycles, and a naive reference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Fault
from proxy.headers.map import MAX_DEPTH, HeaderMap, compile_maps
from proxy.headers.shares import Shares
from proxy.headers.template import Scope, compile_template
from proxy.message import Request
from proxy.spec import HeaderMapSpec, Pairs, RegexEntry
from tests.unit.headers.samples import request, response


def spec(
    source: str = "$http_x",
    default: str = "",
    exact: Pairs = (),
    hostnames: Pairs = (),
    regex: tuple[RegexEntry, ...] = (),
    shares: tuple[tuple[str, int], ...] = (),
    *,
    volatile: bool = False,
) -> HeaderMapSpec:
    return HeaderMapSpec(
        name="any",
        source=source,
        default=default,
        exact=exact,
        hostnames=hostnames,
        regex=regex,
        shares=shares,
        volatile=volatile,
    )


def compiled(**specs: HeaderMapSpec) -> dict[str, HeaderMap]:
    faults: list[Fault] = []
    maps = compile_maps(specs, faults)
    assert faults == []
    return maps


def faults_of(**specs: HeaderMapSpec) -> list[Fault]:
    faults: list[Fault] = []
    compile_maps(specs, faults)
    return faults


def with_x(value: str) -> Request:
    return request(("X", value))


CONNECTION_UPGRADE = spec("$http_upgrade", "upgrade", exact=(("", "close"),))
SITES = spec(
    default="default",
    exact=(("www.example.org", "exact"), ("*.literal", "star")),
    hostnames=(
        ("*.example.org", "suffix"),
        ("*.a.example.org", "longer suffix"),
        ("www.*", "prefix"),
        ("www.example.*", "longer prefix"),
        (".dotted.org", "dotted"),
    ),
    regex=(
        RegexEntry(match=r"^svc-(?P<name>[a-z]+)-(\d+)$", value="$name:$2/$http_y"),
        RegexEntry(match="^SVC", value="any case", ignore_case=True),
        RegexEntry(match="^svc-x-", value="never"),
    ),
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("www.example.org", b"exact"),
        ("WWW.Example.Org", b"exact"),
        ("www.example.org.", b"exact"),
        ("*.literal", b"star"),
        ("b.literal", b"default"),
        ("b.example.org", b"suffix"),
        ("b.a.example.org", b"longer suffix"),
        ("a.example.org", b"suffix"),
        ("example.org", b"default"),
        ("www.example.com", b"longer prefix"),
        ("www.else.com", b"prefix"),
        ("dotted.org", b"dotted"),
        ("x.dotted.org", b"dotted"),
        ("svc-x-12", b"x:12/y"),
        ("Svc-x-12", b"any case"),
        ("other", b"default"),
        ("", b"default"),
    ],
)
def test_source_is_looked_up_in_nginx_order(source: str, expected: bytes) -> None:
    made = request(("X", source), ("Y", "y"))
    assert compiled(sites=SITES)["sites"].evaluate(made) == expected


@pytest.mark.parametrize(
    ("lines", "expected"), [((("Upgrade", "WebSocket"),), b"upgrade"), ((), b"close")]
)
def test_connection_upgrade_of_the_handbook_works(
    lines: tuple[tuple[str, str], ...], expected: bytes
) -> None:
    maps = compiled(connection_upgrade=CONNECTION_UPGRADE)
    assert maps["connection_upgrade"].evaluate(request(*lines)) == expected


def test_empty_source_never_meets_a_regex() -> None:
    maps = compiled(m=spec(default="none", regex=(RegexEntry(match="^$", value="empty"),)))
    assert maps["m"].evaluate(with_x("")) == b"none"


def test_dot_behind_the_source_stays_where_no_host_names_are() -> None:
    maps = compiled(m=spec(default="none", exact=(("a", "found"),)))
    assert maps["m"].evaluate(with_x("a.")) == b"none"


def test_default_that_is_left_out_is_empty() -> None:
    assert compiled(m=spec())["m"].evaluate(with_x("a")) == b""


def test_values_name_every_outcome() -> None:
    assert compiled(m=SITES)["m"].values == (
        "exact", "star", "suffix", "longer suffix", "prefix", "longer prefix", "dotted",
        "$name:$2/$http_y", "any case", "never", "default",
    )  # fmt: skip


def test_map_of_maps_is_followed_whatever_the_order() -> None:
    maps = compiled(
        outer=spec("$middle", default="<$inner>"),
        middle=spec("$inner", default="$inner!"),
        inner=spec(default="$http_x"),
    )
    made = with_x("v")
    assert compile_template("$outer", Scope(maps=maps)).render(made) == b"<v>"
    assert made.maps == {"outer": b"<v>", "middle": b"v!", "inner": b"v"}


def test_map_that_no_value_asks_for_is_not_evaluated() -> None:
    maps = compiled(
        outer=spec(default="$inner", exact=(("a", "plain"),)),
        inner=spec(default="inner"),
    )
    made = with_x("a")
    assert compile_template("$outer", Scope(maps=maps)).render(made) == b"plain"
    assert made.maps == {"outer": b"plain"}


def test_captures_of_a_map_leave_those_of_the_route_alone() -> None:
    maps = compiled(
        outer=spec(regex=(RegexEntry(match="^(a)", value="$1$inner$1"),)),
        inner=spec(regex=(RegexEntry(match="(b)$", value="$1"),)),
    )
    made = request(("X", "ab"), captures={"1": b"route"})
    template = compile_template("$1 $outer $1", Scope(maps=maps, captures=frozenset({"1"})))
    assert template.render(made) == b"route aba route"


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ({"a": spec("$a")}, ["a cycle of maps: $a uses $a"]),
        ({"a": spec(default="$b"), "b": spec("$a")}, ["a cycle of maps: $a uses $b uses $a"]),
        (
            {
                "a": spec(exact=(("x", "$b"),)),
                "b": spec(regex=(RegexEntry(match="x", value="$c"),)),
                "c": spec("$a"),
                "d": spec("$c $e"),
                "e": spec(default="$e"),
            },
            ["a cycle of maps: $a uses $b uses $c uses $a", "a cycle of maps: $e uses $e"],
        ),
    ],
)
def test_cycles_are_faults_that_name_the_way(
    specs: dict[str, HeaderMapSpec], expected: list[str]
) -> None:
    faults = faults_of(**specs)
    assert sorted(_turned(fault.message) for fault in faults) == expected
    assert all(fault.path.removeprefix("/header_maps/") in specs for fault in faults)


def _turned(message: str) -> str:
    """Begin a cycle with its first name in the alphabet."""
    start, _, way = message.partition(": ")
    names = way.split(" uses ")[:-1]
    first = names.index(min(names))
    names = names[first:] + names[:first]
    return f"{start}: {' uses '.join([*names, names[0]])}"


def test_chain_at_the_limit_works_and_one_more_is_a_fault() -> None:
    chain = {f"m{n}": spec(f"$m{n + 1}", default=f"$m{n + 1}") for n in range(MAX_DEPTH - 1)}
    chain[f"m{MAX_DEPTH - 1}"] = spec(default="end")
    assert compiled(**chain)["m0"].evaluate(request()) == b"end"
    faults = faults_of(first=spec("$m0"), before=spec("$first"), **chain)
    assert [fault.path for fault in faults] == ["/header_maps/first"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("host", "$host is a built-in variable"),
        ("http_tier", "$http_tier is a built-in variable"),
        ("sent_http_x", "$sent_http_x is a built-in variable"),
        ("secret_x", "$secret_x is a built-in variable"),
        ("Tier", "'Tier' cannot be the name of a variable"),
        ("1st", "'1st' cannot be the name of a variable"),
        ("a-b", "'a-b' cannot be the name of a variable"),
    ],
)
def test_bad_name_is_a_fault_of_the_map(name: str, message: str) -> None:
    faults = faults_of(**{name: spec()})
    assert [(fault.path, fault.message) for fault in faults] == [(f"/header_maps/{name}", message)]


def test_every_fault_is_found_at_its_place() -> None:
    bad = spec(
        source="$nope",
        default="$1",
        exact=(("a/b", "$nope"), ("A", "1"), ("a", "2"), ("c.org", "3")),
        hostnames=(("*x", ""), ("*.ok.org", "$nope"), ("C.org", ""), ("*.OK.org", "")),
        regex=(RegexEntry(match="(?=a)", value="$1"), RegexEntry(match="(a)", value="$2")),
    )
    assert sorted(fault.path for fault in faults_of(m=bad)) == [
        "/header_maps/m/default",
        "/header_maps/m/exact/a",
        "/header_maps/m/exact/a~1b",
        "/header_maps/m/hostnames/*.OK.org",
        "/header_maps/m/hostnames/*.ok.org",
        "/header_maps/m/hostnames/*x",
        "/header_maps/m/hostnames/C.org",
        "/header_maps/m/regex/0/match",
        "/header_maps/m/regex/1/value",
        "/header_maps/m/source",
    ]


LABELS = st.lists(st.sampled_from(["a", "b", "www", "org"]), min_size=1, max_size=4).map(".".join)


@given(
    exact=st.lists(LABELS, unique=True, max_size=3),
    suffixes=st.lists(LABELS, unique=True, max_size=3),
    prefixes=st.lists(LABELS, unique=True, max_size=3),
    regexes=st.lists(st.sampled_from(["a$", "^b", r"w\.o"]), max_size=3),
    source=LABELS,
)
def test_map_agrees_with_a_naive_reading(
    exact: list[str], suffixes: list[str], prefixes: list[str], regexes: list[str], source: str
) -> None:
    naive = [("exact " + name) for name in exact if source == name]
    naive += [
        f"*.{name}" for name in sorted(suffixes, key=len)[::-1] if source.endswith("." + name)
    ]
    naive += [
        f"{name}.*" for name in sorted(prefixes, key=len)[::-1] if source.startswith(name + ".")
    ]
    hits = {"a$": source.endswith("a"), "^b": source.startswith("b"), r"w\.o": "w.o" in source}
    naive += [f"regex {pattern}".replace("$", "") for pattern in regexes if hits[pattern]]
    made = spec(
        default="default",
        exact=tuple((name, "exact " + name) for name in exact),
        hostnames=(
            *((f"*.{name}", f"*.{name}") for name in suffixes),
            *((f"{name}.*", f"{name}.*") for name in prefixes),
        ),
        regex=tuple(RegexEntry(match=p, value=f"regex {p}".replace("$", "")) for p in regexes),
    )
    expected = [*naive, "default"][0].encode()
    assert compiled(m=made)["m"].evaluate(with_x(source)) == expected


@given(st.binary().map(lambda raw: raw.translate(None, b"\r\n\0")))
def test_source_of_any_octets_has_a_value(raw: bytes) -> None:
    made = with_x(raw.decode("utf-8", "surrogateescape"))
    assert compiled(sites=SITES)["sites"].evaluate(made)


def test_map_may_be_of_variables_that_steps_assign() -> None:
    faults: list[Fault] = []
    specs = {"size": spec("$kind", "$kind", exact=(("a", "small"),))}
    maps = compile_maps(specs, faults, frozenset({"kind"}))
    assert faults == []
    template = compile_template("$size", Scope(maps=maps, variables=frozenset({"kind"})))
    for value, expected in ((b"a", b"small"), (b"b", b"b")):
        made = request()
        made.maps = {"kind": value}
        assert template.render(made) == expected
    assert template.render(request()) == b""


# -- shares ---------------------------------------------------------------------------------------

VARIANT = spec("$http_x", "stable", shares=(("blue", 50), ("green-$http_y", 2000)))


def test_shares_choose_by_the_hash_of_the_source() -> None:
    evaluate = compiled(variant=VARIANT)["variant"].evaluate
    choose = Shares([50, 2000]).choose
    values = (b"blue", b"green-y", b"stable")
    for number in range(500):
        key = f"user-{number}"
        assert evaluate(request(("X", key), ("Y", "y"))) == values[choose(key.encode())]


def test_values_name_what_shares_choose() -> None:
    assert compiled(m=VARIANT)["m"].values == ("blue", "green-$http_y", "stable")


@pytest.mark.parametrize(
    ("made", "path", "message"),
    [
        (spec(shares=(("a", 9_999), ("b", 2))), "shares", "more than 100% in all"),
        (spec(shares=(("$nope", 1),)), "shares/$nope", "unknown variable $nope"),
        (spec(shares=(("a", 1),), exact=(("b", "c"),)), "exact", "looks nothing up"),
        (spec(shares=(("a", 1),), hostnames=(("b.*", "c"),)), "hostnames", "looks nothing up"),
        (
            spec(shares=(("a", 1),), regex=(RegexEntry(match="b", value="c"),)),
            "regex",
            "looks nothing up",
        ),
    ],
)
def test_shares_that_cannot_be_are_a_fault(made: HeaderMapSpec, path: str, message: str) -> None:
    (fault,) = faults_of(m=made)
    assert fault.path == f"/header_maps/m/{path}"
    assert message in fault.message


# -- the response ---------------------------------------------------------------------------------


def test_map_of_the_response_is_known_by_what_it_uses() -> None:
    maps = compiled(
        plain=spec("$http_x"),
        direct=spec("$status", "$http_x"),
        value=spec("$http_x", "$sent_http_x"),
        behind=spec("$direct"),
    )
    assert {name for name, each in maps.items() if each.response} == {"direct", "value", "behind"}


def test_map_of_the_response_is_evaluated_with_it() -> None:
    maps = compiled(kind=spec("$status", "bad", exact=(("200", "good"),)))
    made = request()
    made.response = response(status=200)
    assert compile_template("$kind", Scope(maps=maps, response=True)).render(made) == b"good"


def test_volatile_map_follows_its_source() -> None:
    maps = compiled(fresh=spec("$uri", "$uri", volatile=True), kept=spec("$uri", "$uri"))
    both = compile_template("$fresh$kept", Scope(maps=maps))
    made = request(target=b"/a")
    before = both.render(made)
    made.uri = b"/b"
    assert (before, both.render(made)) == (b"/a/a", b"/b/a")
