"""The queries of the dashboard and of the alerts, and what they name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.packaging.charts import ROOT

ALERTS: Final = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "hotsplice.json"

GIVEN: Final = frozenset({"namespace", "pod", "job", "instance", "le"})
"""Labels that Prometheus, or a histogram, has on every series."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query, and where it stands."""

    where: str
    text: str

    @property
    def metrics(self) -> set[str]:
        """Every metric that it names."""
        return set(re.findall(r"\b(?:hotsplice|process)_\w+", self.text))

    @property
    def labels(self) -> set[str]:
        """Every label that it names."""
        grouped = re.findall(r"\b(?:by|on|without)\s*\(([^)]*)\)", self.text)
        matched = re.findall(r"[{,]\s*(\w+)\s*[=!]~?", self.text)
        return {name.strip() for names in grouped for name in names.split(",")} | {*matched}

    def filled_in(self, interval: str) -> str:
        """Return it without variables of Grafana's."""
        filled = self.text.replace("$__rate_interval", interval)
        return re.sub(r"\$(?:namespace|pod)\b", ".*", filled)


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def alerts() -> list[dict[str, Any]]:
    """Return the alerts."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panel_queries() -> list[Query]:
    """Return the queries of the dashboard's panels."""
    return [
        Query(f"{panel['title']} {target['refId']}", target["expr"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", ())
    ]


def all_queries() -> list[Query]:
    """Return every query that there is."""
    lists = dashboard()["templating"]["list"], dashboard()["annotations"]["list"]
    named = [
        Query(one["name"], one["query"]["query"]) for one in lists[0] if one["type"] == "query"
    ]
    marks = [Query(one["name"], one["expr"]) for one in lists[1]]
    rules = [Query(rule["alert"], rule["expr"]) for rule in alerts()]
    return [*panel_queries(), *named, *marks, *rules]
