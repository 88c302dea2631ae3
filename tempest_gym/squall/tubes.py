"""Squall's sixteen tubes: our own shapes, drawn by a turtle that turns in steps of 22.5 degrees.

A tube is a walk of 16 lanes (15 on an open tube) against the clock, so its inside is on the left. Each
lane has a direction (0 = right, 4 = up) and a wished length; the lengths of a closed walk are corrected
by least squares until it closes. Coordinates are those of ARCADE A.10: 0-255, centre 128, y upwards, as a
square on the screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

LANES = 16
DIRECTIONS = 16
CENTRE = 128
REACH = 102
"""Farthest spoke from the centre, in either axis."""
LONGEST_LANE = 62.0
"""Lanes are not longer than this, so that the shapes of the vector ROM cover them at full size."""
OPEN_SHAPES = (7, 8, 9, 10, 13, 15)


@dataclass(frozen=True)
class Plan:
    """What a tube is made of.

    Attributes:
        name: what it looks like.
        runs: (direction, wished length, number of lanes) one after the other.
        vanishing: where the far end lies, in tube coordinates relative to the centre.
    """

    name: str
    runs: tuple[tuple[int, float, int], ...]
    vanishing: tuple[int, int] = (0, 0)


def _each(directions: str, lengths: dict[int, float] | None = None) -> tuple[tuple[int, float, int], ...]:
    """Runs of one lane each from hexadecimal directions; `lengths` by direction, otherwise 1."""
    lengths = lengths or {}
    return tuple((int(d, 16), lengths.get(int(d, 16), 1.0), 1) for d in directions)


PLANS: tuple[Plan, ...] = (
    Plan("octagon", tuple((d, 1.0, 2) for d in (0, 2, 4, 6, 8, 10, 12, 14))),
    Plan("kite", ((2, 1.0, 4), (5, 1.8, 4), (11, 1.8, 4), (14, 1.0, 4)), (0, -20)),
    Plan("crescent", _each("E0134578A", {3: 1.6, 4: 1.6, 5: 1.6}) + _each("FEDCBA9"), (40, 0)),
    Plan(
        "anvil",
        (
            (0, 1.6, 1),
            (4, 1.0, 2),
            (0, 1.0, 2),
            (4, 1.2, 1),
            (8, 1.1, 5),
            (12, 1.2, 1),
            (0, 1.0, 2),
            (12, 1.0, 2),
        ),
        (0, 20),
    ),
    Plan("dart", ((15, 1.0, 3), (5, 1.45, 5), (11, 1.45, 5), (1, 1.0, 3)), (0, -10)),
    Plan("boot", ((0, 1.0, 4), (4, 1.0, 2), (8, 1.0, 2), (4, 1.0, 2), (8, 1.0, 2), (12, 1.0, 4)), (-35, -35)),
    Plan(
        "bolt",
        (
            (0, 0.8, 3),
            (3, 1.0, 2),
            (0, 1.0, 1),
            (3, 1.0, 2),
            (8, 0.8, 3),
            (11, 1.0, 2),
            (8, 1.0, 1),
            (11, 1.0, 2),
        ),
    ),
    Plan("arch", _each("55667788899AABB"), (0, -55)),
    Plan("saw", _each("222C222C222C222", {12: 1.9}), (0, 95)),
    Plan("wave", _each("024420ECCE02442"), (-10, 110)),
    Plan("mesa", _each("000444000CCC000"), (0, 120)),
    Plan(
        "keep",
        (
            (0, 1.0, 5),
            (4, 1.2, 3),
            (8, 1.6, 1),
            (12, 1.4, 1),
            (8, 1.6, 1),
            (4, 1.4, 1),
            (8, 1.6, 1),
            (12, 1.2, 3),
        ),
        (0, -25),
    ),
    Plan("drop", _each("001234555BBBCDEF", {5: 1.6, 11: 1.6}), (0, -25)),
    Plan("hook", _each("00000123456789A", {0: 1.3}), (0, 20)),
    Plan(
        "fir",
        (
            (0, 1.2, 2),
            (5, 1.5, 2),
            (0, 1.0, 1),
            (5, 1.5, 3),
            (11, 1.5, 3),
            (0, 1.0, 1),
            (11, 1.5, 2),
            (0, 1.2, 2),
        ),
        (0, -30),
    ),
    Plan("gull", _each("4210FEC04210FEC"), (0, 110)),
)


@dataclass(frozen=True)
class Tube:
    """Geometry of one shape, as the game holds it in RAM (ARCADE A.10).

    Attributes:
        name: what it looks like.
        open: spokes 15 and 0 are not joined, lane 15 does not exist.
        x, y: the 16 spokes, 0-255.
        angles: direction of each lane, 0-15.
        middle_x, middle_y: lane middles, 0-255.
        lengths: of the lanes, in tube units.
        vanishing: x, y of the far end's centre, 0-255.
    """

    name: str
    open: bool
    x: NDArray[np.uint8]
    y: NDArray[np.uint8]
    angles: NDArray[np.uint8]
    middle_x: NDArray[np.uint8]
    middle_y: NDArray[np.uint8]
    lengths: NDArray[np.float64]
    vanishing: tuple[int, int]


def _closed(steps: NDArray[np.float64], wished: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lengths nearest to `wished`, relatively, for which the walk along unit `steps` (n, 2) closes."""
    weighted = steps.T * wished  # unknown: relative change of each length
    change, *_ = np.linalg.lstsq(weighted, -weighted.sum(axis=1), rcond=None)
    return wished * (1.0 + change)


def make_tube(shape: int) -> Tube:
    """Builds shape 0-15."""
    plan = PLANS[shape]
    is_open = shape in OPEN_SHAPES
    directions = np.array([d for d, _, count in plan.runs for _ in range(count)])
    lengths = np.array([length for _, length, count in plan.runs for _ in range(count)])
    if len(directions) != LANES - is_open:
        raise ValueError(f"{plan.name}: {len(directions)} lanes")
    turns = 2 * np.pi * directions / DIRECTIONS
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    if not is_open:
        lengths = _closed(steps, lengths)
    walk = np.concatenate([np.zeros((1, 2)), np.cumsum(steps * lengths[:, None], axis=0)])[:LANES]
    size = walk.max(axis=0) - walk.min(axis=0)
    scale = min(2 * REACH / size.max(), LONGEST_LANE / lengths.max())
    walk = (walk - (walk.max(axis=0) + walk.min(axis=0)) / 2) * scale
    # An open tube moves aside for its far end, so that both together are in the middle of the screen.
    corners = np.vstack([walk, plan.vanishing]) if is_open else walk
    shift = -(corners.max(axis=0) + corners.min(axis=0)) / 2
    spokes = np.rint(walk + shift).astype(int) + CENTRE
    vanishing = np.rint(np.array(plan.vanishing) + shift).astype(int) + CENTRE
    following = np.roll(spokes, -1, axis=0)
    middles = (spokes + following) // 2
    angles = directions
    if is_open:
        middles[-1] = spokes[-1]
        angles = np.append(directions, directions[-1])
    edges = np.hypot(*(following - spokes).T)
    if is_open:
        edges[-1] = edges[-2]
    return Tube(
        name=plan.name,
        open=is_open,
        x=spokes[:, 0].astype(np.uint8),
        y=spokes[:, 1].astype(np.uint8),
        angles=angles.astype(np.uint8),
        middle_x=middles[:, 0].astype(np.uint8),
        middle_y=middles[:, 1].astype(np.uint8),
        lengths=edges,
        vanishing=(int(vanishing[0]), int(vanishing[1])),
    )


@cache
def tubes() -> tuple[Tube, ...]:
    """All sixteen, by shape number."""
    return tuple(make_tube(shape) for shape in range(len(PLANS)))
