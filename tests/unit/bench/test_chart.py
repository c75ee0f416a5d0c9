"""The chart."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.chart import draw
from tests.unit.bench.results import outcome, results

SVG = "{http://www.w3.org/2000/svg}"


def test_a_bar_is_as_long_as_its_ratio() -> None:
    found = results(outcome(nginx=[10.0], hotsplice=[15.0]), missing={"envoy": "gone"})
    root = ElementTree.fromstring(draw(found))
    _, baseline, ours = root.findall(f"{SVG}rect")
    lengths = float(baseline.attrib["width"]), float(ours.attrib["width"])
    assert lengths[1] == pytest.approx(lengths[0] * 1.5, abs=0.1)
    assert ours.attrib["class"] == "bar ours"
    texts = [one.text for one in root.findall(f"{SVG}text")]
    assert {"small <GET>", "1.50", "missing"} <= set(texts)


def test_it_can_be_read_on_dark_and_light() -> None:
    style = ElementTree.fromstring(draw(results())).find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in (style.text or "")


def test_all_of_it_is_inside() -> None:
    rows = [outcome(name, nginx=[1.0], hotsplice=[9.0, 10.0, 12.0]) for name in
            ("get_64", "rules", "bulk")]  # fmt: skip
    root = ElementTree.fromstring(draw(results(*rows)))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for one in root.iter(f"{SVG}text"):
        assert 0 <= float(one.attrib["x"]) < width - 20
        assert 0 <= float(one.attrib["y"]) < height
