"""The data plane: HTTP and WebSocket through pools of endpoints, reconfigured while it runs.

    server = proxy.Server()
    await server.apply(proxy.Spec(listeners=..., pools=..., header_maps=..., routes=...))
    ...
    server.drain(timeout_s=25, accept_s=5)
    await server.drained()
    await server.close()

Glossary
--------
listener
    A bound address that clients connect to, with its limits and timeouts.
route
    Which requests (by host and path) go to which pool, and what is done to them on the way.
upstream pool
    A set of *endpoints* with one way of balancing among them, of retrying and of keeping idle
    connections.  A *member* is an endpoint as one configuration has it (weight, backup, ...).
header map
    A variable computed from others (nginx ``map``), usable in every rule.
exchange
    One request with its response; it makes one or more *attempts* on endpoints.
splice
    Two transports joined after an upgrade (101): octets go through unchanged, and are counted; the
    frames of a WebSocket are followed.
goodbye
    Closing a WebSocket from our side: a Close frame to both ends, between two frames.
cordon
    To give an endpoint no new work, beside what the configuration says of it.
snapshot
    A compiled configuration.  Every request reads the present one once and keeps it.
override
    What an operator says of an endpoint, apart from the configuration, which it beats.
drain
    To finish what is under way and take nothing new.

The life of a request
---------------------
``downstream.connection`` collects octets until a blank line and has the head parsed
(``request_parser``) and admitted (``admission``).  The admitted ``message.Request`` starts an
``exchange``.  Its ``routing`` asks the listener's ``Site`` of the snapshot for the route, chooses
the pool and builds the head that goes upstream out of what passes and what the route's header
rules say.  ``dispatch`` lets the pool's plan pick a member, leases an idle ``upstream.connection``
(or opens one in the only task an exchange can have), and writes.  The upstream connection has the
response's head parsed and its body cut out, and hands both to the exchange, which writes them to
the client's transport.  ``failover`` decides what happens instead when the attempt fails; a 101
goes to ``tunnel``, which joins the two transports in a ``splice``.  ``accounting`` counts and logs
the end.  Nothing on this way validates, compiles, locks or waits for a configuration.

The life of a configuration
---------------------------
``Server.prepare`` resolves names, compiles a ``Spec`` into a ``snapshot`` (pure; every fault is
located) and binds new listeners; ``Prepared.publish`` assigns it and retires what it replaced.
Endpoints, pools and listeners are identities that outlive snapshots: connections, health and
counters belong to them.

The layers, from top to bottom: ``server``, ``downstream``, ``exchange``, ``snapshot`` with
``route``, then ``routing``, ``headers``, ``upstream`` and ``splice``, which do not know each other,
then ``telemetry``, and ``message``, ``framing``, ``addresses``, ``errors`` and ``spec`` below all.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from proxy.connection_view import ConnectionView
    from proxy.connections import Page, Selector
    from proxy.drains import DrainOrder, DrainProgress
    from proxy.errors import Fault, SpecError
    from proxy.preparation import Prepared
    from proxy.server import Server
    from proxy.spec import Spec

_HOMES: Final = {
    "ConnectionView": "connection_view",
    "DrainOrder": "drains",
    "DrainProgress": "drains",
    "Fault": "errors",
    "Page": "connections",
    "Prepared": "preparation",
    "Selector": "connections",
    "Server": "server",
    "Spec": "spec",
    "SpecError": "errors",
}
"""The modules of what this package offers."""

__all__ = [
    "ConnectionView",
    "DrainOrder",
    "DrainProgress",
    "Fault",
    "Page",
    "Prepared",
    "Selector",
    "Server",
    "Spec",
    "SpecError",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for: who needs an error's class needs no server for it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'proxy' has no attribute {name!r}")
    return getattr(import_module(f"proxy.{_HOMES[name]}"), name)
