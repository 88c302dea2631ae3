"""Tables for Squall's display code, written as assembler source when the ROM set is built.

The vector generator itself does the perspective: each spoke and lane middle is a vector in vector RAM, at
twice its size on the rim, and the scale instruction shrinks it by the distance from the eye. So a
distance becomes a scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from tempest_gym.squall.art import LANE_SIZE, STRETCH, vector_rom
from tempest_gym.squall.sounds import sound_tables
from tempest_gym.squall.tubes import tubes

EYE = -24
"""Depth of the eye in play; $F0, the far end, is 264 units from it."""
RIM_DISTANCE = 0x10 - EYE
NEAREST = 32
"""Nothing nearer to the eye than this is drawn."""
FAR_STEP = 8
"""Distances beyond the near table go in steps of this."""
UNIT_HEIGHT = 55 / 32
"""Vertical screen units of one unit of tube geometry on the rim; horizontally it is 9/4."""
LOG_STEPS = 32
"""Steps per octave of the logarithmic sizes."""


def scale_number(distance: float) -> int:
    """Scale for a spoke vector at this distance from the eye, as 16-bit fraction; 1/2 on the rim."""
    return min(0xFFFF, round(0x8000 * RIM_DISTANCE / distance))


def scale_word(fraction: float) -> tuple[int, int]:
    """Low and high byte of the SCAL instruction that multiplies by `fraction` (below 1)."""
    binary = 0
    while fraction < 0.5 and binary < 7:
        fraction *= 2
        binary += 1
    return 0xFF - min(255, round(fraction * 256)), 0x70 | binary


def size_code(factor: float) -> int:
    """Logarithm of a size: 255 is full size, 32 less is half."""
    return max(0, min(255, round(255 + LOG_STEPS * math.log2(factor))))


def _bytes(name: str, values: Iterable[int]) -> str:
    numbers = [f"${value & 0xFF:02X}" for value in values]
    rows = [f"        .byte   {','.join(numbers[i : i + 16])}" for i in range(0, len(numbers), 16)]
    return "\n".join([f".export {name}", f"{name}:", *rows, ""])


def _scales() -> str:
    near = [NEAREST + i for i in range(256)]
    far = [NEAREST + FAR_STEP * i + FAR_STEP // 2 for i in range(256)]
    words = [scale_word(scale_number(distance) / 0x10000) for distance in near]
    sizes = [scale_word(2 ** ((code - 255) / LOG_STEPS)) for code in range(256)]
    parts = [
        _bytes("near_scale_low", (word[0] for word in words)),
        _bytes("near_scale_high", (word[1] for word in words)),
        _bytes("near_low", (scale_number(distance) for distance in near)),
        _bytes("near_high", (scale_number(distance) >> 8 for distance in near)),
        _bytes("near_size", (size_code(RIM_DISTANCE / distance) for distance in near)),
        _bytes("far_low", (scale_number(distance) for distance in far)),
        _bytes("far_high", (scale_number(distance) >> 8 for distance in far)),
        _bytes("far_size", (size_code(RIM_DISTANCE / distance) for distance in far)),
        _bytes("size_scale_low", (word[0] for word in sizes)),
        _bytes("size_scale_high", (word[1] for word in sizes)),
    ]
    return "\n".join(parts)


def _geometry() -> str:
    all_tubes = tubes()
    parts = [
        _bytes("tube_x", (int(x) for tube in all_tubes for x in tube.x)),
        _bytes("tube_y", (int(y) for tube in all_tubes for y in tube.y)),
        _bytes("tube_angle", (int(angle) for tube in all_tubes for angle in tube.angles)),
        _bytes("tube_open", (0xFF if tube.open else 0 for tube in all_tubes)),
        _bytes("tube_eye_x", (tube.vanishing[0] for tube in all_tubes)),
        _bytes("tube_eye_y", (tube.vanishing[1] for tube in all_tubes)),
        _bytes(
            "tube_shrink",
            (
                255 - size_code(length * UNIT_HEIGHT / LANE_SIZE)
                for tube in all_tubes
                for length in tube.lengths
            ),
        ),
    ]
    return "\n".join(parts)


def _calls() -> str:
    _, calls = vector_rom()
    letters = [f"LETTER_{ord(letter):02X}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789-."]
    lists = {
        "letter": letters,
        "claw_left": [f"CLAW0_{d:X}" for d in range(16)],
        "claw_middle": [f"CLAW1_{d:X}" for d in range(16)],
        "claw_right": [f"CLAW2_{d:X}" for d in range(16)],
        "flipper": [f"FLIPPER_{d:X}" for d in range(16)],
        "pulsar_off": [f"PULSAR_OFF_{d:X}" for d in range(16)],
        "pulsar_on": [f"PULSAR_ON_{d:X}" for d in range(16)],
    }
    parts = []
    for name, shapes in lists.items():
        parts.append(_bytes(f"{name}_low", (calls[shape] for shape in shapes)))
        parts.append(_bytes(f"{name}_high", (calls[shape] >> 8 for shape in shapes)))
    return "\n".join(parts)


def art_include() -> str:
    """``art.inc``: the JSRL words of single shapes."""
    _, calls = vector_rom()
    lines = ["; JSRL words of the shapes in the vector ROM; written by the build."]
    lines += [f"CALL_{name:<20}= ${word:04X}" for name, word in calls.items() if "LETTER" not in name]
    return "\n".join([*lines, ""])


def tables_source() -> str:
    """``tables.s``: every table of the display code."""
    return "\n".join(
        [
            '; Written by the build.\n.segment "SCALES"\n.align 256\n',
            _scales(),
            '.segment "GEOMETRY"\n',
            _geometry(),
            _calls(),
            '.segment "SOUND"\n',
            *(_bytes(name, values) for name, values in sound_tables().items()),
        ]
    )


def art_source() -> str:
    """``art.s``: the vector ROM."""
    data, _ = vector_rom()
    return '; Written by the build.\n.segment "ART"\n' + _bytes("vector_rom", data)


__all__ = ["STRETCH", "art_include", "art_source", "scale_number", "scale_word", "size_code", "tables_source"]
