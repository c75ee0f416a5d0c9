"""Documents: the configuration as users write it.

``load`` reads JSON or YAML, ``validate`` makes a ``Document`` of it or finds every fault at once,
``merge_patch`` changes it, ``effective`` shows it with every default.  The models describe
themselves for the OpenAPI document.
"""

from __future__ import annotations

from admin.documents.document import Document, check, effective, validate
from admin.documents.endpoint import Endpoint
from admin.documents.faults import DocumentError
from admin.documents.header_map import HeaderMap
from admin.documents.listener import Listener
from admin.documents.loading import dump_yaml, load
from admin.documents.merge import merge_patch
from admin.documents.pool import Pool
from admin.documents.route import Route

__all__ = [
    "Document",
    "DocumentError",
    "Endpoint",
    "HeaderMap",
    "Listener",
    "Pool",
    "Route",
    "check",
    "dump_yaml",
    "effective",
    "load",
    "merge_patch",
    "validate",
]
