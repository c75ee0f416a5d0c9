"""The document: the whole configuration, as its users write it.

``validate_whole`` finds every fault at once, in two steps.  pydantic finds what is wrong with the
form of each value.  Then whatever has good form is checked for meaning (``checks``): what is faulty
is cut out first, as narrowly as possible, so that one mistake hides no other.

Most documents are valid, and nearly the same as one before.  So ``validate`` looks first at what
is new alone, object by object: those written as in the valid document before are that document's
objects.  This way can only say "valid"; to say what is wrong, the whole is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from admin.documents import checks
from admin.documents.endpoint import Endpoint
from admin.documents.faults import DocumentError, bounded
from admin.documents.header_map import HeaderMap
from admin.documents.listener import Listener
from admin.documents.loading import load
from admin.documents.model import Model
from admin.documents.pool import PassiveHealth, Pool
from admin.documents.route import Route
from admin.documents.scalars import Name, VariableName
from admin.documents.wording import located
from proxy.errors import Fault

MAX_LISTENERS: Final = 1_000
MAX_POOLS: Final = 5_000
MAX_HEADER_MAPS: Final = 1_000
MAX_ROUTES: Final = 20_000

KINDS: Final[Mapping[str, type[Model]]] = {
    "listeners": Listener,
    "pools": Pool,
    "header_maps": HeaderMap,
    "routes": Route,
}
"""The sections that hold named objects, and what these are."""

Make: TypeAlias = "Callable[[object, object, Model | None], Model]"
"""Makes an object of a model of what is written; may use what was written before, and made of it.
``ValidationError``."""

Cuts: TypeAlias = "dict[str | int, Cuts] | None"
"""What to cut out of an object, by key; ``None`` is all of it."""


class Document(Model):
    """The whole configuration.

    Keys beginning `x-` are ignored in every object that has a fixed set of keys.
    """

    version: Literal[1] = Field(default=1, description="Of this format.", examples=[1])
    listeners: dict[Name, Listener] = Field(
        default_factory=dict,
        max_length=MAX_LISTENERS,
        description="The addresses that clients connect to, by name.",
        examples=[{"public": {"bind": "0.0.0.0:8080"}}],
    )
    pools: dict[Name, Pool] = Field(
        default_factory=dict,
        max_length=MAX_POOLS,
        description="Groups of endpoints that do the same work, by name.",
        examples=[{"backend": {"endpoints": {"127.0.0.1:8000": {}}}}],
    )
    header_maps: dict[VariableName, HeaderMap] = Field(
        default_factory=dict,
        max_length=MAX_HEADER_MAPS,
        description="Variables computed from others, by name.",
        examples=[
            {
                "connection_upgrade": {
                    "source": "$http_upgrade",
                    "default": "upgrade",
                    "exact": {"": "close"},
                }
            }
        ],
    )
    routes: dict[Name, Route] = Field(
        default_factory=dict,
        max_length=MAX_ROUTES,
        description="Which requests go where, by name.",
        examples=[{"chat": {"path": {"prefix": "/chat/"}, "pool": "backend"}}],
    )


class Validated(NamedTuple):
    """A valid document, and the JSON value that it was made of, which nobody has changed since."""

    raw: object
    document: Document


NOTHING: Final = Validated({}, Document())
"""What comes before the first one."""


def validate(raw: object, previous: Validated | None = None) -> Document:
    """Return the document that a JSON value is.

    Named objects and endpoints written as in ``previous`` are taken over from there, identical;
    with it, a change costs about what it changes.  The result is equal, and the faults are the
    same, without it.

    Raises:
        DocumentError: with every fault found, each with its JSON pointer.
    """
    document = _revalidated(raw, NOTHING if previous is None else previous)
    return validate_whole(raw) if document is None else document


def validate_whole(raw: object) -> Document:
    """Return the document that a JSON value is, looked at as a whole: this finds every fault."""
    faults: list[Fault] = []
    broken: set[tuple[str, ...]] = set()
    try:
        document = Document.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
        faults = located(details, Document)
        broken = {tuple(map(str, detail["loc"][:2])) for detail in details}
        document = _what_is_good(raw, details)
    faults += checks.check(document, raw, broken)
    if faults:
        raise DocumentError(bounded(faults))
    return document


def check(data: bytes, *, yaml: bool) -> tuple[Fault, ...]:
    """Return every fault of a document as it stands in a file; none if it is good."""
    try:
        validate(load(data, yaml=yaml))
    except DocumentError as error:
        return error.faults
    return ()


def effective(document: Document) -> dict[str, Any]:
    """Return a valid document with every default filled in.

    Durations and sizes stay as they were written.  What has no fixed default, because it follows
    another object (the timeouts of a route, say), stays absent.
    """
    filled = _filled(document.model_copy(update={kind: {} for kind in KINDS}))
    for kind in KINDS:
        fill = _filled_pool if kind == "pools" else _filled
        filled[kind] = {name: fill(one) for name, one in getattr(document, kind).items()}
    return filled


def _filled(model: Model) -> dict[str, Any]:
    # Object by object: pydantic does not let go of the interpreter before it is through with one.
    # Words that stand for objects are not what the serializers of those objects expect.
    return model.model_dump(exclude_none=True, warnings=False)


def _filled_pool(pool: Pool) -> dict[str, Any]:
    filled = _filled(pool.model_copy(update={"endpoints": {}}))
    for name, one in pool.endpoints.items():
        endpoint = _filled(one)
        health = _endpoint_health(filled["passive_health"], endpoint.get("passive_health"))
        whole = {"address": name, **endpoint, "passive_health": health}
        filled["endpoints"][name] = whole
    return filled


def _endpoint_health(pool: Any, endpoint: Any) -> Any:
    if endpoint == "off" or (endpoint is None and pool == "off"):
        return "off"
    inherited = PassiveHealth().model_dump() if pool == "off" else pool
    return {key: inherited[key] for key in ("max_fails", "fail_timeout")} | (endpoint or {})


def _revalidated(raw: object, previous: Validated) -> Document | None:
    """Return the document if it is valid, looking only at what is new; ``None`` if it is not."""
    try:
        # pydantic takes over what is an object of the model already.
        document = Document.model_validate(_with_models(raw, previous))
    except ValidationError:
        return None
    return None if checks.recheck(document, raw, previous.document) else document


def _with_models(raw: object, previous: Validated) -> object:
    """Return ``raw`` with objects of the models in place of what is written.

    Those of ``previous`` where it is written as it was there, new ones elsewhere, one by one:
    pydantic does not let go of the interpreter before it is through with what it is given, and the
    traffic would have to wait for all of a large document, whatever thread validates it.
    """
    if not isinstance(raw, dict) or not isinstance(previous.raw, dict):
        return raw
    mixed = dict(raw)
    for kind, model in KINDS.items():
        if kind in raw:
            make = _pool if model is Pool else _plainly(model)
            known = getattr(previous.document, kind)
            mixed[kind] = _models(raw[kind], previous.raw.get(kind), known, make)
    return mixed


def _models(written: object, before: object, known: Mapping[str, Model], make: Make) -> object:
    """Return named objects as objects of a model, those of ``known`` as far as they are the same.

    ``before`` is what ``known`` was made of.
    """
    if not isinstance(written, dict):
        return written
    then: Mapping[str, object] = before if isinstance(before, dict) else {}
    return {
        name: known[name]
        if name in then and _alike(value, then[name])
        else make(value, then.get(name), known.get(name))
        for name, value in written.items()
    }


def _plainly(model: type[Model]) -> Make:
    return lambda written, before, known: model.model_validate(written)


def _pool(written: object, before: object, known: Model | None) -> Model:
    if isinstance(written, dict) and "endpoints" in written:
        endpoints = _models(
            written["endpoints"],
            before.get("endpoints") if isinstance(before, dict) else None,
            known.endpoints if isinstance(known, Pool) else {},
            _endpoint_maker(),
        )
        written = {**written, "endpoints": endpoints}
    return Pool.model_validate(written)


def _endpoint_maker() -> Make:
    """Return what makes endpoints; those that differ in nothing but their names are one object."""
    made: dict[str, Endpoint] = {}

    def make(written: object, before: object, known: Model | None) -> Endpoint:
        if not isinstance(written, dict) or "address" in written:
            return Endpoint.model_validate(written)
        text = repr(written)
        endpoint = made.get(text)
        if endpoint is None:
            endpoint = made[text] = Endpoint.model_validate(written)
        return endpoint

    return make


def _alike(new: object, old: object) -> bool:
    # To Python 1 == 1.0 == True, and dicts in another order are equal; the order of endpoints and
    # rules has a meaning.  What is written tells all of these apart.
    return new is old or (new == old and repr(new) == repr(old))


def _what_is_good(raw: object, details: list[ErrorDetails]) -> Document:
    """Cut what is faulty out of ``raw``, as narrowly as possible, and return the rest.

    Terminates because every round cuts something, and an empty object is a valid document.
    """
    while True:
        raw = _without(raw, _cuts(raw, details)) if isinstance(raw, dict) else {}
        try:
            return Document.model_validate(raw)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)


def _cuts(raw: dict[str, Any], details: list[ErrorDetails]) -> Cuts:
    """Return what to cut: for each fault the innermost key that exists.

    An object that lacks a key is cut whole, and so is a list with a faulty entry, because the
    others' indexes must not shift.
    """
    cuts: dict[str | int, Cuts] = {}
    for detail in details:
        trail: list[str | int] = []
        node: Any = raw
        for part in detail["loc"]:
            if not isinstance(node, dict) or part not in node:
                break
            trail.append(part)
            node = node[part]
        if not trail:
            return None
        _cut(cuts, trail)
    return cuts


def _cut(cuts: dict[str | int, Cuts], trail: list[str | int]) -> None:
    for part in trail[:-1]:
        below = cuts.setdefault(part, {})
        if below is None:
            return
        cuts = below
    cuts[trail[-1]] = None


def _without(raw: dict[str, Any], cuts: Cuts) -> dict[str, Any]:
    if cuts is None:
        return {}
    return {
        key: _without(value, cuts[key]) if key in cuts else value
        for key, value in raw.items()
        if cuts.get(key, cuts) is not None
    }
