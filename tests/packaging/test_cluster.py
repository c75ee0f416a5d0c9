"""What the chart makes of the cluster that it is installed into."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.charts import CHART, helm
from tests.packaging.cluster import Cluster
from tests.packaging.manifests import Manifest, of_kind, read

LOOPBACK = {"sidecar": {"admin": {"listen": "loopback"}}}
SECRET = "/api/v1/namespaces/prod/secrets/shop-hotsplice-admin"


@pytest.fixture(autouse=True)
def nobody_elses_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep whoever runs this from asking a cluster of theirs."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


def install(cluster: Cluster, values: dict[str, Any]) -> list[Manifest]:
    with (
        cluster.serving() as address,
        helm.Config(storage_driver="memory", namespace="prod", kube_apiserver=address) as config,
    ):
        release = config.install(CHART, "shop", values, dry_run="server", namespace="prod")
    return read(release["manifest"])


def token(manifests: list[Manifest]) -> dict[str, str]:
    (secret,) = of_kind(manifests, "Secret")
    data: dict[str, str] = secret["data"]
    return data


def test_token_is_made_anew_where_there_is_none() -> None:
    empty = Cluster("1.34.0", {})
    assert token(install(empty, LOOPBACK)) != token(install(empty, LOOPBACK))


def test_token_that_is_there_stays_with_whatever_was_added() -> None:
    data = {
        key: base64.b64encode(value.encode()).decode()
        for key, value in (("token", "old"), ("tokens", "admin:write:…\nci:drain:…\n"))
    }
    ours = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "prod"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "shop-hotsplice-admin",
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": ours,
        },
        "data": data,
    }
    assert token(install(Cluster("1.34.0", {SECRET: secret}), LOOPBACK)) == data


def test_kubernetes_1_30_is_new_enough() -> None:
    assert of_kind(install(Cluster("1.30.0", {}), {}), "Deployment")


@pytest.mark.parametrize("version", ["1.29.9", "1.25.0"])
def test_older_kubernetes_is_refused(version: str) -> None:
    with pytest.raises(helm.HelmError, match=r"requires kubeVersion: >=1\.30\.0-0"):
        install(Cluster(version, {}), {})
