"""Plays recorded games again and checks that they end as recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from tempest_gym.commands.recording import Recording, RecordingError, ram_digest, unpack_controls
from tempest_gym.machines.machine import Machine
from tempest_gym.roms import RomImage, resolve_rom, squall_rom

__all__ = ["ReplayResult", "recorded_rom", "replay_game"]


_FIRST_SQUALL = "854c231e6495138f320ee5f57686a7bdcff878ee"
"""SHA-1 of Squall as version 0.1 had it: the same game, cycle by cycle, but other addresses are left on the stack."""


class ReplayResult(TypedDict):
    """How a replay ended, beside the recording, and whether score, level and RAM are equal.

    ``equal`` is None if only a part was played.
    """

    game: str
    policy: str
    seed: int
    frames: int
    score: int
    recorded_score: int
    level: int
    recorded_level: int
    equal: bool | None


def recorded_rom(recording: Recording, rom: str | None = None) -> RomImage:
    """Return the ROM set that a game was recorded with.

    Args:
        recording: the game.
        rom: where the set is; None looks where `tempest_gym.roms.resolve_rom` does.

    Raises:
        RecordingError: the set found is another.
        tempest_gym.roms.RomError: no usable set was found.
    """
    header = recording.header
    image = squall_rom() if rom is None and header.game == "squall" else resolve_rom(rom)
    if image.sha1 != header.rom and not (image.sha1 == squall_rom().sha1 and header.rom == _FIRST_SQUALL):
        raise RecordingError(
            f"recorded with the ROM set {header.game} (SHA-1 {header.rom}) by tempest-gym {header.project}, "
            f"this one is {image.name} (SHA-1 {image.sha1}): give the right one with --rom"
        )
    return image


def replay_game(
    recording: Recording,
    machine: Machine,
    show: Callable[[], bool] | None = None,
    *,
    every: int = 1,
    first: int = 0,
    last: int | None = None,
) -> ReplayResult:
    """Play a recorded game on a machine with the same ROM set.

    Args:
        recording: the game.
        machine: what to play it on.
        show: called after game frames to show them; it returns whether to continue.
        every: show only every n-th game frame.
        first: game frame from which on to show.
        last: game frame before which to stop; None plays to the end.
    """
    header, controls = recording.header, recording.controls
    frame = machine.reset(header.seed, header.start_level)
    played = 0
    for byte in controls[:last]:
        frame = machine.step(*unpack_controls(byte))
        played += 1
        wanted = show is not None and played > first and (played - first - 1) % every == 0
        if wanted and show is not None and not show():
            break
    ram = header.ram if header.rom == _FIRST_SQUALL else ram_digest(machine)
    end = (frame.score, frame.level + 1, ram)
    whole = played == len(controls)
    return ReplayResult(
        game=header.game,
        policy=header.policy,
        seed=header.seed,
        frames=played,
        score=frame.score,
        recorded_score=header.score,
        level=frame.level + 1,
        recorded_level=header.level,
        equal=end == (header.score, header.level, header.ram) if whole else None,
    )
