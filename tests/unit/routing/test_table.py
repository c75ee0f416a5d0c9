"""The routing table, case by case and against a naive reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import FaultError
from proxy.routing.table import Entry, Found, Table, capture_names, check_host, conflicts
from proxy.spec import PathKind, PathSpec
from tests.unit.routing.reference import route


def path(kind: PathKind, value: str, *, final: bool = False, priority: int = 0) -> PathSpec:
    return PathSpec(kind=kind, value=value, final=final, priority=priority)


def entry(name: str, where: PathSpec, *hosts: str) -> Entry[str]:
    return Entry(name, hosts or None, where, name)


def lookup(entries: list[Entry[str]], host: str, uri: str) -> Found[str] | None:
    return Table(entries).lookup(host.encode(), uri.encode())


def name_of(found: Found[str] | None) -> str | None:
    return None if found is None else found.payload


HOSTS = [
    entry("exact", path("prefix", "/"), "www.example.org"),
    entry("suffix", path("prefix", "/"), "*.Example.org"),
    entry("longer-suffix", path("prefix", "/"), "*.a.example.org"),
    entry("prefix", path("prefix", "/"), "www.*"),
    entry("longer-prefix", path("prefix", "/"), "www.example.*"),
    entry("regex-2", path("prefix", "/"), r"~^r\d"),
    entry("regex-1", path("prefix", "/"), "~^R1"),
    entry("dotted", path("prefix", "/"), ".dotted.net"),
    entry("v6", path("prefix", "/"), "[::1]"),
    entry("none", path("prefix", "/"), ""),
    entry("any", path("prefix", "/")),
]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("www.example.org", "exact"),
        ("b.example.org", "suffix"),
        ("c.b.example.org", "suffix"),
        ("b.a.example.org", "longer-suffix"),
        ("example.org", "any"),
        ("www.example.com", "longer-prefix"),
        ("www.com", "prefix"),
        ("www", "any"),
        ("r1", "regex-1"),
        ("r2", "regex-2"),
        ("dotted.net", "dotted"),
        ("a.dotted.net", "dotted"),
        ("adotted.net", "any"),
        ("[::1]", "v6"),
        ("", "none"),
        ("other", "any"),
    ],
)
def test_host_is_found_in_nginx_order(host: str, expected: str) -> None:
    assert name_of(lookup(HOSTS, host, "/x")) == expected


def test_host_without_a_matching_path_does_not_fall_back() -> None:
    entries = [entry("mine", path("prefix", "/a"), "a.org"), entry("any", path("prefix", "/"))]
    assert lookup(entries, "a.org", "/b") is None
    assert name_of(lookup(entries, "b.org", "/b")) == "any"


def test_route_with_several_hosts_sits_in_each_table() -> None:
    entries = [entry("a", path("prefix", "/"), "a.org", "*.b.org", "~^c", "A.org")]
    found = [name_of(lookup(entries, host, "/")) for host in ("a.org", "x.b.org", "c", "d")]
    assert found == ["a", "a", "a", None]


def test_routes_of_one_pattern_share_its_table() -> None:
    entries = [
        entry("b", path("prefix", "/b"), "~^x", "*.y"),
        entry("c", path("exact", "/c"), "*.Y", "~^x"),
    ]
    for host in ("x", "a.y"):
        found = [name_of(lookup(entries, host, uri)) for uri in ("/b/1", "/c", "/d")]
        assert found == ["b", "c", None]


PATHS = [
    entry("exact", path("exact", "/a/b")),
    entry("root", path("prefix", "/")),
    entry("short", path("prefix", "/a")),
    entry("long", path("prefix", "/a/b/")),
    entry("final", path("prefix", "/f/", final=True)),
    entry("final-long", path("prefix", "/f/not/")),
    entry("regex-low", path("regex", r"\.php$")),
    entry("regex-a", path("regex", "^/(?P<kind>x+)(/.*)?", priority=5)),
    entry("regex-b", path("regex", "^/x", priority=5)),
    entry("regex-high", path("regex", "^/xx/high", priority=9)),
]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/a/b", "exact"),
        ("/a/b/c", "long"),
        ("/a/bc", "short"),
        ("/ab", "short"),
        ("/b", "root"),
        ("/a/b/c.php", "regex-low"),
        ("/f/c.php", "final"),
        ("/f/not/c.php", "regex-low"),
        ("/f/not/c", "final-long"),
        ("/xx/high", "regex-high"),
        ("/xx/low.php", "regex-a"),
    ],
)
def test_path_is_found_in_nginx_order(uri: str, expected: str) -> None:
    assert name_of(lookup(PATHS, "h", uri)) == expected


def test_found_tells_what_matched() -> None:
    exact, prefix, regex = (lookup(PATHS, "h", uri) for uri in ("/a/b", "/a/b/c", "/xx/y"))
    assert exact is not None
    assert prefix is not None
    assert regex is not None
    assert (exact.matched, exact.captures) == (4, None)
    assert (prefix.matched, prefix.captures) == (5, None)
    assert regex.matched == 5
    assert regex.captures == {"1": b"xx", "kind": b"xx", "2": b"/y"}


def test_regex_group_that_took_no_part_captures_nothing() -> None:
    found = lookup(PATHS, "h", "/x")
    assert found is not None
    assert found.captures == {"1": b"x", "kind": b"x", "2": b""}


def test_regex_without_groups_captures_nothing_and_says_that_it_matched() -> None:
    found = lookup(PATHS, "h", "/a.php")
    assert found is not None
    assert found.captures == {}


@pytest.mark.parametrize(
    ("entries", "redirects"),
    [
        ([entry("slash", path("prefix", "/p/"))], True),
        ([entry("slash", path("prefix", "/p/")), entry("root", path("prefix", "/"))], True),
        ([entry("slash", path("prefix", "/p/")), entry("re", path("regex", "^/p"))], True),
        ([entry("slash", path("prefix", "/p/")), entry("e", path("exact", "/p"))], False),
        ([entry("e", path("exact", "/p")), entry("slash", path("prefix", "/p/"))], False),
        ([entry("slash", path("prefix", "/p/")), entry("p", path("prefix", "/p"))], False),
    ],
)
def test_prefix_without_its_slash_redirects_unless_something_equals_it(
    entries: list[Entry[str]], redirects: bool
) -> None:
    found = lookup(entries, "h", "/p")
    assert found is not None
    assert found.redirect == redirects
    assert (found.payload == "slash") == redirects
    below = lookup(entries, "h", "/p/x")
    assert below is not None
    assert not below.redirect


def test_exact_path_with_a_slash_redirects_as_a_prefix_does() -> None:
    found = lookup([entry("e", path("exact", "/p/"))], "h", "/p")
    assert found is not None
    assert found.redirect


def test_empty_table_finds_nothing() -> None:
    assert lookup([], "h", "/") is None


def test_names_captured_from_the_host_reach_the_route() -> None:
    host = r"~^(?P<tenant>[a-z]+)\.(?P<zone>.+)$"
    entries = [
        entry("plain", path("prefix", "/"), host),
        entry("regex", path("regex", "^/(?P<zone>z.*)$"), host),
    ]
    plain, regex = (lookup(entries, "acme.eu", uri) for uri in ("/p", "/zz"))
    assert plain is not None
    assert regex is not None
    assert plain.captures == {"1": b"acme", "2": b"eu", "tenant": b"acme", "zone": b"eu"}
    assert regex.captures == {"tenant": b"acme", "zone": b"zz", "1": b"zz"}
    assert capture_names(entries[0].path, entries[0].hosts) == {"1", "2", "tenant", "zone"}
    assert capture_names(entries[1].path, entries[1].hosts) == {"1", "tenant", "zone"}


@pytest.mark.parametrize("kind", ["exact", "prefix"])
def test_path_that_is_no_regex_captures_nothing(kind: PathKind) -> None:
    assert capture_names(path(kind, "/(a)")) == frozenset()


@pytest.mark.parametrize(
    "bad", [path("regex", "(?=a)"), path("regex", "("), path("prefix", "/\ud800")]
)
def test_bad_path_is_a_fault(bad: PathSpec) -> None:
    with pytest.raises(FaultError):
        capture_names(bad)
    with pytest.raises(FaultError):
        Table([entry("bad", bad)])


@pytest.mark.parametrize("host", ["*", "a.*.b", "*a", "a b", "a:80", "http://a", "~(", "é.org"])
def test_bad_host_is_a_fault(host: str) -> None:
    with pytest.raises(FaultError):
        check_host(host)
    with pytest.raises(FaultError):
        Table([entry("bad", path("prefix", "/"), host)])


@pytest.mark.parametrize("host", ["a.org", "*.a.org", "a.*", ".a.org", "~^a", "_", "[::1]"])
def test_good_host_is_no_fault(host: str) -> None:
    check_host(host)


def test_conflicts_pair_the_first_with_each_later_route() -> None:
    entries = [
        entry("a", path("prefix", "/x")),
        entry("b", path("exact", "/x")),
        entry("c", path("prefix", "/x")),
        entry("d", path("prefix", "/x"), "A.org", "~^r"),
        entry("e", path("prefix", "/x"), ".a.org", "*.a.org", "~^r"),
        entry("f", path("regex", "/x$")),
        entry("g", path("regex", "/x$")),
        entry("h", path("exact", "/x")),
        entry("i", path("prefix", "/x/")),
    ]
    assert conflicts(entries) == [("a", "c"), ("d", "e"), ("b", "h")]
    assert name_of(lookup(entries, "h", "/x/")) == "i"
    assert name_of(lookup(entries, "h", "/y/x")) == "f"


def prelude(name: str, *hosts: str) -> Entry[str]:
    return Entry(name, hosts or None, None, name)


def test_preludes_conflict_where_they_come_before_the_same_paths() -> None:
    entries = [
        prelude("a"),
        entry("b", path("prefix", "/")),
        prelude("c"),
        prelude("d", "a.org", "~^r"),
        prelude("e", ".A.org"),
        prelude("f", "~^r"),
        prelude("g", "b.org"),
    ]
    assert conflicts(entries) == [("a", "c"), ("d", "e"), ("d", "f")]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.org", "named"),
        ("x.b.org", "suffix"),
        ("b.b.org", None),
        ("r.test", "regex"),
        ("other", "any"),
    ],
)
def test_prelude_is_that_of_the_hosts_own_table(host: str, expected: str | None) -> None:
    entries = [
        prelude("any"),
        prelude("named", "a.org"),
        prelude("suffix", "*.b.org"),
        prelude("regex", "~^r"),
        entry("route", path("prefix", "/"), "b.b.org"),
    ]
    assert name_of(Table(entries).prelude(host.encode())) == expected


def test_prelude_takes_no_path() -> None:
    entries = [prelude("first", "a.org"), entry("any", path("prefix", "/"))]
    assert lookup(entries, "a.org", "/") is None
    assert name_of(lookup(entries, "b.org", "/")) == "any"
    assert Table([entry("any", path("prefix", "/"))]).prelude(b"b.org") is None


def test_first_of_two_preludes_is_the_one() -> None:
    assert name_of(Table([prelude("z"), prelude("a")]).prelude(b"h")) == "z"


def test_prelude_has_what_the_host_captured() -> None:
    host = r"~^(?P<tenant>[a-z]+)\.(.+)$"
    entries = [prelude("first", host), entry("plain", path("prefix", "/"), host)]
    table = Table(entries)
    found, again = table.prelude(b"acme.eu"), table.prelude(b"other.eu")
    assert found is not None
    assert again is not None
    assert found.captures == {"1": b"acme", "2": b"eu", "tenant": b"acme"}
    assert again.captures == {"1": b"other", "2": b"eu", "tenant": b"other"}
    assert capture_names(None, [host]) == {"1", "2", "tenant"}
    assert capture_names(None) == frozenset()


def test_first_of_two_conflicting_routes_serves() -> None:
    entries = [entry("z", path("prefix", "/x")), entry("a", path("prefix", "/x"))]
    assert name_of(lookup(entries, "h", "/x")) == "z"


def test_thousands_of_regexes_keep_their_order() -> None:
    entries = [entry(f"{n:05}", path("regex", f"^/s{n}(/|$)")) for n in range(3000)]
    table = Table([*entries, entry("last", path("regex", "^/"))])
    for uri, expected in ((b"/s0/a", "00000"), (b"/s2999", "02999"), (b"/t", "last")):
        assert name_of(table.lookup(b"h", uri)) == expected


def test_cost_does_not_grow_with_the_number_of_routes() -> None:
    class Counted(bytes):
        slices = 0

        def __getitem__(self, index: Any) -> Any:
            Counted.slices += 1
            return bytes(self)[index]

    table = Table([entry(f"{n:05}", path("prefix", f"/s{n:05}/")) for n in range(10_000)])
    assert name_of(table.lookup(b"h", Counted(b"/s07777/x"))) == "07777"
    assert Counted.slices == 1


SEGMENTS = st.sampled_from(["a", "b", "ab", "", "a.b"])
PATH_TEXTS = st.lists(SEGMENTS, max_size=3).map(lambda parts: "/" + "/".join(parts))
REGEXES = st.sampled_from(["^/a", "b$", "^/(a|b)/(?P<rest>.*)$", "a(b)?", r"^/ab/?$"])
HOST_TEXTS = st.sampled_from(
    ["a.org", "b.a.org", "*.org", "*.a.org", "a.*", "b.a.*", ".a.org", "~^b", "~org$"]
)
PATH_SPECS = st.one_of(
    st.builds(lambda text: path("exact", text), PATH_TEXTS),
    st.builds(lambda text, end: path("prefix", text, final=end), PATH_TEXTS, st.booleans()),
    st.builds(lambda text, n: path("regex", text, priority=n), REGEXES, st.integers(0, 1)),
)
HOST_LISTS = st.none() | st.lists(HOST_TEXTS, min_size=1, max_size=2)


@st.composite
def drawn_entries(draw: st.DrawFn) -> list[Entry[str]]:
    drawn = draw(st.lists(st.tuples(HOST_LISTS, PATH_SPECS), max_size=8))
    return [entry(f"r{n}", where, *(hosts or ())) for n, (hosts, where) in enumerate(drawn)]


@given(
    drawn_entries(),
    st.sampled_from(["a.org", "b.a.org", "c.b.a.org", "a.com", "b.com", "org", "x"]),
    PATH_TEXTS,
)
@example([entry("r0", path("prefix", "/a/")), entry("r1", path("regex", "^/a"))], "x", "/a")
def test_table_agrees_with_a_naive_reading(entries: list[Entry[str]], host: str, uri: str) -> None:
    losers = {loser for _, loser in conflicts(entries)}
    entries = [entry for entry in entries if entry.name not in losers]
    found = lookup(entries, host, uri)
    got = None
    if found is not None:
        got = (found.payload, found.redirect, found.captures)
    assert got == route(entries, host.encode(), uri.encode())


@given(st.binary(), st.binary())
def test_lookup_of_any_octets_never_raises(host: bytes, uri: bytes) -> None:
    for entries in (HOSTS, PATHS):
        found = Table(entries).lookup(host, uri)
        assert found is None or isinstance(found.payload, str)


def inside(name: str, outer: str, where: PathSpec) -> Entry[str]:
    return entry(name, replace(where, within=outer))


TREE = [
    entry("root", path("prefix", "/")),
    entry("a", path("prefix", "/a/")),
    inside("a-x", "a", path("regex", "x")),
    inside("a-b", "a", path("prefix", "/a/b/")),
    inside("a-b-z", "a-b", path("regex", "z$")),
    inside("a-exact", "a", path("exact", "/a/xx")),
    inside("a-final", "a", path("prefix", "/a/f/", final=True)),
    entry("f", path("prefix", "/f/", final=True)),
    inside("f-in", "f", path("regex", "in")),
    entry("ab", path("prefix", "/a/bc")),
    inside("lost", "nobody", path("prefix", "/lost")),
    entry("re", path("regex", "^/.*(?P<end>[yz])$")),
    inside("re-q", "re", path("regex", "^/q")),
]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/a/", "a"),
        ("/a/x", "a-x"),
        ("/a/xy", "a-x"),  # before those beside the prefix
        ("/a/xx", "a-exact"),
        ("/a/b/", "a-b"),
        ("/a/b/x", "a-x"),  # back one level
        ("/a/b/xz", "a-b-z"),
        ("/a/y", "re"),
        ("/a/f/x", "a-final"),
        ("/a/f/y", "re"),  # final among its own only
        ("/f/y", "f"),
        ("/f/in", "f-in"),
        ("/a/bc/x", "ab"),
        ("/q/y", "re-q"),
        ("/lost", "root"),
    ],
)
def test_routes_within_a_route_are_searched_as_nginx_does(uri: str, expected: str) -> None:
    assert name_of(lookup(TREE, "h", uri)) == expected


def test_redirect_may_lead_to_a_route_within() -> None:
    found = lookup(TREE, "h", "/a/f")
    assert found is not None
    assert (found.payload, found.redirect) == ("a-final", True)


def test_routes_of_one_path_conflict_within_one_route_only() -> None:
    entries = [
        entry("a", path("prefix", "/a")),
        entry("b", path("prefix", "/a/b")),
        inside("c", "a", path("prefix", "/a/b")),
        inside("d", "a", path("prefix", "/a/b")),
    ]
    assert conflicts(entries) == [("c", "d")]


def test_regexes_of_hosts_go_by_priority_then_by_name() -> None:
    entries = [
        replace(entry("a", path("prefix", "/"), "~x"), host_priority=-1),
        entry("c", path("prefix", "/"), "~xy"),
        entry("b", path("prefix", "/"), "~y"),
        replace(entry("z", path("prefix", "/"), "~xyz"), host_priority=1),
    ]
    found = [name_of(lookup(entries, host, "/")) for host in ("xyz", "xy", "yy", "x")]
    assert found == ["z", "b", "b", "a"]


def test_path_without_its_slash_is_only_redirected_to_who_passes_requests_on() -> None:
    def answering(name: str, where: PathSpec) -> Entry[str]:
        return replace(entry(name, where), redirects=False)

    table = [
        entry("all", path("prefix", "/")),
        answering("a", path("prefix", "/a/")),
        answering("b", path("exact", "/b/")),
        entry("b-all", path("prefix", "/b/")),
        entry("c", path("prefix", "/c/")),
    ]
    found = {uri: lookup(table, "h", uri) for uri in ("/a", "/b", "/c")}
    assert {uri: each and (each.payload, each.redirect) for uri, each in found.items()} == {
        "/a": ("all", False),
        "/b": ("b", True),
        "/c": ("c", True),
    }


def test_routes_within_others_stand_beside_a_prelude() -> None:
    prelude = Entry("prelude", None, None, "prelude")
    inner = entry("inner", replace(path("regex", "x"), within="outer"))
    table = [prelude, entry("outer", path("prefix", "/a")), inner]
    assert name_of(lookup(table, "h", "/a/x")) == "inner"
    assert name_of(lookup(table, "h", "/x")) is None
    assert name_of(Table(table).prelude(b"h")) == "prelude"
    assert conflicts([*table, Entry("other", None, None, "other")]) == [("prelude", "other")]
