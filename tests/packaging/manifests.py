"""What is wrong with a set of manifests: by the schemas of Kubernetes, and by what those miss."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

import kubernetes_validate
import kubernetes_validate.utils
import yaml

Manifest = dict[str, Any]

OLDEST: Final = "1.30"
NEWEST: Final = kubernetes_validate.latest_version()

NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PORT_NAME: Final = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
MONITORING: Final = {
    "PodMonitor": ({"selector", "podMetricsEndpoints", "namespaceSelector"}, "podMetricsEndpoints"),
    "PrometheusRule": ({"groups"}, "groups"),
}
"""Of kinds that no schema is there for: what the specification may have, and what it must."""

WORDS: Final = {
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "terminationMessagePolicy": {"File", "FallbackToLogsOnError"},
    "protocol": {"TCP"},
    "type": {"ClusterIP", "NodePort", "LoadBalancer", "Opaque", "RuntimeDefault"},
    "whenUnsatisfiable": {"DoNotSchedule", "ScheduleAnyway"},
    "unhealthyPodEvictionPolicy": {"AlwaysAllow", "IfHealthyBudget"},
}
"""Enumerations, which are plain strings to the schemas."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a key that stands twice, as the API server does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def read(text: str) -> list[Manifest]:
    """Return the documents of a YAML stream that are not empty."""
    return [one for one in yaml.load_all(text, Loader=_Loader) if one]


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return every pod, or template of one, by kind and name of what it is in."""
    found = {}
    for one in manifests:
        if one["kind"] == "Pod":
            found[label(one)] = one
        elif "template" in one.get("spec", {}):
            found[label(one)] = one["spec"]["template"]
    return found


def containers(pod: Manifest) -> list[Manifest]:
    """Return the containers of a pod, those of ``initContainers`` first."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Return the manifests of a kind."""
    return [one for one in manifests if one["kind"] == kind]


def label(manifest: Manifest) -> str:
    """Return kind and name."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def faults(manifests: list[Manifest]) -> list[str]:
    """Return everything that is wrong, each with where it is."""
    each: tuple[Callable[[Manifest], Iterator[str]], ...] = (_schema, _shape, _words)
    found = [
        f"{label(one)}: {fault}" for one in manifests for check in each for fault in check(one)
    ]
    for where, pod in pods(manifests).items():
        for check in (_names, _ports, _probes, _volumes, _security, _resources):
            found += [f"{where}: {fault}" for fault in check(pod)]
    return [*found, *_identities(manifests), *_selectors(manifests)]


# The package reads and parses megabytes for each manifest.
kubernetes_validate.utils.schema_contents = functools.cache(
    kubernetes_validate.utils.schema_contents
)


@functools.cache
def _validated(text: str, version: str) -> str | None:
    try:
        kubernetes_validate.validate(json.loads(text), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{version}: {'/'.join(map(str, error.path))}: {error.message}"
    return None


def _schema(manifest: Manifest) -> Iterator[str]:
    if manifest["kind"] not in MONITORING:
        text = json.dumps(manifest, sort_keys=True)
        yield from filter(None, (_validated(text, version) for version in (OLDEST, NEWEST)))


def _shape(manifest: Manifest) -> Iterator[str]:
    if manifest["kind"] in MONITORING:
        known, wanted = MONITORING[manifest["kind"]]
        if manifest["apiVersion"] != "monitoring.coreos.com/v1":
            yield f"apiVersion {manifest['apiVersion']}"
        if not known >= manifest["spec"].keys() or not manifest["spec"].get(wanted):
            yield f"spec has {sorted(manifest['spec'])}, wanted {wanted}"
    if not NAME.fullmatch(manifest["metadata"]["name"]):
        yield "it cannot be named so"
    for key, value in manifest["metadata"].get("labels", {}).items():
        if not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value):
            yield f"label {key}: {value!r}"


def _words(manifest: Manifest) -> Iterator[str]:
    for key, value in _scalars(manifest):
        if key in WORDS and value not in WORDS[key]:
            yield f"{key}: {value!r}"


def _scalars(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            # Data, labels and schemas within manifests may have whatever keys they like.
            if name not in ("data", "metadata", "groups"):
                yield from _scalars(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from _scalars(one, key)
    else:
        yield key, value


def _names(pod: Manifest) -> Iterator[str]:
    names = [one["name"] for one in containers(pod)]
    yield from (f"container {name!r}" for name in names if not NAME.fullmatch(name))
    yield from (f"container {name!r} twice" for name in _twice(names))
    for one in containers(pod):
        variables = [variable["name"] for variable in one.get("env", ())]
        yield from (f"{one['name']}: variable {name} twice" for name in _twice(variables))
        if one["image"].endswith(":latest") or not re.search(r":[\w.-]+$|@sha256:", one["image"]):
            yield f"{one['name']}: image {one['image']} of no version"
    for one in pod["spec"].get("initContainers", ()):
        if one.get("restartPolicy", "Always") != "Always":
            yield f"{one['name']}: restartPolicy {one['restartPolicy']}"
    for one in pod["spec"]["containers"]:
        if "restartPolicy" in one:
            yield f"{one['name']}: restartPolicy is for init containers"


def _ports(pod: Manifest) -> Iterator[str]:
    ports = [port for one in containers(pod) for port in one.get("ports", ())]
    names, numbers = [one["name"] for one in ports], [one["containerPort"] for one in ports]
    yield from (f"port {name!r} twice" for name in _twice(names))
    yield from (f"port {number} twice" for number in _twice(numbers))
    yield from (f"port {number}" for number in numbers if not 0 < number < 65536)
    for name in names:
        if len(name) > 15 or not PORT_NAME.fullmatch(name):
            yield f"port {name!r}"


def _probes(pod: Manifest) -> Iterator[str]:
    numbers = {port["containerPort"] for one in containers(pod) for port in one.get("ports", ())}
    for one in containers(pod):
        named = {port["name"] for port in one.get("ports", ())}
        asked = [one[probe] for probe in one if probe.endswith("Probe")]
        asked += one.get("lifecycle", {}).values()
        for action in chain.from_iterable(each.values() for each in asked):
            port = action.get("port") if isinstance(action, dict) else None
            if port is not None and port not in (named if isinstance(port, str) else numbers):
                yield f"{one['name']}: asks port {port!r}, which nobody has"


def _volumes(pod: Manifest) -> Iterator[str]:
    names = [one["name"] for one in pod["spec"].get("volumes", ())]
    yield from (f"volume {name!r} twice" for name in _twice(names))
    yield from (f"volume {name!r}" for name in names if not NAME.fullmatch(name))
    mounted = set()
    for one in containers(pod):
        mounts = one.get("volumeMounts", ())
        mounted |= {mount["name"] for mount in mounts}
        paths = [mount["mountPath"] for mount in mounts]
        yield from (f"{one['name']}: two volumes at {path}" for path in _twice(paths))
        if any("subPath" in mount for mount in mounts):
            yield f"{one['name']}: a subPath does not follow changes"
    yield from (f"volume {name!r} is mounted, and not there" for name in mounted - {*names})
    yield from (f"volume {name!r} is there, and not mounted" for name in {*names} - mounted)


def _security(pod: Manifest) -> Iterator[str]:
    """Hold to the Pod Security Standard "restricted"."""
    for one in containers(pod):
        context = one.get("securityContext", {})
        wanted = {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        for key, value in wanted.items():
            if context.get(key) != value:
                yield f"{one['name']}: securityContext.{key} is {context.get(key)}"


def _resources(pod: Manifest) -> Iterator[str]:
    for one in containers(pod):
        resources = one.get("resources", {})
        if resources.get("requests", {}).keys() < {"cpu", "memory"}:
            yield f"{one['name']}: requests {resources.get('requests')}"
        if resources.get("limits", {}).keys() != {"memory"}:
            yield f"{one['name']}: limits {resources.get('limits')}"


def _identities(manifests: list[Manifest]) -> Iterator[str]:
    yield from (f"{name} twice" for name in _twice([label(one) for one in manifests]))


def _selectors(manifests: list[Manifest]) -> Iterator[str]:
    """See that who selects pods selects those of the one workload, and ports that they have."""
    workloads = {
        where: pod for where, pod in pods(manifests).items() if not where.startswith("Pod/")
    }
    for one in manifests:
        spec = one.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector"))
        if selector is None:
            continue
        wanted = (selector.get("matchLabels", selector)).items()
        chosen = [
            pod
            for pod in pods(manifests).values()
            if wanted <= pod["metadata"].get("labels", {}).items()
        ]
        if chosen != [*workloads.values()] or not wanted:
            yield f"{label(one)}: selects {len(chosen)} of {len(workloads)} workloads"
            continue
        known = _reached(one["kind"], chosen[0])
        for port in _selected_ports(one):
            if port not in known:
                yield f"{label(one)}: there is no port {port!r}"


def _reached(kind: str, pod: Manifest) -> set[str | int]:
    """Return the ports that objects of a kind may name."""
    ports = [port for each in containers(pod) for port in each.get("ports", ())]
    named = ports
    if kind != "PodMonitor":
        # Services until Kubernetes 1.32, and network plugins, look for names in `containers` alone,
        # where native sidecars are not.
        named = [port for each in pod["spec"]["containers"] for port in each.get("ports", ())]
    return {one["name"] for one in named} | {one["containerPort"] for one in ports}


def _selected_ports(manifest: Manifest) -> Iterator[str]:
    spec = manifest["spec"]
    if manifest["kind"] == "Service":
        yield from (port["targetPort"] for port in spec["ports"])
    yield from (port["port"] for rule in spec.get("ingress", ()) for port in rule["ports"])
    yield from (endpoint["port"] for endpoint in spec.get("podMetricsEndpoints", ()))


def _twice(names: list[Any]) -> list[Any]:
    return sorted({name for name in names if names.count(name) > 1})
