"""A plain chart as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from tempest_rainbow.monitor.metric_list import format_count

__all__ = ["Chart", "round_step"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 80, 150, 36, 50
LETTERS = 14
"""Pixels between two names."""

Point = tuple[float, float]


def round_step(highest: float) -> float:
    """Return a round number that goes three to eight times into ``highest``."""
    step = 10.0 ** math.floor(math.log10(highest / 8))
    return next(step * factor for factor in (1, 2, 2.5, 5, 10) if highest / (step * factor) <= 8)


class Chart:
    """Lines, points and names over an x axis from 0 to ``x_end`` and a y axis from ``y_start`` to ``y_end``."""

    def __init__(
        self,
        x_end: float,
        y_end: float,
        x_label: str,
        x_ticks: Sequence[float],
        *,
        y_start: float = 0.0,
        y_label: str = "",
        title: str = "",
    ) -> None:
        """Draw the axes."""
        self.x_end, self.y_start, self.y_end = x_end, y_start, y_end
        self.parts: list[str] = []
        self.names: list[tuple[float, str, str]] = []
        step = round_step(y_end - y_start)
        for index in range(math.ceil(y_start / step), int(y_end / step) + 1):
            height = index * step
            self.line([(0, height), (x_end, height)], "#dddddd")
            self._text(LEFT - 8, self._at(0, height)[1], f"{height:,.6g}", 'text-anchor="end" dy="4"')
        for tick in x_ticks:
            self._text(self._at(tick, 0)[0], HEIGHT - BOTTOM + 18, format_count(tick), 'text-anchor="middle"')
        self._text(self._at(x_end / 2, 0)[0], HEIGHT - 12, x_label, 'text-anchor="middle"')
        self._text(LEFT, 20, title, 'font-size="14" font-weight="bold"')
        self._text(14, HEIGHT / 2, y_label, f'text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})"')

    def line(self, points: Sequence[Point], colour: str, more: str = "") -> None:
        """Draw a line through points."""
        path = " ".join(",".join(self._at(x, y)) for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" {more}/>')

    def dot(self, x: float, y: float, colour: str) -> None:
        """Draw a point."""
        across, height = self._at(x, y)
        self.parts.append(f'<circle cx="{across}" cy="{height}" r="4" fill="{colour}"/>')

    def name(self, y: float, words: str, colour: str) -> None:
        """Write a name at the right, near the height ``y``."""
        self.names.append((float(self._at(0, y)[1]), words, colour))

    def svg(self) -> str:
        """Return the picture."""
        below = -1e9
        for height, words, colour in sorted(self.names):
            below = max(height, below + LETTERS)
            self._text(WIDTH - RIGHT + 12, f"{below:.1f}", words, f'fill="{colour}" dy="4"')
        self.names = []
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        )
        return "\n".join([head, *self.parts, "</svg>"]) + "\n"

    def _at(self, x: float, y: float) -> tuple[str, str]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * x / self.x_end
        share = (y - self.y_start) / (self.y_end - self.y_start)
        return f"{across:.1f}", f"{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share:.1f}"

    def _text(self, x: float | str, y: float | str, words: str, more: str) -> None:
        if words:
            self.parts.append(f'<text x="{x}" y="{y}" {more}>{escape(words)}</text>')
