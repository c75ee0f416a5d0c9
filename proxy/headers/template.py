"""Templates: text with ``$variables``, compiled once into the cheapest function that renders it.

A constant needs no work, a lone variable is its own getter, and only a mixture is put together.
``$name`` and ``${name}`` are variables, ``$1`` to ``$9`` (or ``${10}``) captures, ``$$`` is a
dollar sign.  As in nginx, names of variables have no case; names of captures do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from proxy.errors import Fault, FaultError
from proxy.headers.response_variables import RESPONSE, RESPONSE_FAMILIES, is_of_response
from proxy.headers.secrets import PREFIX as SECRET
from proxy.headers.secrets import Secrets, secret
from proxy.headers.variables import BUILT_IN, FAMILIES, Getter, comes_with_fields
from proxy.message import Request
from proxy.patterns import octets

_VARIABLE: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<braced>[A-Za-z0-9_]+)\}|(?P<name>[1-9]|[A-Za-z_][A-Za-z0-9_]*)|)"
)

_RESERVED: Final = (
    *FAMILIES, *RESPONSE_FAMILIES, SECRET, "sent_trailer_", "upstream_trailer_",
)  # fmt: skip

Families = Mapping[str, Callable[[str], Getter]]
"""Getters by prefix; each is made of what follows the prefix."""


class Computed(Protocol):
    """A variable with a value per request, as ``HeaderMap`` is."""

    @property
    def evaluate(self) -> Getter: ...  # noqa: D102

    @property
    def volatile(self) -> bool: ...  # noqa: D102

    @property
    def response(self) -> bool: ...  # noqa: D102

    @property
    def of_fields(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Scope:
    """What a template may name."""

    maps: Mapping[str, Computed] = field(default_factory=dict)
    captures: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    """Those that steps of routes assign; empty until one does."""
    response: bool = False
    """Whether a response, or an error, may be known where the template is rendered."""
    escape: Callable[[Request, bytes], bytes] | None = None
    """What becomes of a numbered capture, for named ones are variables; ``None``: nothing."""
    secrets: Secrets | None = None
    """What ``$secret_NAME`` reads; ``None``: no secret may be named here."""


class Template:
    """A compiled template."""

    __slots__ = ("constant", "render", "text", "variables")

    def __init__(
        self,
        text: str,
        render: Getter,
        variables: frozenset[str] = frozenset(),
        constant: bytes | None = None,
    ) -> None:
        self.text: Final = text
        self.render: Final = render
        """Return the value for a request; a variable that has none is empty."""
        self.variables: Final = variables
        """Names it uses, without ``$``; but for captures, in lower case."""
        self.constant: Final = constant
        """The value, if it is the same for every request."""

    def __repr__(self) -> str:
        return f"<Template {self.text!r}>"


def compile_template(text: str, scope: Scope, *, lines: bool = False) -> Template:
    """Compile ``text``; ``FaultError`` for an unknown variable, or for CR, LF or NUL.

    With ``lines`` it may hold these: it is the text of a body.
    """
    if not lines and re.search(r"[\r\n\0]", text):
        raise FaultError("a value cannot hold CR, LF or NUL")
    constants, variables = take_apart(text, scope)
    if not variables:
        return constant_template(text, constants[0])
    names, getters = zip(*variables, strict=True)
    return Template(text, _renderer(constants, getters), frozenset(names))


def take_apart(text: str, scope: Scope) -> tuple[list[bytes], list[tuple[str, Getter]]]:
    """Return constants, and the variables between each two of them with what reads them."""
    constants = [b""]
    variables: list[tuple[str, Getter]] = []
    position = 0
    for found in _VARIABLE.finditer(text):
        constants[-1] += octets(text[position : found.start()])
        position = found.end()
        if found["dollar"]:
            constants[-1] += b"$"
            continue
        variables.append(_resolve(found["braced"] or found["name"], scope))
        constants.append(b"")
    constants[-1] += octets(text[position:])
    return constants, variables


def asks_response(template: Template, scope: Scope) -> bool:
    """Tell whether a value has to do with the response, itself or by a header map."""
    return any(
        is_of_response(name) or (name in scope.maps and scope.maps[name].response)
        for name in template.variables
    )


def is_of_fields(template: Template, scope: Scope) -> bool:
    """Tell whether a value depends on the request's fields alone, and on its pool."""
    return all(
        scope.maps[name].of_fields if name in scope.maps else comes_with_fields(name)
        for name in template.variables
    )


def compile_at(
    text: str, scope: Scope, path: str, faults: list[Fault], *, lines: bool = False
) -> Template:
    """Compile ``text``; what is wrong with it is added to ``faults``, as found at ``path``."""
    try:
        return compile_template(text, scope, lines=lines)
    except FaultError as error:
        faults.append(Fault(path, error.message, error.hint))
        return constant_template(text, b"")


def constant_template(text: str, value: bytes) -> Template:
    """Return the template whose value is always ``value``."""
    return Template(text, lambda request: value, constant=value)


def _renderer(constants: list[bytes], getters: Sequence[Getter]) -> Getter:
    """Put a getter between each two of the constants."""
    if len(getters) > 1:
        form = b"%b".join(constant.replace(b"%", b"%%") for constant in constants)
        return lambda request: form % tuple([get(request) for get in getters])
    (before, after), (get,) = constants, getters
    if before or after:
        return lambda request: before + get(request) + after
    return get


def _resolve(name: str | None, scope: Scope) -> tuple[str, Getter]:
    """Return a variable's canonical name and its getter."""
    if name is None:
        raise FaultError("a dollar sign without a name", "$$ stands for a dollar sign")
    lower = name.lower()
    if lower.startswith(SECRET) and scope.secrets is not None:
        bare = name[len(SECRET) :]
        return SECRET + bare, secret(bare, scope.secrets)
    getter = _built_in(lower, BUILT_IN, FAMILIES)
    if lower in scope.maps:
        getter = _computed(lower, scope.maps[lower], scope)
    if name in scope.captures:
        if getter is not None:
            raise FaultError(f"${name} is both a capture and a variable", "rename the capture")
        if name.isdecimal():
            return name, _capture(name, scope.escape)
        capture = _capture(name, None)
        return name, _assigned(lower, capture) if lower in scope.variables else capture
    if getter is not None:
        return lower, getter
    if lower in scope.variables:
        return lower, _assigned(lower, _nothing)
    getter = _built_in(lower, RESPONSE, RESPONSE_FAMILIES)
    if getter is None:
        raise _unknown(name, scope)
    if not scope.response:
        raise FaultError(f"${name} is only known in routes and logs")
    return lower, getter


def is_reserved(name: str) -> bool:
    """Tell whether a header map of this name would shadow a built-in, of now or of later."""
    return name in BUILT_IN or name in RESPONSE or name.startswith(_RESERVED)


def _built_in(name: str, singles: Mapping[str, Getter], families: Families) -> Getter | None:
    if name in singles:
        return singles[name]
    for prefix, family in families.items():
        if name.startswith(prefix) and name != prefix:
            return family(name.removeprefix(prefix))
    return None


def _unknown(name: str, scope: Scope) -> FaultError:
    if name.isdecimal():
        numbers = sum(capture.isdecimal() for capture in scope.captures)
        hint = f"the regex has {numbers}" if numbers else "only a regex with groups captures"
        return FaultError(f"there is no capture ${name}", hint)
    if name.lower().startswith(SECRET):
        return FaultError(f"${name} may not stand here", "secrets are for request_headers only")
    from difflib import get_close_matches

    families = [*FAMILIES, *(RESPONSE_FAMILIES if scope.response else ())]
    rest = name.lower().partition("_")[2]
    known = [*BUILT_IN, *(RESPONSE if scope.response else ()), *scope.maps, *scope.captures]
    known += scope.variables
    known += [prefix + rest for prefix in families if rest]
    near = get_close_matches(name.lower(), known, 1)
    return FaultError(f"unknown variable ${name}", f"did you mean ${near[0]}?" if near else None)


def _capture(name: str, escape: Callable[[Request, bytes], bytes] | None) -> Getter:
    def get(request: Request) -> bytes:
        captures = request.captures
        return captures.get(name, b"") if captures else b""

    if escape is None:
        return get
    return lambda request: escape(request, get(request))


def _nothing(_: Request) -> bytes:
    return b""


def _assigned(name: str, otherwise: Getter) -> Getter:
    """Read a variable of the request, or what else there is if nothing has assigned it."""

    def get(request: Request) -> bytes:
        values = request.maps
        value = values.get(name) if values else None
        return otherwise(request) if value is None else value

    return get


def _computed(name: str, header_map: Computed, scope: Scope) -> Getter:
    """Evaluate a header map once per request, and only if something asks for it.

    The function is looked up late, since maps that name each other are compiled in any order.
    """
    if header_map.response and not scope.response:
        raise FaultError(f"${name} is only known in routes and logs", "its map asks for a response")
    if header_map.volatile:
        return lambda request: _anew(name, header_map, request)

    def get(request: Request) -> bytes:
        values = request.maps
        if values is None:
            values = request.maps = {}
        value = values.get(name)
        if value is None:
            value = values[name] = header_map.evaluate(request)
        return value

    return get


def _anew(name: str, header_map: Computed, request: Request) -> bytes:
    """Evaluate a volatile map; what it came to is left for whoever wants to know, never read."""
    value = header_map.evaluate(request)
    if request.maps is not None:
        request.maps[name] = value
    return value
