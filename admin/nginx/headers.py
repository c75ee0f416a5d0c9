"""Header rules: ``proxy_set_header``, ``add_header``, and what nginx does where they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from admin.nginx.reading import Directive
from admin.nginx.report import RefusalError
from admin.nginx.scope import Scope

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

NOT_FOR_CLIENTS: Final = (
    "X-Pad", "X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate", "X-Accel-Buffering",
    "X-Accel-Charset",
)  # fmt: skip
"""Response fields that nginx keeps for itself unless ``proxy_pass_header`` names them; ``Date`` and
``Server`` it replaces by its own."""

_NEVER_FORWARDED: Final = frozenset({"expect", "keep-alive", "te", "transfer-encoding"})
"""An empty value for these is what happens anyway."""
_FRAMING: Final = frozenset({"content-length", "expect", "transfer-encoding"})

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
            if name.lower() == "content-length" and _is_as_made(value, scope):
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
    rules = _rules(lines)
    if scope.word("proxy_pass_request_headers", "on").lower() == "off":
        rules["remove"] = ["*"]
    return rules


def _is_as_made(length: str, scope: Scope) -> bool:
    """Tell whether a Content-Length is what is made for the request anyway."""
    passes = scope.word("proxy_pass_request_body", "on").lower() == "on"
    if scope.one("proxy_set_body") is not None:
        return False
    return length in {"$content_length", "$http_content_length"} if passes else not length


def response_headers(draft: Draft, scope: Scope, local: dict[str, str], at: str) -> dict[str, Any]:
    """Return the rules for responses."""
    passed = {each.args[0].lower() for each in scope.all("proxy_pass_header")}
    removed = list(NOT_FOR_CLIENTS)
    for directive in scope.all("proxy_hide_header"):
        if directive.args[0].lower() not in {name.lower() for name in removed}:
            removed.append(directive.args[0])
            _locate(draft, at, "response_headers", directive.args[0], directive)
    rules: dict[str, Any] = {"remove": [name for name in removed if name.lower() not in passed]}
    lines: Lines = []
    replaced: Lines = []
    for directive in scope.all("add_header"):
        name, value, *flags = directive.args
        with draft.report.judging(directive):
            if name.lower() == "set-cookie" and any(n.lower() == "set-cookie" for n, _ in lines):
                raise RefusalError("one rule adds one cookie", "have the upstream set the others")
            text = draft.variables.template(value, local)
            (replaced if name.lower() in {"last-modified", "etag"} else lines).append((name, text))
            _locate(draft, at, "response_headers", name, directive)
            when = "our own error answers lack it" if flags else "whatever the status"
            draft.report.approximated(directive, f"added to what upstreams answer; {when}")
    if replaced:
        rules["set"] = dict(replaced)
    if lines:
        rules["append"] = _joined(lines)
    return rules


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
        rules["append"] = _joined(again)
    return rules


def _joined(lines: Lines) -> dict[str, str]:
    """Join fields of one name into one line, which says the same (RFC 9110, 5.3)."""
    joined: dict[str, str] = {}
    for name, value in lines:
        known = next((other for other in joined if other.lower() == name.lower()), name)
        joined[known] = f"{joined[known]}, {value}" if known in joined else value
    return joined


def _locate(draft: Draft, at: str, section: str, name: str, directive: Directive) -> None:
    draft.field_sources[at, section, name.lower()] = directive
