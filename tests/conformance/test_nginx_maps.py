"""``map``: which value nginx gives, over odd maps and odd sources, and which maps it takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from admin.documents.faults import DocumentError
from admin.nginx import import_nginx
from tests.conformance.values_beside_nginx import beside_nginx_with
from tests.peers import Stage, answers, reply
from tests.peers.client import request
from tests.peers.nginx import beside_nginx, takes
from tests.unit.admin.nginx.conf import write

pytestmark = beside_nginx

MAPS: Final = r"""
    map $http_in $plain {
        default other; "" nothing; one 1; TWO 2; "a b" 3; a\ c 4; "semi;colon" 5; 'qu"ote' 6;
        "back\\slash" 7; \default 8; \~tilde 9; \hostnames 10; \include 11; volatile 12;
        ä umlaut; *.plain.test 13; $dollar 14; \\\\ 15; "curl{y}" 16; tab\ttab 17;
    }
    map $http_in $bare { one 1; }
    map $http_in $nothing { }
    map $http_in $only_default { default "$http_in!"; }
    map $http_in $empty_values { default ''; one ""; ~^t ''; two x; }
    map $http_in $wild {
        hostnames; default other; "" nothing; www.a.test exact; *.a.test suffix; *.b.a.test longer;
        www.* prefix; www.a.* longer-prefix; .dotted.test dotted; plain.test. never; c.* c; *.c x;
        "sp ace" spaced; ~^www regex;
    }
    map $http_in $hosts {
        hostnames; a.test 1; B.test 2; "x y" 3; "" 4; plain.test. never; default d; }
    map $http_in $flag_at_the_end { *.a.test text; www.* text2; a.test 1; hostnames; default d; }
    map $http_in $flag_in_between { *.a.test text; hostnames; *.b.test wild; default d; }
    map $http_in $regexes {
        default none; svc-exact exact; ~^svc-(?<kind>[a-z]+)-(\d+)$ "$kind:$2"; ~^svc <$http_in>;
        ~*^SVC any-case; ~^(.)(.)?(.)?$ [$1|$2|$3]; ~(?P<tail>..)$ "tail $tail";
    }
    map $http_in $names { ~^(?<First>\w+)[-.](?<rest>.*)$ "$first/$FIRST/$rest"; }
    map $http_in $folded { ~*^a[b-d]+$ 1; ~*ß$ 2; ~Z 3; ~*^(x|Y)=(.*)$ "$2=$1"; }
    map $http_in $any { ~ all; "" none; }
    map $http_in $classes {
        ~^\d+$ digits; ~^\w+$ word; ~^\s*$ blank; "~^[[:upper:][:digit:]_-]{2,3}$" upper;
        ~^[^[:ascii:]]+$ beyond; ~\x41\x2e hex; "~^a{2}b{0,1}$" repeated; ~\bend$ end;
        ~^\Qa.b*c\E quoted; ~^.$ one-octet; ~[.]$ dot; ~^\.\*\+\? signs; ~\- hyphen;
    }
    map $http_in $greedy { ~^(.*?)-(.*)$ "$2,$1"; ~^(a|ab)(c|bcd)$ "$1+$2"; ~^(?:x)(y)?$ "[$1]"; }
    map $http_in $inline { ~(?i)^cased$ 1; ~^(?i:pre)Fix$ 2; ~(?s)^l.g$ 3; ~(?m)^multi$ 4; }
    map "$http_in:$arg_q" $joined { one: 1; one:two 2; ":two" 3; ~^(.*):(.*)$ "$2/$1"; }
    map $uri $by_uri { ~^/(?<top>[^/]+)/(.*)$ "$top|$2"; /index index; default $uri$is_args$args; }
    map $http_in $chain { default $plain; one "$wild,$regexes"; two $chained; }
    map $chain $chained2 { default "<$chain>"; other last; }
    map $bare $chained { 1 one; default "$bare-$any"; }
    map $http_in $fresh { volatile; default "$http_in$uri"; one $plain; }
    map $http_in $literal { default "a % b %b %s {} \ c"; one "tab	tab"; two 'ünïcode'; }
    map $request_method$http_in $methods { GETone 1; ~^GET(.*) $1; default $request_method; }
    map $cookie_m $cookied { default c:$cookie_m; x X; }
    map $http_in $mixed { include INCLUDED; default d; }
"""
NAMES: Final = re.findall(r"^    map .* \$(\w+) \{", MAPS, re.MULTILINE)
INCLUDED: Final = "one included; ~^t(.*) <$1>;\n"
SOURCES: Final = [
    b"", b"one", b"One", b"ONE", b"two", b"TWO", b"three", b"a b", b"A B", b"a c", b"semi;colon",
    b'qu"ote', b"back\\slash", b"default", b"DEFAULT", b"~tilde", b"hostnames", b"include",
    b"volatile", b"\xc3\xa4", b"\xc3\x84", b"*.plain.test", b"x.plain.test", b"$dollar", b"\\",
    b"curl{y}", b"tab\ttab", b"www.a.test", b"WWW.A.TEST", b"www.a.test.", b"www.a.test..",
    b"a.test", b"a.test.", b"x.a.test", b"x.y.a.test", b"x.b.a.test", b"b.a.test", b".a.test",
    b"www.other", b"www.", b"www.a.org", b"www.a", b"wwwx", b"dotted.test", b"x.dotted.test",
    b"xdotted.test", b"plain.test", b"plain.test.", b"c.c", b"c.c.c", b"b.test", b"B.TEST.",
    b"*.a.test", b"www.*", b"*.b.test", b"q.b.test", b"x y", b"x y.", b"sp ace", b"SP ACE.", b".",
    b"..", b"svc-exact", b"SVC-EXACT", b"svc-a-12", b"svc-A-12", b"svc", b"SvC-x", b"x", b"xy",
    b"xyz", b"wxyz", b"first-rest", b"First.", b"abcd", b"ABBCD", b"abcde", b"stra\xc3\x9f",
    b"stra\xc3\x9e", b"Z", b"z", b"X=1=2", b"y=", b"123", b"a_1", b"AB", b"A-1", b"\xe4\xf6",
    b"A.", b"aa", b"aab", b"aabb", b"the end", b"bend", b"a.b*c", b"axbc", b".*+?", b"a-b-c",
    b"abcd", b"abc", b"cased", b"CASED", b"PREFix", b"PREFIX", b"prefix", b"log", b"multi",
    b"\xff\xfe\xfd", b"x" * 2000, b"%", b"%25", b"a,b", b"one,", b"[1|2|3]",
]  # fmt: skip
TARGETS: Final = [b"/", b"/index", b"/a/b?q=two", b"/a%20b/%C3%A4?q=", b"/a//b/../c", b"/x?q=two"]


async def test_maps_give_what_they_give_in_nginx(stage: Stage) -> None:
    included = stage.path("included")
    included.write_text(INCLUDED)
    values = {name.replace("_", "-"): f"${name}" for name in NAMES}
    wrong = {}
    http = MAPS.replace("INCLUDED", str(included))
    async with beside_nginx_with(stage, request=values, http=http) as both:
        asked = [(b"/index", source) for source in SOURCES]
        asked += [(target, source) for target in TARGETS for source in (b"one", b"", b"z")]
        for target, source in asked:
            raw = request(b"GET", target, b"In: " + source, b"Cookie: m=" + source)
            mine, yours = await both.ask(raw)
            assert len(yours.request) == len(NAMES) == 26
            for name, value in yours.request.items():
                if mine.request.get(name) != value:
                    wrong[name, target, source] = mine.request.get(name), value
    assert wrong == {}


async def test_end_of_a_pattern_is_the_very_end(stage: Stage) -> None:
    # To PCRE a dollar sign is also before a line break at the end, and so is a decoded path's.
    maps = "map $uri $end { ~^/a$ matched; default not; }"
    async with beside_nginx_with(stage, request={"end": "$end"}, http=maps) as both:
        mine, yours = await both.ask(request(b"GET", b"/a%0A"))
    assert (mine.request["end"], yours.request["end"]) == (b"[not]", b"[matched]")


async def test_map_of_the_response_is_what_it_is_in_nginx(stage: Stage) -> None:
    maps = """
        map $status $kind { ~^2 fine; ~^(?<digit>[45]) "bad $digit"; default other; }
        map $upstream_http_x_origin $from { default "<$upstream_http_x_origin>"; "" nobody; }
        map $sent_http_content_type $type { ~^text/ text; "" none; default "$kind $from"; }
    """
    replies = [
        reply(b"ok", b"Content-Type: text/plain"),
        reply(b"ok", b"X-Origin: me"),
        reply(b"no", b"Content-Type: image/png", status=b"404 Not Found"),
        reply(b"", status=b"302 Found"),
    ]
    values = {name: f"${name}" for name in ("kind", "from", "type")}
    for each in replies:
        async with beside_nginx_with(stage, answers(each), response=values, http=maps) as both:
            mine, yours = await both.ask(request(b"GET", b"/"))
            assert len(yours.response) == 3
            assert mine.response == yours.response


# -- what is a map --------------------------------------------------------------------------------

TAKEN: Final = r"""
a b
default ''
'' a
"" $host
hostnames
volatile; volatile
volatile x
\include x
\default a; default b
default a; DEFAULT b
~ b
~* b
~^a(b)$ $1
~(?<n>a) $n; ~(?<n>b) $n
~(?P<n>a) $n
~(?<Name>a) $name
"~a{2,3}b{,5}c{" b
~[]a] b
~(?-i:A)\d+\.\w\s\b\D\W\S\B\x41\Qa.b\E b
a ${host}x
a $host$uri$args
"a b" c
a\ b c
$host a
hostnames; *.a.test b
hostnames; a.test b; .b.test c
hostnames; www.* b
hostnames; a:80 c
hostnames; a/b c
*.a.test b; a.* c; .b d
"""
REFUSED: Final = r"""
a b; A c
a b; a b
default a; default a
a
a b c
include /nowhere/at/all
~(?<host>a) $host
~a( b
~[a b
~a** b
a $
a $$
a $a-b
a ${host
a $unknown_variable
hostnames; a.test b; .a.test c
hostnames; *.a.test b; .a.test c
hostnames; *.a.test b; *.A.test c
hostnames; * b
hostnames; *. b
hostnames; *.* b
hostnames; a.*.b c
hostnames; *a.test b
hostnames; a.test* b
hostnames; .. b
hostnames; a..b c
"""
ONLY_THERE: Final = r"""
~(?=a) b
~a++ b
~(?>a) b
~(a)\1 b
~a\Z b
~\h b
"~(?'n'a)" $n
~(?#c)a b
~(*UTF8)a b
~^a(b)$ $2
a $1
hostnames; *.a:80 c
hostnames; *.ä.test c
"""
"""RE2 has neither these nor their like; an unset capture is a fault, and so is no host name."""


def entries(table: str) -> list[str]:
    return table.strip().splitlines()


@pytest.mark.parametrize(
    ("written", "mine", "yours"),
    [(each, True, True) for each in entries(TAKEN)]
    + [(each, False, False) for each in entries(REFUSED)]
    + [(each, False, True) for each in entries(ONLY_THERE)],
)
async def test_map_is_taken_if_nginx_takes_it(
    tmp_path: Path, written: str, mine: bool, yours: bool
) -> None:
    http = f"""
        map $http_in $m {{ {written}; }}
        server {{
            listen unix:{tmp_path}/s;
            location / {{ proxy_pass http://127.0.0.1:1; proxy_set_header X-M $m; }}
        }}
    """
    try:
        import_nginx(write(f"events {{}} http {{ {http} }}"))
    except DocumentError:
        taken = False
    else:
        taken = True
    assert (taken, await takes(tmp_path, http)) == (mine, yours)
