"""What every object of a document has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.config import JsonDict, JsonValue
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema, to_jsonable_python

from admin.documents.faults import QUOTED_OFF, UNKNOWN_KEY, meant, one_of, shown
from proxy.errors import FaultError

T = TypeVar("T")


class _ExtraKey:
    """Keys beginning ``x-`` are the writer's own (notes, YAML anchors); any other is a fault."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.custom_error_schema(
            core_schema.str_schema(pattern="^x-", strict=True),
            custom_error_type=UNKNOWN_KEY,
            custom_error_message="unknown key",
        )


class Model(BaseModel):
    """An object with known keys: strict, immutable, unknown keys are faults.

    Whatever may occur 10,000 times in a document is checked inside pydantic-core, without a call
    into Python.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")
    __pydantic_extra__: dict[Annotated[str, _ExtraKey()], Any] = Field(init=False)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        properties = handler.resolve_ref_schema(described)
        properties["additionalProperties"] = False
        properties["patternProperties"] = {"^x-": {}}
        for name, field in cls.model_fields.items():
            default = field.get_default(call_default_factory=True, validated_data={})
            if default is None:  # absent is not null
                properties["properties"][name].pop("default", None)
            elif not field.is_required():
                plain = to_jsonable_python(default, exclude_none=True)
                value = properties["properties"][name]
                value["default"] = plain
                # Generators of clients take no object for a union's default; its own schema has
                # what stands in it.
                if isinstance(plain, dict) and "anyOf" in value:
                    del value["default"]
        return described


def one_required(keys: Sequence[str], *or_else: JsonDict) -> JsonDict:
    """Return the JSON Schema of "exactly one of these keys", for ``json_schema_extra``.

    ``or_else`` are further possibilities.  ``checks`` sees to it: as a validator of the model, it
    would hide what is wrong inside.
    """
    ways: list[JsonValue] = [{"required": [key]} for key in keys]
    # Not at the top, where generators of clients take it for a choice between types.
    return {"allOf": [{"oneOf": [*ways, *or_else]}]}


class _Absent:
    """Make ``None`` the value of a key that is absent, and a fault where it is written."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return cast("core_schema.NullableSchema", handler(source))["schema"]


Maybe: TypeAlias = Annotated[T | None, _Absent()]
"""Of a key without a default."""


class OrWord:
    """Let a word stand for an object or a list, without the noise of a union.

    Annotates ``SomeModel | Literal["off"]``, or ``list[SomeModel] | Literal["off"]``.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        model, literal = get_args(source)
        self._words = get_args(literal)
        self._forms = (list,) if get_origin(_bare(model)) is list else (dict, BaseModel)
        return core_schema.no_info_wrap_validator_function(
            self._choose, handler.generate_schema(model)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "string", "enum": list(self._words)}]}

    def _choose(self, value: object, handler: core_schema.ValidatorFunctionWrapHandler) -> object:
        if isinstance(value, self._forms):
            return handler(value)
        if isinstance(value, str) and value in self._words:
            return value
        hint = QUOTED_OFF if value is False and "off" in self._words else meant(value, self._words)
        form = "a list" if list in self._forms else "an object"
        raise FaultError(f"{shown(value)} is not {form} or {one_of(self._words)}", hint)


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
