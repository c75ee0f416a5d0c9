"""The manifests of ``deploy``, by kubectl where it is installed, held against the chart's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from admin.__main__ import main
from tests.packaging.charts import CHART, ROOT, install
from tests.packaging.manifests import Manifest, containers, faults, of_kind, pods, read

DEPLOY = ROOT / "deploy"
KUBECTL = shutil.which("kubectl")

needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed: no kustomize")


def kustomize(folder: Path) -> list[Manifest]:
    assert KUBECTL is not None
    done = subprocess.run(
        [KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return read(done.stdout)


def by_name(items: list[Manifest]) -> dict[str, Any]:
    return {one["name"]: one for one in items}


def test_sidecar_of_the_component_is_the_charts() -> None:
    (patch,) = read((DEPLOY / "sidecar" / "sidecar.yaml").read_text())
    (deployment,) = of_kind(install({"fullnameOverride": "hotsplice"}), "Deployment")
    ours, charts = patch["spec"]["template"], deployment["spec"]["template"]
    assert ours["spec"]["initContainers"] == charts["spec"]["initContainers"]
    volumes = by_name(charts["spec"]["volumes"])
    del volumes["demo"]
    assert by_name(ours["spec"]["volumes"]) == volumes
    assert ours["metadata"]["annotations"].items() <= charts["metadata"]["annotations"].items()
    grace = "terminationGracePeriodSeconds"
    assert ours["spec"][grace] == charts["spec"][grace]
    (operation,) = yaml.safe_load((DEPLOY / "sidecar" / "application.yaml").read_text())
    assert operation["value"] == charts["spec"]["containers"][0]["lifecycle"]


@needs_kubectl
def test_demo_is_sound() -> None:
    manifests = kustomize(DEPLOY / "demo")
    assert sorted(one["kind"] for one in manifests) == ["ConfigMap", "Deployment", "Service"]
    assert faults(manifests) == []


@needs_kubectl
def test_demo_is_what_it_was_and_the_sidecar() -> None:
    (pod,) = pods(kustomize(DEPLOY / "demo")).values()
    before = next(iter(pods(read((DEPLOY / "demo" / "demo.yaml").read_text())).values()))
    (application,) = pod["spec"]["containers"]
    assert application.pop("lifecycle")["preStop"]["httpGet"]["port"] == 9902
    assert [application] == before["spec"]["containers"]
    assert [one["name"] for one in containers(pod)] == ["hotsplice", "app"]
    assert {one["name"] for one in pod["spec"]["volumes"]} == {
        "hotsplice-config",
        "hotsplice-run",
        "hotsplice-state",
        "tmp",
    }
    assert pod["metadata"]["labels"] == {"app": "demo", "hotsplice": "sidecar"}


@needs_kubectl
def test_component_goes_into_every_deployment_of_somebody_else(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "sidecar", tmp_path / "sidecar")
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "hotsplice.yaml").write_text("version: 1\n")
    web = (
        (DEPLOY / "demo" / "demo.yaml")
        .read_text()
        .replace("demo}", "web}")
        .replace(": demo\n", ": web\n")
    )
    (shop / "web.yaml").write_text(web)
    (shop / "kustomization.yaml").write_text(
        "resources: [web.yaml]\n"
        "components: [../sidecar]\n"
        "nameSuffix: -v2\n"
        "images: [{name: hotsplice, newName: registry.example.com/hotsplice, newTag: '9'}]\n"
        "configMapGenerator:\n"
        "  - {name: hotsplice-config, files: [hotsplice.yaml],"
        " options: {disableNameSuffixHash: true}}\n"
    )
    manifests = kustomize(shop)
    assert faults(manifests) == []
    (pod,) = pods(manifests).values()
    images = {one["name"]: one["image"] for one in containers(pod)}
    assert images["hotsplice"] == "registry.example.com/hotsplice:9"
    config = by_name(pod["spec"]["volumes"])["hotsplice-config"]["configMap"]["name"]
    assert config == of_kind(manifests, "ConfigMap")[0]["metadata"]["name"] == "hotsplice-config-v2"


@needs_kubectl
def test_image_of_the_sidecar_is_set_as_any_other(tmp_path: Path) -> None:
    assert KUBECTL is not None
    manifest = tmp_path / "plain.yaml"
    manifest.write_text((DEPLOY / "plain.yaml").read_text())
    done = subprocess.run(
        [
            KUBECTL, "set", "image", "--local", "-f", str(manifest), "-o", "yaml",
            "hotsplice=hotsplice:9",
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "hotsplice:9" in done.stdout, done.stderr


def test_plain_manifests_are_sound() -> None:
    manifests = read((DEPLOY / "plain.yaml").read_text())
    assert faults(manifests) == []
    assert {one["kind"] for one in manifests} >= {"ConfigMap", "Deployment", "Service"}


@pytest.mark.parametrize("document", sorted(DEPLOY.rglob("hotsplice.yaml")), ids=str)
def test_documents_pass_check(document: Path) -> None:
    assert main(["check", str(document)]) == 0


def test_chart_copies_nothing_of_deploy() -> None:
    links = {path.name: path.resolve().relative_to(DEPLOY) for path in (CHART / "files").iterdir()}
    assert {name: str(path) for name, path in links.items()} == {
        "alerts.yaml": "prometheus/alerts.yaml",
        "dashboard.json": "grafana/hotsplice.json",
    }
