"""The listeners of a configuration: those that are there already, and new ones, bound."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.addresses import parse_address
from proxy.downstream.listener import Listener, identity
from proxy.downstream.sockets import Sockets
from proxy.errors import Fault, SpecError, pointer
from proxy.exchange.runtime import Runtime
from proxy.snapshot import Snapshot
from proxy.spec import Spec
from proxy.telemetry.counters import Ledger, ListenerCounters


async def bind_listeners(
    spec: Spec,
    snapshot: Snapshot,
    present: Mapping[str, Listener],
    known: Ledger[ListenerCounters],
    runtime: Runtime,
    sockets: Sockets,
) -> dict[str, Listener]:
    """Return a listener for each name: a present one, or a new one, ready to start.

    Raise ``SpecError`` with all that cannot be bound; nothing is left bound then.
    """
    by_identity = {identity(name, one.bind.text): one for name, one in present.items()}
    listeners: dict[str, Listener] = {}
    faults: list[Fault] = []
    for name, wanted in spec.listeners.items():
        bind = parse_address(wanted.bind, any_port=True)
        found = by_identity.get(identity(name, bind.text))
        if found is not None:
            listeners[name] = found
            continue
        try:
            counters = known.get(name) or ListenerCounters()
            site = snapshot.sites[name]
            made = Listener(name, bind, sockets, site, counters, runtime)
            listeners[name] = made
            await made.prepare()
        except OSError as error:
            said = f"cannot listen on {wanted.bind}: {error.strerror or error}"
            faults.append(Fault(pointer("listeners", name, "bind"), said))
        except BaseException:
            stop_new(listeners, present)
            raise
    if faults:
        stop_new(listeners, present)
        raise SpecError(tuple(faults))
    return listeners


def stop_new(listeners: Mapping[str, Listener], present: Mapping[str, Listener]) -> None:
    """Close the sockets of those listeners that are not among the present ones."""
    kept = set(present.values())
    for listener in listeners.values():
        if listener not in kept:
            listener.stop()
