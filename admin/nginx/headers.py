"""Header rules: ``proxy_set_header``, ``add_header``, and what nginx does where they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError
from admin.nginx.scope import Scope
from admin.nginx.substitutions import substitutions
from admin.nginx.values import words
from proxy.errors import FaultError
from proxy.headers.hop_by_hop import HOP_BY_HOP

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

NOT_FOR_CLIENTS: Final = (
    "Server", "X-Pad", "X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate",
    "X-Accel-Buffering", "X-Accel-Charset",
)  # fmt: skip
"""Response fields that nginx keeps for itself unless ``proxy_pass_header`` names them.  Of ``Date``
and ``Server`` it writes its own; a ``Date`` that is the upstream's is as good."""

_NEVER_FORWARDED: Final = frozenset({"expect", "keep-alive", "te", "transfer-encoding"})
"""An empty value for these is what happens anyway."""
_FRAMING: Final = frozenset({"content-length", "expect", "transfer-encoding"})
_OURS: Final = frozenset(name.decode() for name in HOP_BY_HOP) | {"content-length"}
"""Response fields that the proxy makes anew, as nginx does."""
_REPLACED: Final = frozenset({"etag", "last-modified"})
"""Of these ``add_header`` replaces what is there (``ngx_http_set_headers``)."""
_IGNORABLE: Final = words(
    """
    x-accel-redirect x-accel-expires x-accel-limit-rate x-accel-buffering x-accel-charset expires
    cache-control set-cookie vary
    """
)
"""What ``proxy_ignore_headers`` may name; none of it is ever obeyed here."""

Lines = list[tuple[str, str]]


def request_headers(draft: Draft, scope: Scope, local: dict[str, str], at: str) -> dict[str, Any]:
    """Return the rules for requests; ``at`` is the JSON pointer of the route."""
    lines: Lines = []
    given: set[str] = set()
    for directive in scope.all("proxy_set_header"):
        name, value = directive.args[0], directive.args[1]
        given.add(name.lower())
        with draft.report.judging(directive):
            if name.lower() in _NEVER_FORWARDED and not value:
                continue
            if name.lower() in _FRAMING:
                raise RefusalError(f"{name} is made anew for each request", "leave it out")
            lines.append((name, draft.variables.template(value, local)))
            _locate(draft, at, "request_headers", name, directive)
    # ngx_http_proxy_headers, as far as we would do otherwise.
    if "host" not in given:
        lines.append(("Host", local["proxy_host"]))
    if "connection" not in given:
        lines.append(("Connection", "close"))
    return _rules(lines)


def response_headers(draft: Draft, scope: Scope, local: dict[str, str], at: str) -> dict[str, Any]:
    """Return the rules for responses."""
    for directive in scope.all("proxy_ignore_headers"):
        for name in directive.args:
            if name.lower() not in _IGNORABLE:
                draft.report.fault(directive, f'invalid value "{name[:60]}"')
    rules: dict[str, Any] = {"remove": _removed(draft, scope, at)}
    rules |= _added(draft, scope, local, at)
    return rules | substitutions(draft, scope, local, f"{at}/response_headers")


def _removed(draft: Draft, scope: Scope, at: str) -> list[str]:
    """Return the fields of upstreams that no client sees."""
    passed = {directive.args[0].lower() for directive in scope.all("proxy_pass_header")}
    names = {name.lower(): name for name in NOT_FOR_CLIENTS}
    for directive in scope.all("proxy_hide_header"):
        name = directive.args[0]
        if name.lower() == "date":
            draft.report.approximated(directive, "Date is the upstream's, nginx writes its own")
        elif name.lower() not in _OURS:
            names.setdefault(name.lower(), name)
            _locate(draft, at, "response_headers", name, directive)
    return [name for lower, name in names.items() if lower not in passed]


def added_headers(draft: Draft, scope: Scope, local: dict[str, str], at: str) -> dict[str, Any]:
    """Return the rules for answers of the proxy's own, as ``response_headers`` of a route."""
    rules = _added(draft, scope, local, at)
    return {"response_headers": rules} if rules else {}


def _added(draft: Draft, scope: Scope, local: dict[str, str], at: str) -> dict[str, Any]:
    """Translate ``add_header``: for every status, or for those of a success."""
    always, on_success = _Added(), _Added()
    for directive in scope.all("add_header"):
        name, value, *flags = directive.args
        with draft.report.judging(directive):
            if flags and flags[0] != "always":
                raise FaultError(f'invalid parameter "{flags[0][:60]}"')
            if name.lower() in _OURS:
                raise RefusalError(f"{name} is the proxy's own business", "leave it out")
            text = draft.variables.template(value, local)
            _locate(draft, at, "response_headers", name, directive)
            if flags:
                if on_success.has(name):
                    remark = f"it stands before the {name} that is for some statuses only"
                    draft.report.approximated(directive, remark)
                on_success.replaced.pop(name.lower(), None)
            (always if flags else on_success).add(name, text)
    rules = always.rules()
    if success := on_success.rules():
        rules["on_success"] = success
    return rules


class _Added:
    """What ``add_header`` says, for some statuses or all."""

    def __init__(self) -> None:
        self.replaced: Final[dict[str, tuple[str, str]]] = {}
        """The fields of which nginx keeps one, by name in lower case."""
        self.lines: Final[Lines] = []

    def has(self, name: str) -> bool:
        return any(name.lower() == other.lower() for other, _ in self.lines)

    def add(self, name: str, value: str) -> None:
        if name.lower() in _REPLACED:
            self.replaced[name.lower()] = name, value
        elif value:
            self.lines.append((name, value))

    def rules(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self.replaced:
            made["set"] = dict(self.replaced.values())
        if self.lines:
            made["append"] = _listed(self.lines)
        return made


def _rules(lines: Lines) -> dict[str, Any]:
    """Set each field, and append what stands there a second time."""
    first: dict[str, str] = {}
    again: Lines = []
    for name, value in lines:
        if any(name.lower() == other.lower() for other in first):
            again.append((name, value))
        else:
            first[name] = value
    rules: dict[str, Any] = {"set": first}
    if again:
        rules["append"] = _listed(again)
    return rules


def _listed(lines: Lines) -> dict[str, str | list[str]]:
    """Give each name its value, or the list of its values."""
    values: dict[str, list[str]] = {}
    for name, value in lines:
        values.setdefault(name, []).append(value)
    return {name: some[0] if len(some) == 1 else some for name, some in values.items()}


def _locate(draft: Draft, at: str, section: str, name: str, directive: Directive) -> None:
    draft.field_sources[at, section, name.lower()] = directive
