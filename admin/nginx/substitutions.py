"""``proxy_redirect``, ``proxy_cookie_domain`` and ``proxy_cookie_path``: values of response fields.

nginx rewrites ``Location`` and ``Refresh`` without being told to: where the upstream's address
stands, the location's path comes to stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from admin.nginx.reading import Directive
from admin.nginx.scope import Scope
from admin.nginx.variables import constant, pattern
from proxy.errors import FaultError

if TYPE_CHECKING:
    from admin.nginx.importing import Draft

Substitution: TypeAlias = dict[str, Any]
Translate: TypeAlias = Callable[[str], str]
"""Makes a template of a value."""

_HAS_URI: Final = re.compile(r"\w+://(?:unix:[^:]*:.|(?!unix:)[^/?]*[/?])", re.IGNORECASE)


def substitutions(draft: Draft, scope: Scope, local: dict[str, str], at: str) -> dict[str, Any]:
    """Return what the response rules of a location say of values; ``at`` is their pointer."""
    named = {name: value for name, value in local.items() if not name.isdecimal()}

    def translate(text: str) -> str:
        return draft.variables.template(text, named)  # numbers are those of its own expression

    made: dict[str, Any] = {}
    for directive, found in _redirects(scope)[1]:
        with draft.report.judging(directive):
            _add(
                draft,
                made,
                "rewrite_location",
                at,
                directive,
                _redirect(directive, found, translate),
            )
    if made:
        made["absolute_location"] = True
    for name, key, kind in (
        ("proxy_cookie_domain", "rewrite_cookie_domain", "exact"),
        ("proxy_cookie_path", "rewrite_cookie_path", "prefix"),
    ):
        for directive in _switched(scope.all(name)):
            with draft.report.judging(directive):
                _add(draft, made, key, at, directive, _substitution(directive, kind, translate))
    for name in ("proxy_redirect", "proxy_cookie_domain", "proxy_cookie_path"):
        _check_off(scope.all(name), draft)
    return made


def _add(
    draft: Draft,
    made: dict[str, Any],
    key: str,
    at: str,
    directive: Directive,
    substitution: Substitution,
) -> None:
    entries: list[Substitution] = made.setdefault(key, [])
    draft.sources[f"{at}/{key}/{len(entries)}"] = directive
    entries.append(substitution)


def _redirects(scope: Scope) -> tuple[bool, list[tuple[Directive, Scope]]]:
    """Tell whether a block rewrites redirects, and by which directives of which blocks.

    A block that has none inherits them.  What is in force without being written, for which the
    ``proxy_pass`` stands here, is inherited by the locations within as if it were.
    """
    own = scope.own("proxy_redirect")
    if own:
        written = _switched(own)
        return bool(written), [(directive, scope) for directive in written]
    on, found = (True, []) if scope.outer is None else _redirects(scope.outer)
    passes = scope.own("proxy_pass")
    if on and not found and passes and "$" not in passes[0].args[0]:
        found = [(passes[0], scope)]
    return on, found


def _switched(found: list[Directive]) -> list[Directive]:
    return [] if any(directive.args == ("off",) for directive in found) else found


def _check_off(found: list[Directive], draft: Draft) -> None:
    """Note that ``off`` stands beside others, which nginx does not take."""
    if len(found) > 1 and not _switched(found):
        draft.report.fault(found[1], f'"{found[1].name}" directive is duplicate')


def _redirect(directive: Directive, scope: Scope, translate: Translate) -> Substitution:
    args = directive.args
    if directive.name == "proxy_pass":
        return _default(args[0], scope)
    if args == ("default",):
        passes = scope.own("proxy_pass")
        if not passes or scope.precedes(directive, passes[0]):
            raise FaultError(
                '"proxy_redirect default" should be placed after the "proxy_pass" directive'
            )
        if "$" in passes[0].args[0]:
            raise FaultError(
                '"proxy_redirect default" cannot be used with "proxy_pass" directive with variables'
            )
        return _default(passes[0].args[0], scope)
    return _substitution(directive, "prefix", translate)


def _default(url: str, scope: Scope) -> Substitution:
    """Return what nginx does where nothing is written (``ngx_http_proxy_merge_loc_conf``)."""
    if _HAS_URI.match(url):
        return {"prefix": constant(url), "to": constant(scope.path)}
    return {"prefix": f"{constant(url)}/", "to": "/"}


def _substitution(directive: Directive, kind: str, translate: Translate) -> Substitution:
    if len(directive.args) != 2:
        raise FaultError(f'invalid parameter "{directive.args[0][:60]}"')
    text, to = directive.args
    if not text.startswith("~"):
        return {kind: translate(text), "to": translate(to)}
    if kind == "exact":  # domains have no case
        return {"match": pattern(text[1:]), "ignore_case": True, "to": translate(to)}
    if text.startswith("~*"):
        return {"match": pattern(text[2:]), "ignore_case": True, "to": translate(to)}
    return {"match": pattern(text[1:]), "to": translate(to)}
