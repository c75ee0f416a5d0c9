"""``allow`` and ``deny`` become the access rules of a route."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Final

from admin.nginx.report import Report
from admin.nginx.scope import Scope
from proxy.errors import FaultError

_AUTHENTICATING: Final = ("auth_basic", "auth_request")

Rule = dict[str, list[str]]


def access_rules(scope: Scope, report: Report) -> dict[str, Any]:
    """Return the ``access`` of a route, if anything is said of it.

    The nearest level that has an ``allow`` or a ``deny`` decides, as in nginx.  Where nginx would
    ask for more than an address or look at the method, which is refused, nobody is let in: an
    import that is lenient must not open what was closed.
    """
    rules: list[Rule] = []
    for directive in scope.together("allow", "deny"):
        with report.judging(directive):
            network = _network(directive.args[0])
            if rules and directive.name in rules[-1]:
                rules[-1][directive.name].append(network)
            else:
                rules.append({directive.name: [network]})
    satisfy = scope.one("satisfy")
    if scope.own("limit_except"):
        return {"access": [{"deny": ["all"]}]}
    if any(scope.word(name, "off") != "off" for name in _AUTHENTICATING):
        either = satisfy is not None and satisfy.args[0] == "any"
        return {"access": [*(rules if either else ()), {"deny": ["all"]}]}
    return {"access": rules} if rules else {}


def _network(text: str) -> str:
    if text == "all":
        return text
    if text == "unix:":
        return "unix"
    try:
        return str(ip_network(text, strict=False)) if "/" in text else str(ip_network(text)[0])
    except ValueError:
        raise FaultError(f'invalid parameter "{text[:60]}"') from None
