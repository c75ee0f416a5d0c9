"""What says the same in two places says the same."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import yaml

from tests.packaging import generated
from tests.packaging.charts import CHART, ROOT, helm

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
HINT = "run: .venv/bin/python -m tests.packaging.generated"


def defaults_of_the_sidecar() -> dict[str, Any]:
    text = (CHART / "templates" / "_defaults.tpl").read_text()
    body = text.partition('{{- define "hotsplice.defaults" -}}')[2].partition("{{- end }}")[0]
    found: dict[str, Any] = yaml.safe_load(body)
    return found


def at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def leaves(values: Any, known: set[str], where: str = "") -> set[str]:
    """Return every place of a tree that is no branch of the schema."""
    if where in known or not isinstance(values, dict):
        return {where}
    return {
        leaf
        for key, one in values.items()
        for leaf in leaves(one, known, f"{where}.{key}" if where else key)
    }


def test_schema_has_every_value_with_its_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values.pop("sidecar") == {}
    values["sidecar"] = defaults_of_the_sidecar()
    # The application's chart works these out itself.
    for key in ("config", "ports"):
        del values["sidecar"][key]
    asked = dict(generated.keys(SCHEMA))
    assert leaves(values, {*asked}) == asked.keys()
    assert {key: one["default"] for key, one in asked.items()} == {
        key: at(values, key) for key in asked
    }


def test_schema_lets_its_own_defaults_through() -> None:
    values: dict[str, Any] = {}
    for key, one in generated.keys(SCHEMA):
        *parts, last = key.split(".")
        place = values
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = one["default"]
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values)


def test_no_object_of_the_schema_takes_unknown_keys() -> None:
    open_ones = [
        key for key, one in _branches(SCHEMA, "") if one.get("additionalProperties") is not False
    ]
    assert open_ones == []


def _branches(schema: dict[str, Any], where: str) -> list[tuple[str, dict[str, Any]]]:
    if "properties" not in schema:
        return []
    inner = [
        one
        for key, each in schema["properties"].items()
        for one in _branches(each, f"{where}/{key}")
    ]
    return [(where, schema), *inner]


def test_readme_of_the_chart_has_the_table_of_the_schema() -> None:
    assert generated.README.read_text() == generated.readme(), HINT


def test_plain_manifests_are_what_the_chart_makes() -> None:
    assert generated.PLAIN.read_text() == generated.plain(), HINT


def test_versions_are_one() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tag = defaults_of_the_sidecar()["image"]["tag"]
    assert chart["appVersion"] == tag == project["version"]
    (image,) = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert image["image"] == f"hotsplice:{tag}"
