"""The board in process, as one machine or as a fleet of them.

A board is a row of state, the Lua's memory between frames a row of doubles; ``LuaHost`` runs both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board.layout import MODEL, MODELS, VERSIONS
from tempest_gym.frame import Frame
from tempest_gym.machines.fleet import BoardFleet
from tempest_gym.machines.setup import DEFAULT_SETUP, Setup
from tempest_gym.machines.worker_threads import Job
from tempest_gym.roms import RomImage

__all__ = ["BoardMachine", "Job"]


class BoardMachine:
    """One board, as a `Machine`.

    Args:
        rom: the ROM set.
        setup: the operator's switches, what the Lua computes, and the board's model.

    Attributes:
        fleet: the board as a fleet of one.
    """

    name = "board"

    def __init__(self, rom: RomImage, setup: Setup = DEFAULT_SETUP) -> None:
        """Power the board on and start its Lua."""
        self.fleet = BoardFleet(rom, 1, setup=setup)
        self.game = self.fleet.game
        self._host = self.fleet.hosts[0]
        self._rows = np.zeros(1, np.int32)

    @property
    def model(self) -> str:
        """The board model; a loaded state brings its own."""
        return MODELS[self.fleet.boards.state[0, MODEL]]

    @property
    def mame_version(self) -> int:
        """The version of the MAME after which the model is named, without its ``0.``."""
        return int(VERSIONS[self.fleet.boards.state[0, MODEL]])

    def reset(self, seed: int, start_level: int) -> Frame:
        """Power on, seed, and return the first frame."""
        fleet = self.fleet
        fleet.reset(self._host, 0, seed, start_level)
        return fleet.frame(0)

    def advance(
        self, fire: bool, zap: bool, spinner: int, *, stop_at_death: bool = False, skip: int = 1
    ) -> Frame:
        """Act, then run to the next decision frame, the end of the game or, if wished, a death."""
        return self._play(fire, zap, spinner, stop_at_death, skip, None)

    def step(self, fire: bool, zap: bool, spinner: int) -> Frame:
        """Act at this bridge point and run to the next."""
        return self._play(fire, zap, spinner, False, 1, 1)

    def _play(
        self, fire: bool, zap: bool, spinner: int, stop_at_death: bool, skip: int, limit: int | None
    ) -> Frame:
        fleet = self.fleet
        fleet.fire[0], fleet.zap[0], fleet.spinner[0] = fire, zap, spinner
        fleet.advance(self._host, self._rows, stop_at_death=stop_at_death, skip=skip, limit=limit)
        fleet.check(0)
        return fleet.frame(0)

    def save_state(self) -> bytes:
        """Return the whole state of the board and of the Lua."""
        return self.fleet.save_state()

    def load_state(self, state: bytes) -> Frame:
        """Go back to a saved state and return its frame."""
        self.fleet.load_state(state)
        return self.fleet.frame(0)

    def random_state(self) -> tuple[int, float]:
        """Return where the random numbers are, for `set_random_state`."""
        return self.fleet.random_state(0)

    def set_random_state(self, state: tuple[int, float]) -> None:
        """Let the random numbers continue from a `random_state`."""
        self.fleet.set_random_state(0, state)

    def reseed(self, seed: int) -> None:
        """Take later random numbers from another seed."""
        self.fleet.reseed(self._rows, np.array([seed], np.int64))

    def ram(self) -> NDArray[np.uint8]:
        """Return a copy of RAM, shape ``(2048,)``."""
        return self.fleet.boards.ram[0].copy()

    def colour_ram(self) -> NDArray[np.uint8]:
        """Return a copy of colour RAM, shape ``(16,)``."""
        return self.fleet.boards.colour[0].copy()

    def vector_ram(self) -> NDArray[np.uint8]:
        """Return a copy of vector RAM, shape ``(4096,)``."""
        return self.fleet.boards.vram[0].copy()

    def picture(self) -> NDArray[np.uint8]:
        """Draw what the screen shows, shape ``(height, width, 3)``."""
        return self.fleet.picture(0)

    def sound_registers(self) -> NDArray[np.uint8]:
        """Return AUDF1, AUDC1 ... AUDF4, AUDC4 and AUDCTL of both POKEYs as last written, shape ``(2, 9)``."""
        fields = self.fleet.boards.fields
        control = [[fields["audctl1"][0]], [fields["audctl2"][0]]]
        return np.hstack([fields["audio"][0], np.array(control, np.uint8)])

    def close(self) -> None:
        """End the threads."""
        self.fleet.close()
