"""The machines that run the game: the board in process, and MAME."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tempest_gym.machines.machine import MACHINES, Machine, MachineName, Randomness, advance_by_frames
from tempest_gym.machines.setup import DEFAULT_SETUP, Setup

if TYPE_CHECKING:
    from tempest_gym.roms import RomImage

__all__ = ["MACHINES", "Machine", "MachineName", "Randomness", "advance_by_frames", "make_machine"]


def make_machine(
    name: str,
    rom: RomImage,
    randomness: Randomness = "seed",
    setup: Setup = DEFAULT_SETUP,
) -> Machine:
    """Build a machine by name.

    Args:
        name: ``"board"`` (in process) or ``"mame"``.
        rom: the ROM set to run.
        randomness: ``"seed"``, or ``"mame"`` for MAME's own random numbers.
        setup: the operator's switches, what the Lua computes, and the board's model.

    Raises:
        ValueError: no machine has that name, or it cannot give that randomness.
    """
    if name == "board":
        if randomness != "seed":
            raise ValueError(f"randomness must be 'seed' on the board, got {randomness!r}")
        from tempest_gym.machines.board import BoardMachine

        return BoardMachine(rom, setup)
    if name == "mame":
        from tempest_gym.machines.mame import MameMachine

        return MameMachine(rom, randomness=randomness, setup=setup)
    raise ValueError(f"machine must be one of {', '.join(map(repr, MACHINES))}, got {name!r}")
