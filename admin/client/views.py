"""The document and what is live, as tables for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from admin.client.output import Cell, Output, compact, moment, size, span, state
from admin.client.paths import path_of
from admin.client.session import Session

Fields = Mapping[str, Any]

OVERRIDES: Final = ("POOL", "ENDPOINT", "STATE", "WEIGHT", "UNTIL", "LEFT", "AUTHOR", "NOTE")


def status(session: Session) -> None:
    """Tell how the process is, what listens, and how each endpoint is."""
    found, output = session.read(path_of("status")), session.output
    _condition(found, output)
    output.raw("")
    _listeners(found["listeners"], output)
    output.raw("")
    _endpoints(found["pools"], output)
    _discovery(found["pools"], output)
    _errors(found["pools"], output)
    if found["overrides"]:
        output.raw("")
        _overrides(found["overrides"], output)


def _condition(found: Fields, output: Output) -> None:
    revision = found["revision"]
    word = "draining" if found["draining"] else "ready" if found["ready"] else "not ready"
    output.line(
        f"hotsplice {found['versions']['hotsplice']}, ", state(word),
        f", up {span(found['uptime_s'])}, event loop late by at most "
        f"{found['event_loop_lag_s'] * 1000:.1f} ms",
    )  # fmt: skip
    note = f": {revision['note']}" if revision["note"] else ""
    output.line(
        f"revision {revision['number']} of {moment(revision['time'])}, "
        f"{revision['source']}, {revision['author']}{note}"
    )
    if found["draining"]:
        output.line(f"the drain waits for {found['drain_remaining']} connections")
    pending = found["pending"]
    if pending is not None:
        left = span(pending["until"] - time.time())
        output.line(
            Cell(
                f"revision {pending['revision']} is taken back in {left} unless you confirm it: "
                f"hotsplice confirm {pending['revision']}",
                "yellow",
            )
        )
    if found.get("folder") is not None:
        _folder(found["folder"], output)
    elif found["drift"]:
        output.line(f"differs from the file: {', '.join(found['drift'])}; SIGHUP reverts")


def _folder(folder: Fields, output: Output) -> None:
    """Tell how it is with the folder, and what to revert where."""
    objects = len(folder["objects"])
    files = len(set(folder["objects"].values()))
    what = f"{objects} object{'s' * (objects != 1)} of {files} file{'s' * (files != 1)}"
    if not folder["faults"]:
        output.line(f"folder {folder['path']}: {what}")
    else:
        output.line(
            f"folder {folder['path']}: ",
            Cell("refused", "red"),
            f", what it said before goes on ({what})",
        )
        for fault in folder["faults"]:
            output.line(f"    {fault['path'] or '/'}: {fault['message']}")
    if folder["unserved"]:
        output.line(f"not as the folder says: {', '.join(folder['unserved'])}; mend the folder")
    if folder["beside"]:
        revert = f"hotsplice delete {folder['beside'][0][1:]}"
        output.line(f"beside the folder: {', '.join(folder['beside'])}; to revert: {revert}")


def owner(session: Session, parts: Sequence[str]) -> None:
    """Tell where an object has to be changed, if it belongs to a folder."""
    folder = session.read(path_of("status")).get("folder")
    file = None if folder is None else folder["objects"].get("/" + "/".join(parts[:2]))
    if file is not None:
        session.output.aside(f"it belongs to {folder['path']}/{file}: change it there")


def listeners(session: Session) -> None:
    """Tell what listens where."""
    _listeners(session.read(path_of("status"))["listeners"], session.output)


def _listeners(found: Fields, output: Output) -> None:
    output.table(
        ("LISTENER", "ADDRESS", "STATE", "HTTP", "WEBSOCKETS", "TUNNELS", "REQUESTS", "REJECTED"),
        (
            (
                name,
                one["address"],
                state("accepting" if one["accepting"] else "closed"),
                *(str(one["connections_active"].get(kind, 0)) for kind in KINDS),
                str(one["requests_in_flight"]),
                str(sum(one["rejected"].values())),
            )
            for name, one in found.items()
        ),
    )


KINDS: Final = ("http", "websocket", "tunnel")
"""Of connections."""


def endpoints(session: Session, pools: Iterable[str]) -> None:
    """Tell how each endpoint of some pools is."""
    found = session.read(path_of("status"))["pools"]
    chosen = {name: found[name] for name in pools if name in found}
    _endpoints(chosen, session.output)
    _discovery(chosen, session.output)
    _errors(chosen, session.output)


def _endpoints(pools: Fields, output: Output) -> None:
    output.table(
        (
            "POOL", "ENDPOINT", "ADDRESS", "STATE", "WEIGHT", "REQUESTS", "ACTIVE", "TUNNELS",
            "OUT", "IN", "FAILS", "WHY",
        ),
        (
            (
                pool,
                one["name"],
                "" if one["address"] == one["name"] else one["address"],
                state(one["state"]),
                f"{one['weight']}{' backup' * one['backup']}",
                str(one["requests"]),
                str(one["active_requests"]),
                str(one["splices"]),
                size(one["bytes_to_upstream"]),
                size(one["bytes_to_client"]),
                str(one["fails"]),
                one["why"],
            )
            for pool, each in pools.items()
            for one in each["endpoints"]
        ),
    )  # fmt: skip


def _discovery(pools: Fields, output: Output) -> None:
    """Tell which pools are told of their endpoints, and of which nobody can tell at present."""
    for pool, each in pools.items():
        found = each.get("discovery")
        if found is None:
            continue
        number = "no answer yet" if found["found"] is None else f"{found['found']} found"
        failing = f"; failing, so they stay: {found['failing']}" if found["failing"] else ""
        colour = "yellow" if failing else None
        output.line(f"discovery of {pool}: {found['name']}, ", Cell(number + failing, colour))


def _errors(pools: Fields, output: Output) -> None:
    """Tell of failed attempts: an endpoint may serve for all anyone knows, and never answer."""
    for pool, each in pools.items():
        if each["errors"]:
            reasons = (f"{reason} {number}" for reason, number in each["errors"].items())
            output.line(f"errors of {pool}: ", Cell(", ".join(reasons), "red"))


def pools(session: Session) -> None:
    """Tell of each pool how it balances, and how many of its endpoints serve."""
    found = session.read(path_of("pools"), {"view": "effective"})
    live = session.read(path_of("status"))["pools"]
    session.output.table(
        ("POOL", "BALANCE", "SERVING", "REQUESTS", "ACTIVE", "TUNNELS", "RETRIES", "EJECTIONS"),
        (
            (name, compact(pool["balance"]), *_pool_figures(live.get(name)))
            for name, pool in found.items()
        ),
    )


def _pool_figures(pool: Fields | None) -> tuple[str | Cell, ...]:
    if pool is None:  # it has no endpoints
        return Cell("0 of 0", "red"), "0", "0", "0", "0", "0"
    present = [one for one in pool["endpoints"] if one["state"] != "removed"]
    serving = sum(one["state"] == "active" for one in present)
    colour = "red" if not serving else "yellow" if serving < len(present) else "green"
    sums = (
        str(sum(one[key] for one in pool["endpoints"]))
        for key in ("requests", "active_requests", "splices")
    )
    return (
        Cell(f"{serving} of {len(present)}", colour), *sums,
        str(pool["retries"]), str(pool["ejections"]),
    )  # fmt: skip


def routes(session: Session) -> None:
    """Tell what each route takes, where it leads, and what came of it."""
    found = session.read(path_of("routes"))
    live = session.read(path_of("status"))["routes"]
    session.output.table(
        ("ROUTE", "LISTENERS", "HOSTS", "PATH", "TO", "REQUESTS", "5XX"),
        (
            (
                name,
                ", ".join(one.get("listeners", ["*"])),
                ", ".join(one.get("hosts", ["*"])),
                _path(one.get("path")),
                _destination(one),
                *_route_figures(live.get(name)),
            )
            for name, one in found.items()
        ),
    )


def _route_figures(route: Fields | None) -> tuple[str | Cell, ...]:
    if route is None:
        return "0", "0"
    failed = sum(n for code, n in route["requests_by_code"].items() if code.startswith("5"))
    return str(route["requests"]), Cell(str(failed), "red" if failed else None)


def _path(path: Fields | None) -> str:
    if not path:
        return "by name only"
    kind = next((kind for kind in ("exact", "prefix", "regex") if kind in path), "")
    marks = {"exact": "= ", "prefix": "", "regex": "~ "}
    return marks.get(kind, "") + str(path.get(kind, ""))


def _destination(route: Fields) -> str:
    if "pools" in route:
        return ", ".join(f"{pool} {weight}" for pool, weight in route["pools"].items())
    if "pool" in route:
        return str(route["pool"])
    if "respond" in route:
        answer = route["respond"]
        return f"answers {answer.get('status', 200)} {answer.get('location', '')}".rstrip()
    return "its steps only"


def header_maps(session: Session) -> None:
    """Tell what each header map looks at, and how many entries it has."""
    found = session.read(path_of("header_maps"))
    ways = ("exact", "hostnames", "regex", "shares")
    session.output.table(
        ("HEADER MAP", "SOURCE", "ENTRIES", "DEFAULT"),
        (
            (
                f"${name}",
                str(one.get("source", "")),
                ", ".join(f"{len(one[way])} {way}" for way in ways if one.get(way)) or "0",
                compact(one.get("default", "")),
            )
            for name, one in found.items()
        ),
    )


def overrides(session: Session) -> None:
    """Tell which endpoints are overridden."""
    found = session.read(path_of("status"))["overrides"]
    if not found:
        session.output.aside("no endpoint is overridden")
    _overrides(found, session.output)


def _overrides(found: Iterable[Fields], output: Output) -> None:
    output.table(OVERRIDES, (override_row(one) for one in found))


def override_row(one: Fields) -> tuple[str | Cell, ...]:
    """Return an override as a row."""
    return (
        one["pool"],
        one["endpoint"],
        state(one["state"]),
        "" if one["weight"] is None else str(one["weight"]),
        moment(one["until"]),
        span(one["until"] - time.time()),
        one["author"],
        one["note"] or "",
    )


TABLES: Final[Mapping[str, Callable[[Session], None]]] = {
    "listeners": listeners,
    "pools": pools,
    "routes": routes,
    "header_maps": header_maps,
}
"""How all objects of a kind are told to people."""
