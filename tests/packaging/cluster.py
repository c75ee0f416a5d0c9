"""As much of a Kubernetes API server as a dry run of Helm asks for."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

KINDS: Final = {
    "v1": ("ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment",),
    "policy/v1": ("PodDisruptionBudget",),
}


class Cluster:
    """What is in it, by path, and its version."""

    def __init__(self, version: str, objects: Mapping[str, Any]) -> None:
        """Put objects into it."""
        self.answers: Final[dict[str, Any]] = {
            "/version": {"major": "1", "minor": version.split(".")[1], "gitVersion": f"v{version}"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {
                "kind": "APIGroupList",
                "groups": [_group(one) for one in KINDS if "/" in one],
            },
            "/openapi/v3": {
                "paths": {_path(one): {"serverRelativeURL": f"/openapi/{one}"} for one in KINDS}
            },
            **{f"/{_path(one)}": _resources(one) for one in KINDS},
            **{f"/openapi/{one}": _openapi(one) for one in KINDS},
            **objects,
        }

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on loopback; gives the address."""
        answers = self.answers
        missing = {"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                body = json.dumps(answers.get(path, missing)).encode()
                self.send_response(200 if path in answers else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


def _path(version: str) -> str:
    return f"apis/{version}" if "/" in version else f"api/{version}"


def _group(version: str) -> dict[str, Any]:
    name, _, number = version.partition("/")
    served = {"groupVersion": version, "version": number}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _resources(version: str) -> dict[str, Any]:
    resources = [
        {"name": f"{kind.lower()}s", "kind": kind, "namespaced": True, "verbs": ["get", "create"]}
        for kind in KINDS[version]
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


def _openapi(version: str) -> dict[str, Any]:
    """Say that the server validates, or the client would want all schemas of it."""
    group, _, number = version.rpartition("/")
    field = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    paths = {
        f"/{kind}": {
            "patch": {
                "parameters": [field],
                "responses": {},
                "x-kubernetes-group-version-kind": {
                    "group": group,
                    "version": number,
                    "kind": kind,
                },
            }
        }
        for kind in KINDS[version]
    }
    return {"openapi": "3.0.0", "info": {"title": "", "version": ""}, "paths": paths}
