"""The picture on the monitor: what the vector generator draws from its display list.

`display_list` runs the list exactly as the generator does (HARDWARE 1, "Vector generator") and gives line
segments in screen units; `render_vectors` and `draw_boards` draw them, antialiased, on a black field. Lines are
drawn at the size of the picture: at least a pixel wide and with their full brightness in small pictures, wider and
with a glow in large ones. The monitor stands upright: 571 units wide and 581 high on a 3 : 4 screen, so a unit is
1.31 times as high as it is wide.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from tempest_gym.code_cache import compiled

__all__ = ["SCREEN_HEIGHT", "SCREEN_WIDTH", "display_list", "draw_boards", "draw_lines", "render_vectors"]

SCREEN_WIDTH = 571
SCREEN_HEIGHT = 581

_SEGMENTS_MAX = 10_000
_WORDS_MAX = 40_000
_STEPS_PER_PIXEL = 16
_FULL_HEIGHT = 640
"""Height of a picture in which a line is a pixel wide and its glow reaches 3 pixels; both grow with the height."""


def display_list(
    vector_ram: NDArray[np.uint8],
    vector_rom: NDArray[np.uint8],
    colour_ram: NDArray[np.uint8],
    flip_x: bool = False,
    flip_y: bool = True,
) -> NDArray[np.float32]:
    """The lines of one pass through the display list at the start of vector RAM.

    A pass ends at HALT, at a jump to address 0 (the endless loop of Tempest) or, whatever the bytes, after
    40,000 words; lines beyond 10,000 are dropped. Scale, colour and intensity are
    those that a pass before left behind.

    Args:
        vector_ram: uint8 (4096,), $2000-$2FFF.
        vector_rom: uint8 (4096,), $3000-$3FFF.
        colour_ram: uint8 (16,), as the program wrote it (active low).
        flip_x, flip_y: bits 3 and 4 of $4000.

    Returns:
        float32 (n, 8): x and y of both ends in screen units (x from 0 at the left to 571, y from 0 at the top
        to 581), red, green, blue and intensity in 0-1. Only visible lines; a dot is a line of no length.
    """
    memory = np.zeros(8192, dtype=np.uint8)
    memory[: vector_ram.size] = vector_ram
    memory[4096 : 4096 + vector_rom.size] = vector_rom
    return _interpret(memory, np.ascontiguousarray(colour_ram, dtype=np.uint8), flip_x, flip_y)


@compiled(nogil=True)
def _wrap(value):  # type: ignore[no-untyped-def]
    """The beam's position is a 32-bit number."""
    return ((value + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@compiled(nogil=True)
def _interpret(memory, colour_ram, flip_x, flip_y):  # type: ignore[no-untyped-def]
    """`display_list` on the 8 KiB that the generator sees."""
    lines = np.empty((_SEGMENTS_MAX, 8), dtype=np.float32)
    return lines[: _trace(memory, colour_ram, flip_x, flip_y, lines)].copy()


@compiled(nogil=True)
def _trace(memory, colour_ram, flip_x, flip_y, lines):  # type: ignore[no-untyped-def]
    """Write the lines of `display_list` into an array; returns their number."""
    stack = np.zeros(4, dtype=np.int64)
    count = 0
    scale, binary, colour, bright = 0, 0, 0, 0
    x, y = 0, 0  # 1/65536 screen units from the centre, y down
    # The first pass finds the state that the second starts with; one is enough where no line inherits any.
    for _ in range(2):
        count = 0
        scaled = centred = coloured = lit = False
        inherits = False
        pc, sp = 0, 0
        for _word in range(_WORDS_MAX):
            word = memory[pc & 0x1FFF] | memory[(pc + 1) & 0x1FFF] << 8
            pc += 2
            opcode = word >> 13
            operand = word & 0x1FFF
            if opcode == 0 or opcode == 2:
                if opcode == 0:
                    second = memory[pc & 0x1FFF] | memory[(pc + 1) & 0x1FFF] << 8
                    pc += 2
                    dy = operand
                    dx = second & 0x1FFF
                    level = second >> 13
                else:
                    dy = word & 0x1F00
                    dx = (word & 0x1F) << 8
                    level = (word >> 5) & 7
                # Short vectors are shifted up until they fill the converters, and drawn for a shorter time.
                shifts = 0
                while ((dy ^ dy << 1) & 0x1000) == 0 and ((dx ^ dx << 1) & 0x1000) == 0 and shifts < 16:
                    dy = (dy & 0x1000) | (dy << 1 & 0x1FFF)
                    dx = (dx & 0x1000) | (dx << 1 & 0x1FFF)
                    shifts += 1
                shifts += binary
                if opcode == 0:
                    time = 0x8000 >> shifts if shifts < 15 else 1
                else:
                    time = 0x100 >> shifts if shifts < 8 else 1
                rate = time * (scale ^ 0xFF)
                x0, y0 = x, y
                x = _wrap(x + (((((dx >> 3) ^ 0x200) - 0x200) * rate) >> 4))
                y = _wrap(y - (((((dy >> 3) ^ 0x200) - 0x200) * rate) >> 4))
                inherits |= not scaled
                shown = bright if level == 1 else 2 * level
                if level != 0:
                    inherits |= not (centred and coloured and (lit or level != 1))
                if shown > 0 and count < _SEGMENTS_MAX:
                    bits = ~colour_ram[colour] & 15
                    line = lines[count]
                    line[0], line[1], line[2], line[3] = x0, y0, x, y
                    line[4] = ((bits >> 1 & 1) * 0xF3 + (bits & 1) * 0x0C) / 255.0
                    line[5] = (bits >> 3) * 0xF3 / 255.0
                    line[6] = (bits >> 2 & 1) * 0xF3 / 255.0
                    line[7] = shown / 15.0
                    count += 1
            elif opcode == 1:
                break
            elif opcode == 3:
                if operand & 0x1000:
                    scale = operand & 0xFF
                    binary = operand >> 8 & 7
                    scaled = True
                elif operand & 0x800:
                    colour = operand & 15
                    coloured = True
                else:
                    bright = operand >> 4 & 15
                    lit = True
            elif opcode == 4:
                x, y = 0, 0
                centred = True
            elif opcode == 5:
                stack[sp & 3] = pc
                sp += 1
                pc = operand << 1
            elif opcode == 6:
                sp -= 1
                pc = stack[sp & 3]
            else:
                pc = operand << 1
                if operand == 0:
                    break
        if not inherits:
            break
    for i in range(count):
        line = lines[i]
        for end in (0, 2):
            line[end] = 285.0 + (-line[end] if flip_x else line[end]) / 65536.0
            line[end + 1] = 291.0 + (line[end + 1] if flip_y else -line[end + 1]) / 65536.0
    return count


@functools.lru_cache(maxsize=64)
def _profile(height: int, glow: float) -> tuple[NDArray[np.float32], float]:
    """Brightness of a line by distance in 1/16 pixels, and its reach in pixels, by picture height and glow."""
    size = height / _FULL_HEIGHT
    edge = 0.65 * max(size, 1.0) + 0.5
    reach = max(edge, 3.0 * size * glow)
    distance = np.arange(math.ceil((reach + 1.0) * _STEPS_PER_PIXEL) + 1) / _STEPS_PER_PIXEL
    core = np.clip(edge - distance, 0.0, 1.0)
    halo = 0.16 * np.exp(-((distance / (1.5 * size * glow)) ** 2)) if glow else 0.0
    return np.maximum(core, halo).astype(np.float32), reach


def render_vectors(
    vector_ram: NDArray[np.uint8],
    vector_rom: NDArray[np.uint8],
    colour_ram: NDArray[np.uint8],
    width: int = 480,
    height: int = 640,
    flip_x: bool = False,
    flip_y: bool = True,
    glow: float = 1.0,
) -> NDArray[np.uint8]:
    """Draw the picture that the vector generator shows on the upright monitor.

    Args:
        vector_ram: uint8 (4096,), $2000-$2FFF.
        vector_rom: uint8 (4096,), $3000-$3FFF.
        colour_ram: uint8 (16,), as the program wrote it (active low).
        width, height: of the picture in pixels; 3 : 4 is the monitor's own shape.
        flip_x, flip_y: bits 3 and 4 of $4000; Tempest and Squall set flip_y.
        glow: width of the glow around lines, times the monitor's; 0 for none.

    Returns:
        uint8 (height, width, 3), RGB, a new array.

    Raises:
        ValueError: width or height is not positive.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a picture of {width} x {height} pixels cannot be drawn")
    return draw_lines(display_list(vector_ram, vector_rom, colour_ram, flip_x, flip_y), (height, width), glow)


def draw_lines(lines: NDArray[np.float32], size: tuple[int, int], glow: float = 1.0) -> NDArray[np.uint8]:
    """Draw lines as `display_list` returns them at a size ``(height, width)``, as RGB ``(height, width, 3)``."""
    picture = np.empty((*size, 3), np.uint8)
    _draw(lines, np.empty((*size, 3), np.float32), picture, *_profile(size[0], glow))
    return picture


def draw_boards(
    vector_ram: NDArray[np.uint8],
    vector_rom: NDArray[np.uint8],
    colour_ram: NDArray[np.uint8],
    outputs: NDArray[np.uint8],
    rows: NDArray[np.integer],
    pictures: NDArray[np.uint8],
    glow: float = 1.0,
) -> None:
    """Draw the pictures of some of many boards at once, without Python's lock.

    Args:
        vector_ram: uint8 (n, 4096).
        vector_rom: uint8 (4096,).
        colour_ram: uint8 (n, 16).
        outputs: (n,), what was written to $4000; bits 3 and 4 flip the picture.
        rows: the boards to draw, shape (k,).
        pictures: uint8 (k, height, width, 3) in colour, or (k, height, width, 1) in shades of grey: the brightness
            of the brightest of a line's three colours. They are overwritten.
        glow: as for `render_vectors`.
    """
    rom = np.ascontiguousarray(vector_rom)
    _draw_boards(vector_ram, rom, colour_ram, outputs, rows, pictures, *_profile(pictures.shape[1], glow))


@compiled(nogil=True)
def _draw_boards(vector_ram, vector_rom, colour_ram, outputs, rows, pictures, profile, reach):  # type: ignore[no-untyped-def]
    """`draw_boards` with the line's profile."""
    memory = np.zeros(8192, dtype=np.uint8)
    memory[4096:] = vector_rom
    colours = np.empty(16, dtype=np.uint8)
    lines = np.empty((_SEGMENTS_MAX, 8), dtype=np.float32)
    light = np.empty(pictures.shape[1:], dtype=np.float32)
    for place, row in enumerate(rows):
        memory[:4096] = vector_ram[row]
        colours[:] = colour_ram[row]
        count = _trace(memory, colours, outputs[row] & 8 != 0, outputs[row] & 16 != 0, lines)
        _draw(lines[:count], light, pictures[place], profile, reach)


@compiled(nogil=True)
def _draw(lines, light, picture, profile, reach):  # type: ignore[no-untyped-def]
    """Draw lines into a picture; the light at each pixel is summed up in `light`. Both are (height, width, 1 or 3)."""
    height, width, channels = light.shape
    scale_x, scale_y = np.float32(width / SCREEN_WIDTH), np.float32(height / SCREEN_HEIGHT)
    light[:] = np.float32(0.5)
    colour = np.empty(3, dtype=np.float32)
    for i in range(lines.shape[0]):
        x0, y0 = lines[i, 0] * scale_x - np.float32(0.5), lines[i, 1] * scale_y - np.float32(0.5)
        x1, y1 = lines[i, 2] * scale_x - np.float32(0.5), lines[i, 3] * scale_y - np.float32(0.5)
        bright = lines[i, 7] * np.float32(255.0)
        for channel in range(3):
            colour[channel] = lines[i, 4 + channel] * bright
        if channels == 1:
            colour[0] = max(colour[0], colour[1], colour[2])
        steep = abs(y1 - y0) > abs(x1 - x0)
        # a: along the longer axis, b: across it
        a0, b0, a1, b1 = (y0, x0, y1, x1) if steep else (x0, y0, x1, y1)
        if a1 < a0:
            a0, b0, a1, b1 = a1, b1, a0, b0
        a_size, b_size = (height, width) if steep else (width, height)
        length = math.hypot(a1 - a0, b1 - b0)
        slope = (b1 - b0) / (a1 - a0) if a1 > a0 else 0.0
        along_a, along_b = ((a1 - a0) / length, (b1 - b0) / length) if length > 0.0 else (1.0, 0.0)
        across = reach * math.sqrt(1.0 + slope * slope)
        first = max(0, math.ceil(a0 - reach))
        last = min(a_size - 1, math.floor(a1 + reach))
        for a in range(first, last + 1):
            middle = b0 + slope * (a - a0)
            low = max(0, math.ceil(middle - across))
            high = min(b_size - 1, math.floor(middle + across))
            for b in range(low, high + 1):
                da, db = a - a0, b - b0
                along = da * along_a + db * along_b
                off = abs(db * along_a - da * along_b)
                if along < 0.0:
                    off = math.sqrt(off * off + along * along)
                elif along > length:
                    off = math.sqrt(off * off + (along - length) ** 2)
                if off >= reach:
                    continue
                value = profile[int(off * _STEPS_PER_PIXEL + 0.5)]
                row, column = (a, b) if steep else (b, a)
                for channel in range(channels):
                    light[row, column, channel] += colour[channel] * value
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                picture[row, column, channel] = np.uint8(min(np.float32(255.0), light[row, column, channel]))
