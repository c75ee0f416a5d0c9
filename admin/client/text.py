"""Explanations and failures for people to read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Json = Mapping[str, Any]

_WIDTH: Final = 10


def plain(text: object) -> str:
    """Escape what does not print: values come from clients, and go to a terminal."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(text)
    )


def _line(label: str, text: str) -> str:
    return f"{label:<{_WIDTH}}{plain(text)}".rstrip()


def explanation(told: Json, *, all_rivals: bool) -> Iterator[str]:
    """Give the lines of an explanation."""
    yield _line("request", told["request"].partition("\r\n")[0])
    yield _line("listener", f"{told['listener']['name']}: {told['listener']['why']}")
    yield _line("client", _client(told["client"]))
    for lookup in told["lookups"]:
        yield from _lookup(lookup, all_rivals=all_rivals)
    for name in told["named"]:
        yield _line("to route", f"{name}, by name")
    for step in told["steps"]:
        yield _line("step", _step(step))
    for one in told["header_maps"]:
        said = f"${one['name']} = {one['value']!r}: {one['source']} is {one['was']!r}"
        yield _line("map", f"{said}, so {one['entry']}")
    for one in told["access"]:
        let = "lets" if one["allowed"] else "turns"
        away = "in" if one["allowed"] else "away"
        rule = one["rule"] or f"no rule of {one['route']}"
        yield _line("access", f"{rule} {let} {one['client']} {away}")
    if told["pool"] is not None:
        yield from _pool(told["pool"], told["passing"])
    yield from _end(told)


def _client(client: Json) -> str:
    if client["trusted"]:
        return f"{client['address']}, as the trusted proxy {client['peer']} says"
    return str(client["address"])


def _lookup(lookup: Json, *, all_rivals: bool) -> Iterator[str]:
    table = "" if lookup["table"] is None else f" [hosts: {lookup['table']}]"
    route = lookup["route"] or "none"
    internal = "; it is internal, so only reroutes lead there" if lookup["internal"] else ""
    yield _line("route", f"{route} for {lookup['path']}{table}: {lookup['why']}{internal}")
    hidden = lookup["rivals_left_out"]
    for rival in lookup["rivals"]:
        if all_rivals or rival["lost"] == "beaten":
            yield _line("", f"not {rival['route']}: {rival['why']}")
        else:
            hidden += 1
    if hidden:
        more = "" if all_rivals else " (--all tells why)"
        yield _line("", f"not {hidden} more{more}")


def _step(step: Json) -> str:
    said = [step["place"]]
    condition = step["condition"]
    if condition is not None:
        said.append(f"{condition['value']} is {condition['was']!r}, {_test(condition)}")
    said.append("taken" if step["taken"] else "passed over")
    said += [f"${name} = {value!r}" for name, value in step["set"].items()]
    rewrite = step["rewrite"]
    if rewrite is not None:
        said.append(_rewrite(rewrite))
    if step["answer"] is not None:
        said.append(f"answers {step['answer']}")
    return "; ".join(said)


def _test(condition: Json) -> str:
    negated = "not " if condition["negated"] else ""
    if condition["test"] == "truth":
        return f"{negated}true?"
    return f"{negated}{condition['test']} {condition['operand']!r}?"


def _rewrite(rewrite: Json) -> str:
    if not rewrite["matched"]:
        return f"{rewrite['match']} does not match the path"
    if rewrite["location"] is not None:
        return f"sends the client to {rewrite['location']}"
    query = "" if rewrite["query"] is None else f"?{rewrite['query']}"
    return f"the path is {rewrite['path']}{query} now, then {rewrite['then']}"


def _pool(pool: Json, passing: Json | None) -> Iterator[str]:
    key = "" if pool["key"] is None else f" of {pool['key']!r}"
    yield _line("pool", f"{pool['name']} ({pool['balance']}{key}): {pool['why']}")
    picked = None if passing is None else passing["endpoint"]
    for one in pool["endpoints"]:
        mark = "->" if one["name"] == picked else "  "
        backup = ", backup" if one["backup"] else ""
        override = "" if one["override"] is None else f", overridden: {one['override']}"
        where = "" if one["address"] == one["name"] else f" {one['address']}"
        yield _line(
            f"        {mark}",
            f"{one['name']}{where} {one['state']}: {one['why']}; weight {one['weight']}{backup}, "
            f"{one['active']} active{override}",
        )
    if pool["endpoints_left_out"]:
        more = (f"{number} {state}" for state, number in pool["endpoints_left_out"].items())
        yield _line("", f"  and more: {', '.join(more)}")


def _end(told: Json) -> Iterator[str]:
    for page in told["error_pages"]:
        statuses = " ".join(map(str, page["statuses"]))
        yield _line("on error", f"{statuses}: {page['leads_to']}, seen as {page['status']}")
    passing, answer = told["passing"], told["answer"]
    if passing is not None:
        yield from _passing(passing)
    elif answer is not None:
        reason = "" if answer["reason"] is None else f": {answer['reason']}"
        yield _line("answers", f"{answer['status']}{reason}")
        yield from _octets(answer["octets"])
    source = "the document asked about" if told["revision"] is None else told["revision"]
    yield _line("revision", str(source))


def _passing(passing: Json) -> Iterator[str]:
    retry, limits = passing["retry"], passing["limits"]
    words = ", ".join(retry["when"]) or "nothing"
    budget = "" if retry["budget_s"] is None else f" within {retry['budget_s']:g} s"
    yield _line("retry", f"on {words}, at most {retry['max_attempts']} attempts{budget}")
    times = ", ".join(f"{name} {limits[f'{name}_s']:g} s" for name in ("connect", "send", "read"))
    yield _line("timeouts", times)
    if limits["upgrade"] is not None:
        yield _line("upgrade", limits["upgrade"])
    yield _line("sends", f"to {passing['endpoint']}")
    yield from _octets(passing["octets"])


def _octets(octets: str) -> Iterator[str]:
    for line in octets.removesuffix("\r\n\r\n").splitlines():
        yield _line("", line)


def failure(told: Json) -> Iterator[str]:
    """Give the lines of a failure."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(told["time"]))
    reason = told["reason"] or "the upstream's own answer"
    yield _line("request", f"{told['method']} {told['path']} at {when}, by {told['listener']}")
    yield _line("ended", f"{told['status']} {reason} ({told['side']}), {_ms(told['duration_s'])}")
    yield _line("route", f"{told['route'] or 'none'}, pool {told['pool'] or 'none'}")
    for number, one in enumerate(told["attempts"], 1):
        yield _line(f"attempt {number}", _attempt(one))
    if not told["attempts"]:
        yield _line("attempts", "none: no endpoint was asked")
    yield _line("revision", told["revision"])


def _attempt(one: Json) -> str:
    said = [f"{one['endpoint']} {one['address']}"]
    said.append("no answer" if one["status"] is None else f"answered {one['status']}")
    if one["reason"] is not None:
        said.append(one["reason"])
    said.append(_ms(one["duration_s"]))
    said += _times({"connected": one["connect_s"], "first byte": one["ttfb_s"]})
    return ", ".join(said)


def _times(times: Mapping[str, float | None]) -> Iterable[str]:
    return [f"{name} after {_ms(spent)}" for name, spent in times.items() if spent is not None]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
