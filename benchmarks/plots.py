"""Plots as SVG, written by hand: small, and right on a light page and on a dark one."""

from __future__ import annotations

import math
from html import escape

from .names import is_ours, name_of
from .results import Curve, Figures

__all__ = ["bars", "lines"]

WIDTH, LEFT, RIGHT, TOP = 720, 200, 90, 44
ROW, BAR = 26, 16
HEIGHT, BELOW = 380, 56
STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 15px; }
.faint { fill: #59636e; }
.ours, .line0 { fill: #0969da; stroke: #0969da; }
.other { fill: #8c959f; }
.line1 { fill: #bf5b00; stroke: #bf5b00; }
.line2 { fill: #1a7f37; stroke: #1a7f37; }
path { fill: none !important; stroke-width: 2; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.error { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; } .faint { fill: #9198a1; } .other { fill: #656c76; }
.ours, .line0 { fill: #4493f8; stroke: #4493f8; }
.line1 { fill: #f0883e; stroke: #f0883e; } .line2 { fill: #3fb950; stroke: #3fb950; }
.grid { stroke: #3d444d; } .error { stroke: #f0f6fc; }
}
</style>"""


def bars(figures: Figures) -> str:
    """Return horizontal bars of medians, the quartiles as a line on each."""
    rows = sorted(figures.of.items(), key=lambda item: item[1].median)
    scale = (WIDTH - LEFT - RIGHT) / max(value.high for _, value in rows)
    parts = [_text(0, 20, f"{figures.title} ({figures.unit})", "title")]
    for number, (name, value) in enumerate(rows):
        y = TOP + ROW * number
        middle = y + BAR / 2
        kind = "ours" if is_ours(name) else "other"
        end = LEFT + value.median * scale
        parts += [
            _text(LEFT - 8, middle + 5, name_of(name), anchor="end"),
            (
                f'<rect class="{kind}" x="{LEFT}" y="{y}" height="{BAR}" '
                f'width="{end - LEFT:.1f}"/>'
            ),
            _line("error", LEFT + value.low * scale, middle, scale * _span(value)),
            _text(
                LEFT + value.high * scale + 6,
                middle + 5,
                f"{value.median:.3g}",
                "faint",
            ),
        ]
    return _svg(TOP + ROW * len(rows), parts)


def lines(curve: Curve) -> str:
    """Return costs over sizes, both in logarithms; the slope stands beside each."""
    every = [point for points in curve.points.values() for point in points]
    x_from, x_to = _decades([size for size, _ in every])
    y_from, y_to = _decades([1000 * cost for _, cost in every])

    def at(size: float, cost: float) -> tuple[float, float]:
        across = (math.log10(size) - x_from) / (x_to - x_from)
        up = (math.log10(1000 * cost) - y_from) / (y_to - y_from)
        return (
            70 + across * (WIDTH - 70 - 230),
            HEIGHT - BELOW - up * (HEIGHT - BELOW - TOP),
        )

    parts = [_text(0, 20, f"{curve.title} (ms of CPU)", "title")]
    for power in range(x_from, x_to + 1):
        x, y = at(10**power, 10**y_from / 1000)
        parts += [
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{y:.1f}"/>',
            _text(x, y + 18, f"{10**power:,}", "faint", anchor="middle"),
        ]
    for power in range(y_from, y_to + 1):
        x, y = at(10**x_from, 10**power / 1000)
        parts += [
            (
                f'<line class="grid" x1="{x:.1f}" x2="{WIDTH - 230}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>'
            ),
            _text(x - 8, y + 4, f"{10.0**power:,g}", "faint", anchor="end"),
        ]
    parts.append(_text(70, HEIGHT - 14, curve.size, "faint"))
    for number, (name, points) in enumerate(curve.points.items()):
        spots = [at(*point) for point in points]
        path = " L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
        parts.append(f'<path class="line{number}" d="M{path}"/>')
        parts += [
            f'<circle class="line{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            for x, y in spots
        ]
        y = TOP + 22 * number
        parts += [
            (
                f'<rect class="line{number}" x="{WIDTH - 215}" y="{y}" '
                'width="12" height="12"/>'
            ),
            _text(WIDTH - 197, y + 11, name_of(name)),
        ]
    return _svg(HEIGHT, parts)


def _decades(values: list[float]) -> tuple[int, int]:
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _span(value: object) -> float:
    return value.high - value.low


def _line(kind: str, x: float, y: float, length: float) -> str:
    return (
        f'<line class="{kind}" x1="{x:.1f}" x2="{x + length:.1f}" '
        f'y1="{y:.1f}" y2="{y:.1f}"/>'
    )


def _text(
    x: float, y: float, text: str, kind: str = "", *, anchor: str = "start"
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _svg(height: float, parts: list[str]) -> str:
    box = f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"'
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" {box}>', STYLE, *parts, "</svg>", ""]
    )
