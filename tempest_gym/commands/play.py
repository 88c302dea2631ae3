"""What ``tempest-gym play`` and ``tempest-gym replay`` do: games with windows, sound, recordings and videos."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tempest_gym.commands.games import GameResult, PlayResult, play_games, summary
from tempest_gym.commands.recording import Recorder, read_recording, write_recording
from tempest_gym.commands.replay import ReplayResult, recorded_rom, replay_game
from tempest_gym.commands.verify import matching_model
from tempest_gym.display.video import check_video_name, open_video
from tempest_gym.env import RenderMode, TempestEnv
from tempest_gym.frame import FRAMES_PER_SECOND
from tempest_gym.machines import make_machine
from tempest_gym.machines.machine import Machine, MachineName
from tempest_gym.machines.seeding import SEED_COUNT
from tempest_gym.roms import RomImage, resolve_rom
from tempest_gym.settings import LAST_START_LEVEL, whole_number

__all__ = ["play_session", "replay_session"]

_log = logging.getLogger(__name__)


def play_session(
    *,
    policy: str,
    machine: MachineName,
    rom: str | None,
    games: int,
    seed: int | None,
    start_level: int,
    render: bool,
    record: Path | None,
    mute: bool,
    mouse: float,
) -> PlayResult:
    """Play games, by hand or by a policy, and sum them up; each is told in the log when it ends.

    Args:
        policy: ``"human"``, or a player as for `make_player`.
        machine: ``"board"`` or ``"mame"``.
        rom: see `resolve_rom`.
        games: number of games; fewer if the window is closed.
        seed: of the first game; None: 0, by hand any.
        start_level: 1-81.
        render: show a policy's games in a window.
        record: file for a recording; it is written even if the game is broken off by Ctrl-C.
        mute: by hand, without sound.
        mouse: by hand, factor of the mouse's turn.

    Raises:
        ValueError: the arguments do not go together, or one is out of range.
        tempest_gym.roms.RomError: no usable ROM set is there.
        gymnasium.error.DependencyNotInstalled: pygame is missing.
        OSError: the recording cannot be written.
    """
    if record is not None and games != 1:
        raise ValueError(f"a recording holds one game: give --record with --games 1, got {games} games")
    if record is not None and not record.absolute().parent.is_dir():
        raise ValueError(f"{record}: the folder {record.absolute().parent} does not exist")
    image = resolve_rom(rom)
    whole_number("start_level", start_level, 1, LAST_START_LEVEL)
    if seed is None:
        seed = secrets.randbelow(SEED_COUNT) if policy == "human" else 0
    mode: RenderMode | None = "human" if render and policy != "human" else None
    if policy == "human" and machine != "board":
        raise ValueError("by hand the game is played on the board: leave --machine out")
    env = TempestEnv(machine, image, start_level=start_level, render_mode=mode)
    with contextlib.closing(env), _recording(env, record, policy, image):
        if policy == "human":
            played = _play_by_hand(env, range(seed, seed + games), start_level, mute, mouse)
        else:
            played = play_games(env, policy, range(seed, seed + games))
        results = []
        for game in played:
            _log.info(
                "seed %(seed)d: %(score)d points, level %(level)d, %(frames)d frames, reward %(reward).1f",
                game,
            )
            results.append(game)
        return summary(env, policy, results)


@contextlib.contextmanager
def _recording(env: TempestEnv, file: Path | None, policy: str, rom: RomImage) -> Iterator[None]:
    """Record what the environment's machine plays and write it, however that ends."""
    if file is None:
        yield
        return
    env.machine = recorder = Recorder(env.machine, matching_model(env.machine, rom))
    try:
        yield
    finally:
        if recorder.begun:
            game = recorder.recording(policy, rom.sha1)
            write_recording(file, game)
            _log.info("%s: %d game frames, %d points", file, game.header.frames, game.header.score)


def _play_by_hand(
    env: TempestEnv, seeds: range, start_level: int, mute: bool, mouse: float
) -> Iterator[GameResult]:
    from tempest_gym.commands.human import open_speaker, play_by_hand
    from tempest_gym.display.window import Window
    from tempest_gym.machines.board import BoardMachine

    window = Window()
    machine = env.machine
    board = machine.machine if isinstance(machine, Recorder) else machine
    speaker = None if mute or not isinstance(board, BoardMachine) else open_speaker()

    def sound() -> None:
        if speaker is not None and isinstance(board, BoardMachine):
            speaker.play(board.sound_registers())

    try:
        for seed in seeds:
            yield play_by_hand(machine, window, seed % SEED_COUNT, start_level, sound=sound, mouse=mouse)
            if window.closed:
                return
    finally:
        window.close()
        if speaker is not None:
            speaker.close()


def replay_session(
    file: Path,
    *,
    machine: MachineName = "board",
    rom: str | None = None,
    output: Path | None = None,
    visible: bool = True,
    speed: float = 1.0,
    start: float = 0.0,
    seconds: float | None = None,
) -> ReplayResult:
    """Show a recorded game again, in a window or as a video file, and compare its end.

    Args:
        file: the recording.
        machine: ``"board"`` or ``"mame"``.
        rom: where the ROM set is, see `recorded_rom`.
        output: video file, .mp4 or .gif; None opens a window.
        visible: False shows nothing.
        speed: times true speed; above 1 game frames are left out, so that a screen can follow.
        start: second of the game from which on to show.
        seconds: how many seconds of the game to show; None shows the rest, and then the end is compared.

    Raises:
        tempest_gym.commands.recording.RecordingError: the file is no recording, or of another ROM set.
        ValueError: the video's file name has another ending.
        gymnasium.error.DependencyNotInstalled: what opens the window or writes the video is missing.
        OSError: a file cannot be read or written.
    """
    if output is not None:
        check_video_name(output)
    recording = read_recording(file)
    every = max(1, int(speed))
    rate = FRAMES_PER_SECOND * speed / every
    first = round(start * FRAMES_PER_SECOND)
    last = None if seconds is None else first + round(seconds * FRAMES_PER_SECOND)
    play = partial(replay_game, recording, every=every, first=first, last=last)
    image, model = recorded_rom(recording, rom), recording.header.board_model
    with contextlib.closing(make_machine(machine, image, board_model=model)) as game:
        if (other := matching_model(game, image)) != model:
            _log.warning("This game was recorded on a board of model %s, this MAME equals %s.", model, other)
        if not visible:
            return play(game)
        with _video(game, output, rate) if output is not None else _window(game, rate) as show:
            return play(game, show)


@contextlib.contextmanager
def _video(machine: Machine, output: Path, rate: float) -> Iterator[Callable[[], bool]]:
    with open_video(output, rate) as append:

        def show() -> bool:
            append(machine.picture())
            return True

        yield show
    _log.info("%s written", output)


@contextlib.contextmanager
def _window(machine: Machine, rate: float) -> Iterator[Callable[[], bool]]:
    from tempest_gym.display.window import Window

    window = Window(rate)

    def show() -> bool:
        window.show(machine.picture())
        return not window.closed

    with contextlib.closing(window):
        yield show
