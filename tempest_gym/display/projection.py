"""Where on the screen things are, from RAM: for marks on top of a picture.

The tube's spokes are points of a plane around its centre, 128 (ARCADE A.10); a point at some depth is drawn
towards the vanishing point, the farther from the eye the nearer to it (ARCADE A.11).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tempest_gym.frame import DESCENT, PLAY

__all__ = ["PICTURE_SIZE", "enemy_positions", "lane_positions"]

PICTURE_SIZE = (640, 480)
"""Height and width at which pictures are drawn if no other size is given: the upright monitor's shape."""

_STATE = 0x00
_EYE_HIGH, _EYE_LOW = 0x5B, 0x5F
_VANISHING_X, _VANISHING_Y = 0x5E, 0x60
_OPEN = 0x0111
_SPOKES = slice(0x03CE, 0x03EE)
_ENEMY_LANE, _ENEMY_DEPTH, _ENEMIES = 0x02B9, 0x02DF, 7

_CENTRE = 128
_RIM = 0x10
_EYE_IN_PLAY = -24
_UNIT = np.array([9 / 4 / 571, -55 / 32 / 581])
"""One unit of the tube's plane on the rim, as a part of the picture's width and height (downwards)."""


def lane_positions(ram: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return where the middles of the 16 lanes are on the rim.

    Args:
        ram: the game's RAM, shape ``(2048,)``.

    Returns:
        Shape ``(16, 2)``: x from the left, y from the top, 0-1 inside the picture; NaN for lane 15 of an
        open tube, and everywhere while no tube is played.
    """
    return _place(ram, _middles(ram), np.full(16, _RIM))


def enemy_positions(ram: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return where the enemies of the 7 slots are, shape ``(7, 2)`` as in `lane_positions`; NaN where none is."""
    lanes = ram[_ENEMY_LANE : _ENEMY_LANE + _ENEMIES] & 15
    depths = ram[_ENEMY_DEPTH : _ENEMY_DEPTH + _ENEMIES].astype(int)
    positions = _place(ram, _middles(ram)[lanes], depths)
    positions[depths == 0] = np.nan
    return positions


def _middles(ram: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Middles of the lanes in the tube's plane, shape ``(16, 2)``."""
    spokes = ram[_SPOKES].reshape(2, 16).T.astype(float)
    middles = (spokes + np.roll(spokes, -1, axis=0)) / 2
    if ram[_OPEN]:
        middles[15] = np.nan
    return middles


def _place(
    ram: NDArray[np.uint8], points: NDArray[np.float64], depths: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Project points of the tube's plane at some depths into the picture."""
    eye = int(ram[_EYE_HIGH : _EYE_HIGH + 1].view(np.int8)[0]) * 256 + int(ram[_EYE_LOW])
    distance = depths.astype(float) - eye
    distance[distance <= 0] = np.nan
    vanishing = np.array([ram[_VANISHING_X], ram[_VANISHING_Y]], float)
    shrunk = vanishing + (points - vanishing) * ((_RIM - _EYE_IN_PLAY) / distance)[:, None]
    positions: NDArray[np.float64] = 0.5 + (shrunk - _CENTRE) * _UNIT
    if ram[_STATE] not in (PLAY, DESCENT):
        positions[:] = np.nan
    return positions
