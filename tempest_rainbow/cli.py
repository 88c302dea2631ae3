"""The command ``tempest-rainbow``: train, evaluate, watch, plot, export, bench, benchmark."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from gymnasium.error import Error as GymnasiumError

from tempest_gym.extras import extra_of, missing_extra

__all__ = ["main"]

_log = logging.getLogger(__name__)

_EVALUATION_BLOCK = 64
"""Rows of each forward pass of an evaluation, so that its games do not depend on how many are played at once."""


@dataclass(frozen=True)
class PlanOptions:
    """How a planner plans; used with --planner only."""

    copies: int = 8
    """Copies of a game that the policy plays ahead to see whether one dies."""
    guard_horizon: int = 24
    """Decisions that these copies are played ahead."""
    every: int = 4
    """Decisions between two such checks while no copy dies."""
    horizon: int = 40
    """Decisions that a search for a better plan plays a copy ahead."""
    simulations: int = 267
    """Most copies that a search plays."""
    enough: int = 1000
    """Copies of a plan; a search ends early where that many, all that were tried, live."""
    seconds: float | None = None
    """Seconds after which a decision compares no more plans; none: no limit."""
    room: int = 512
    """Copies played at once."""


@dataclass(frozen=True)
class GameOptions:
    """Who plays which games."""

    policy: str = "bundled"
    """expert, random, bundled, or a path: run folder (its best checkpoint), checkpoint, weights file."""
    games: int = 100
    """Number of games."""
    seed: int = 10_000
    """Seed of the first game; the others follow."""
    env: str | None = None
    """Gymnasium id; by default the one that the policy was trained on, Tempest for expert and random."""
    machine: Literal["board", "mame"] = "board"
    """Tempest only: the board in process, or MAME."""
    rom: str | None = None
    """Tempest only: path of a ROM set."""
    start_level: int = 1
    """Tempest only: level at which games start."""
    frame_skip: int | None = None
    """Tempest only: game frames for which an action is held; by default as the policy was trained."""


@dataclass(frozen=True)
class EvaluateOptions(GameOptions):
    """Play whole greedy games on held-out seeds and report mean, median, IQM and 95% intervals."""

    envs: int = 64
    """Most games at once."""
    device: str = "cpu"
    """Device of the network: cpu, cuda, mps."""
    prior_weight: float | None = None
    """Weight (lambda) of the imitated policy in the choice of actions; by default as in training."""
    time_limit: float | None = 1800.0
    """Tempest only: seconds of game time after which a game is truncated; none: no limit."""
    planner: bool = False
    """Tempest on boards only: plan on copies of the game, which have their own random numbers."""
    plan: PlanOptions = field(default_factory=PlanOptions)
    ray: str | None = None
    """Play on a Ray cluster: its address, `auto` for the one this machine belongs to, or `local` to start one."""
    runners: int = 2
    """With --ray: processes of one core each that share the games."""
    save: Path | None = None
    """Tempest on boards only: file to save in every five minutes, on Ctrl-C and at the end. The same
    command continues from it."""
    json: bool = False
    """Print one JSON object to standard output, everything else to standard error."""


@dataclass(frozen=True)
class WatchOptions(GameOptions):
    """Watch a policy play, in a window or in a video file."""

    games: int = 1
    output: Path | None = None
    """Video file to write (.mp4 or .gif); without it a window opens."""
    seconds: float | None = None
    """Stop after this many seconds of play."""
    panel: bool = True
    """Tempest only: show expected returns, the agent's and the expert's choice, and attention."""
    planner: bool = False
    """Tempest on boards only: plan on copies of the game, and show where they end."""
    plan: PlanOptions = field(default_factory=PlanOptions)
    play: bool = False
    """Tempest on boards only: play the same game beside it, keys as in tempest-gym play."""


@dataclass(frozen=True)
class ExportOptions:
    """Write a policy as safetensors or ONNX and check that the file gives the same results."""

    policy: str = "bundled"
    """bundled, or a path: run folder (its best checkpoint), checkpoint, weights file."""
    output: Path = Path("policy.onnx")
    """File to write, .safetensors or .onnx."""
    prior_weight: float | None = None
    """Weight (lambda) of the imitated policy in the choice of actions; by default as in training."""


@dataclass(frozen=True)
class BenchmarkOptions:
    """Run a track of the benchmark, or report on the results that a folder holds."""

    track: Literal["core-hour", "100m", "pixels", "no-teacher", "generalisation", "trial"] = "core-hour"
    """Task and budget; docs/benchmark.md describes them. trial takes seconds."""
    name: str | None = None
    """Name of the player in the report; by default ours, or the policy's name."""
    train: str | None = None
    """Shell command that trains the player: {folder}, {seed}, {minutes}, {steps} and {levels} are filled in.
    By default the command of the default trainer."""
    resume: str | None = None
    """Shell command that continues an interrupted training, with the same placeholders; without it the
    training restarts."""
    policy: str | None = None
    """The policy that is evaluated: expert, random, bundled, a path, or FILE.py:FUNCTION, which is called
    with the folder and returns an object with act(observations, info). Without --train it is evaluated untrained."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seed of each training."""
    folder: Path = Path("benchmark")
    """Folder of the results, TRACK/NAME-SEED.json."""
    report: bool = False
    """Write a table and plots of the results in the folder instead of running."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, tuple[Callable[[list[str]], int], str]] = {
        "train": (_train, "train an agent; without arguments Tempest on the board, for an hour"),
        "evaluate": (_evaluate, "play whole games on held-out seeds and report statistics"),
        "watch": (_watch, "watch a policy play, in a window or a video file"),
        "plot": (_plot, "draw curves of runs as SVG, side by side"),
        "export": (_export, "write a policy as safetensors or ONNX"),
        "bench": (_bench, "measure learner and replay"),
        "benchmark": (_benchmark, "run a track of the benchmark; table and plots of results"),
    }
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
    )
    if given[:1] == ["--version"]:
        sys.stdout.write(f"tempest-rainbow {version('tempest-gym')}\n")
        return 0
    if not given or given[0] in ("-h", "--help") or given[0] not in commands:
        lines = "\n".join(f"  {name:11}{text}" for name, (_, text) in commands.items())
        usage = (
            f"usage: tempest-rainbow COMMAND [OPTIONS]\n\n{lines}\n\n"
            "tempest-rainbow COMMAND --help lists the options."
        )
        if given and given[0] not in ("-h", "--help"):
            sys.stderr.write(
                f"tempest-rainbow: unknown command {given[0]!r}; choose one of {', '.join(commands)}\n"
            )
            return 2
        sys.stdout.write(usage + "\n")
        return 0
    command, _ = commands[given[0]]
    try:
        return command(given[1:])
    except ModuleNotFoundError as error:
        if error.name is None:  # Gymnasium's own, for an environment's module
            sys.stderr.write(f"tempest-rainbow {given[0]}: {error}\n")
            return 1
        needs = missing_extra(f"tempest-rainbow {given[0]}", extra_of(error.name))
        sys.stderr.write(f"{error.name} is not installed; {needs}\n")
        return 1
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, RuntimeError, MemoryError, GymnasiumError) as error:
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            raise
        sys.stderr.write(f"tempest-rainbow {given[0]}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"tempest-rainbow {given[0]}: interrupted\n")
        return 130


def _parse(options: type, arguments: list[str], command: str) -> Any:
    from tempest_rainbow.config.command_line import parse

    return parse(options(), arguments, f"tempest-rainbow {command}")


def resolve(arguments: list[str]) -> Any:
    """Return the ``TrainConfig`` that preset, TOML file and command line make together.

    Raises:
        ConfigError: a setting is unknown or out of range.
        OSError: the TOML file cannot be read.
    """
    from tempest_gym.files import read_text
    from tempest_rainbow.config.command_line import parse
    from tempest_rainbow.config.settings import ConfigError, TrainConfig
    from tempest_rainbow.config.toml import from_toml
    from tempest_rainbow.presets import preset, preset_for

    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--preset", "--config", "--resume", "--env"):
        first.add_argument(name)
    early, _ = first.parse_known_args(arguments)
    given = None if early.config is None else read_text(Path(early.config).expanduser())
    if early.resume is not None:
        settings = Path(early.resume).expanduser() / "config.toml"
        if not settings.exists():
            raise ConfigError(f"{early.resume} is not a run folder: {settings} is missing")
        base = from_toml(read_text(settings), TrainConfig())
        if early.preset not in (None, base.preset):
            raise ConfigError(
                f"a resumed run keeps its settings, here those of preset {base.preset or preset_for(base.env)!r}: "
                f"--preset {early.preset} cannot change them"
            )
    else:
        named = TrainConfig() if given is None else from_toml(given, TrainConfig())
        base = preset(early.preset or named.preset or preset_for(early.env or named.env))
    if given is not None:
        base = replace(from_toml(given, base), preset=base.preset)
    config = _with_full_paths(parse(base, arguments, "tempest-rainbow train"))
    config.check()
    _find_modules_here(config.env)
    return config


def _with_full_paths(config: Any) -> Any:
    """Replace ~ in every path, and make the ROM's absolute, so that a run resumes from any folder."""
    paths = {field.name: getattr(config, field.name) for field in fields(config)}
    expanded = {name: path.expanduser() for name, path in paths.items() if isinstance(path, Path)}
    return replace(config, **expanded, rom=_full_rom_path(config.rom))


def _full_rom_path(rom: str | None) -> str | None:
    """Return the absolute path of a ROM set; a set's name, such as squall, stays what it is."""
    path = None if rom is None else Path(rom).expanduser()
    return str(path.absolute()) if path is not None and path.exists() else rom


def _find_modules_here(env: str) -> None:
    """Let an id such as ``my_module:MyEnv-v0`` find its module in the current folder, as ``python -m`` does."""
    here = str(Path.cwd())
    if ":" in env and here not in sys.path:
        sys.path.append(here)


def _train(arguments: list[str]) -> int:
    from tempest_rainbow.run import train

    config = resolve(arguments)
    return train(config)


def _evaluate(arguments: list[str]) -> int:
    options = _parse(EvaluateOptions, arguments, "evaluate")
    from tempest_rainbow.evaluate import report

    play = partial(_play_share, options, _task(options))
    start = time.monotonic()
    if options.ray is None:
        shares = [play(options.games, options.seed)]
    else:
        from tempest_rainbow.spread import spread

        shares = spread(play, options.games, options.seed, options.ray, options.runners)
    result = report(shares, time.monotonic() - start)
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        (low, high), (iqm_low, iqm_high) = result["ci95"]["mean"], result["ci95"]["iqm"]
        sys.stdout.write(
            f"{result['policy']}: {result['games']} {'game' if result['games'] == 1 else 'games'}\n"
            f"mean    {result['mean']:.1f}  (95%: {low:.1f} to {high:.1f})\n"
            f"median  {result['median']:.1f}\n"
            f"IQM     {result['iqm']:.1f}  (95%: {iqm_low:.1f} to {iqm_high:.1f})\n"
        )
        if result["level_mean"] is not None:
            sys.stdout.write(f"level   {result['level_mean']:.2f} (highest {result['level_max']})\n")
        for levels, block in result["deaths_by_level"].items():
            sys.stdout.write(
                f"levels {levels}: {block['deaths']} lives lost, {block['levels']} levels passed\n"
            )
        if result["truncated"]:
            sys.stdout.write(f"games ended by the time limit: {result['truncated']}\n")
        if options.planner:
            sys.stdout.write(
                f"{result['decisions_per_second']:.1f} decisions a second, "
                f"{result['simulations_per_decision']:.1f} simulations a decision\n"
            )
    return 0


def _play_share(options: EvaluateOptions, task: Any, games: int, seed: int) -> Any:
    """Play some games of an evaluation, here or on a cluster's machine."""
    import torch

    from tempest_rainbow.collect.environments import make_vector, probe
    from tempest_rainbow.evaluate import play_share
    from tempest_rainbow.policy import NetworkPolicy, load_policy

    size, actions = probe(task)
    policy = load_policy(options.policy, actions, seed, options.device, observation_size=size)
    if options.prior_weight is not None:
        if not isinstance(policy, NetworkPolicy):
            raise ValueError(f"--prior-weight needs a network, and {policy.name} has none")
        policy.set_prior_weight(options.prior_weight)
    if isinstance(policy, NetworkPolicy) and not options.planner:
        # Equal blocks on one thread: rounding, and with it every game, depends on the processor alone. Two threads
        # would save little and wait for each other wherever another process has a core.
        policy.block = _EVALUATION_BLOCK
        torch.set_num_threads(1)
    player = _planner(options, task, policy) if options.planner else policy
    saved = None if options.save is None else _saved_evaluation(options, options.save, task, policy)
    return play_share(partial(make_vector, task), player, games, seed, envs=options.envs, saved=saved)


def _saved_evaluation(options: EvaluateOptions, path: Path, task: Any, policy: Any) -> Any:
    """Return where to save an evaluation, after a check that it can be saved."""
    from tempest_rainbow.policy import RandomPolicy, weights_digest
    from tempest_rainbow.saved_evaluation import SavedEvaluation

    if not task.tempest or task.machine != "board":
        raise ValueError("--save needs games that can be saved: Tempest on boards")
    if options.ray is not None:
        raise ValueError("--save goes with games that are played here, not with --ray")
    if isinstance(policy, RandomPolicy):
        raise ValueError("--save does not go with --policy random, whose state is not saved")
    path = path.expanduser()
    if not path.parent.is_dir():
        raise ValueError(f"--save {path}: the folder {path.parent} does not exist")
    settings = asdict(replace(options, save=None, json=False))
    return SavedEvaluation(path, {**settings, "weights": weights_digest(policy)})


def _planner(options: Any, task: Any, policy: Any) -> Any:
    from tempest_rainbow.planner import PlannerConfig
    from tempest_rainbow.players import make_planner

    plan = options.plan
    config = PlannerConfig(
        copies=plan.copies,
        horizon=plan.horizon,
        guard_horizon=plan.guard_horizon,
        guard_every=plan.every,
        simulations=plan.simulations,
        enough=plan.enough,
        seconds=plan.seconds,
        holds=tuple(hold for hold in PlannerConfig.holds if hold <= plan.horizon) or (1,),
    )
    return make_planner(policy, task, config, plan.room)


def _watch(arguments: list[str]) -> int:
    options = _parse(WatchOptions, arguments, "watch")
    from tempest_rainbow.watch.watch import watch

    task = _task(options)
    if options.play:
        return _play_beside(options, task)
    games = watch(
        task,
        options.policy,
        output=options.output,
        games=options.games,
        seed=options.seed,
        seconds=options.seconds,
        panel=options.panel,
        plan=(lambda policy: _planner(options, task, policy)) if options.planner else None,
    )
    for seed, score, ended in games:
        state = "" if ended else " so far, not a result: the game had not ended when the playback stopped"
        sys.stdout.write(f"seed {seed}: {score:.0f}{state}\n")
    return 0


def _play_beside(options: Any, task: Any) -> int:
    """Let a person play the same games as a policy, in one window."""
    from tempest_gym.actions import ACTION_COUNT
    from tempest_gym.commands.play import play_session
    from tempest_rainbow.players import player_of
    from tempest_rainbow.policy import load_policy

    if not task.tempest or task.machine != "board" or options.planner or options.output is not None:
        raise ValueError("--play is for Tempest on boards, in a window, without --planner and --output")
    policy = load_policy(options.policy, ACTION_COUNT, options.seed)
    result = play_session(
        policy="human",
        rom=task.rom,
        games=options.games,
        seed=options.seed,
        start_level=options.start_level,
        against=(policy.name, lambda env, seed: player_of(policy, task.frame_skip)),
    )
    for game in result["games"]:
        sys.stdout.write(f"seed {game['seed']}: you {game['score']}\n")
    return 0


def _plot(arguments: list[str]) -> int:
    from tempest_rainbow.config.command_line import Parser

    parser = Parser(
        "tempest-rainbow plot",
        description="Draw one metric of several runs over frames as SVG, scores with evaluations and 95% intervals.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument(
        "--metric", default="episodes/agent_score", help="metric to draw (default: %(default)s)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("curves.svg"), help="SVG file to write (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    from tempest_rainbow.monitor.plot import plot

    plot(options.runs, options.metric, options.output)
    sys.stdout.write(f"{options.output} written\n")
    return 0


def _export(arguments: list[str]) -> int:
    options = _parse(ExportOptions, arguments, "export")
    from tempest_rainbow.export import export

    difference = export(options.policy, options.output, options.prior_weight)
    sys.stdout.write(f"{options.output}: equal to the policy within {difference:.2g}\n")
    return 0


def _bench(arguments: list[str]) -> int:
    from tempest_rainbow.bench.command import main as bench

    return bench(arguments)


def _benchmark(arguments: list[str]) -> int:
    options = _parse(BenchmarkOptions, arguments, "benchmark")
    if options.report:
        from tempest_rainbow.benchmark.report import write_report

        sys.stdout.write(write_report(options.folder, options.track))
        return 0
    from tempest_gym.signals import termination_as_interrupt
    from tempest_rainbow.benchmark.runs import Player, run_track

    player = Player.of(options.track, options.name, options.train, options.policy, options.resume)
    with termination_as_interrupt():
        for result in run_track(options.track, player, options.seeds, options.folder):
            sys.stdout.write(f"{result}\n")
    return 0


def _task(options: Any) -> Any:
    from tempest_rainbow.config.settings import TEMPEST, Task
    from tempest_rainbow.policy import trained_on

    env, frame_skip = options.env, options.frame_skip
    if env is None or frame_skip is None:
        usual_env, usual_skip = trained_on(options.policy)
        env = env or usual_env or TEMPEST
        frame_skip = frame_skip or usual_skip
    _find_modules_here(env)
    return Task(
        env=env,
        tempest=env.split(":")[-1].startswith("Tempest-"),
        machine=options.machine,
        rom=_full_rom_path(options.rom),
        start_level=options.start_level,
        frame_skip=frame_skip,
        time_limit=getattr(options, "time_limit", 1800.0),
    )


if __name__ == "__main__":
    sys.exit(main())
