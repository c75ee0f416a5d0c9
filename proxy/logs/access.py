"""Access logs, compiled: which requests, which lines, and where they go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from proxy.errors import Fault, FaultError
from proxy.headers.template import Scope, compile_template
from proxy.headers.variables import Getter
from proxy.logs.escape import ESCAPES
from proxy.logs.format import COMBINED, Format, asks_response, compile_format
from proxy.logs.places import check_target
from proxy.message import Request
from proxy.spec import LogSpec
from proxy.telemetry.log_sink import NOWHERE, LogSink

WORDS: Final = frozenset({"json", "combined"})
"""What stands for a format."""

_NOT: Final = (b"", b"0")


class Log:
    """One log."""

    __slots__ = ("_when", "asks_response", "render", "sink")

    def __init__(
        self, sink: LogSink, render: Getter | None, when: Getter | None, *, asks_response: bool
    ) -> None:
        self.sink: Final = sink
        self.render: Final = render
        """Return the line for a request; ``None``: it is the JSON line of the process's log."""
        self._when: Final = when
        self.asks_response: Final = asks_response
        """What it says has to be taken down when the response begins."""

    def wants(self, request: Request) -> bool:
        """Tell whether a request is to be logged (nginx ``if=``)."""
        return self._when is None or self._when(request) not in _NOT


Logs = tuple[Log, ...]
"""Those of a listener or a route; nothing is logged if there are none."""


def compile_logs(
    specs: tuple[LogSpec, ...] | None,
    scope: Scope,
    sinks: Mapping[str, LogSink],
    at: str,
    faults: list[Fault],
) -> Logs | None:
    """Compile the logs of a listener or a route, which stands at ``at``; ``None`` inherits.

    What is wrong is added to ``faults``.  Lines go to ``sinks``, by target; where there is none,
    nowhere, because the configuration is only looked at.
    """
    if specs is None:
        return None
    scope = replace(scope, response=True)
    return tuple(
        _compile(spec, scope, sinks.get(spec.to, NOWHERE), f"{at}/access_log/{index}", faults)
        for index, spec in enumerate(specs)
    )


def _compile(spec: LogSpec, scope: Scope, sink: LogSink, at: str, faults: list[Fault]) -> Log:
    place = "to"
    when = made = None
    try:
        check_target(spec.to)
        place = "format"
        made = _format(spec, scope)
        place = "when"
        if spec.when is not None:
            when = compile_template(spec.when, scope)
    except FaultError as error:
        faults.append(Fault(f"{at}/{place}", error.message, error.hint))
    asked = when.variables if when is not None else ()
    return Log(
        sink,
        None if made is None else made.render,
        None if when is None else when.render,
        asks_response=any(asks_response(name, scope) for name in asked)
        or (made is not None and made.asks_response),
    )


def _format(spec: LogSpec, scope: Scope) -> Format | None:
    if spec.format == "json":
        return None
    if spec.format == "combined":
        # Whatever a configuration calls its maps and captures, the format is nginx's.
        return compile_format(COMBINED, Scope(response=True), ESCAPES["default"])
    return compile_format(spec.format, scope, ESCAPES[spec.escape])
