"""The chart, linted and rendered by Helm, for every set of values in its ``ci`` folder."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from admin.__main__ import main
from admin.api.auth import Role, parse_tokens
from admin.settings import RUN, RunSettings, parse
from tests.packaging.charts import CHART, install, lint, render, value_sets
from tests.packaging.manifests import Manifest, containers, faults, of_kind, pods

SETS = value_sets()

CLIENT = {"HOTSPLICE_TOKEN_FILE"}
"""Variables that are for the client."""

BEGIN_S = 2
"""What the kubelet may take to begin the drain and to tell the application, in seconds."""


def pod_of(manifests: list[Manifest]) -> Manifest:
    (pod,) = (pod for where, pod in pods(manifests).items() if where.startswith("Deployment/"))
    return pod


def sidecar_of(pod: Manifest) -> Manifest:
    found: Manifest
    (found,) = (one for one in containers(pod) if one.get("args") == ["run"])
    return found


def application_of(pod: Manifest) -> Manifest:
    found: Manifest
    (found,) = (one for one in pod["spec"]["containers"] if one.get("args") != ["run"])
    return found


def variables(container: Manifest) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"]}


def settings_of(container: Manifest) -> RunSettings:
    """Return how the program reads what the container is given; it exits if it cannot."""
    settings = parse(container["args"], variables(container))
    assert isinstance(settings, RunSettings)
    return settings


def test_there_are_value_sets_enough() -> None:
    assert len(SETS) >= 12


@pytest.mark.parametrize("name", SETS)
def test_linter_finds_nothing(name: str) -> None:
    assert lint(SETS[name]) == []


@pytest.mark.parametrize("name", SETS)
def test_manifests_are_sound_for_the_oldest_and_the_newest_kubernetes(name: str) -> None:
    assert faults(install(SETS[name])) == []


@pytest.mark.parametrize("name", SETS)
def test_sidecar_runs_with_what_it_is_given(name: str) -> None:
    sidecar = sidecar_of(pod_of(install(SETS[name])))
    given = {name for name in variables(sidecar) if name.startswith("HOTSPLICE_")}
    assert given - CLIENT <= {option.twin for option in RUN}
    settings = settings_of(sidecar)
    ports = {port["name"]: port["containerPort"] for port in sidecar["ports"]}
    assert settings.telemetry.port == ports["hs-telemetry"]
    assert ports.get("hs-admin", settings.admin.port) == settings.admin.port
    mounts = [Path(mount["mountPath"]) for mount in sidecar["volumeMounts"]]
    used = [settings.config, settings.state_dir, settings.admin_token_file, settings.secrets_dir]
    if settings.admin.kind == "unix":
        used.append(Path(settings.admin.path))
    for path in filter(None, used):
        assert any(path.is_relative_to(mount) for mount in mounts), path
    # The mount itself is open to others; a folder that is made within is not.
    assert settings.state_dir not in mounts


def test_variables_that_the_chart_sets_are_those_that_it_keeps_others_from_setting() -> None:
    text = (CHART / "templates" / "_settings.tpl").read_text()
    (kept,) = re.findall(r'trimPrefix "HOTSPLICE_" \.name\) \(list ((?:"\w+" ?)+)\)', text)
    given = variables(sidecar_of(pod_of(install(SETS["everything"])))).keys()
    own = {one["name"] for one in SETS["everything"]["sidecar"]["env"]}
    assert {f"HOTSPLICE_{name}" for name in re.findall(r"\w+", kept)} == given - own
    install({"sidecar": {"env": [{"name": "CONFIG", "value": "is not ours"}]}})


@pytest.mark.parametrize("name", SETS)
def test_application_outlives_the_drain_within_the_grace(name: str) -> None:
    pod = pod_of(install(SETS[name]))
    sidecar = sidecar_of(pod)
    settings = settings_of(sidecar)
    drain = SETS[name].get("sidecar", {}).get("drain", {})
    asked = application_of(pod)["lifecycle"]["preStop"]["httpGet"]
    waits = re.fullmatch(r"/drained\?wait=(\d+)s&begin=5s", asked["path"])
    assert waits is not None
    assert asked["port"] == settings.telemetry.port
    assert sidecar["lifecycle"]["preStop"]["exec"]["command"] == ["hotsplice", "drain", "--wait"]
    assert settings.drain_accept_s == drain.get("propagationSeconds", 5)
    assert settings.drain_timeout_s - settings.drain_accept_s == drain.get("connectionsSeconds", 20)
    assert int(waits[1]) == settings.drain_timeout_s + BEGIN_S
    least = int(waits[1]) + drain.get("appStopSeconds", 3)
    given = SETS[name].get("pod", {}).get("terminationGracePeriodSeconds")
    assert pod["spec"]["terminationGracePeriodSeconds"] == given or least
    assert pod["spec"]["terminationGracePeriodSeconds"] >= least


@pytest.mark.parametrize("name", SETS)
def test_document_in_the_config_map_passes_check(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifests = install(SETS[name])
    volumes = {one["name"]: one for one in pod_of(manifests)["spec"]["volumes"]}
    mounted = volumes["hotsplice-config"]["configMap"]["name"]
    (found,) = (
        one for one in of_kind(manifests, "ConfigMap") if one["metadata"]["name"] == mounted
    )
    (file,) = found["data"]
    document = tmp_path / file
    document.write_text(found["data"][file])
    assert main(["check", str(document)]) == 0
    assert capsys.readouterr().out == "ok\n"


@pytest.mark.parametrize("name", SETS)
def test_every_listener_for_others_is_served_under_its_name(name: str) -> None:
    manifests = install(SETS[name])
    (config,) = (one for one in of_kind(manifests, "ConfigMap") if "hotsplice.yaml" in one["data"])
    listeners = yaml.safe_load(config["data"]["hotsplice.yaml"])["listeners"]
    outside = {
        int(one["bind"].rpartition(":")[2])
        for one in listeners.values()
        if not one["bind"].startswith(("unix:", "127."))
    }
    ports = {
        port["name"]: port["containerPort"]
        for port in sidecar_of(pod_of(manifests))["ports"]
        if not port["name"].startswith("hs-")
    }
    assert {*ports.values()} == outside
    (service,) = of_kind(manifests, "Service")
    assert {port["name"]: port["targetPort"] for port in service["spec"]["ports"]} == ports


def test_without_values_a_demo_serves_behind_a_native_sidecar() -> None:
    pod = pod_of(install({}))
    sidecar, application = sidecar_of(pod), application_of(pod)
    assert pod["spec"]["initContainers"] == [sidecar]
    assert sidecar["restartPolicy"] == "Always"
    assert application["image"] == sidecar["image"] == "hotsplice:0.1.0"
    demo = parse(application["args"], {})
    assert isinstance(demo, RunSettings)
    assert demo.listen is not None
    assert demo.listen.text == "127.0.0.1:8000"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert [one["metadata"]["name"] for one in of_kind(install({}), "Service")] == [
        "shop-hotsplice"
    ]


@pytest.mark.parametrize("name", SETS)
def test_sidecar_writes_nothing_but_its_volumes_and_is_never_root(name: str) -> None:
    context = sidecar_of(pod_of(install(SETS[name])))["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["runAsNonRoot"] is True
    # On OpenShift the cluster says which user.
    assert context.get("runAsUser") == (None if name == "openshift" else 65532)


def test_classic_sidecar_stands_before_the_application() -> None:
    pod = pod_of(install({"sidecar": {"native": False}}))
    assert "initContainers" not in pod["spec"]
    names = [one["name"] for one in pod["spec"]["containers"]]
    assert names == ["hotsplice", "app"]
    native = sidecar_of(pod_of(install({})))
    assert sidecar_of(pod) | {"restartPolicy": "Always"} == native


def test_probes_are_on_telemetry_and_the_admin_port_is_never_the_pods() -> None:
    sidecar = sidecar_of(pod_of(install({"sidecar": {"admin": {"listen": "loopback"}}})))
    assert [port["name"] for port in sidecar["ports"]] == ["public", "hs-telemetry"]
    for probe, path in (("startup", "/readyz"), ("readiness", "/readyz"), ("liveness", "/livez")):
        asked = sidecar[f"{probe}Probe"]["httpGet"]
        assert (asked["path"], asked["port"]) == (path, "hs-telemetry")
    assert settings_of(sidecar).admin.text == "127.0.0.1:9901"


@pytest.mark.parametrize(
    ("values", "config"),
    [
        ({}, "/etc/hotsplice/config"),
        ({"configOwner": "rest"}, "/etc/hotsplice/config/hotsplice.yaml"),
    ],
)
def test_owner_of_the_document_is_told_by_folder_or_file(
    values: dict[str, Any], config: str
) -> None:
    assert settings_of(sidecar_of(pod_of(install(values)))).config == Path(config)


def test_change_of_the_document_changes_no_pod() -> None:
    other = {"version": 1, "listeners": {"public": {"bind": "0.0.0.0:8080"}}}
    assert pod_of(install({})) == pod_of(install({"config": other}))


def test_made_token_is_one_that_the_program_takes() -> None:
    (secret,) = of_kind(install(SETS["rest"]), "Secret")
    data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    (token,) = parse_tokens(data["tokens"])
    assert (token.name, token.role) == ("admin", Role.WRITE)
    assert token.digest == hashlib.sha256(data["token"].encode()).hexdigest()
    assert len(data["token"]) >= 32


def test_admin_port_is_for_nobody_unless_somebody_is_named() -> None:
    (policy,) = of_kind(install(SETS["everything"]), "NetworkPolicy")
    assert [rule["ports"][0]["port"] for rule in policy["spec"]["ingress"]] == [
        8080,
        19902,
    ]
    (policy,) = of_kind(install(SETS["fleet"]), "NetworkPolicy")
    admin = policy["spec"]["ingress"][-1]
    assert admin["ports"] == [{"port": 9901, "protocol": "TCP"}]
    assert admin["from"] == SETS["fleet"]["networkPolicy"]["adminFrom"]


def test_pod_of_helm_test_is_let_in_where_only_some_are() -> None:
    manifests = install(SETS["fleet"])
    (policy,), (hook,) = of_kind(manifests, "NetworkPolicy"), of_kind(manifests, "Pod")
    *named, ours = policy["spec"]["ingress"][0]["from"]
    assert named == SETS["fleet"]["networkPolicy"]["from"]
    assert ours == {"podSelector": {"matchLabels": hook["metadata"]["labels"]}}


def test_everything_is_there_if_everything_is_asked_for() -> None:
    manifests = install(SETS["everything"])
    kinds = sorted(one["kind"] for one in manifests)
    assert " ".join(kinds) == (
        "ConfigMap ConfigMap Deployment NetworkPolicy Pod PodDisruptionBudget PodMonitor"
        " PrometheusRule Secret Service ServiceAccount"
    )
    (dashboard,) = (
        one for one in of_kind(manifests, "ConfigMap") if "hotsplice.json" in one["data"]
    )
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    spread = pod_of(manifests)["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"].partition("/")[2] for one in spread] == ["zone", "hostname"]


def test_only_what_is_needed_is_there_if_nothing_else_is() -> None:
    manifests = install(SETS["nothing"])
    assert sorted(one["kind"] for one in manifests) == ["ConfigMap", "Deployment", "Pod", "Service"]
    (deployment,) = of_kind(manifests, "Deployment")
    assert "replicas" not in deployment["spec"]
    assert pod_of(manifests)["spec"]["serviceAccountName"] == "default"


def test_annotations_for_scraping_give_way_to_a_pod_monitor() -> None:
    annotations = pod_of(install({}))["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "9902"
    monitored = pod_of(install({"podMonitor": {"enabled": True}}))
    assert "prometheus.io/port" not in monitored["metadata"]["annotations"]


def test_test_hook_asks_the_service_and_compiles() -> None:
    manifests = install(SETS["listeners"])
    (hook,) = of_kind(manifests, "Pod")
    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "test"
    program = hook["spec"]["containers"][0]["command"][2]
    compile(program, "hook", "exec")
    asked = re.search(r'HTTPConnection\("([^"]+)", (\d+)', program)
    assert asked is not None
    (service,) = of_kind(manifests, "Service")
    assert asked[1] == service["metadata"]["name"]
    assert int(asked[2]) in {port["port"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize("name", SETS)
def test_notes_name_what_is_there(name: str) -> None:
    notes = render(SETS[name])["hotsplice/templates/NOTES.txt"]
    (deployment,) = of_kind(install(SETS[name]), "Deployment")
    assert f"deploy/{deployment['metadata']['name']} -c" in notes
    assert "<no value>" not in notes
