"""Documents become what the data plane runs.

Each model of ``admin.documents`` knows the ``proxy.spec`` form of its own object, next to the
fields; here they are put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Protocol, TypeVar

from admin.documents.document import Document
from admin.documents.header_map import HeaderMap, maps_behind
from admin.documents.route import Route
from proxy.spec import EMPTY, Spec

S = TypeVar("S", covariant=True)


class _Translatable(Protocol[S]):
    def to_spec(self, name: str) -> S: ...


def to_spec(document: Document, previous: tuple[Document, Spec] | None = None) -> Spec:
    """Return the ``Spec`` of a document that ``validate`` returned.

    What the document shares with the previous one is taken over from its ``Spec``, identical.
    """
    before, spec = previous or (Document(), EMPTY)
    maps = document.header_maps
    other_maps = {name for name, each in maps.items() if before.header_maps.get(name) is not each}
    other_maps |= before.header_maps.keys() - maps.keys()
    return Spec(
        listeners=_translated(document.listeners, before.listeners, spec.listeners),
        pools=_translated(document.pools, before.pools, spec.pools),
        header_maps=_translated(document.header_maps, before.header_maps, spec.header_maps),
        routes={
            name: spec.routes[name]
            if before.routes.get(name) is route and not _chooses_by(route, maps, other_maps)
            else route.to_spec(name, maps)
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


def _chooses_by(route: Route, maps: Mapping[str, HeaderMap], some: Set[str]) -> bool:
    """Tell whether a route takes its pool from some header maps: their values are its pools."""
    if route.variable is None or not some:
        return False
    return not some.isdisjoint(maps_behind(route.variable, maps))
