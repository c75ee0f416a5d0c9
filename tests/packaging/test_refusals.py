"""Values that cannot work are refused when they are given, in words that say what would."""

from __future__ import annotations

from typing import Any

import pytest

from tests.packaging.charts import install, refusal
from tests.packaging.manifests import of_kind

DOCUMENT = "version: 1\nlisteners: {public: {bind: '%s'}}\n"

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"sidecars": {}}, "additional properties 'sidecars' not allowed"),
    "unknown, deeper": ({"sidecar": {"drain": {"seconds": 5}}}, "properties 'seconds' not allowed"),
    "section taken out": ({"networkPolicy": None}, "missing property 'networkPolicy'"),
    "type": ({"replicas": "2"}, "at '/replicas': got string, want"),
    "range": ({"app": {"port": 70000}}, "at '/app/port': maximum: got 70,000, want 65,535"),
    "word": ({"configOwner": "me"}, "at '/configOwner': value must be one of 'folder', 'rest'"),
    "digest": ({"app": {"image": {"digest": "sha256:1"}}}, "at '/app/image/digest'"),
    "negative": ({"sidecar": {"drain": {"propagationSeconds": -1}}}, "minimum: got -1, want 0"),
    "grace": (
        {"pod": {"terminationGracePeriodSeconds": 29}},
        "pod.terminationGracePeriodSeconds: 29 is less than the 30 that sidecar.drain needs",
    ),
    "grace of a slow load balancer": (
        {
            "pod": {"terminationGracePeriodSeconds": 60},
            "sidecar": {"drain": {"propagationSeconds": 70}},
        },
        "60 is less than the 95 that sidecar.drain needs: propagationSeconds and",
    ),
    "version": ({"app": {"image": {"repository": "web"}}}, "app.image.tag: which version of web?"),
    "same port": ({"app": {"port": 8080}}, "app.port: 8080 is the port of listener public"),
    "telemetry's port for the application": (
        {"app": {"port": 9902}},
        "app.port: 9902 is sidecar.telemetryPort; the application needs one of its own",
    ),
    "the API's port for the application": (
        {"app": {"port": 9901}, "sidecar": {"admin": {"listen": "loopback"}}},
        "app.port: 9901 is sidecar.admin.port; the application needs one of its own",
    ),
    "same name": ({"sidecar": {"name": "app"}}, "sidecar.name: app is the application's container"),
    "telemetry's port": ({"sidecar": {"telemetryPort": 8080}}, "8080 is telemetryPort already"),
    "open admin": (
        {"sidecar": {"admin": {"listen": "pod"}}},
        "sidecar.admin.listen: pod lets every pod reach the admin API: set networkPolicy.enabled",
    ),
    "no YAML": ({"config": "a: [b"}, "config: it is no YAML: "),
    "no listeners": (
        {"config": {"version": 1}},
        "config: it has no listeners; config is the whole",
    ),
    "listeners without names": (
        {"config": "listeners: [public]"},
        "listeners: they stand by name, not as [public]",
    ),
    "empty listener": (
        {"config": "listeners: {public: }"},
        "listeners.public: a map with `bind` is wanted, not <nil>",
    ),
    "no listener for others": (
        {"config": DOCUMENT % "127.0.0.1:8080"},
        "config: all of its listeners are on loopback or sockets, so no Service could lead to one",
    ),
    "any port": ({"config": DOCUMENT % "0.0.0.0:0"}, '"0.0.0.0:0" has no port that a Service'),
    "no port": ({"config": DOCUMENT % "0.0.0.0"}, 'listeners.public.bind: "0.0.0.0" has no port'),
    "service": (
        {"service": {"ports": {"publik": 80}}},
        "service.ports.publik: there is no such listener; there are public",
    ),
    "names": (
        {"config": {"listeners": {"a-b": {"bind": ":80"}, "a_b": {"bind": ":81"}}}},
        'listeners.a_b: its port would be named "a-b" like another listener\'s',
    ),
    "budget": (
        {"podDisruptionBudget": {"maxUnavailable": 0}},
        "podDisruptionBudget/maxUnavailable",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values_are_refused(case: str) -> None:
    values, said = WRONG[case]
    assert said in refusal(values)


def test_sidecar_that_is_nothing_is_the_default() -> None:
    assert of_kind(install({"sidecar": None}), "Deployment") == of_kind(install({}), "Deployment")
