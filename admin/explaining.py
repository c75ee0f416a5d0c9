"""``explain --config FILE``: a document is asked what it would do, with nothing running."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from admin.client.problems import RefusedError
from admin.config_file import read_document
from admin.documents.document import validate
from admin.documents.faults import DocumentError
from admin.translate import to_spec
from proxy.errors import Fault, SpecError, pointer
from proxy.explain.inquiry import Live, QuestionError, explain, question


def explain_file(path: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a question as ``/v1/explain`` would for the document in a file.

    Raise ``RefusedError`` as if a sidecar had refused.
    """
    try:
        spec = to_spec(validate(read_document(path)))
        fields = [(name, value) for name, values in asked["headers"].items() for value in values]
        client, listener = asked.get("client"), asked.get("listener")
        request = question(asked["method"], asked["url"], fields, client=client, listener=listener)
        return asdict(asyncio.run(explain(request, Live(), spec)))
    except QuestionError as error:
        raise _problem([Fault(pointer(error.place), error.message, error.hint)]) from error
    except (DocumentError, SpecError) as error:
        raise _problem(error.faults) from error


def _problem(faults: Iterable[Fault]) -> RefusedError:
    said = [
        {"path": one.path, "message": one.message} | ({"hint": one.hint} if one.hint else {})
        for one in faults
    ]
    return RefusedError(422, {"detail": "nobody can tell", "errors": said})
