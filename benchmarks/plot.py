"""Draws bar charts and reliability diagrams as SVG, readable on light and dark pages."""

from collections.abc import Mapping, Sequence
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


def reliability(title: str, bins: Sequence[tuple[float, float, int]]) -> str:
    """Returns a reliability diagram: the share of right answers by confidence, beside the diagonal.

    ``bins`` are mean confidence, accuracy and rows; a point's area grows with its rows.
    """
    side, left, top = 320, 60, 40
    most = max((rows for _, _, rows in bins), default=1)
    points = [
        f'<circle cx="{left + confidence * side:.1f}" cy="{top + (1 - right) * side:.1f}" '
        f'r="{3 + 9 * (rows / most) ** 0.5:.1f}" fill="{OURS}" fill-opacity="0.75">'
        f"<title>{rows} rows: confidence {confidence:.2f}, right {right:.2f}</title></circle>"
        for confidence, right, rows in bins
    ]
    ticks = [
        f'<text x="{left + share * side}" y="{top + side + 18}" text-anchor="middle">{share:.1f}</text>'
        f'<text x="{left - 8}" y="{top + (1 - share) * side + 4}" text-anchor="end">{share:.1f}</text>'
        for share in (0.0, 0.5, 1.0)
    ]
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 410" width="420" height="410" '
            f'role="img" aria-label="{escape(title)}" font-family="system-ui, sans-serif" '
            'font-size="13" fill="#1c2430">',
            '<rect width="420" height="410" fill="#ffffff"/>',
            f'<text x="8" y="22" font-weight="600">{escape(title)}</text>',
            f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="none" stroke="{OTHERS}"/>',
            f'<line x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}" stroke="{OTHERS}"/>',
            *points,
            *ticks,
            f'<text x="{left + side / 2}" y="{top + side + 38}" text-anchor="middle">confidence</text>',
            f'<text transform="translate(16 {top + side / 2}) rotate(-90)" text-anchor="middle">right</text>',
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
