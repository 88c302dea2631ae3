"""The command ``tempest-gym``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from gymnasium.error import Error as GymnasiumError

import tempest_gym
from tempest_gym.machines.machine import MACHINES, MachineName
from tempest_gym.players import player_names

__all__ = ["main"]

PLAY_KEYS = (
    "By hand: arrow keys, mouse or a gamepad's stick turn; space, the left button or A fires; x, the right button or B "
    "zaps; p pauses, f fills the screen, h shows the keys, Esc quits."
)

_Command = Callable[[argparse.Namespace], tuple[dict[str, Any], int]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 is success, 1 a problem, 2 a wrong command line, 130 an interruption."""
    parser = _parser()
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        parser.print_help()
        return 0
    options = parser.parse_args(given)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    try:
        # Nothing that a library prints may mix with the JSON.
        with contextlib.redirect_stdout(sys.stderr):
            result, code = options.command(options)
    except (OSError, ValueError, RuntimeError, GymnasiumError) as error:
        logging.getLogger(__name__).debug("Where it happened:", exc_info=True)
        result, code = {"error": str(error)}, 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        _write(json.dumps(result))
    elif "error" in result:
        sys.stderr.write(f"tempest-gym: {result['error']}\n")
    else:
        _write(options.show(result))
    return code


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report a wrong command line in one sentence and exit."""
        self.exit(2, f"{self.prog}: {message.removeprefix('argument ')}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="tempest-gym", description=tempest_gym.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"tempest-gym {tempest_gym.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: _Command, show: Callable[[dict[str, Any]], str], text: str, more: str | None = None
    ) -> Any:
        sub = commands.add_parser(name, help=text, description=text, epilog=more)
        sub.set_defaults(command=run, show=show)
        sub.add_argument("--json", action="store_true", help="write one JSON object to standard output")
        return sub

    command("doctor", _doctor, _show_doctor, "report what was found and what is wrong")

    play = command("play", _play, _show_play, "play whole games: by hand, or with a fixed policy", PLAY_KEYS)
    play.add_argument(
        "--policy",
        type=_player_or("human"),
        default="human",
        metavar="NAME",
        help="who plays: human, expert, random, bundled (the trained agent), planner (it looks ahead); default human",
    )
    play.add_argument("--games", type=_positive, help="number of games (default 1; by hand: until you quit)")
    play.add_argument(
        "--seed", type=_whole, help="seed of the first game, later ones count up (default 0; by hand: any)"
    )
    play.add_argument(
        "--start-level", type=_number(1, 81, int), default=1, help="level the games start at, 1-81"
    )
    play.add_argument(
        "--render", action="store_true", help="show a policy's games in a window, at true speed"
    )
    play.add_argument(
        "--record", type=Path, metavar="FILE", help="record the game here for `tempest-gym replay`"
    )
    play.add_argument("--mute", action="store_true", help="by hand: no sound")
    play.add_argument(
        "--mouse",
        type=_number(-100, 100),
        default=1.0,
        metavar="X",
        help="by hand: factor of the mouse's turn",
    )
    play.add_argument(
        "--against",
        type=_player_or("human"),
        metavar="NAME",
        help="by hand: who plays the same game beside you, as for --policy (any agent: tempest-rainbow watch --play)",
    )
    play.add_argument(
        "--smooth",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="by hand: show motion between game frames (default); --no-smooth shows each frame as it is, 37 ms earlier",
    )
    play.add_argument(
        "--glow",
        type=_number(0, 10),
        default=1.0,
        metavar="X",
        help="by hand: width of the glow around the lines, times the monitor's; 0 for none",
    )
    _machine_options(play)

    replay = command("replay", _replay, _show_replay, "show a recorded game again and check how it ends")
    replay.add_argument("file", type=Path, help="what `tempest-gym play --record` wrote")
    replay.add_argument(
        "--output", type=Path, metavar="VIDEO", help="write an .mp4 or .gif; else a window opens"
    )
    replay.add_argument("--check", action="store_true", help="show nothing, only check")
    replay.add_argument(
        "--speed", type=_number(0.05, 100), default=1.0, metavar="X", help="times true speed (default 1)"
    )
    replay.add_argument(
        "--start", type=_seconds, default=0.0, metavar="S", help="second of the game to start at"
    )
    replay.add_argument(
        "--seconds", type=_seconds, metavar="S", help="seconds of the game to show (default all)"
    )
    _machine_options(replay)

    bench = command("bench", _bench, _show_bench, "measure the speed of a machine on this computer")
    bench.add_argument("--envs", type=_positive, default=64, help="boards (default 64)")
    bench.add_argument("--threads", type=_positive, default=1, help="threads for the boards (default 1)")
    bench.add_argument("--instances", type=_positive, default=1, help="MAMEs (default 1)")
    bench.add_argument("--seconds", type=_seconds, default=5.0, help="length of each measurement (default 5)")
    bench.add_argument("--seed", type=_whole, default=0, help="seed of the first game (default 0)")
    _observation_options(bench)
    bench.add_argument(
        "--observations",
        action="store_true",
        help="compare every kind of observation on one core, and ale-py where it is installed",
    )
    _machine_options(bench)

    dataset = command("dataset", _dataset, _show_dataset, "record games as a Minari data set")
    dataset.add_argument(
        "--policy",
        type=_player_or("mixed"),
        default="expert",
        metavar="NAME",
        help="who plays: expert, random, bundled, mixed (expert and random actions in turn); default expert",
    )
    dataset.add_argument("--episodes", type=_positive, default=10, help="number of games (default 10)")
    dataset.add_argument("--name", help="name of the data set (default tempest/POLICY-v0)")
    dataset.add_argument("--seed", type=_whole, default=0, help="seed of the first game (default 0)")
    dataset.add_argument(
        "--start-level",
        type=_number(1, 81, int),
        nargs="+",
        default=[1],
        metavar="N",
        help="level the games start at, 1-81; of several, each game draws one",
    )
    dataset.add_argument("--steps", type=_positive, help="end each game after this number of steps")
    _observation_options(dataset)
    _rom_option(dataset)

    verify = command("verify", _verify, _show_verify, "compare MAME and the board frame by frame")
    verify.add_argument("--frames", type=_positive, default=10_000, help="game frames (default 10,000)")
    verify.add_argument("--seed", type=_whole, default=0, help="seed of the first game (default 0)")
    _rom_option(verify)

    client = command(
        "client", _client, _show_values, "let machines here play for a training server elsewhere"
    )
    client.add_argument("--connect", required=True, metavar="HOST:PORT", help="the server")
    client.add_argument("--instances", type=_positive, default=1, help="number of clients (default 1)")
    client.add_argument(
        "--token-file", type=Path, help="file with the server's token (default: $TEMPEST_TOKEN)"
    )
    client.add_argument("--window", action="store_true", help="show MAMEs, at true speed")
    _machine_options(client, default="mame")

    mame = command(
        "mame",
        _mame,
        _show_values,
        "open the game in a MAME window to play in, or let that MAME play for a server",
        "Keys: arrows (spinner), Ctrl (fire), Alt (superzapper), 5 (coin), 1 (start), Esc (end).",
    )
    mame.add_argument("--connect", metavar="HOST:PORT", help="a server whose agent plays (default: you do)")
    mame.add_argument(
        "--token-file", type=Path, help="file with the server's token (default: $TEMPEST_TOKEN)"
    )
    _rom_option(mame)

    precompile = command(
        "precompile", _precompile, _show_values, "compile the board and a game now, not at first use"
    )
    _rom_option(precompile)

    pictures = command("pictures", _pictures, _show_pictures, "save pictures of the game's screens")
    pictures.add_argument("folder", type=Path, help="where to write them")
    _rom_option(pictures)
    return parser


def _machine_options(parser: argparse.ArgumentParser, default: MachineName = "board") -> None:
    parser.add_argument(
        "--machine", choices=MACHINES, default=default, help=f"what runs the game (default {default})"
    )
    _rom_option(parser)


def _observation_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--obs-type",
        choices=("features", "ram", "rgb", "grayscale"),
        default="features",
        help="what the environments observe (default features)",
    )
    parser.add_argument(
        "--screen-size",
        type=_positive,
        nargs=2,
        default=(84, 84),
        metavar=("H", "W"),
        help="height and width of an observed picture (default 84 84)",
    )


def _rom_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rom", help="folder, zip or name of a ROM set (default: $TEMPEST_ROM, else Squall)")


def _number(least: float, most: float, kind: type[int] | type[float] = float) -> Callable[[str], Any]:
    """Return a function that reads a number from ``least`` to ``most``."""

    def read(text: str) -> float:
        with contextlib.suppress(ValueError):
            if least <= kind(text) <= most:
                return kind(text)
        raise argparse.ArgumentTypeError(
            f"must be {'a whole' if kind is int else 'a'} number from {least:,} to {most:,}, got {text!r}"
        )

    return read


_positive = _number(1, 1_000_000_000, int)
_whole = _number(0, 2**63 - 1, int)
_seconds = _number(0, 1_000_000)


def _player_or(other: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        names = [other, *player_names()]
        if text not in names:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(names)}, got {text}")
        return text

    return read


def _doctor(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.commands.doctor import examine

    result = examine()
    return dict(result), 1 if result["problems"] else 0


def _found(values: Iterable[Any]) -> str:
    return " ".join(str(value) for value in values if value is not None) or "not found"


def _show_doctor(result: dict[str, Any]) -> str:
    from tempest_gym.machines.mame_process import INSTALL_MAME

    lines = [f"{key:9} {_found(result[key].values())}" for key in ("rom", "lua")]
    if result["mame"]["path"] is None:
        lines.append(f"mame      not found; only machine='mame' and MAME clients need it: {INSTALL_MAME}")
    else:
        lines.append(f"mame      {_found(result['mame'].values())}")
    lines.append(
        "versions  " + ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    )
    lines.append(f"torch     {result['torch'] or 'not installed'}")
    lines.append(
        f"cache     {result['cache'] or 'no folder can be written: each process compiles for itself'}"
    )
    lines.append("extras")
    for name, extra in result["extras"].items():
        missing = ", ".join(extra["missing"])
        state = f'missing {missing}: pip install "tempest-gym[{name}]"' if missing else "installed"
        lines.append(f"  {name:10} {extra['brings']}: {state}")
    problems = [f"problem: {problem}" for problem in result["problems"]]
    return "\n".join([*lines, *(problems or ["no problems"])])


def _play(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.commands.play import play_session

    result = play_session(
        policy=options.policy,
        machine=options.machine,
        rom=options.rom,
        games=options.games,
        seed=options.seed,
        start_level=options.start_level,
        render=options.render,
        record=options.record,
        mute=options.mute,
        mouse=options.mouse,
        smooth=options.smooth,
        glow=options.glow,
        against=options.against,
    )
    return dict(result), 0


def _replay(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.commands.play import replay_session

    result = replay_session(
        options.file,
        machine=options.machine,
        rom=options.rom,
        output=options.output,
        visible=not options.check,
        speed=options.speed,
        start=options.start,
        seconds=options.seconds,
    )
    return dict(result), 1 if result["equal"] is False else 0


def _show_replay(result: dict[str, Any]) -> str:
    text = f"{result['policy']} on {result['game']}, seed {result['seed']}: {result['frames']} game frames, "
    if result["equal"] is None:
        return f"{text}{result['score']} points so far; the recorded end was not reached, so not checked"
    if result["equal"]:
        return f"{text}{result['score']} points, level {result['level']}, exactly as recorded"
    return (
        f"{text}{result['score']} points, level {result['level']}: NOT as recorded "
        f"({result['recorded_score']} points, level {result['recorded_level']})"
    )


def _show_play(result: dict[str, Any]) -> str:
    if not result["games"]:
        return "no game was played"
    if len(result["games"]) == 1:
        game = result["games"][0]
        return (
            f"{result['policy']} on {result['game']} ({result['machine']}), seed {game['seed']}: "
            f"score {game['score']}, level {game['level']}"
        )
    return (
        f"{result['policy']} on {result['game']} ({result['machine']}), {len(result['games'])} games: "
        f"mean score {result['mean_score']:.0f}, median {result['median_score']:.0f}"
    )


def _bench(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.roms import resolve_rom

    rom = resolve_rom(options.rom)
    if options.machine == "mame":
        from tempest_gym.commands.bench_mame import bench_mame

        return dict(bench_mame(rom, options.instances, options.seconds, options.seed)), 0
    size = tuple(options.screen_size)
    if options.observations:
        from tempest_gym.commands.bench_observations import bench_observations

        return dict(bench_observations(rom, options.envs, size, options.seconds, options.seed)), 0
    from tempest_gym.commands.bench_board import bench_board
    from tempest_gym.settings import SettingsArguments

    observed: SettingsArguments = {"obs_type": options.obs_type, "screen_size": size}
    measured = bench_board(rom, options.envs, options.threads, options.seconds, options.seed, observed)
    return dict(measured), 0


def _show_bench(result: dict[str, Any]) -> str:
    if "speeds" not in result:
        return _show_values(result)
    lines = [f"{'steps per second of CPU time':46} {'single':>9} {str(result['envs']) + ' games':>9}"]
    for row in result["speeds"]:
        single, vector = (f"{row[key]:,.0f}" if row[key] else "-" for key in ("single", "vector"))
        lines.append(f"{row['environment'] + ' ' + row['observation']:46} {single:>9} {vector:>9}")
    if result["ale_py"] is None:
        lines.append("ale-py is not installed: pip install ale-py")
    return "\n".join(lines)


def _dataset(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.commands.dataset import record_dataset

    result = record_dataset(
        options.policy,
        options.episodes,
        name=options.name,
        rom=options.rom,
        seed=options.seed,
        steps=options.steps,
        settings={
            "start_level": options.start_level,
            "obs_type": options.obs_type,
            "screen_size": tuple(options.screen_size),
        },
    )
    return dict(result), 0


def _show_dataset(result: dict[str, Any]) -> str:
    return (
        f"{result['dataset']}: {result['episodes']} games by {result['policy']} on {result['game']}, "
        f"{result['steps']:,} steps, mean score {result['mean_score']:,.0f}; in {result['path']}"
    )


def _verify(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.commands.verify import matching_model, verify
    from tempest_gym.machines.board import BoardMachine
    from tempest_gym.machines.mame import MameMachine
    from tempest_gym.machines.setup import Setup
    from tempest_gym.roms import resolve_rom

    rom = resolve_rom(options.rom)
    with contextlib.closing(MameMachine(rom)) as mame:
        board = BoardMachine(rom, Setup(board_model=matching_model(mame, rom)))
        result = verify(mame, board, options.frames, options.seed)
    return dict(result), 0 if result["equal"] else 1


def _show_verify(result: dict[str, Any]) -> str:
    levels = ", ".join(map(str, result["levels_seen"]))
    if result["equal"]:
        model = result["board_model"]
        return f"equal over {result['frames']} frames (board model {model}); levels seen: {levels}"
    found = result["first_difference"]
    address = f"${found['address']:04X}" if isinstance(found["address"], int) else found["address"]
    return (
        f"first difference at frame {found['frame']}, {found['space']} {address}: "
        f"MAME {found['mame']}, board {found['board']}; levels seen: {levels}"
    )


def _client(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.roms import resolve_rom
    from tempest_gym.server.admission import read_token
    from tempest_gym.server.board_clients import run_board_clients
    from tempest_gym.server.mame_clients import run_clients
    from tempest_gym.signals import termination_as_interrupt

    token = read_token(options.token_file)
    rom = resolve_rom(options.rom)
    with termination_as_interrupt():
        if options.machine == "board":
            played = run_board_clients(options.connect, options.instances, rom, token=token or "")
            return dict(played), 0 if played["frames"] else 1
        result = run_clients(options.connect, options.instances, rom, token=token, window=options.window)
    return dict(result), 0


def _mame(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.commands.mame_window import show_mame
    from tempest_gym.roms import resolve_rom
    from tempest_gym.server.admission import read_token
    from tempest_gym.server.mame_clients import run_clients
    from tempest_gym.signals import termination_as_interrupt

    rom = resolve_rom(options.rom)
    with termination_as_interrupt():
        if options.connect is None:
            show_mame(rom)
            return {"game": rom.name}, 0
        token = read_token(options.token_file)
        return dict(run_clients(options.connect, 1, rom, token=token, window=True)), 0


def _precompile(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.board import precompile, translation
    from tempest_gym.roms import resolve_rom

    rom = resolve_rom(options.rom)
    compiled = precompile()
    translated = translation.precompile(rom.memory) if translation.is_supported() else None
    if compiled is None:
        raise OSError("no cache folder can be written: set TEMPEST_GYM_CACHE to a folder of yours")
    return {"compiled": str(compiled), "translated": translated and str(translated)}, 0


def _pictures(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from tempest_gym.commands.pictures import save_pictures
    from tempest_gym.roms import resolve_rom

    return {"pictures": [str(file) for file in save_pictures(resolve_rom(options.rom), options.folder)]}, 0


def _show_pictures(result: dict[str, Any]) -> str:
    return "\n".join(result["pictures"])


def _show_values(result: dict[str, Any]) -> str:
    """Return the values as a table: names in words, numbers rounded, shares in per cent."""
    width = max(map(len, result))
    return "\n".join(f"{key.replace('_', ' '):{width}}  {_rounded(value)}" for key, value in result.items())


def _rounded(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {share:.0%}" for name, share in value.items())
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if type(value) is int else "not measured" if value is None else str(value)
