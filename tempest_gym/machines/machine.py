"""The interface of every machine that runs the game."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tempest_gym.frame import Frame

MachineName = Literal["board", "mame"]


Randomness = Literal["seed", "mame"]


MACHINES: tuple[str, ...] = get_args(MachineName)


@runtime_checkable
class Machine(Protocol):
    """A Tempest board that runs one game and shows each game frame (27.34 a second) at its bridge point."""

    name: str
    """``"board"`` or ``"mame"``."""

    game: str
    """Name of the ROM set."""

    @property
    def mame_version(self) -> int:
        """The version of MAME, without its ``0.``, whose timing the games have: 251 for 0.251; 0 if unknown."""
        ...

    def reset(self, seed: int, start_level: int) -> Frame:
        """Power on, seed, and return the first frame (attract mode; the pilot starts a game from there)."""
        ...

    def step(self, fire: bool, zap: bool, spinner: int) -> Frame:
        """Act at this bridge point and run to the next; outside decision frames the pilot acts instead."""
        ...

    def advance(
        self, fire: bool, zap: bool, spinner: int, *, stop_at_death: bool = False, skip: int = 1
    ) -> Frame:
        """Act, then run to the next decision frame, the end of the game or, if wished, a death.

        The frame returned represents all on the way: its ``objective`` and ``subjective`` are sums, ``life_lost``
        is set after a death, ``frames`` counts them.

        Args:
            fire: press fire.
            zap: press the superzapper.
            spinner: counts for this game frame, negative turns to higher lanes.
            stop_at_death: stop at the frame in which the player dies too.
            skip: repeat the action over that many decision frames.
        """
        ...

    def save_state(self) -> bytes:
        """Return the whole state of the machine and of the Lua."""
        ...

    def load_state(self, state: bytes) -> Frame:
        """Go back to a saved state and return its frame."""
        ...

    def random_state(self) -> tuple[int, float]:
        """Return where the game's and the expert's random numbers are, for `set_random_state`.

        Raises:
            ValueError: this machine cannot report them.
        """
        ...

    def set_random_state(self, state: tuple[int, float]) -> None:
        """Let the random numbers continue from a `random_state`.

        Raises:
            ValueError: this machine cannot.
        """
        ...

    def reseed(self, seed: int) -> None:
        """Take later random numbers from another seed; everything else stays.

        Raises:
            ValueError: this machine cannot.
        """
        ...

    def ram(self) -> NDArray[np.uint8]:
        """Return a copy of RAM $0000-$07FF, shape ``(2048,)``."""
        ...

    def colour_ram(self) -> NDArray[np.uint8]:
        """Return a copy of colour RAM $0800-$080F, shape ``(16,)``."""
        ...

    def vector_ram(self) -> NDArray[np.uint8]:
        """Return a copy of vector RAM $2000-$2FFF, shape ``(4096,)``."""
        ...

    def picture(self) -> NDArray[np.uint8]:
        """Return what the screen shows, shape ``(height, width, 3)``, RGB."""
        ...

    def close(self) -> None:
        """Close processes, sockets and files; a closed machine cannot be used again."""
        ...


class Advance:
    """Sums game frames up to the next one that an agent must see: the rule of `Machine.advance`.

    Args:
        stop_at_death: stop at the frame in which the player dies too.
        skip: stop at that many decision frames.
    """

    def __init__(self, *, stop_at_death: bool = False, skip: int = 1) -> None:
        """Start with no frames."""
        self._stop_at_death, self._skip = stop_at_death, skip
        self._objective = self._subjective = 0.0
        self._frames, self._life_lost = 0, False

    def add(self, frame: Frame) -> Frame | None:
        """Add a frame; return one that represents all of them if the agent must see it."""
        self._frames += 1
        self._objective += frame.objective
        self._subjective += frame.subjective
        self._life_lost = self._life_lost or frame.life_lost
        self._skip -= frame.decision
        decides = frame.decision and (self._skip <= 0 or self._life_lost)
        if not (frame.over or (self._stop_at_death and self._life_lost) or decides):
            return None
        return replace(
            frame,
            objective=self._objective,
            subjective=self._subjective,
            life_lost=self._life_lost,
            frames=self._frames,
        )


def advance_by_frames(
    step: Callable[[bool, bool, int], Frame],
    fire: bool,
    zap: bool,
    spinner: int,
    *,
    stop_at_death: bool = False,
    skip: int = 1,
) -> Frame:
    """Do what `Machine.advance` promises, one game frame at a time by ``step``."""
    advance = Advance(stop_at_death=stop_at_death, skip=skip)
    while True:
        whole = advance.add(step(fire, zap, spinner))
        if whole is not None:
            return whole
