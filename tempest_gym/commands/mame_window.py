"""MAME in a window, for human play."""

from __future__ import annotations

from tempest_gym.machines.mame_process import MameError, MameProcess
from tempest_gym.roms import RomImage

__all__ = ["show_mame"]

_LOOK_SECONDS = 0.25


def show_mame(rom: RomImage) -> None:
    """Show a game in a MAME window, without the Lua, until the window is closed.

    Keys are MAME's: arrows (spinner), Ctrl (fire), Alt (superzapper), 5 (coin), 1 (start), Esc (end).

    Raises:
        MameError: MAME is missing or fails.
    """
    process = MameProcess(rom, {}, script=False, window=True)
    try:
        while (code := process.wait(_LOOK_SECONDS)) is None:
            pass
        if code != 0:
            raise MameError(f"MAME ended with code {code}; its last lines:\n{process.last_lines()}")
    finally:
        process.end()
