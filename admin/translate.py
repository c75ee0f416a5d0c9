"""Documents become what the data plane runs.

Each model of ``admin.documents`` knows the ``proxy.spec`` form of its own object, next to the
fields; here they are put together.
"""

from __future__ import annotations

from admin.documents import Document
from proxy.spec import Spec


def to_spec(document: Document) -> Spec:
    """Return the ``Spec`` of a document that ``validate`` returned."""
    maps = document.header_maps
    return Spec(
        listeners={name: each.to_spec(name) for name, each in document.listeners.items()},
        pools={name: each.to_spec(name) for name, each in document.pools.items()},
        header_maps={name: each.to_spec(name) for name, each in maps.items()},
        routes={name: each.to_spec(name, maps) for name, each in document.routes.items()},
    )
