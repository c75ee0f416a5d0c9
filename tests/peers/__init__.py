"""The two ends of the wire, written by hand: scripted upstreams and raw clients.

Nothing here knows the proxy's parsers, nor any HTTP library: what goes over the wire is given as
bytes and what came is kept as bytes, so that the proxy is judged by an independent reading of
RFC 9112 and RFC 6455.  Everything runs in the test's own event loop on plain sockets; every wait
is bounded and says what it waited for.
"""

from tests.peers.client import RawClient
from tests.peers.listening import refused_address
from tests.peers.origin import OK, Conn, Origin, Recorded, Script, answers, echo, reply, websocket
from tests.peers.specs import build_spec, endpoint, everything, listener, pool, route
from tests.peers.stage import Running, Stage
from tests.peers.stream import EndedError, HttpStream, Stream
from tests.peers.waiting import eventually, settle, within
from tests.peers.wire import Head, MalformedError, Reply

__all__ = [
    "OK",
    "Conn",
    "EndedError",
    "Head",
    "HttpStream",
    "MalformedError",
    "Origin",
    "RawClient",
    "Recorded",
    "Reply",
    "Running",
    "Script",
    "Stage",
    "Stream",
    "answers",
    "build_spec",
    "echo",
    "endpoint",
    "eventually",
    "everything",
    "listener",
    "pool",
    "refused_address",
    "reply",
    "route",
    "settle",
    "websocket",
    "within",
]
