"""The importer: an nginx.conf in, a document and a report out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from admin.documents.document import validate
from admin.documents.faults import DocumentError, bounded
from admin.nginx.listeners import default_host, listener, listener_names
from admin.nginx.locations import add_routes, scopes_within
from admin.nginx.logs import Logs, Source
from admin.nginx.maps import read_map, read_split, variable
from admin.nginx.pools import Pools
from admin.nginx.reading import Directive, read_tree
from admin.nginx.report import Report
from admin.nginx.rewriting import assignments, captured_numbers
from admin.nginx.scope import Scope
from admin.nginx.servers import Server, expose, read_server
from admin.nginx.variables import Variables, constant, names
from admin.nginx.verdicts import judge
from admin.translate import to_spec
from proxy.errors import Fault, SpecError, pointer
from proxy.snapshot import NOTHING, compile_snapshot
from proxy.telemetry.counters import Ledger

_AS_DEFAULT: Final = "as its default server has them"
_NAMES: Final = ("underscores_in_headers", "odd_header_names")
_BELIEVED: Final = ("trusted_proxies", "client_address")


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an nginx.conf."""

    document: dict[str, Any]
    """Valid, and sparse: what is as a document has it by default is left out."""
    report: Report


def import_nginx(path: Path, *, lenient: bool = False) -> Imported:
    """Translate an nginx.conf.

    ``lenient`` leaves out what is refused, although nginx would behave differently.

    Raises:
        DocumentError: it cannot be used; every fault has ``file:line`` for its path.
    """
    draft = Draft()
    tree = read_tree(path)
    if all(each.name != "events" for each in tree):
        # What an editor has emptied, to write it again, must not take all listeners away.
        raise DocumentError([Fault(f"{path}:1", 'no "events" section in configuration')])
    draft.read(tree)
    faults = draft.report.faults or draft.check(str(path))
    if not lenient:
        faults = [*faults, *draft.report.refusals()]
    if faults:
        raise DocumentError(bounded(faults))
    return Imported(draft.document, draft.report)


class Draft:
    """A document that is being put together, with the directive behind each of its places."""

    def __init__(self) -> None:
        self.report: Final = Report()
        self.variables: Final = Variables()
        self.pools: Final = Pools(self.variables, self.report)
        self.logs: Logs
        self.listeners: dict[str, str] = {}
        """Names of the listeners, by address."""
        self.document: Final[dict[str, Any]] = {
            "version": 1,
            "listeners": {},
            "pools": self.pools.documents,
            "header_maps": {},
            "routes": {},
        }
        self.asked_by_maps: frozenset[str] = frozenset()
        """Variables that maps look at or hold, in lower case."""
        self.sources: Final[dict[str, Directive]] = {}
        self.field_sources: Final[dict[tuple[str, str, str], Directive]] = {}
        """Of header rules: by the route's pointer, the section and the field's name."""

    def read(self, tree: tuple[Directive, ...]) -> None:
        """Translate all there is."""
        judge(tree, self.report)
        for name in _refused_variables(tree):
            self.variables.add_unset(name)
        for name in assignments(tree):
            self.variables.add_assigned(name)
        self.variables.numbers = captured_numbers(tree)
        for name in ("events", "http"):
            for another in [each for each in tree if each.name == name][1:]:
                self.report.fault(another, f'"{name}" directive is duplicate')
        for http in [each for each in tree if each.name == "http"][:1]:
            self._read_http(http)
        for section in ("header_maps", "pools"):
            if not self.document[section]:
                del self.document[section]

    def _read_http(self, http: Directive) -> None:
        scope = Scope(self.report, http.block or (), None)
        self._read_maps(scope)
        for directive in scope.own("upstream"):
            self.pools.add_upstream(directive)
        self.logs = Logs(scope, self.variables, self.report)
        servers = [read_server(each, scope, self.report) for each in scope.own("server")]
        defaults = expose(servers, self.report)
        self.listeners = listener_names(defaults)
        for address, default in defaults.items():
            name = self.listeners[address]
            mine = [each for each in servers if address in {one.address for one in each.listens}]
            scopes = [scope for each in mine for scope in scopes_within(each, self.report)]
            made = listener(address, default, self.report, scopes)
            self.document["listeners"][name] = made | default_host(address, servers, default)
            self.sources[pointer("listeners", name)] = default.directive
            self._log_listener(name, default)
        self._compare(servers, defaults)
        self._note_unlogged(http, servers)
        for server in servers:
            add_routes(self, server)
        self.pools.finish()
        self.sources.update(self.pools.sources)

    def _read_maps(self, scope: Scope) -> None:
        """Read what defines variables; all names first, for maps may use each other."""
        named: list[tuple[Directive, str]] = []
        found = [*scope.own("map"), *scope.own("split_clients")]
        texts = [text for each in found for text in each.args[:1]]
        texts += [text for each in found for entry in each.block or () for text in entry.args]
        self.asked_by_maps = frozenset(name for text in texts for name in names(text))
        for directive in found:
            with self.report.judging(directive):
                named.append((directive, self.variables.add_map(variable(directive.args[1]))))
        for directive, name in named:
            read = read_map if directive.name == "map" else read_split
            made = read(directive, name, self.variables, self.report)
            self.document["header_maps"][name] = made.document
            self.sources.update(made.sources)

    def _log_listener(self, name: str, default: Server) -> None:
        """Have what no route takes logged as the default server says."""
        shown = constant(default.shown.removeprefix("."))
        logs, sources = self.logs.of(default.scope, {"server_name": shown})
        if logs is not None:
            self.document["listeners"][name]["access_log"] = logs
            self.locate_logs(pointer("listeners", name), sources)

    def locate_logs(self, at: str, sources: list[Source]) -> None:
        """Note the directives behind the logs of an object."""
        for index, source in enumerate(sources):
            self.sources[f"{at}/access_log/{index}"] = source.log
            self.sources[f"{at}/access_log/{index}/format"] = source.format

    def _note_unlogged(self, http: Directive, servers: list[Server]) -> None:
        """Say what becomes of requests of which the file does not say where they are logged."""
        silent = [server for server in servers if not server.scope.all("access_log")]
        remark = "without access_log, hotsplice logs requests as --access-log says"
        for directive in (http,) if silent == servers else [one.directive for one in silent]:
            self.report.approximated(directive, remark)

    def _compare(self, servers: list[Server], defaults: dict[str, Server]) -> None:
        """Note what a server says and its address's default server decides."""
        for server in servers:
            for each in server.listens:
                default = defaults[each.address]
                if default is server:
                    continue
                mine = listener(each.address, server, self.report)
                theirs = listener(each.address, default, self.report)
                if any(mine.get(key) != theirs.get(key) for key in _NAMES):
                    remark = f"the names of fields that are let in are {_AS_DEFAULT}"
                    self.report.approximated(each.directive, remark)
                if any(mine.get(key) != theirs.get(key) for key in _BELIEVED):
                    known = "trusted_proxies" in theirs
                    remark = "set_real_ip_from and real_ip_header "
                    remark += f"are {_AS_DEFAULT}" if known else "hold behind set, if and return"
                    self.report.approximated(each.directive, remark)

    def check(self, file: str) -> list[Fault]:
        """Return what is wrong with the document, each fault at the directive behind it."""
        try:
            spec = to_spec(validate(self.document))
            compile_snapshot(spec, NOTHING, {}, {}, Ledger())
        except (DocumentError, SpecError) as error:
            return [self._at_source(fault, file) for fault in error.faults]
        return []

    def _at_source(self, fault: Fault, file: str) -> Fault:
        parts = fault.path.split("/")
        if len(parts) > 5 and parts[3] in {"request_headers", "response_headers"}:
            name = parts[6] if parts[4] == "on_success" and len(parts) > 6 else parts[5]
            if parts[4] == "remove":
                route = self.document["routes"][parts[2]]
                name = route[parts[3]]["remove"][int(parts[5])]
            key = ("/".join(parts[:3]), parts[3], name.lower())
            if key in self.field_sources:
                return Fault(str(self.field_sources[key].place), fault.message, fault.hint)
        for length in range(len(parts), 1, -1):
            source = self.sources.get("/".join(parts[:length]))
            if source is not None:
                return Fault(str(source.place), fault.message, fault.hint)
        return Fault(f"{file}:1", f"{fault.path}: {fault.message}", fault.hint)


def _refused_variables(tree: tuple[Directive, ...]) -> Iterator[str]:
    """Give the names of the variables that directives define which are all refused."""
    for directive in tree:
        if directive.name == "auth_request_set":
            yield from (name[1:] for name in directive.args[:1])
        elif directive.name == "geo":
            yield from (name[1:] for name in directive.args[-1:])
        yield from _refused_variables(directive.block or ())
