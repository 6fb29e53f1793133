"""A bar chart as SVG, its axis logarithmic."""

from collections.abc import Mapping
from html import escape
from math import ceil, log10
from typing import Final

_LABEL: Final = 300
_WIDTH: Final = 420
_ROW: Final = 34
_TOP: Final = 40


def bars(title: str, values: Mapping[str, float], emphasised: str) -> str:
    """Return the chart of positive values, a bar each in their order; one is emphasised."""
    decades = max(1, ceil(log10(max(values.values()))))
    height = _TOP + _ROW * len(values) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _WIDTH + 80}" height="{height}">',
        "<style>text { font: 13px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="22" font-weight="bold">{escape(title)}</text>',
    ]
    for power in range(decades + 1):
        x = _LABEL + _WIDTH * power / decades
        parts.append(
            f'<path d="M{x:.0f} {_TOP - 6}V{height - 26}" stroke="#ddd"/>'
            f'<text x="{x:.0f}" y="{height - 10}" text-anchor="middle" fill="#666">{10**power:,}</text>'
        )
    for row, (name, value) in enumerate(values.items()):
        y = _TOP + _ROW * row
        length = max(1.0, _WIDTH * log10(max(value, 1.0)) / decades)
        colour = "#d9480f" if name == emphasised else "#4a6fa5"
        parts.append(
            f'<text x="{_LABEL - 8}" y="{y + 17}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LABEL}" y="{y}" width="{length:.0f}" height="24" fill="{colour}"/>'
            f'<text x="{_LABEL + length + 6:.0f}" y="{y + 17}">{value:,.0f}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
