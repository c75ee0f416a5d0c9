"""``routes.NAME.hosts`` and ``routes.NAME.path``: what a request has to be for."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from admin.documents.faults import shown
from admin.documents.model import Maybe, Model, one_required
from admin.documents.scalars import Whole
from proxy import spec
from proxy.errors import FaultError
from proxy.routing.table import check_host

PATH_KINDS: Final[tuple[spec.PathKind, ...]] = get_args(spec.PathKind)

_NEVER_MATCHED: Final = re.compile(r"//|/\.\.?(?:/|$)")


def route_host(text: str) -> str:
    """Check one entry of ``hosts``.

    Raises:
        FaultError: it is neither a host name, nor a wildcard, nor a regular expression.
    """
    check_host(text)
    return text


def route_path(text: str) -> str:
    """Check an exact path or a prefix.

    Raises:
        FaultError: no request could match it.
    """
    if not text.startswith("/"):
        raise FaultError(f"{shown(text)} is not a path", f"write {shown('/' + text)}")
    if "?" in text:
        path = text.partition("?")[0]
        raise FaultError(f"{shown(text)} has a query", f"paths are matched without: {shown(path)}")
    if _NEVER_MATCHED.search(text):
        hint = "repeated slashes and dot segments are resolved before paths are matched"
        raise FaultError(f"{shown(text)} matches no request", hint)
    return text


HostPattern: TypeAlias = Annotated[str, Field(max_length=2048), AfterValidator(route_host)]
PlainPath: TypeAlias = Annotated[str, Field(max_length=4096), AfterValidator(route_path)]


class Path(Model):
    """Which paths a route serves: exactly one of `exact`, `prefix` and `regex`."""

    model_config = ConfigDict(json_schema_extra=one_required(PATH_KINDS))

    exact: Maybe[PlainPath] = Field(
        default=None, description="This path only; wins over all others.", examples=["/healthz"]
    )
    prefix: Maybe[PlainPath] = Field(
        default=None,
        description="Paths that begin so; the longest prefix wins.",
        examples=["/", "/chat/"],
    )
    regex: Maybe[Annotated[str, Field(max_length=8192)]] = Field(
        default=None,
        description="RE2, found anywhere in the path unless anchored; at most 1,024 characters. "
        "Wins over prefixes.",
        examples=["^/users/(?P<user>[^/]+)"],
    )
    final: bool = Field(
        default=False,
        description="With `prefix`: as the longest it wins over regexes too (nginx `^~`).",
        examples=[False],
    )
    priority: Annotated[int, Whole(-1_000_000, 1_000_000)] = Field(
        default=0,
        description="With `regex`: the highest is tried first; ties in the order of names.",
        examples=[0],
    )
    ignore_case: bool = Field(
        default=False, description="With `regex`: match in any case (nginx `~*`).", examples=[False]
    )
    internal: bool = Field(
        default=False,
        description="Only rewrites and error pages lead here; a client gets 404.",
        examples=[False],
    )

    def to_spec(self) -> spec.PathSpec:
        """Translate; the path is valid."""
        kind = self.kinds()[0]
        return spec.PathSpec(
            kind=kind,
            value=getattr(self, kind),
            final=self.final,
            priority=self.priority,
            ignore_case=self.ignore_case,
            internal=self.internal,
        )

    def kinds(self) -> list[spec.PathKind]:
        """Return which of its three kinds of path it has; one, if it is valid."""
        return [kind for kind in PATH_KINDS if getattr(self, kind) is not None]


def _object_path(value: object) -> object:
    if isinstance(value, str):
        raise FaultError(f"{shown(value)} is not an object", f"write {{prefix: {value[:40]}}}")
    return value


RoutePath: TypeAlias = Annotated[Path, BeforeValidator(_object_path)]
