"""The vector ROM: letters and shapes of our own, as display list subroutines.

A shape is drawn around the beam's place, at full size; the game sets the scale before it calls. Shapes
that lie in a lane exist in 16 directions and start at the lane's first spoke (u = 0) and end at its
second (u = 1); v is the distance from the lane, positive towards the inside of the tube. A unit is higher
on the screen than it is wide, so widths are stretched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

STRETCH = (571 / 3) / (581 / 4)
"""Screen units that are as wide as one is high."""
LANE_SIZE = 112
"""Length of a lane, in vertical screen units, that the shapes fill at full size."""
VECTOR_RAM, VECTOR_ROM, ROM_SIZE = 0x2000, 0x3000, 0x1000
BRIGHT, BLANK = 7, 0

Point = tuple[float, float]
Stroke = Sequence[Point]

LETTERS: dict[str, str] = {
    "Z": "06 46 00 40",
    " ": "",
    "0": "20 02 04 26 44 42 20",
    "1": "04 26 20",
    "2": "05 16 36 45 44 00 40",
    "3": "06 46 24 43 41 30 00",
    "4": "30 36 02 42",
    "5": "46 06 03 33 42 41 30 00",
    "6": "36 13 01 10 30 41 42 33 13",
    "7": "06 46 10",
    "8": "23 04 05 26 45 44 02 01 20 41 42 23",
    "9": "10 33 45 36 16 05 04 13 33",
    "A": "00 03 26 43 40|02 42",
    "B": "00 06 36 45 44 33 03|33 42 41 30 00",
    "C": "46 16 05 01 10 40",
    "D": "00 06 26 44 42 20 00",
    "E": "46 06 00 40|03 33",
    "F": "46 06 00|03 33",
    "G": "46 16 05 01 10 40 43 23",
    "H": "00 06|03 43|46 40",
    "I": "10 30|20 26|16 36",
    "J": "01 10 30 41 46",
    "K": "00 06|46 03 40",
    "L": "06 00 40",
    "M": "00 06 23 46 40",
    "N": "00 06 40 46",
    "O": "10 01 05 16 36 45 41 30 10",
    "P": "00 06 36 45 44 33 03",
    "Q": "10 01 05 16 36 45 41 30 10|22 40",
    "R": "00 06 36 45 44 33 03|23 40",
    "S": "46 16 05 04 42 41 30 00",
    "T": "06 46|26 20",
    "U": "06 01 10 30 41 46",
    "V": "06 20 46",
    "W": "06 10 23 30 46",
    "X": "00 46|06 40",
    "Y": "06 23 46|23 20",
    "-": "13 33",
    ".": "10 11",
}
"""Strokes on a grid 4 wide and 6 high: column and row of each point; ``|`` lifts the beam.

What the status line changes in place is first: calls of these differ in their low byte only, so that the generator
never reads a call that is half new."""
GRID_X, GRID_Y, ADVANCE = 6, 4, 32

FLIPPER: Stroke = (
    (0, 0),
    (0.3, 0.2),
    (0.5, 0.07),
    (0.7, 0.2),
    (1, 0),
    (0.7, -0.2),
    (0.5, -0.07),
    (0.3, -0.2),
    (0, 0),
)
PULSAR_OFF: Stroke = ((0, 0), (0.33, 0.1), (0.67, -0.1), (1, 0))
PULSAR_ON: Stroke = ((0, 0), (0.17, 0.28), (0.39, -0.28), (0.61, 0.28), (0.83, -0.28), (1, 0))


def claw(lean: float) -> Stroke:
    """The player's ray: wings on both spokes, nose into the tube; `lean` moves nose and tail apart."""
    return (
        (0, 0),
        (0.36, 0.02),
        (0.5 - lean, 0.2),
        (0.64, 0.02),
        (1, 0),
        (0.82, -0.2),
        (0.5 + lean, -0.3),
        (0.18, -0.2),
        (0, 0),
    )


class Art:
    """Assembles the vector ROM; `calls` maps each name to its JSRL word."""

    def __init__(self) -> None:
        """Start with an empty ROM."""
        self.data = bytearray()
        self.calls: dict[str, int] = {}

    def start(self, name: str) -> None:
        """The subroutine that follows is called `name`."""
        self.calls[name] = 0xA000 | (VECTOR_ROM - VECTOR_RAM + len(self.data)) // 2

    def word(self, value: int) -> None:
        """Append one word."""
        self.data += bytes((value & 0xFF, value >> 8))

    def end(self) -> None:
        """Return from the subroutine."""
        self.word(0xC000)

    def colour(self, index: int) -> None:
        """Draw on with this entry of the colour RAM."""
        self.word(0x6800 | index)

    def vector(self, dx: int, dy: int, level: int) -> None:
        """One vector, the short form where it fits."""
        if dx % 2 == 0 and dy % 2 == 0 and -32 <= dx <= 30 and -32 <= dy <= 30:
            self.word(0x4000 | (dy // 2 & 0x1F) << 8 | level << 5 | (dx // 2 & 0x1F))
        else:
            self.word(dy & 0x1FFF)
            self.word(level << 13 | dx & 0x1FFF)

    def strokes(
        self, strokes: Iterable[Sequence[tuple[int, int]]], home: tuple[int, int] | None = None
    ) -> None:
        """Strokes through absolute points, from the beam's place (0, 0); `home`: where the beam is left."""
        here = (0, 0)
        for stroke in strokes:
            for number, point in enumerate(stroke):
                if number == 0 and point == here:
                    continue
                self.vector(point[0] - here[0], point[1] - here[1], BRIGHT if number else BLANK)
                here = point
        if home is not None and home != here:
            self.vector(home[0] - here[0], home[1] - here[1], BLANK)


def pixels(point: Point, size: float = LANE_SIZE, direction: float = 0.0, grid: int = 1) -> tuple[int, int]:
    """Screen units of the lane point (u, v) in a lane of `direction` (0-16), rounded to `grid`."""
    turn = 2 * math.pi * direction / 16
    across = point[0] * math.cos(turn) - point[1] * math.sin(turn)
    up = point[0] * math.sin(turn) + point[1] * math.cos(turn)
    return grid * round(size * STRETCH * across / grid), grid * round(size * up / grid)


def _circle(corners: int, radius: float, start: float = 0.0) -> list[Point]:
    """The corners of a regular polygon; `start` in turns."""
    turns = [2 * math.pi * (start + i / corners) for i in range(corners)]
    return [(radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]


def _letters(art: Art) -> None:
    for letter, drawing in LETTERS.items():
        art.start(f"LETTER_{ord(letter):02X}")
        strokes = [
            [(GRID_X * int(p[0]), GRID_Y * int(p[1])) for p in stroke.split()]
            for stroke in drawing.split("|")
            if stroke
        ]
        art.strokes(strokes, (ADVANCE, 0))
        art.end()


def _in_lane(art: Art, name: str, drawing: Stroke) -> None:
    for direction in range(16):
        art.start(f"{name}_{direction:X}")
        art.strokes([[pixels(point, direction=direction) for point in drawing]])
        art.end()


def _centred(
    art: Art,
    name: str,
    strokes: Iterable[Stroke],
    size: float = LANE_SIZE,
    grid: int = 1,
    home: tuple[int, int] | None = None,
) -> None:
    art.start(name)
    art.strokes([[pixels(point, size, grid=grid) for point in stroke] for stroke in strokes], home)
    art.end()


def _fuseball(art: Art, name: str, start: float) -> None:
    art.start(name)
    for arm, colour in enumerate((3, 1, 5, 4, 2)):
        turn = start + arm / 5
        tip, knee = _circle(1, 0.46, turn)[0], _circle(1, 0.28, turn + 0.09)[0]
        art.colour(colour)
        art.strokes([[(0, 0), pixels(knee), pixels(tip)]], (0, 0))
    art.end()


def _logo(art: Art) -> None:
    """The name of the game in large slanted letters, around the beam's place."""
    art.start("LOGO")
    strokes = []
    for number, letter in enumerate("SQUALL"):
        for stroke in LETTERS[letter].split("|"):
            points = [(int(p[0]), int(p[1])) for p in stroke.split()]
            strokes.append([(84 * number + 14 * x + 4 * y - 250, 14 * y - 42) for x, y in points])
    art.strokes(strokes)
    art.end()


def _spiker(art: Art, name: str, start: float) -> None:
    arms = []
    for arm in range(3):
        turn = start + arm / 3
        arms.append([(0.0, 0.0), _circle(1, 0.28, turn)[0], _circle(1, 0.4, turn + 0.14)[0]])
    _centred(art, name, arms)


@cache
def vector_rom() -> tuple[bytes, dict[str, int]]:
    """The 4,096 bytes of the vector ROM and the JSRL word of every subroutine.

    Raises:
        ValueError: the art does not fit.
    """
    art = Art()
    _letters(art)
    _centred(art, "NO_CLAW", [])
    for lean in (1, 0, 2):
        _in_lane(art, f"CLAW{lean}", claw(0.13 * (lean - 1)))
    _in_lane(art, "FLIPPER", FLIPPER)
    _in_lane(art, "PULSAR_OFF", PULSAR_OFF)
    _in_lane(art, "PULSAR_ON", PULSAR_ON)
    hexagon = _circle(6, 0.42)
    _centred(art, "TANKER", [[*hexagon, hexagon[0]]], home=(0, 0))
    _centred(art, "MARK_1", [[(-0.2, 0), (0, 0.12), (0.2, 0), (0, -0.12), (-0.2, 0)]])
    _centred(art, "MARK_2", [[(-0.22, 0), (-0.08, 0.14), (0.08, -0.14), (0.22, 0)]])
    _centred(
        art, "MARK_3", [[(-0.2, 0), (0.2, 0)], [(0.1, 0.18), (-0.1, -0.18)], [(-0.1, 0.18), (0.1, -0.18)]]
    )
    for number in range(2):
        _spiker(art, f"SPIKER_{number}", number / 6)
        _fuseball(art, f"FUSEBALL_{number}", number / 10 + 0.05)
    diamond = _circle(4, 1.0)
    _centred(art, "NO_SHOT", [])
    _centred(art, "SHOT", [[*diamond, diamond[0]]], 20, 2)
    for number in range(2):
        cross = _circle(4, 1.0, number / 8)
        _centred(art, f"ENEMY_SHOT_{number}", [[cross[0], cross[2]], [cross[1], cross[3]]], 24, 2)
    rays = [(_circle(1, 0.2, i / 8)[0], _circle(1, 0.5, i / 8 + 0.02 * (i % 2))[0]) for i in range(8)]
    _centred(art, "BURST", rays)
    for number in range(2):
        stars = [[point, point] for point in _circle(7, 2.4 + number * 0.5, number * 0.07)]
        _centred(art, f"STARS_{number}", stars)
    _logo(art)
    if len(art.data) > ROM_SIZE:
        raise ValueError(f"the art takes {len(art.data)} bytes, the vector ROM has {ROM_SIZE}")
    return bytes(art.data).ljust(ROM_SIZE, b"\0"), art.calls
