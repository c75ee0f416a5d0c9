"""``log_format`` and ``access_log``; and what ``error_log`` means here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError, Report
from admin.nginx.scope import Scope
from admin.nginx.values import milliseconds, octets
from admin.nginx.variables import EMPTY, EMPTY_PREFIXES, Variables, names
from proxy.errors import FaultError
from proxy.logs.places import check_target

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

AccessLog = list[dict[str, Any]] | Literal["off"] | None
"""As documents have it; ``None`` where nginx would log to a file of its own."""

PROCESS_LOG: Final[dict[str, Any]] = {"to": "stderr"}

_ESCAPES: Final = ("default", "json", "none")
_ABSENT: Final = EMPTY - {"http2"} | {"proxy_host", "proxy_port"}
"""Variables that are not there, rather than empty, as long as nothing sets them up."""

_LAST_NAME: Final = re.compile(r"(?<!\$)\$(\w+)\Z", re.ASCII)
_LEVELS: Final = {
    "info": "info", "notice": "info", "warn": "warning", "error": "error", "crit": "error",
    "alert": "error", "emerg": "error",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """What is behind one log: the directives to blame for its target and for its format."""

    log: Directive
    format: Directive


class Logs:
    """The access logs of a file."""

    def __init__(self, http: Scope, variables: Variables, report: Report) -> None:
        self._variables: Final = variables
        self._report: Final = report
        self._formats: Final[dict[str, Directive]] = {}
        for directive in http.own("log_format"):
            with report.judging(directive):
                name = directive.args[0]
                if name in {*self._formats, "combined"}:
                    raise FaultError(f'duplicate "log_format" name "{name[:60]}"')
                _format_parts(directive)
                self._formats[name] = directive

    def of(self, scope: Scope, local: dict[str, str]) -> tuple[AccessLog, list[Source]]:
        """Return the logs that hold in a block, and what is behind each.

        ``local`` are variables with the templates they stand for there.
        """
        directives = scope.all("access_log")
        off = False
        logs: list[dict[str, Any]] = []
        sources: list[Source] = []
        for directive in directives:
            with self._report.judging(directive):
                if directive.args[0] == "off":
                    if len(directive.args) > 1:
                        raise FaultError(f'invalid parameter "{directive.args[1][:60]}"')
                    off = True
                    continue
                log, source = self._log(directive, local)
                if log is not None:
                    logs.append(log)
                    sources.append(source)
        if off:
            return "off", []
        return (logs or None), sources

    def _log(
        self, directive: Directive, local: dict[str, str]
    ) -> tuple[dict[str, Any] | None, Source]:
        """Return a log; ``None`` if its format is refused."""
        path, name, *parameters = (*directive.args, "combined")[: max(len(directive.args), 2)]
        log: dict[str, Any] = {"to": _target(path)}
        source = directive
        if name == "combined":
            log["format"] = name
        elif name in self._formats:
            source = self._formats[name]
            made = None
            with self._report.judging(source):
                made = self._format(source, local)
            if made is None:
                return None, Source(directive, source)
            log |= made
        else:
            raise FaultError(f'unknown log format "{name[:60]}"')
        condition = _parameters(directive, parameters, self._report)
        if condition is not None:
            log["when"] = self._template(condition, "", local)
        return log, Source(directive, source)

    def _format(self, directive: Directive, local: dict[str, str]) -> dict[str, Any]:
        escape, texts = _format_parts(directive)
        absent = "-" if escape == "default" else ""
        made = {"format": _joined([self._template(text, absent, local) for text in texts])}
        if not re.search(r"\W", made["format"]):
            raise RefusalError("a format of one word", "log something of the request")
        if escape != "default":
            made["escape"] = escape
        return made

    def _template(self, text: str, absent: str, local: dict[str, str]) -> str:
        known = dict(local)
        for name in names(text):
            if name in _ABSENT or name.startswith(EMPTY_PREFIXES):
                known.setdefault(name, absent)
        return self._variables.template(text, known)


def log_route(
    draft: Draft,
    scope: Scope,
    local: dict[str, str],
    addresses: list[str],
    route: dict[str, Any],
    place: str,
) -> None:
    """Say where the requests of a route are logged, unless its listeners say the same."""
    logs, sources = draft.logs.of(scope, local)
    listeners = (draft.document["listeners"][draft.listeners[address]] for address in addresses)
    if all(listener.get("access_log") == logs for listener in listeners):
        return
    # Others of its address have logs, and this one would inherit them.
    route["access_log"] = [PROCESS_LOG] if logs is None else logs
    draft.locate_logs(place, sources)


def _format_parts(directive: Directive) -> tuple[str, list[str]]:
    """Return escape and texts of a ``log_format``."""
    _, first, *rest = directive.args
    if not first.startswith("escape="):
        return "default", [first, *rest]
    escape = first.removeprefix("escape=")
    if escape not in _ESCAPES:
        raise FaultError(f'unknown log format escaping "{escape[:60]}"')
    return escape, rest


def _joined(templates: list[str]) -> str:
    """Join templates; the name of a variable ends where its text does."""
    joined = ""
    for template in templates:
        if re.match(r"\w", template, re.ASCII):
            joined = _LAST_NAME.sub(r"${\1}", joined)
        joined += template
    return joined


def _target(path: str) -> str:
    if path in {"", "/dev/stderr"}:
        return "stderr"
    if path == "/dev/stdout":
        return "stdout"
    if path.startswith("syslog:"):
        raise RefusalError("syslog is not written to", "log to /dev/stdout, and have it collected")
    if "$" in path:
        raise RefusalError("variables in the path of a log", "write the path")
    if not path.startswith("/"):
        hint = "write the whole path, or /dev/stderr"
        raise RefusalError("a path relative to where nginx was installed", hint)
    try:
        check_target(path)
    except FaultError as error:
        raise RefusalError(error.message, error.hint) from error
    return path


def _parameters(directive: Directive, parameters: list[str], report: Report) -> str | None:
    """Check what stands behind a format; return the condition of ``if=``."""
    condition = None
    given: set[str] = set()
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        given.add(name)
        if name == "if" and equals:
            condition = value
        elif name == "buffer" and equals:
            octets(value)
        elif name == "flush" and equals:
            milliseconds(value)
        elif name == "gzip" and (not equals or value in set("123456789")):
            report.approximated(directive, "lines are written as they are, not compressed")
        else:
            raise FaultError(f'invalid parameter "{parameter[:60]}"')
    if "flush" in given and not given & {"buffer", "gzip"}:
        raise FaultError(f'no buffer is defined for access_log "{directive.args[0][:60]}"')
    if given & {"buffer", "flush"}:
        report.kept(directive, "lines wait for 50 ms or 64 KiB")
    return condition


def judge_error_log(directive: Directive, report: Report) -> None:
    """Note what becomes of an ``error_log``."""
    level = "error"
    for word in directive.args[1:]:
        if word != "debug" and not word.startswith("debug_") and word not in _LEVELS:
            report.fault(directive, f'invalid log level "{word[:60]}"')
            return
        level = _LEVELS.get(word, "debug")
    remark = (
        f"what hotsplice has to say is JSON on standard error; --log-level {level} says as much"
    )
    report.approximated(directive, remark)
