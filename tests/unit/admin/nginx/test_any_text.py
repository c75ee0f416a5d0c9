"""Whatever the text, the importer ends with a document or with located faults."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from crossplane.analyzer import DIRECTIVES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin.documents.document import validate
from admin.documents.faults import DocumentError
from admin.nginx import import_nginx
from admin.nginx.values import words
from admin.nginx.verdicts import ACCEPTED, APPROXIMATED, BUILT
from admin.translate import to_spec
from proxy.snapshot import NOTHING, compile_snapshot
from proxy.telemetry.counters import Ledger
from tests.unit.admin.nginx.conf import MAPPED, RICH, SIMPLE, http
from tests.unit.admin.nginx.grammar import files

LOCATED = re.compile(r".+:[0-9]+")


def survives(text: bytes, *, lenient: bool) -> None:
    """Import, and see a valid document or faults with a file and a line."""
    with tempfile.TemporaryDirectory(prefix="nginx") as folder:
        path = Path(folder) / "nginx.conf"
        path.write_bytes(text)
        try:
            made = import_nginx(path, lenient=lenient)
        except DocumentError as error:
            assert error.faults
            for fault in error.faults:
                assert LOCATED.fullmatch(fault.path), fault
                assert fault.message
            return
        compile_snapshot(to_spec(validate(made.document)), NOTHING, {}, {}, Ledger())
        assert list(made.report.lines()) == [str(line) for line in made.report.lines()]


NAMES = sorted(BUILT | ACCEPTED.keys() | APPROXIMATED.keys() | set(DIRECTIVES))
WORDS = st.one_of(
    st.sampled_from(
        sorted(
            words("""
        on off 0 1 60s 1m 8k 127.0.0.1:8000 127.0.0.1 localhost unix:/run/a.sock [::1]:80 80
        *:80 default_server ssl backend http://backend http://backend/ http://$m http://$split/x
        http://unix:/a:/b https://backend http://127.0.0.1:1$request_uri $m $split $host ${host}
        $1 $ $http_upgrade / /a /a/ = ^~ ~ ~* ^/(a|b)$ (?=x) @named /chat/ "" '' "a b" default
        hostnames volatile *.example.org .example.org www.* ~^(?<user>.+)$ example.org weight=2
        max_fails=0 backup down max_conns=1 consistent two 50% * error timeout http_502
        non_idempotent Upgrade Connection Content-Length X-A Set-Cookie always 1.0 1.1 %d \\x
        X-Forwarded-For X-Real-IP proxy_protocol 10.0.0.0/8 10.1.2.3/8 fd00::/200 unix: 1y 0.5%
        .5% 100% 0.001% % $status $ssl_cipher $request_body $upstream_http_a ~^(?<Name>.) $name
        *. a.*.b 99999999999999999 -1 nginx.conf *.conf""")
        )
    ),
    st.text(max_size=8),
)


@st.composite
def directives(draw: st.DrawFn, depth: int = 0) -> str:
    name = draw(st.one_of(st.sampled_from(NAMES), st.sampled_from(sorted(BUILT)), WORDS))
    args = " ".join(draw(st.lists(WORDS, max_size=3)))
    if depth < 3 and draw(st.booleans()):
        inner = "\n".join(draw(st.lists(directives(depth + 1), max_size=4)))
        return f"{name} {args} {{ {inner} }}"
    return f"{name} {args};"


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """Take a good file and cut, double or replace some of it."""
    text = draw(st.sampled_from([SIMPLE, MAPPED, RICH]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        put = draw(st.one_of(WORDS, st.just(text[start:end] * 2), st.sampled_from("{};#\"'\\$")))
        text = text[:start] + put + text[end:]
    return text


RICH_WORDS = re.findall(r"[^\s{};]+|[{};]", RICH)


@st.composite
def exchanged_words(draw: st.DrawFn) -> str:
    """Take a rich file, and put other words in the place of some of its own."""
    some = list(RICH_WORDS)
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, len(some) - 1))
        if some[place] not in "{};":
            some[place] = draw(st.one_of(WORDS, st.sampled_from(RICH_WORDS)))
    return " ".join(some)


@settings(max_examples=300, deadline=None)
@given(exchanged_words(), st.booleans())
def test_other_words_end_in_a_document_or_in_located_faults(text: str, lenient: bool) -> None:
    survives(text.encode("utf-8", "surrogatepass"), lenient=lenient)


@given(st.binary(max_size=200), st.booleans())
def test_any_octets_end_in_a_document_or_in_located_faults(text: bytes, lenient: bool) -> None:
    survives(text, lenient=lenient)


@settings(max_examples=300, deadline=None)
@given(mutations(), st.booleans())
def test_good_file_with_damage_ends_in_a_document_or_in_located_faults(
    text: str, lenient: bool
) -> None:
    survives(text.encode("utf-8", "surrogatepass"), lenient=lenient)


MAPS = (
    "map $http_a $m { default backend; b 127.0.0.1:1; }\nsplit_clients $uri $split { * backend; }"
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["map $http_a", "split_clients $http_a", "map $status"]),
    st.lists(st.lists(WORDS, min_size=1, max_size=3).map(" ".join), max_size=5),
    st.sampled_from(["http://$n", "http://$n$request_uri", "http://backend/$n"]),
    st.booleans(),
)
def test_any_entries_end_in_a_document_or_in_located_faults(
    block: str, entries: list[str], to: str, lenient: bool
) -> None:
    made = f"{block} $n {{ {'; '.join(entries)}; }}"
    used = f"location / {{ proxy_pass {to}; proxy_set_header X-N $n; add_header X-N $n; }}"
    text = http(MAPS, made, f"server {{ listen 80; {used} }}")
    survives(text.encode("utf-8", "surrogatepass"), lenient=lenient)


PLACES = st.sampled_from(["{}", "server {{ {} }}", "server {{ location / {{ {} }} }}"])


@settings(max_examples=300, deadline=None)
@given(st.lists(directives(), max_size=5), PLACES, st.booleans())
def test_any_directives_end_in_a_document_or_in_located_faults(
    parts: list[str], place: str, lenient: bool
) -> None:
    text = http(MAPS, place.format("\n".join(parts)))
    survives(text.encode("utf-8", "surrogatepass"), lenient=lenient)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(BUILT)), st.lists(WORDS, max_size=3), PLACES, st.booleans())
def test_any_arguments_end_in_a_document_or_in_located_faults(
    name: str, args: list[str], place: str, lenient: bool
) -> None:
    sound = "proxy_pass http://backend;" if "location" in place else ""
    text = http(MAPS, place.format(f"{sound} {name} {' '.join(args)};"))
    survives(text.encode("utf-8", "surrogatepass"), lenient=lenient)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(careful=True), st.booleans())
def test_file_that_somebody_may_have_ends_in_a_document_or_in_located_faults(
    text: str, lenient: bool
) -> None:
    survives(text.encode(), lenient=lenient)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(careful=False), st.booleans())
def test_file_with_faults_ends_in_a_document_or_in_located_faults(text: str, lenient: bool) -> None:
    survives(text.encode("utf-8", "surrogatepass"), lenient=lenient)
