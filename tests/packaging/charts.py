"""Charts as Helm itself has them, without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.packaging.manifests import Manifest, read

helm: Any = pytest.importorskip(
    "helm_python", reason="Helm's library has no wheel for this machine"
)

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "helm" / "hotsplice"
WARNING: Final = 2
"""From this severity on, what Helm's linter finds is one."""

Values = Mapping[str, Any]


def value_sets() -> dict[str, dict[str, Any]]:
    """Return the values of ``ci/*-values.yaml``, by name."""
    return {
        path.name.removesuffix("-values.yaml"): next(iter(read(path.read_text())), {})
        for path in sorted((CHART / "ci").glob("*-values.yaml"))
    }


def install(values: Values, chart: Path = CHART, name: str = "shop") -> list[Manifest]:
    """Return what an installation would make, the test hook last; ``helm.HelmError`` if refused.

    A dry run holds to the schema and to ``kubeVersion``; it leaves out hooks, rendering does not.
    """
    with helm.Config(storage_driver="memory", namespace="prod") as config:
        release = config.install(chart, name, dict(values), dry_run="client", namespace="prod")
    hooks = [
        text for path, text in render(values, chart, name).items() if "/templates/tests/" in path
    ]
    return [one for text in (release["manifest"], *hooks) for one in read(text)]


def render(values: Values, chart: Path = CHART, name: str = "shop") -> dict[str, str]:
    """Return every rendered template by its path, notes included."""
    with helm.Chart.load(chart) as loaded:
        texts: dict[str, str] = loaded.render(dict(values), name=name, namespace="prod")
        return texts


def lint(values: Values, chart: Path = CHART) -> list[str]:
    """Return what the strict linter takes for a warning or worse."""
    report = helm.lint(chart, dict(values), strict=True)
    found = [one["error"] for one in report["messages"] if one["severity"] >= WARNING]
    return [*found, *report["errors"]]


def refusal(values: Values, chart: Path = CHART) -> str:
    """Return why an installation is refused; fail if it is not."""
    with pytest.raises(helm.HelmError) as refused:
        install(values, chart)
    return str(refused.value)
