"""What ``tempest-gym play`` and ``tempest-gym replay`` do: games with windows, sound, recordings and videos."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tempest_gym.commands.best_scores import BestScores, Score
from tempest_gym.commands.games import GameResult, PlayResult, play_games, summary
from tempest_gym.commands.recording import Recorder, read_recording, write_recording
from tempest_gym.commands.replay import ReplayResult, recorded_rom, replay_game
from tempest_gym.commands.verify import matching_model
from tempest_gym.display.video import check_video_name, open_screen
from tempest_gym.env import RenderMode, TempestEnv
from tempest_gym.frame import FRAMES_PER_SECOND
from tempest_gym.machines import make_machine
from tempest_gym.machines.board import BoardMachine
from tempest_gym.machines.machine import Machine, MachineName
from tempest_gym.machines.seeding import SEED_COUNT
from tempest_gym.machines.setup import Setup
from tempest_gym.observation import draw_machine
from tempest_gym.players import make_player, player_names
from tempest_gym.roms import RomImage, resolve_rom
from tempest_gym.settings import LAST_START_LEVEL, whole_number

if TYPE_CHECKING:
    from tempest_gym.commands.human import MakePlayer, Opponent

__all__ = ["play_session", "replay_session"]

_log = logging.getLogger(__name__)

_SCORES_SHOWN = 5


def play_session(
    *,
    policy: str,
    machine: MachineName = "board",
    rom: str | None = None,
    games: int | None = None,
    seed: int | None = None,
    start_level: int = 1,
    render: bool = False,
    record: Path | None = None,
    mute: bool = False,
    mouse: float = 1.0,
    smooth: bool = True,
    glow: float = 1.0,
    against: str | tuple[str, MakePlayer] | None = None,
) -> PlayResult:
    """Play games, by hand or by a policy, and sum them up; each is logged when it ends.

    Args:
        policy: ``"human"``, ``"expert"`` or ``"random"``.
        machine: ``"board"`` or ``"mame"``.
        rom: see `resolve_rom`.
        games: number of games, fewer if the window is closed; None: 1, by hand until the player quits.
        seed: of the first game; None: 0, by hand any.
        start_level: 1-81.
        render: show a policy's games in a window.
        record: file for a recording; it is written even if the game is interrupted by Ctrl-C.
        mute: by hand, without sound.
        mouse: by hand, factor of the mouse's turn.
        smooth: by hand, move what is shown between the game's frames.
        glow: by hand, width of the glow around the lines, times the monitor's.
        against: by hand, who plays the same game beside it: a player as for `make_player`, or a name and what makes
            a player from an environment and a seed.

    Raises:
        ValueError: the arguments do not go together, or one is out of range.
        tempest_gym.roms.RomError: there is no usable ROM set.
        gymnasium.error.DependencyNotInstalled: pygame is missing.
        OSError: the recording cannot be written.
    """
    by_hand = policy == "human"
    if record is not None and games not in (None, 1):
        raise ValueError(f"a recording holds one game: give --record with --games 1, got {games} games")
    if record is not None and not record.absolute().parent.is_dir():
        raise ValueError(f"{record}: the folder {record.absolute().parent} does not exist")
    if against is not None and not by_hand:
        raise ValueError("--against is for games played by hand: leave --policy out")
    if isinstance(against, str) and against not in player_names():
        raise ValueError(f"--against must be one of {', '.join(player_names())}, got {against}")
    image = resolve_rom(rom)
    whole_number("start_level", start_level, 1, LAST_START_LEVEL)
    if seed is None:
        seed = secrets.randbelow(SEED_COUNT) if by_hand else 0
    mode: RenderMode | None = "human" if render and not by_hand else None
    if by_hand and machine != "board":
        raise ValueError("by hand the game is played on the board: leave --machine out")
    env = TempestEnv(machine, image, start_level=start_level, render_mode=mode)
    with contextlib.closing(env), _recording(env, record, policy, image):
        if by_hand:
            count = 1 if record is not None else games
            played = _play_by_hand(
                env,
                image,
                seed,
                count,
                start_level,
                against,
                mute=mute,
                mouse=mouse,
                smooth=smooth,
                glow=glow,
            )
        else:
            played = play_games(env, policy, range(seed, seed + (games or 1)))
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
    recorder = Recorder(env.machine, matching_model(env.machine, rom))
    env.machine = cast("Machine", recorder)
    try:
        yield
    finally:
        if recorder.started:
            game = recorder.recording(policy, rom.sha1)
            write_recording(file, game)
            _log.info("%s: %d game frames, %d points", file, game.header.frames, game.header.score)


def _play_by_hand(
    env: TempestEnv,
    image: RomImage,
    first_seed: int,
    games: int | None,
    start_level: int,
    against: str | tuple[str, MakePlayer] | None,
    *,
    mute: bool,
    mouse: float,
    smooth: bool,
    glow: float,
) -> Iterator[GameResult]:
    from tempest_gym.commands.human import HumanPlay, Opponent
    from tempest_gym.display.sound import open_speaker
    from tempest_gym.display.window import Window

    if isinstance(against, str):
        against = against, partial(make_player, against)
    opponent = None if against is None else Opponent(against[0], TempestEnv(rom=image), against[1])
    window, scores, machine = Window(), BestScores(), env.machine
    board = machine.machine if isinstance(machine, Recorder) else machine
    speaker = None if mute or not isinstance(board, BoardMachine) else open_speaker()

    def sound() -> None:
        if speaker is not None and isinstance(board, BoardMachine):
            speaker.play(board.sound_registers())

    _log.info("opening the window (the first time this takes some seconds)")
    try:
        vector_rom = image.memory[0x3000:0x4000]
        play = HumanPlay(window, vector_rom, mouse=mouse, smooth=smooth, glow=glow, opponent=opponent)
        for number in itertools.count():
            seed = (first_seed + number) % SEED_COUNT
            start_level = play.choose_level(board, seed, start_level, _table(scores.of(board.game)))
            if window.closed:
                return
            result = play.play(machine, seed, start_level, sound)
            yield result
            if window.closed:
                return
            rank = scores.add(board.game, Score(result["score"], result["level"], start_level, seed))
            last = games is not None and number + 1 >= games
            again = play.show_end(result, _standing(rank, opponent, scores.of(board.game)), again=not last)
            if last or not again:
                return
    finally:
        window.close()
        if opponent is not None:
            opponent.env.close()
        if speaker is not None:
            speaker.close()


def _table(scores: list[Score]) -> list[str | tuple[str, str]]:
    """Return best scores as lines of text."""
    lines = [
        (f"{rank}.  {each.score:,}", f"level {each.level}")
        for rank, each in enumerate(scores[:_SCORES_SHOWN], 1)
    ]
    return ["", "Best scores", *lines] if lines else []


def _standing(
    rank: int | None, opponent: Opponent | None, scores: list[Score]
) -> list[str | tuple[str, str]]:
    """Return what to show below the result of a game."""
    lines: list[str | tuple[str, str]] = []
    if opponent is not None and opponent.frame is not None:
        frame = opponent.frame
        lines.append(
            f"{opponent.name}: {frame.score:,} points{'' if frame.over else ' so far'}, level {frame.level + 1}"
        )
    if rank is not None:
        lines.append("Your best score!" if rank == 1 else f"Number {rank} of your best scores")
    return [*lines, *_table(scores)]


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
        tempest_gym.commands.recording.RecordingError: the file is not a recording, or is of another ROM set.
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
    with contextlib.closing(make_machine(machine, image, setup=Setup(board_model=model))) as game:
        if (other := matching_model(game, image)) != model:
            _log.warning("This game was recorded on a board of model %s, this MAME equals %s.", model, other)
        if not visible:
            return play(game)
        vector_rom = image.memory[0x3000:0x4000]
        with open_screen(output, rate) as (show, window):

            def show_game() -> bool:
                if window is None:
                    return show(game.picture())
                return show(draw_machine(game, vector_rom, window.picture_size())[0])

            return play(game, show_game)
