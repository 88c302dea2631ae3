"""Smooth motion on a screen that is faster than the game: the lines between two game frames.

The game draws 27.34 pictures a second, a screen shows 60 or more. `Motion` finds where each line of the newest picture
was in the one before and moves it from there. Only what is shown moves; the game's frames stay what they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tempest_gym.code_cache import compiled

__all__ = ["Motion", "earlier_places"]

_UNMATCHED = np.float32(30.0)
"""Cost of a line without a partner, in screen units; two lines farther apart than twice this are not partners."""

_SHAPE = np.float32(2.0)
"""Cost of a unit by which a line changes its length or direction, beside a unit by which it moves."""


class Motion:
    """The lines of the last two pictures of a game, and those in between."""

    def __init__(self) -> None:
        """Start with an empty screen."""
        self._before = self._newest = np.zeros((0, 8), np.float32)

    def add(self, lines: NDArray[np.float32]) -> None:
        """Take the lines of the next picture, as `tempest_gym.display.render.display_list` returns them."""
        self._before, self._newest = earlier_places(self._newest, lines), lines

    def at(self, share: float) -> NDArray[np.float32]:
        """Return the lines at a moment between the last two pictures: 0 is the earlier, 1 the newest."""
        lines = self._newest.copy()
        lines[:, :4] += np.float32(1.0 - share) * (self._before[:, :4] - lines[:, :4])
        return lines


@compiled(nogil=True)
def earlier_places(before, after):  # type: ignore[no-untyped-def]
    """Return where the lines of a picture were in the picture before.

    A display list draws its objects in the same order from picture to picture. So this is an alignment of two
    sequences (Needleman and Wunsch, 1970): lines of equal colour are partners, in order, at the least total distance.

    Args:
        before: float32 ``(m, 8)``, the lines of the earlier picture.
        after: float32 ``(n, 8)``, those of the later one.

    Returns:
        float32 ``(n, 8)``: ``after`` with the ends of each line's partner; a line without one stays where it is.
    """
    rows, columns = len(before), len(after)
    costs = np.empty((rows + 1, columns + 1), np.float32)
    for column in range(columns + 1):
        costs[0, column] = column * _UNMATCHED
    for row in range(rows):
        old = before[row]
        costs[row + 1, 0] = (row + 1) * _UNMATCHED
        for column in range(columns):
            new = after[column]
            best = min(costs[row, column + 1], costs[row + 1, column]) + _UNMATCHED
            if old[4] == new[4] and old[5] == new[5] and old[6] == new[6]:
                x0, y0, x1, y1 = old[0] - new[0], old[1] - new[1], old[2] - new[2], old[3] - new[3]
                moved = (abs(x0 + x1) + abs(y0 + y1)) / np.float32(2.0)
                changed = abs(x1 - x0) + abs(y1 - y0)
                best = min(best, costs[row, column] + moved + _SHAPE * changed)
            costs[row + 1, column + 1] = best
    places = after.copy()
    row, column = rows, columns
    while row > 0 and column > 0:
        cost = costs[row, column]
        if cost == costs[row - 1, column] + _UNMATCHED:
            row -= 1
        elif cost == costs[row, column - 1] + _UNMATCHED:
            column -= 1
        else:
            row, column = row - 1, column - 1
            places[column, :4] = before[row, :4]
    return places
