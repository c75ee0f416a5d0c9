"""The checks of manifests see what they are there for."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import yaml

from tests.packaging.charts import install
from tests.packaging.manifests import Manifest, faults, of_kind, pods, read

Damage = Callable[[Manifest, Manifest], object]
"""Of the pod and of its sidecar."""

DAMAGES: dict[str, tuple[Damage, str]] = {
    "schema": (lambda pod, proxy: proxy.update(colour="blue"), "1.30: .*colour"),
    "type": (lambda pod, proxy: proxy.update(tty="yes"), "tty: 'yes' is not of type 'boolean'"),
    "word": (lambda pod, proxy: proxy.update(imagePullPolicy="Sometimes"), "imagePullPolicy"),
    "port range": (lambda pod, proxy: proxy["ports"][0].update(containerPort=99999), "port 99999"),
    "port twice": (lambda pod, proxy: proxy["ports"].append(proxy["ports"][0]), "port 8080 twice"),
    "port name": (lambda pod, proxy: proxy["ports"][0].update(name="P"), "port 'P'"),
    "probe": (lambda pod, proxy: proxy["ports"].pop(), "asks port 'hs-telemetry'"),
    "hook": (
        lambda pod, proxy: pod["spec"]["containers"][0]["lifecycle"]["preStop"]["httpGet"].update(
            port=1
        ),
        "asks port 1,",
    ),
    "volume": (lambda pod, proxy: pod["spec"]["volumes"].pop(0), "'hotsplice-run' is mounted, and"),
    "mount": (lambda pod, proxy: proxy["volumeMounts"].pop(0), "'hotsplice-run' is there, and not"),
    "sub-path": (lambda pod, proxy: proxy["volumeMounts"][2].update(subPath="x"), "subPath"),
    "root": (lambda pod, proxy: proxy["securityContext"].pop("runAsNonRoot"), "runAsNonRoot"),
    "limit": (lambda pod, proxy: proxy["resources"]["limits"].update(cpu="1"), "limits"),
    "name": (lambda pod, proxy: proxy.update(name="app"), "container 'app' twice"),
    "restart": (lambda pod, proxy: proxy.update(restartPolicy="Never"), "restartPolicy Never"),
    "image": (lambda pod, proxy: proxy.update(image="hotsplice"), "of no version"),
    "selector": (lambda pod, proxy: pod["metadata"]["labels"].clear(), "Service/.*selects 0 of 1"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_manifest_has_a_fault_that_says_so(damage: str) -> None:
    manifests = install({})
    pod = pods(manifests)["Deployment/shop-hotsplice"]
    change, said = DAMAGES[damage]
    change(pod, pod["spec"]["initContainers"][0])
    assert re.search(said, "\n".join(faults(manifests)))


@pytest.mark.parametrize(("native", "port"), [(True, 8081), (True, "public"), (False, "publik")])
def test_service_of_a_port_that_it_does_not_find_is_a_fault(native: bool, port: str | int) -> None:
    manifests = install({"sidecar": {"native": native}})
    of_kind(manifests, "Service")[0]["spec"]["ports"][0]["targetPort"] = port
    assert faults(manifests) == [f"Service/shop-hotsplice: there is no port {port!r}"]


def test_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="twice"):
        read("{a: 1, a: 2}")
