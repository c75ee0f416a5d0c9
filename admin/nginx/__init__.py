"""nginx.conf as a way in: a document that does what the file does, and a report of the rest.

``reading`` parses, ``verdicts`` has the table of all directives, ``scope`` nginx's inheritance.
``servers`` and ``listeners``, ``upstreams`` and ``pools``, ``maps`` and ``variables``, and
``locations`` with ``destination`` and ``headers`` each translate what they are called by;
``importing`` puts the document together, and leads every fault of it back to a line of the file.

Nothing here is loaded unless an nginx.conf is asked for.
"""

from __future__ import annotations

from admin.nginx.importing import Imported, import_nginx

__all__ = ["Imported", "import_nginx"]
