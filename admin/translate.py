"""Documents become what the data plane runs.

Each model of ``admin.documents`` knows the ``proxy.spec`` form of its own object, next to the
fields; here they are put together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from admin.documents import Document, Route
from proxy.spec import EMPTY, Spec

S = TypeVar("S", covariant=True)


class _Translatable(Protocol[S]):
    def to_spec(self, name: str) -> S: ...


def to_spec(document: Document, previous: tuple[Document, Spec] | None = None) -> Spec:
    """Return the ``Spec`` of a document that ``validate`` returned.

    What the document shares with the previous one is taken over from its ``Spec``, identical.
    """
    before, spec = previous or (Document(), EMPTY)
    return Spec(
        listeners=_translated(document.listeners, before.listeners, spec.listeners),
        pools=_translated(document.pools, before.pools, spec.pools),
        header_maps=_translated(document.header_maps, before.header_maps, spec.header_maps),
        routes={
            name: spec.routes[name]
            if _same_route(name, route, document, before)
            else route.to_spec(name, document.header_maps)
            for name, route in document.routes.items()
        },
    )


def _translated(
    objects: Mapping[str, _Translatable[S]],
    before: Mapping[str, _Translatable[S]],
    specs: Mapping[str, S],
) -> dict[str, S]:
    return {
        name: specs[name] if before.get(name) is each else each.to_spec(name)
        for name, each in objects.items()
    }


def _same_route(name: str, route: Route, document: Document, before: Document) -> bool:
    if before.routes.get(name) is not route:
        return False
    # A route whose pool is a variable has the values of that header map for its pools.
    variable = route.variable
    return variable is None or (
        before.header_maps.get(variable) is document.header_maps.get(variable)
    )
