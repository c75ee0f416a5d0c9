"""``request_headers`` and ``response_headers`` of routes: what is done to fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias, get_args

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from admin.documents.model import Maybe, Model, one_required
from admin.documents.scalars import Template
from proxy import spec

MAX_RULES: Final = 200
MAX_VALUES: Final = 32
"""Lines that one rule appends."""

STARTING_KINDS: Final[tuple[spec.SubstitutionKind, ...]] = ("prefix", "match")
DOMAIN_KINDS: Final[tuple[spec.SubstitutionKind, ...]] = ("exact", "match")
REWRITES: Final[Mapping[str, tuple[spec.SubstitutionKind, ...]]] = {
    "rewrite_location": STARTING_KINDS,
    "rewrite_cookie_domain": DOMAIN_KINDS,
    "rewrite_cookie_path": STARTING_KINDS,
}
"""The lists of substitutions, with the keys of which each of their entries has one."""

HeaderName: TypeAlias = Annotated[str, Field(max_length=256)]


class _OneOrSeveral:
    """Let a value stand for the list of it alone, without the noise of a union.

    Annotates ``ONE | list[ONE]``.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        one, several = get_args(source)
        self._one = SchemaValidator(handler.generate_schema(one))
        return core_schema.no_info_wrap_validator_function(
            self._choose, handler.generate_schema(several)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}

    def _choose(self, value: object, handler: core_schema.ValidatorFunctionWrapHandler) -> object:
        return handler(value) if isinstance(value, list) else self._one.validate_python(value)


Values: TypeAlias = Annotated[
    Template | Annotated[list[Template], Field(min_length=1, max_length=MAX_VALUES)],
    _OneOrSeveral(),
]
Appended: TypeAlias = dict[HeaderName, Values]


class HeaderRules(Model):
    """What is done to the header fields of one direction, in this order: remove, set, append."""

    remove: list[HeaderName] = Field(
        default_factory=list,
        max_length=MAX_RULES,
        description="Fields that do not go on.",
        examples=[["X-Powered-By"]],
    )
    set: dict[HeaderName, Template] = Field(
        default_factory=dict,
        max_length=MAX_RULES,
        description="Replaces every occurrence of the field; an empty value omits it.",
        examples=[{"Upgrade": "$http_upgrade", "Connection": "$connection_upgrade"}],
    )
    append: Appended = Field(
        default_factory=dict,
        max_length=MAX_RULES,
        description="Adds a field beside what is there, or one for each value of a list; an "
        "empty value adds none.",
        examples=[{"Via": "1.1 hotsplice"}, {"Link": ["</a.css>", "</b.js>"]}],
    )

    def to_spec(self) -> spec.HeaderRulesSpec:
        """Translate; the rules are valid."""
        return spec.HeaderRulesSpec(
            remove=tuple(self.remove), set=tuple(self.set.items()), append=_pairs(self.append)
        )


class SuccessRules(Model):
    """What is written only into a response that is no failure."""

    set: dict[HeaderName, Template] = Field(
        default_factory=dict,
        max_length=MAX_RULES,
        description="Replaces every occurrence of the field; wins over a `set` for every status.",
        examples=[{"ETag": ""}],
    )
    append: Appended = Field(
        default_factory=dict,
        max_length=MAX_RULES,
        description="Adds a field, behind those for every status.",
        examples=[{"Cache-Control": "max-age=3600"}],
    )


class Substitution(Model):
    """One way to replace a value, or how it begins: exactly one of `prefix` and `match`."""

    model_config = ConfigDict(json_schema_extra=one_required(STARTING_KINDS))

    prefix: Maybe[Template] = Field(
        default=None,
        description="The value begins so; the rest of it stays.",
        examples=["http://backend/"],
    )
    match: Maybe[Template] = Field(
        default=None,
        description="RE2, found anywhere in the value unless anchored; all of it is replaced.",
        examples=["^http://[^/]+(/.*)$"],
    )
    ignore_case: bool = Field(
        default=False, description="With `match`: match in any case.", examples=[False]
    )
    to: Template = Field(
        description="Stands there instead; with `match` it may use captures.", examples=["/", "$1"]
    )


class DomainSubstitution(Model):
    """One way to replace a cookie's domain: exactly one of `exact` and `match`."""

    model_config = ConfigDict(json_schema_extra=one_required(DOMAIN_KINDS))

    exact: Maybe[Template] = Field(
        default=None,
        description="This domain, in any case, with or without a leading dot (which stays).",
        examples=["backend.internal"],
    )
    match: Maybe[Template] = Field(
        default=None,
        description="RE2, found anywhere in the domain unless anchored; all of it is replaced.",
        examples=[r"^\.?(\w+)\.internal$"],
    )
    ignore_case: bool = Field(
        default=False, description="With `match`: match in any case.", examples=[False]
    )
    to: Template = Field(
        description="Stands there instead; with `match` it may use captures.",
        examples=["example.com", "$1.example.com"],
    )


class ResponseRules(HeaderRules):
    """What is done to the fields of responses.

    In this order: values are rewritten; then remove, set, append.  Of each list of substitutions
    the first that applies wins.
    """

    on_success: SuccessRules = Field(
        default=SuccessRules(),
        description="Holds for the statuses 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308 "
        "only.",
        examples=[{"append": {"Cache-Control": "max-age=3600"}}],
    )
    rewrite_location: list[Substitution] = Field(
        default_factory=list,
        max_length=MAX_RULES,
        description="For `Location`, and what follows `url=` in `Refresh`.",
        examples=[[{"prefix": "http://backend/", "to": "/"}]],
    )
    absolute_location: bool = Field(
        default=False,
        description="A `Location` that was rewritten and begins with `/` gets scheme, host and "
        "the listener's port in front.",
        examples=[False],
    )
    rewrite_cookie_domain: list[DomainSubstitution] = Field(
        default_factory=list,
        max_length=MAX_RULES,
        description="For the `Domain` of every `Set-Cookie`.",
        examples=[[{"exact": "backend.internal", "to": "example.com"}]],
    )
    rewrite_cookie_path: list[Substitution] = Field(
        default_factory=list,
        max_length=MAX_RULES,
        description="For the `Path` of every `Set-Cookie`.",
        examples=[[{"prefix": "/app/", "to": "/"}]],
    )

    def to_spec(self) -> spec.ResponseRulesSpec:
        """Translate; the rules are valid."""
        on_success = self.on_success
        return spec.ResponseRulesSpec(
            remove=tuple(self.remove),
            set=tuple(self.set.items()),
            append=_pairs(self.append),
            on_success=spec.SuccessRulesSpec(
                set=tuple(on_success.set.items()), append=_pairs(on_success.append)
            ),
            rewrite_location=_substitutions(self.rewrite_location, STARTING_KINDS),
            absolute_location=self.absolute_location,
            rewrite_cookie_domain=_substitutions(self.rewrite_cookie_domain, DOMAIN_KINDS),
            rewrite_cookie_path=_substitutions(self.rewrite_cookie_path, STARTING_KINDS),
        )


def _pairs(appended: Mapping[str, str | list[str]]) -> spec.Pairs:
    """Give each of several values its name."""
    return tuple(
        (name, value)
        for name, values in appended.items()
        for value in (values if isinstance(values, list) else [values])
    )


def _substitutions(
    entries: Iterable[Substitution | DomainSubstitution], kinds: Sequence[spec.SubstitutionKind]
) -> tuple[spec.SubstitutionSpec, ...]:
    """Translate; of an entry with no kind or two, which checks find, something stands there."""
    return tuple(
        spec.SubstitutionSpec(
            kind=kind,
            value=getattr(entry, kind) or "",
            to=entry.to,
            ignore_case=entry.ignore_case,
        )
        for entry in entries
        for kind in [next((k for k in kinds if getattr(entry, k) is not None), kinds[0])]
    )
