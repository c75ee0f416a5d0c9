"""Dashboard and alerts, held against what a running sidecar exposes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.packaging.charts import ROOT
from tests.packaging.queries import ALERTS, GIVEN, alerts, all_queries, dashboard, panel_queries
from tests.packaging.sidecar import sidecar

PROMTOOL = shutil.which("promtool")
SCRAPE = ROOT / "deploy" / "prometheus" / "scrape.yaml"

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")

ROWS = [
    "Traffic",
    "Latency",
    "WebSockets",
    "Pools and endpoints",
    "Configuration",
    "Drains",
    "Process",
]


def promtool(*words: str, given: str = "") -> str:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *words], input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_every_query_names_metrics_and_labels_that_a_sidecar_exposes(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as running:
        await running.work()
        families = [*text_string_to_metric_families(await running.metrics())]
    labels: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    assert [family.name for family in families if not family.samples] == []
    for query in all_queries():
        assert query.metrics, query
        assert query.metrics <= labels.keys(), query
        known = set[str]().union(*(labels[name] for name in query.metrics))
        assert query.labels <= known | GIVEN, query


async def test_every_metric_is_on_the_dashboard(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as running:
        families = [*text_string_to_metric_families(await running.metrics())]
    shown = {name for query in panel_queries() for name in query.metrics}
    missing = {
        family.name
        for family in families
        if family.name.startswith("hotsplice_")
        and not any(name.startswith(family.name) for name in shown)
    }
    assert missing == set()


def test_dashboard_has_its_rows_in_order_and_no_panel_over_another() -> None:
    panels = dashboard()["panels"]
    assert [one["title"] for one in panels if one["type"] == "row"] == ROWS
    assert [
        number for number, times in Counter(one["id"] for one in panels).items() if times > 1
    ] == []
    taken = Counter(
        (x, y)
        for one in panels
        for x in range(one["gridPos"]["x"], one["gridPos"]["x"] + one["gridPos"]["w"])
        for y in range(one["gridPos"]["y"], one["gridPos"]["y"] + one["gridPos"]["h"])
    )
    assert max(taken.values()) == 1
    assert max(x for x, _ in taken) < 24


def test_every_panel_shows_the_chosen_pods_of_the_chosen_source() -> None:
    for query in panel_queries():
        chosen = query.text.count('namespace=~"$namespace",pod=~"$pod"')
        assert chosen == len(re.findall(r"\b(?:hotsplice|process)_\w+", query.text)), query
    for panel in dashboard()["panels"]:
        for one in [panel, *panel.get("targets", ())] if panel["type"] != "row" else ():
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_alerts_say_what_and_how_bad_with_labels_that_they_have() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len({*names})
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        told = " ".join(rule["annotations"].values())
        kept = {
            name.strip()
            for names in re.findall(r"\bby \(([^)]*)\)", rule["expr"])
            for name in names.split(",")
        }
        assert {*re.findall(r"\$labels\.(\w+)", told)} <= kept, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}


@needs_promtool
def test_promtool_takes_the_alerts() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(ALERTS))


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(Path(__file__).parent / "alerts_test.yaml"))


@needs_promtool
def test_promtool_takes_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.filled_in("5m")}
        for number, query in enumerate(panel_queries())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(file))


@needs_promtool
def test_promtool_takes_the_scrape_configuration(tmp_path: Path) -> None:
    config = yaml.safe_load(SCRAPE.read_text())
    # Debian's is built without the discovery of Kubernetes.
    assert config["scrape_configs"][0].pop("kubernetes_sd_configs") == [{"role": "pod"}]
    config["rule_files"] = [str(ALERTS)]
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    assert "SUCCESS" in promtool("check", "config", str(file))


@needs_promtool
async def test_promtool_takes_the_metrics(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as running:
        await running.work()
        text = await running.metrics()
    said = promtool("check", "metrics", given=text)
    assert said == "", said


def test_scraping_goes_by_the_port_of_the_sidecar() -> None:
    (job,) = yaml.safe_load(SCRAPE.read_text())["scrape_configs"]
    assert job["relabel_configs"][0]["regex"] == "hs-telemetry"
    (monitor,) = yaml.safe_load_all((SCRAPE.parent / "podmonitor.yaml").read_text())
    assert [one["port"] for one in monitor["spec"]["podMetricsEndpoints"]] == ["hs-telemetry"]
    (patch,) = yaml.safe_load_all((ROOT / "deploy" / "sidecar" / "sidecar.yaml").read_text())
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= patch["spec"]["template"]["metadata"]["labels"].items()
