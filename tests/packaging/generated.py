"""What is made of the chart: the table of values in its README, and manifests without Helm.

``python -m tests.packaging.generated`` writes both; a test sees that they are in step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from tests.packaging.charts import CHART, ROOT, install
from tests.packaging.manifests import Manifest

README: Final = CHART / "README.md"
PLAIN: Final = ROOT / "deploy" / "plain.yaml"
TABLE: Final = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- /values -->)", re.DOTALL)

ABOUT: Final = """\
# The demo with its sidecar, for kubectl apply -f: what the chart makes if nothing is said. Put
# where your image is in place of hotsplice:0.1.0.
"""
HELMS: Final = ("helm.sh/chart", "app.kubernetes.io/managed-by")
"""Labels that say that Helm looks after it."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes text of several lines as such."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def keys(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every value that can be set, with its schema."""
    for name, one in schema["properties"].items():
        if "default" in one:
            yield f"{where}{name}", one
        elif "properties" in one:
            yield from keys(one, f"{where}{name}.")


def table(schema: dict[str, Any]) -> str:
    """Return the table of the chart's README."""
    rows = [
        f"| `{key}` | {_default(one['default'])} | {one['description']} |"
        for key, one in keys(schema)
    ]
    return "\n".join(["| key | default | |", "| --- | --- | --- |", *rows, ""])


def _default(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`" if value not in ("", None) else ""


def readme() -> str:
    """Return the chart's README with its table."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    made, times = TABLE.subn(lambda _: f"\n{table(schema)}\n", README.read_text())
    assert times == 1, "the README has lost its marks"
    return made


def plain() -> str:
    """Return the manifests of the demo, with nothing of Helm's."""
    manifests = [
        one for one in install({"fullnameOverride": "demo"}, name="demo") if one["kind"] != "Pod"
    ]
    made = [_plain(one) for one in manifests]
    text: str = yaml.dump_all(made, Dumper=_Dumper, sort_keys=False, width=1000)
    return ABOUT + text


def _plain(manifest: Manifest) -> Manifest:
    for name in HELMS:
        del manifest["metadata"]["labels"][name]
    return manifest


if __name__ == "__main__":
    README.write_text(readme())
    PLAIN.write_text(plain())
