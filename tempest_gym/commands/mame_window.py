"""MAME in a window, for human play."""

from __future__ import annotations

from contextlib import closing
from typing import TypedDict

from tempest_gym.machines.mame_process import MameError, MameProcess
from tempest_gym.roms import RomImage

__all__ = ["MameWindow", "show_mame"]

_LOOK_SECONDS = 0.25


class MameWindow(TypedDict):
    """What was shown: the name of the ROM set."""

    game: str


class _Process(MameProcess):
    """A MAME that `closing` ends."""

    close = MameProcess.end


def show_mame(rom: RomImage) -> MameWindow:
    """Show a game in a MAME window, without the Lua, until the window is closed.

    Keys are MAME's: arrows (spinner), Ctrl (fire), Alt (superzapper), 5 (coin), 1 (start), Esc (end).

    Raises:
        MameError: MAME is missing or fails.
    """
    with closing(_Process(rom, {}, script=False, window=True)) as process:
        while (code := process.wait(_LOOK_SECONDS)) is None:
            pass
        if code != 0:
            raise MameError(f"MAME ended with code {code}; its last lines:\n{process.last_lines()}")
    return MameWindow(game=rom.name)
