"""The chart as a library: a packaged dependency of somebody else's chart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.packaging.charts import CHART, helm, install, lint, refusal
from tests.packaging.manifests import containers, faults, pods, read

PARENT = Path(__file__).parent / "parent"


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the parent's chart with ours in it, packaged as for a repository."""
    chart = tmp_path_factory.mktemp("charts") / "shop"
    shutil.copytree(PARENT, chart)
    (chart / "charts").mkdir()
    helm.package(CHART, destination=chart / "charts")
    return chart


def test_dependency_is_the_one_that_is_asked_for(parent: Path) -> None:
    assert [one["status"] for one in helm.dependency_list(parent)] == ["ok"]


def test_package_has_what_is_linked_into_the_chart(parent: Path) -> None:
    (archive,) = (parent / "charts").iterdir()
    with helm.Chart.load(archive) as packaged:
        files = {one["name"]: one["data"] for one in packaged.files}
    for name, source in (
        ("alerts.yaml", "prometheus/alerts.yaml"),
        ("dashboard.json", "grafana/hotsplice.json"),
    ):
        assert files[f"files/{name}"] == (CHART.parents[1] / "deploy" / source).read_text()


@pytest.mark.parametrize("native", [True, False])
def test_parent_gets_a_sound_sidecar_and_nothing_else_of_ours(parent: Path, native: bool) -> None:
    values = {"native": native}
    assert lint(values, parent) == []
    manifests = install(values, parent)
    assert sorted(one["kind"] for one in manifests) == ["ConfigMap", "Service", "StatefulSet"]
    assert faults(manifests) == []
    (pod,) = pods(manifests).values()
    proxy, web = containers(pod)
    assert ("restartPolicy" in proxy) == native
    assert proxy["image"] == "registry.example.com/hotsplice:0.1.0"
    assert proxy["ports"][0] == {"name": "web", "containerPort": 8080, "protocol": "TCP"}
    assert web["lifecycle"]["preStop"]["httpGet"]["path"] == "/drained?wait=27s&begin=5s"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30


def test_grace_of_the_parent_follows_its_propagation(parent: Path) -> None:
    (pod,) = pods(install({"propagation": 70}, parent)).values()
    assert pod["spec"]["terminationGracePeriodSeconds"] == 95


def test_application_comes_along_if_a_parent_asks_for_it(parent: Path) -> None:
    manifests = install({"hotsplice": {"enabled": True}}, parent)
    names = [one["metadata"]["name"] for one in manifests if one["kind"] == "Deployment"]
    assert names == ["shop-hotsplice"]


WRONG = {
    '"imgae" (dict)': "unknown key 'imgae'; there are accessLog, address, admin, ",
    '"image" (dict "repo" "x")': "unknown key 'image.repo'; there are digest, pullPolicy, ",
    '"image" "hotsplice:1"': "image: a map is wanted, not hotsplice:1",
    '"drain" (dict "propagationSeconds" "5s")': "drain.propagationSeconds: 5s is no whole",
    '"drain" (dict "connectionsSeconds" 0)': "drain.connectionsSeconds: 0 is no whole",
    '"admin" (dict "listen" "everywhere")': 'admin.listen: "everywhere" is none of socket, loo',
    '"admin" (dict "listen" "loopback")': "admin.listen: loopback needs a token: name a Secret",
    '"config" (dict "file" "a.yaml")': "config.file: it is a key of the ConfigMap",
    '"image" (dict "tag" "")': "image: which version of hotsplice? There is neither tag nor digest",
    '"env" (list (dict "name" "HOTSPLICE_ADMIN" "value" "x"))': "env: HOTSPLICE_ADMIN is set",
    '"ports" (dict "web" 9902)': "ports.web: 9902 is telemetryPort already",
    '"ports" (dict "web" 80 "site" 80)': "ports.web: 80 is ports.site already",
    '"ports" (dict "Web" 80)': 'ports: "Web" cannot be a port\'s name',
    '"ports" (dict "web" 80000)': "ports.web: 80000 is no port",
    '"admin" (dict "listen" "pod" "port" 9902 "secret" "s")': "admin.port: 9902 is the tele",
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("helper", ["sidecar", "volumes", "podAnnotations", "appLifecycle"])
def test_wrong_dict_is_refused_by_every_helper(
    parent: Path, tmp_path: Path, helper: str, wrong: str
) -> None:
    chart = tmp_path / "shop"
    shutil.copytree(parent, chart)
    (chart / "templates" / "shop.yaml").write_text(
        f'{{{{ include "hotsplice.{helper}" (dict {wrong}) }}}}\n'
    )
    assert f"hotsplice: {WRONG[wrong]}" in refusal({}, chart)


def test_helpers_do_not_change_the_dict_that_they_are_given(parent: Path, tmp_path: Path) -> None:
    chart = tmp_path / "shop"
    shutil.copytree(parent, chart)
    (chart / "templates" / "shop.yaml").write_text(
        '{{- $proxy := dict "securityContext" (dict "runAsUser" nil) "drain" (dict) }}\n'
        '{{- $_ := include "hotsplice.sidecar" $proxy }}\n'
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
        "data: {dict: {{ toJson $proxy | quote }}}\n"
    )
    (found,) = install({}, chart)
    assert read(found["data"]["dict"]) == [{"drain": {}, "securityContext": {"runAsUser": None}}]
