"""The sound of the two POKEYs, from the registers that the game writes.

Each of the eight voices is a counter that toggles or samples a bit at every run-out (the chip's data sheet: AUDF,
AUDC, AUDCTL). Of AUDCTL only the slow clock is known here: joined voices, fast clocks and filters, which neither
Tempest nor Squall uses, are left out.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board.layout import CPU_HZ
from tempest_gym.display.window import import_pygame
from tempest_gym.frame import FRAMES_PER_SECOND

__all__ = ["SAMPLE_RATE", "Speaker", "Synthesizer", "open_speaker"]

SAMPLE_RATE = 22_050
"""Samples a second."""

_CLOCK, _SLOW_CLOCK, _SLOW = 28, 114, 0x01
_NO_GATE, _SHORT_NOISE, _PURE, _STEADY, _VOLUME = 0x80, 0x40, 0x20, 0x10, 0x0F
_LOUDNESS = 32_767 / (8 * 15)

_LEAD_SECONDS = 0.04
"""Silence before the sound, so that a frame that is a little late leaves no gap."""


def _polynomial(bits: int, tap: int) -> NDArray[np.bool_]:
    """One period of a shift register that feeds back the exclusive or of its lowest bit and another."""
    register = (1 << bits) - 1
    sequence = np.empty((1 << bits) - 1, np.bool_)
    for index in range(len(sequence)):
        sequence[index] = register & 1
        register = register >> 1 | ((register ^ register >> tap) & 1) << (bits - 1)
    return sequence


class Synthesizer:
    """Turns registers into samples, a stretch at a time, without clicks between stretches."""

    def __init__(self) -> None:
        """Start in silence."""
        self._gate = _polynomial(5, 2)
        self._short = _polynomial(4, 1)
        self._long = _polynomial(17, 5)
        self._phase = np.zeros(8)  # run-outs of each counter so far, with fraction
        self._cycle = np.zeros(8)  # CPU cycles of them
        self._level = np.full(8, -1.0)
        self._rest = 0.0

    def stretch(self, registers: NDArray[np.uint8], seconds: float) -> NDArray[np.int16]:
        """Return what is heard while the registers hold these values, int16 ``(samples,)``.

        Args:
            registers: uint8 ``(2, 9)``: AUDF1, AUDC1 ... AUDF4, AUDC4, AUDCTL of each POKEY.
            seconds: how long; what is left over of a sample counts for the next stretch.
        """
        wanted = seconds * SAMPLE_RATE + self._rest
        count = int(wanted)
        self._rest = wanted - count
        total = np.zeros(count, np.float64)
        for voice in range(8):
            chip, place = divmod(voice, 4)
            pitch, control = int(registers[chip, 2 * place]), int(registers[chip, 2 * place + 1])
            base = _SLOW_CLOCK if registers[chip, 8] & _SLOW else _CLOCK
            if control & _VOLUME and count:
                total += (control & _VOLUME) * self._voice(voice, control, base * (pitch + 1), count)
        return (total * _LOUDNESS).astype(np.int16)

    def _voice(self, voice: int, control: int, period: int, count: int) -> NDArray[np.float64]:
        """One voice's samples, within -1..1; ``period`` is CPU cycles from one run-out to the next."""
        if control & _STEADY:
            return np.ones(count)
        step = CPU_HZ / SAMPLE_RATE / period
        place = self._phase[voice] + step * np.arange(count + 1)
        runs = place.astype(np.int64)
        last = int(runs[-1])
        cycles = (self._cycle[voice] + period * np.arange(1, last + 1)).astype(np.int64)
        level = np.empty(last + 1)
        level[0] = self._level[voice]
        level[1:] = self._levels(control, cycles, level[0])
        self._phase[voice] = place[-1] - last
        self._cycle[voice] += period * last
        self._level[voice] = level[-1]
        # A sample is the signal's mean since the sample before, or tones above their rate would whistle.
        area = np.concatenate([[0.0], np.cumsum(level)])
        samples: NDArray[np.float64] = np.diff(area[runs] + level[runs] * (place - runs)) / step
        return samples

    def _levels(self, control: int, cycles: NDArray[np.int64], before: float) -> NDArray[np.float64]:
        """The signal, -1 or 1, after each of the counter's run-outs at these cycles."""
        count = len(cycles)
        if control & _NO_GATE:
            passed = np.ones(count, np.bool_)
        else:
            passed = self._gate[cycles % len(self._gate)]
        if control & _PURE:
            return before * np.where(np.cumsum(passed) % 2, -1.0, 1.0)
        noise = self._short if control & _SHORT_NOISE else self._long
        drawn = np.concatenate([[before], np.where(noise[cycles % len(noise)], 1.0, -1.0)])
        newest = np.maximum.accumulate(np.where(passed, np.arange(1, count + 1), 0))
        levels: NDArray[np.float64] = drawn[newest]
        return levels


class Speaker:
    """Plays the game's sound, a game frame at a time (extra ``human``).

    Raises:
        pygame.error: there is no sound device.
        NotImplementedError: this system lacks a library that the mixer needs.
    """

    def __init__(self) -> None:
        """Open the sound device."""
        self._pygame: Any = import_pygame()
        self._pygame.mixer.init(SAMPLE_RATE, -16, 1, 512, allowedchanges=0)
        self._channel = self._pygame.mixer.Channel(0)
        self._synthesizer = Synthesizer()

    def play(self, registers: NDArray[np.uint8]) -> None:
        """Play a game frame's sound, see `Synthesizer.stretch`, after what is playing."""
        samples = self._synthesizer.stretch(registers, 1 / FRAMES_PER_SECOND)
        if not self._channel.get_busy():
            lead = np.zeros(int(_LEAD_SECONDS * SAMPLE_RATE), np.int16)
            self._channel.play(self._pygame.mixer.Sound(buffer=lead.tobytes()))
        if self._channel.get_queue() is None:
            self._channel.queue(self._pygame.mixer.Sound(buffer=samples.tobytes()))

    def close(self) -> None:
        """Release the device."""
        self._pygame.mixer.quit()


def open_speaker() -> Speaker | None:
    """Return a speaker; without a sound device or its libraries log a warning and return None."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "use mixer", RuntimeWarning
            )  # The error below has the same words.
            return Speaker()
    except (import_pygame().error, NotImplementedError) as error:
        logging.getLogger(__name__).warning("no sound: %s", error)
        return None
