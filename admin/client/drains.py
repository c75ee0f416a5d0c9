"""``drain``: of some connections by a selector, or of the whole process."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Mapping
from typing import Any, Final

from admin.client.output import Cell, Output, compact, state
from admin.client.paths import path_of
from admin.client.problems import CONFLICT, FAULTY, ClientError, UnreachableError
from admin.client.progress import Progress
from admin.client.selection import add_selection, selection
from admin.client.session import Session

LOOK_S: Final = 0.5
"""Between two looks at a drain."""

PROCESS_LOOK_S: Final = 2
"""For one answer while a process drain is waited for."""

PROCESS: Final = path_of("lifecycle", "drain")

Fields = Mapping[str, Any]


def add_drain(parser: ArgumentParser) -> None:
    """Describe ``drain``."""
    parser.description = (
        "Drains what is selected, under a name: the same name and order go on, another order "
        "takes its place. A name alone tells how far it is, and nothing at all lists the drains. "
        "--wait without a name and a selector drains the process; it does not end it."
    )
    parser.add_argument("name", nargs="?", metavar="DRAIN", help="default: made of the selector")
    add_selection(parser)
    parser.add_argument(
        "--cordon", action=BooleanOptionalAction, help="give what is selected no new work"
    )
    parser.add_argument("--fraction", metavar="SHARE", help="close only so much, as in 25%%")
    parser.add_argument("--rate", type=float, metavar="N", help="connections closed in a second")
    parser.add_argument("--timeout", metavar="TIME", help="what is left after it is cut")
    parser.add_argument("--code", type=int, metavar="N", help="what WebSockets are told")
    parser.add_argument("--reason", metavar="TEXT", help="the same in words")
    parser.add_argument("--wait", action="store_true", help="end when the drain is done")
    parser.add_argument("--process", action="store_true", help="the process, without waiting")
    parser.add_argument("--cancel", action="store_true", help="cancel it, or the process drain")


def drain(session: Session) -> int:
    """Drain, tell how far a drain is, or cancel one."""
    arguments = session.arguments
    order = _order(arguments)
    if order and "selector" not in order:
        raise ClientError("which connections?", "--pool, --endpoint, --label and so on", FAULTY)
    if arguments.process and (order or arguments.name):
        raise ClientError("either --process or some connections", status=FAULTY)
    if arguments.cancel:
        return _cancel(session, order)
    if not order and arguments.name is None:
        wanted = arguments.wait or arguments.process
        return _process(session) if wanted else _list(session)
    name = arguments.name or _name(order["selector"])
    path = path_of("drains", name)
    found = (
        session.write("PUT", path, body=json.dumps(order).encode()).value
        if order
        else session.read(path)
    )
    if arguments.wait:
        found = _wait(session, name, found)
    if session.output.for_people:
        _table(session.output, [{"name": name, **found}])
    else:
        session.output.json(found)
    return 0


def _order(arguments: Namespace) -> dict[str, Any]:
    """Return the order as the API takes it; empty if nothing was said of one."""
    order: dict[str, Any] = {
        key: getattr(arguments, key)
        for key in ("cordon", "rate", "timeout", "code", "reason")
        if getattr(arguments, key) is not None
    }
    if arguments.fraction is not None:
        order["fraction"] = _share(arguments.fraction)
    chosen: dict[str, Any] = dict(selection(arguments))
    if "label" in chosen:
        key, equals, value = chosen.pop("label").partition("=")
        if not equals:
            raise ClientError(f"--label: {key!r} is not KEY=VALUE", status=FAULTY)
        chosen["labels"] = {key: value}
    return {"selector": chosen, **order} if chosen else order


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ClientError(f"--fraction: {text!r} is not a share, as in 25% or 0.25", status=FAULTY)
    return share


def _name(selector: Fields) -> str:
    """Make a name of a selector, so that the same order is the same drain."""
    words = [
        f"{key}-{value}" if not isinstance(value, dict) else "-".join(*value.items())
        for key, value in selector.items()
    ]
    kept = "".join(one if one.isalnum() or one in "_.-" else "-" for one in "-".join(words))
    return kept[:63]


def _wait(session: Session, name: str, found: Fields) -> Fields:
    again = f"`hotsplice drain {name}` tells how far it is, and --cancel ends it"
    with Progress(session.output, f"drain {name}", again) as progress:
        while not found["done"]:
            progress.show(found["remaining"], found["selected"])
            time.sleep(LOOK_S)
            found = session.read(path_of("drains", name))
        progress.show(found["remaining"], found["selected"])
        progress.end("done")
    return found


def _list(session: Session) -> int:
    found = session.read(path_of("drains"))
    items = found["items"] if isinstance(found, dict) and "items" in found else found
    if not session.output.for_people:
        session.output.json(found)
    elif items:
        _table(session.output, items)
    else:
        session.output.aside("nothing is drained; drain --wait drains the process")
    return 0


def _table(output: Output, items: list[Fields]) -> None:
    output.table(
        ("DRAIN", "STATE", "SELECTED", "CLOSED", "LEFT", "CORDONED", "SELECTOR"),
        (_row(one) for one in items),
    )


def _row(one: Fields) -> tuple[str | Cell, ...]:
    selector = one.get("selector", {})
    return (
        one["name"],
        state("done" if one["done"] else "draining"),
        *(str(one.get(key, "")) for key in ("selected", "closed", "remaining")),
        ", ".join(one.get("cordoned", ())),
        " ".join(f"{key}={compact(value)}" for key, value in selector.items()),
    )


def _cancel(session: Session, order: Fields) -> int:
    name = session.arguments.name or (_name(order["selector"]) if order else None)
    session.write("DELETE", PROCESS if name is None else path_of("drains", name))
    if session.output.for_people:
        session.output.line(f"drain {name or 'of the process'}: cancelled")
    return 0


def _process(session: Session) -> int:
    found = session.write("POST", PROCESS).value
    if session.arguments.wait:
        return _process_end(session, found)
    if session.output.for_people:
        session.output.line("the process drains; drain --wait waits for the end")
    else:
        session.output.json(found)
    return 0


def _process_end(session: Session, found: Fields) -> int:
    """Wait for the end of a process drain: until it says so, or is gone."""
    again = "`hotsplice drain --wait` waits again, and `hotsplice drain --cancel` undoes it"
    with Progress(session.output, "drain of the process", again) as progress:
        while found["state"] == "draining":
            progress.show(found["remaining"])
            try:
                found = session.get(
                    PROCESS, {"wait": f"{PROCESS_LOOK_S}s"}, wait_s=PROCESS_LOOK_S
                ).value
            except UnreachableError:
                # It was told to end, too, and did: nothing is left to wait for.
                progress.end("the process has ended")
                return 0
        if found["state"] == "serving":
            progress.end("cancelled by somebody else")
            return CONFLICT
        progress.show(found["remaining"])
        progress.end("done")
    if not session.output.for_people:
        session.output.json(found)
    return 0
