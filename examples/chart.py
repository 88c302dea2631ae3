"""A plain chart as SVG, for `campaign_report.py` and `plot_run.py`."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 130, 20, 50
LETTERS = 14
"""Pixels between two names."""


def round_step(highest):
    """Return a round number that goes three to eight times into ``highest``."""
    step = 10.0 ** math.floor(math.log10(highest / 8))
    return next(step * factor for factor in (1, 2, 2.5, 5, 10) if highest / (step * factor) <= 8)


class Chart:
    """Lines, points and names over an x axis from 0 to ``x_end`` and a y axis from 0 to ``y_end``."""

    def __init__(self, x_end, y_end, x_label, x_ticks):
        self.x_end, self.y_end = x_end, y_end
        self.parts, self.names = [], []
        step = round_step(y_end)
        for index in range(int(y_end / step) + 1):
            height = index * step
            self.line([(0, height), (x_end, height)], "#dddddd")
            self._text(LEFT - 8, self._at(0, height)[1], f"{height:,.6g}", 'text-anchor="end" dy="4"')
        for tick in x_ticks:
            self._text(self._at(tick, 0)[0], HEIGHT - BOTTOM + 18, f"{tick:,.6g}", 'text-anchor="middle"')
        self._text(self._at(x_end / 2, 0)[0], HEIGHT - 12, x_label, 'text-anchor="middle"')

    def line(self, points, colour, more=""):
        """Draw a line through points."""
        path = " ".join(",".join(self._at(x, y)) for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" {more}/>')

    def dot(self, x, y, colour):
        """Draw a point."""
        across, height = self._at(x, y)
        self.parts.append(f'<circle cx="{across}" cy="{height}" r="4" fill="{colour}"/>')

    def name(self, y, words, colour):
        """Write a name at the right, near the height ``y``."""
        self.names.append((float(self._at(0, y)[1]), words, colour))

    def svg(self):
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

    def _at(self, x, y):
        across = LEFT + (WIDTH - LEFT - RIGHT) * x / self.x_end
        return f"{across:.1f}", f"{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / self.y_end:.1f}"

    def _text(self, x, y, words, more):
        self.parts.append(f'<text x="{x}" y="{y}" {more}>{escape(words)}</text>')
