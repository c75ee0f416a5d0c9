"""The chart for README: CPU time as a multiple of the baseline's, as an SVG.  Pure."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

from bench.figures import ratios, spread
from bench.measure import Outcome
from bench.report import Results

CHARTED: Final = ("get_64", "rules", "post_64k", "answer_10m", "echo_64", "bulk")
"""These, as far as they were measured; two beside each other."""

_WIDTH: Final = 940
_PANEL: Final = 460
_LABELS: Final = 174
_BARS: Final = 150
"""Widths: of the whole, of a panel, and in it of names and of the longest bar."""

_EDGE: Final = 18

_ROW: Final = 20
_HEAD: Final = 34

_STYLE: Final = """
.card { fill: #ffffff; }
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.quiet, .value { fill: #59636e; }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
.bar { fill: #9aa4af; }
.ours { fill: #d9480f; }
.line { stroke: #1f2328; stroke-width: 1; }
.base { stroke: #59636e; stroke-dasharray: 2 3; }
@media (prefers-color-scheme: dark) {
  .card { fill: #0d1117; }
  text { fill: #e6edf3; }
  .quiet, .value { fill: #9198a1; }
  .value { stroke: #0d1117; }
  .bar { fill: #6e7781; }
  .ours { fill: #ff8c42; }
  .line { stroke: #e6edf3; }
  .base { stroke: #9198a1; }
}
"""


def draw(results: Results) -> str:
    """Draw it."""
    shown = [results.outcomes[name] for name in CHARTED if name in results.outcomes]
    names = results.names()
    height = _HEAD + len(names) * _ROW + 14
    panels = [
        _panel(results, outcome, _EDGE + index % 2 * _PANEL, 46 + index // 2 * height)
        for index, outcome in enumerate(shown)
    ]
    whole = 46 + (len(shown) + 1) // 2 * height
    heading = f"CPU time of the proxy, as a multiple of {results.baseline}'s (less is better)"
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {whole}" role="img" '
        f'aria-label="{escape(heading)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="card" width="{_WIDTH}" height="{whole}" rx="8"/>',
        _text(_EDGE, 30, heading, "title"),
        *panels,
        "</svg>\n",
    ))  # fmt: skip


def _panel(results: Results, outcome: Outcome, x: float, y: float) -> str:
    found = {
        name: spread(shares)
        for name in results.names()
        if (shares := ratios(outcome, name, results.baseline, outcome.figure))
    }
    scale = _BARS / max((one.most for one in found.values()), default=1.0)
    parts = [_text(x, y + 20, outcome.title, "title")]
    at, bottom = x + _LABELS + scale, y + _HEAD + len(results.names()) * _ROW
    if results.baseline in found:
        parts.append(_line(at, y + _HEAD - 4, at, bottom, "base"))
    for number, name in enumerate(results.names()):
        top = y + _HEAD + number * _ROW
        parts.append(_text(x, top + 13, name, ""))
        left = x + _LABELS
        if name not in found:
            why = "missing" if name in results.missing else "no figure"
            parts.append(_text(left, top + 13, why, "quiet"))
            continue
        one = found[name]
        kind = "bar ours" if name == results.ours else "bar"
        end, middle = left + one.most * scale, top + 8
        parts += [
            f'<rect class="{kind}" x="{left}" y="{top + 2}" height="12" '
            f'width="{one.median * scale:.1f}"/>',
            _line(left + one.least * scale, middle, end, middle, "line"),
            _text(end + 6, top + 13, one.text(2), "value"),
        ]
    return "\n".join(parts)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
