"""What README.md and the chart's own say of the chart is true."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from admin.client import commands
from tests.packaging.charts import CHART, ROOT, helm, install
from tests.packaging.generated import keys
from tests.packaging.manifests import containers, of_kind, pods

PAGES = {
    "README.md": (ROOT / "README.md").read_text(),
    "helm/hotsplice/README.md": (CHART / "README.md").read_text(),
}
SECTION = PAGES["README.md"].partition("\n## In Kubernetes\n")[2].partition("\n## ")[0]
SCHEMA = dict(keys(json.loads((CHART / "values.schema.json").read_text())))


@pytest.mark.parametrize("page", PAGES)
def test_every_value_that_a_page_names_is_one(page: str) -> None:
    given = re.findall(r"--set(?:-file)? ([\w.]+)=", PAGES[page])
    roots = {key.partition(".")[0] for key in SCHEMA}
    told = [
        name
        for name in re.findall(r"`([a-z]\w*(?:\.\w+)+)(?:=[^`]*|: \w+)?`", PAGES[page])
        if name.partition(".")[0] in roots and name.partition(".")[0] != "config"
    ]
    assert given
    assert told
    branches = {key[: dot.start()] for key in SCHEMA for dot in re.finditer(r"\.", key)}
    assert {*given} <= SCHEMA.keys()
    assert {*told} <= SCHEMA.keys() | branches


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_a_pod_is_one(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.findall(r"kubectl exec (\S+) -c (\S+) -- hotsplice (.+)", PAGES[page])
    assert found
    (deployment,) = of_kind(install({}, name="shop"), "Deployment")
    names = {one["name"] for one in containers(deployment["spec"]["template"])}
    for pod, container, line in found:
        assert pod == f"deploy/{deployment['metadata']['name']}"
        assert container in names
        # Nobody is there; a command that makes no sense would be told so before it is looked for.
        words = [*shlex.split(line), "--admin", "unix:/nowhere/admin.sock"]
        assert commands.main(words, environ={}) == 3, (line, capsys.readouterr())


def test_secret_that_the_readme_reads_is_there() -> None:
    values: dict[str, Any] = {"sidecar": {"admin": {"listen": "loopback"}}}
    (secret,) = of_kind(install(values, name="shop"), "Secret")
    assert (
        f"kubectl get secret {secret['metadata']['name']} -o jsonpath='{{.data.token}}'" in SECTION
    )
    assert "token" in secret["data"]


def test_library_is_used_as_the_chart_says(tmp_path: Path) -> None:
    (sample,) = re.findall(
        r"```\n(\{\{- \$proxy := .*?)```", PAGES["helm/hotsplice/README.md"], re.DOTALL
    )
    chart = tmp_path / "shop"
    shutil.copytree(Path(__file__).parent / "parent", chart)
    (chart / "charts").mkdir()
    helm.package(CHART, destination=chart / "charts")
    head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\n"
    (chart / "templates" / "shop.yaml").write_text(head + sample)
    (pod,) = pods(install({}, chart)).values()
    proxy, web = containers(pod)
    assert proxy["ports"][0] == {"name": "http", "containerPort": 8080, "protocol": "TCP"}
    assert web["lifecycle"]["preStop"]["httpGet"]["path"] == "/drained?wait=52s&begin=5s"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 55
    assert {one["name"] for one in pod["spec"]["volumes"]} >= {"hotsplice-config", "hotsplice-run"}


def test_sums_of_the_chart_are_those_that_it_tells() -> None:
    rows = re.findall(
        r"^\| (?:to begin|`sidecar\.drain\.\w+`) \| (\d+) s \|",
        PAGES["helm/hotsplice/README.md"],
        re.MULTILINE,
    )
    assert len(rows) == 4
    (pod,) = (pod for where, pod in pods(install({})).items() if where.startswith("Deployment/"))
    assert sum(map(int, rows)) == pod["spec"]["terminationGracePeriodSeconds"]
