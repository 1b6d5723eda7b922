"""Draws bar charts as SVG, readable on light and dark pages."""

from collections.abc import Mapping
from html import escape

WIDTH, BAR, GAP, NAME, NUMBER = 640, 22, 10, 160, 90
"""Pixels: width of the picture, height of a bar, gap between bars, space for names and for numbers."""
OURS, OTHERS = "#2f7d5b", "#8a94a3"


def bars(title: str, values: Mapping[str, float], *, unit: str, ours: str) -> str:
    """Returns a chart with one bar per name, ``ours`` highlighted."""
    longest = max(values.values(), default=0) or 1
    height = 40 + len(values) * (BAR + GAP)
    rows = [
        _row(name, value, 40 + index * (BAR + GAP), value / longest, unit, name == ours)
        for index, (name, value) in enumerate(values.items())
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-label="{escape(title)}" '
            'font-family="system-ui, sans-serif" font-size="13">',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="8" y="22" font-weight="600" fill="#1c2430">{escape(title)}</text>',
            *rows,
            "</svg>\n",
        ]
    )


def _row(name: str, value: float, top: float, share: float, unit: str, ours: bool) -> str:
    length = max(1.0, share * (WIDTH - NAME - NUMBER))
    middle = top + BAR / 2 + 4
    number = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
    return (
        f'<text x="{NAME - 8}" y="{middle}" text-anchor="end" fill="#1c2430">{escape(name)}</text>'
        f'<rect x="{NAME}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{OURS if ours else OTHERS}"/>'
        f'<text x="{NAME + length + 6:.1f}" y="{middle}" fill="#1c2430">{number} {escape(unit)}</text>'
    )
