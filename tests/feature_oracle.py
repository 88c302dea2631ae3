"""The 195 features and the rewards a second time, in plain Python, straight from ARCADE F and H.

Slow and obvious on purpose: it shares nothing with ``lua/`` but the facts. Corrections of the facts that the
project makes are marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FLIPPER, PULSAR, TANKER, SPIKER, FUSEBALL = range(5)
ABSENT = None


def unit(x: float, most: float) -> float:
    """E of F.1."""
    return max(0.0, min(float(x), most)) / most


def symmetric(x: float, most: float) -> float:
    """S of F.1."""
    return max(-most, min(float(x), most)) / most


def rel(x: float | None) -> float:
    """REL and TOP of F.1."""
    return -1.0 if x is ABSENT else max(-15.0, min(float(x), 15.0)) / 15.0


def signed8(x: int) -> int:
    return x - 256 if x >= 128 else x


def signed16(low: int, high: int) -> int:
    word = low | high << 8
    return word - 65536 if word >= 32768 else word


class Picture:
    """One RAM image as the facts read it."""

    def __init__(self, ram: Sequence[int]) -> None:
        self.ram = [int(byte) for byte in ram]
        self.player = self.ram[0x0200] & 15
        self.open = self.ram[0x0111] != 0

    def distance(self, origin: int, lane: int) -> int:
        """From one lane to another; exactly half-way round a closed tube is +8 (a correction)."""
        if self.open:
            return lane - origin
        steps = (lane - origin) % 16
        return steps if steps <= 8 else steps - 16

    def exists(self, lane: int) -> bool:
        """Whether a lane number (unwrapped) is on the board; open tubes have 15 lanes (a correction)."""
        return not self.open or 0 <= lane <= 14

    def used(self, slot: int) -> bool:
        return self.ram[0x02DF + slot] != 0

    def kind(self, slot: int) -> int:
        return self.ram[0x0283 + slot] & 7

    def lane(self, slot: int) -> int:
        return self.ram[0x02B9 + slot] & 15

    def depth(self, slot: int) -> int:
        return self.ram[0x02DF + slot]

    def fractional(self, slot: int) -> float | None:
        """Relative lane of a slot, between lanes while it flips."""
        if not self.used(slot):
            return ABSENT
        lane, info = self.lane(slot), self.ram[0x0283 + slot]
        where: float = self.distance(self.player, lane)
        if info & 0x80 and self.kind(slot) != FUSEBALL:
            angle_here = self.ram[0x03EE + lane]
            angle_below = (self.ram[0x03EE + (lane - 1) % 16] + 8) & 15
            angle = self.ram[0x02CC + slot] & 15
            if info & 0x40:
                start, target = angle_below, angle_here
                travelled, total = (start - angle) & 15, (start - target) & 15
            else:
                start, target = angle_here, angle_below
                travelled, total = (angle - start) & 15, (target - start) & 15
            progress = min(travelled / total, 1.0) if total else 0.0
            where = where + progress - 1 if info & 0x40 else where - progress
            if not self.open and where <= -8:
                where += 16
        return where

    def threat(self, lane: int) -> int:
        if not self.exists(lane):
            return 255
        lane %= 16
        depths = [255]
        if self.ram[0x03AC + lane]:
            depths.append(self.ram[0x03AC + lane])
        depths += [self.depth(slot) for slot in range(7) if self.used(slot) and self.lane(slot) == lane]
        depths += self._shots_in(lane)
        return min(depths)

    def enemy_depths(self, lane: int) -> list[int]:
        """Depths of enemies and enemy shots in a lane."""
        lane %= 16
        enemies = [self.depth(slot) for slot in range(7) if self.used(slot) and self.lane(slot) == lane]
        return enemies + self._shots_in(lane)

    def _shots_in(self, lane: int) -> list[int]:
        return [
            self.ram[0x02DB + shot]
            for shot in range(4)
            if self.ram[0x02DB + shot] and self.ram[0x02B5 + shot] & 15 == lane
        ]


def features(ram: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    """All features of a RAM image, float32 ``(195,)``; `before` is the image of the frame before, if any."""
    picture = Picture(ram.tolist())
    r = picture.ram
    slots = range(7)
    out: list[float] = []
    # 0-4
    out += [unit(r[0x00], 36), r[0x05] / 255, r[0x04] / 255, unit(r[0x48], 6), unit(r[0x46], 98)]
    # 5-27
    out += [unit(r[0x0200], 15), float(not r[0x0201] & 0x80), unit(r[0x0201] & 15, 15), r[0x0202] / 255]
    out += [unit(r[0x03AA], 2), unit(r[0x0125], 19), unit(8 - r[0x0135], 8)]
    out += [r[0x02D3 + k] / 256 for k in range(8)]
    for k in range(8):
        lane = r[0x02AD + k] & 15
        out.append(rel(picture.distance(picture.player, lane) if r[0x02D3 + k] else ABSENT))
    # 28-62
    out += [unit(r[0x9F], 98), float(picture.open), unit(r[0x9F] % 16, 15)]
    out += [(255 - tip) / 255 if tip else 0.0 for tip in r[0x03AC:0x03BC]]
    out += [unit(angle, 15) for angle in r[0x03EE:0x03FE]]
    # 63-85
    out += [unit(count, 7) for count in r[0x0142:0x0147]]
    out += [unit(room, 7) for room in r[0x013D:0x0142]]
    out += [unit(r[0x0108], 7), unit(r[0x0109], 7), unit(r[0x03AB], 63), unit(r[0xB2], 40)]
    out += [symmetric(signed8(r[0x0147]), 12), r[0x0148] / 255, unit(r[0x015D], 135), r[0x015F] / 255]
    out += [symmetric(signed16(r[0x0160 + k], r[0x0165 + k]), 2560) for k in range(5)]
    # 86-127
    for slot in slots:
        info, flags = r[0x0283 + slot], r[0x028A + slot]
        values = [unit(info & 7, 7), info >> 6 & 1, info >> 7, flags >> 7, flags >> 6 & 1, unit(flags & 3, 3)]
        out += [float(value) for value in values] if picture.used(slot) else [0.0] * 6
    # 128-148
    fractional = [picture.fractional(slot) for slot in slots]
    out += [rel(where) for where in fractional]
    out += [picture.depth(slot) / 255 for slot in slots]
    out += [rel(fractional[slot] if picture.depth(slot) == 0x10 else ABSENT) for slot in slots]
    # 149-156; the fractions are those of $02EE-$02F1 (a correction)
    for shot in range(4):
        depth = r[0x02DB + shot]
        out.append((depth + r[0x02EE + shot] / 256) / 256 if depth else 0.0)
    for shot in range(4):
        lane = r[0x02B5 + shot] & 15
        out.append(rel(picture.distance(picture.player, lane) if r[0x02DB + shot] else ABSENT))
    # 157-177
    pulsar = [picture.used(slot) and picture.kind(slot) == PULSAR for slot in slots]
    out += [picture.depth(slot) / 255 if pulsar[slot] else 0.0 for slot in slots]
    out += [rel(fractional[slot] if pulsar[slot] else ABSENT) for slot in slots]
    top = [picture.kind(slot) in (FLIPPER, PULSAR) and 0 < picture.depth(slot) <= 0x10 for slot in slots]
    out += [rel(fractional[slot] if top[slot] else ABSENT) for slot in slots]
    # 178-180
    out += [picture.threat(picture.player + side) / 255 for side in (0, -1, 1)]
    # 181-194
    last = Picture(before.tolist()) if before is not None else Picture([0] * 2048)
    same = [
        r[0] == 4 and picture.used(slot) and last.used(slot) and picture.kind(slot) == last.kind(slot)
        for slot in slots
    ]
    for slot in slots:
        moved = picture.distance(last.lane(slot), picture.lane(slot))
        out.append(symmetric(moved, 8) if same[slot] else 0.0)
    out += [symmetric(picture.depth(slot) - last.depth(slot), 128) if same[slot] else 0.0 for slot in slots]
    return np.array(out, np.float32)


def subjective(ram: NDArray[np.uint8], before: NDArray[np.uint8]) -> float:
    """The subjective reward of a frame (H)."""
    picture = Picture(ram.tolist())
    r = picture.ram
    if not r[0x05] & 0x80 or r[0x0201] & 0x80 or r[0x00] not in (0x04, 0x20):
        return 0.0
    total = 0.0
    for side, weight in ((0, 1.0), (-1, 0.5), (1, 0.5), (-2, 0.25), (2, 0.25)):
        if picture.exists(picture.player + side):
            dangerous = any(depth <= 0x80 for depth in picture.enemy_depths(picture.player + side))
            total += -2.0 * weight if dangerous else 2.0 * weight
    return total * (1.0 if picture.player != int(before[0x0200]) & 15 else 0.5)


def score(ram: NDArray[np.uint8]) -> int:
    """Player 1's score: six BCD digits, low byte first."""
    return int("".join(f"{byte:02x}" for byte in reversed(ram[0x40:0x43].tolist())))


def objectives(images: NDArray[np.uint8]) -> list[tuple[float, bool]]:
    """Objective reward and death of each frame of a recording, after the first (H, with I.14 mended)."""
    results = []
    wave, wave_of = 0, None
    for before, now in pairwise(images):
        real = bool(now[0x05] & 0x80)
        if now[0x00] == 0x16 or not real:
            wave_of = None
        if real and now[0x00] == 0x04 and wave_of != now[0x9F]:
            wave, wave_of = int(now[0x03AB]), now[0x9F]
        if not real or not before[0x05] & 0x80:
            results.append((0.0, False))
        elif now[0x0201] & 0x80 and not before[0x0201] & 0x80:
            results.append((-1000.0, True))
        else:
            gain = score(now) - score(before)
            points = float(gain) if 0 < gain < 1000 else 0.0
            if now[0x03AA] > before[0x03AA] and wave:
                points -= 1000 * int(now[0x03AB]) / wave
            results.append((points, False))
    return results
