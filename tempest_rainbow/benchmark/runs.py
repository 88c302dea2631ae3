"""Runs a track: trains a player by its command, plays the track's games, and writes one JSON file for each run."""

from __future__ import annotations

import csv
import hashlib
import importlib
import importlib.util
import json
import logging
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from filelock import FileLock, Timeout
from llvmlite import binding as llvm
from numpy.typing import NDArray

from tempest_gym.actions import ACTION_COUNT
from tempest_gym.extras import versions_of
from tempest_gym.files import read_json, write_bytes
from tempest_gym.roms import resolve_rom
from tempest_gym.settings import Settings, observation_space
from tempest_rainbow.benchmark.tracks import FIRST_SEED, OURS, SQUALL_SHA1, TRACKS, LevelTask, Track
from tempest_rainbow.config.settings import TEMPEST
from tempest_rainbow.evaluate import evaluate
from tempest_rainbow.monitor.history import read_history
from tempest_rainbow.policy import ExpertPolicy, Policy, load_policy

__all__ = ["Player", "fill_in", "loaded", "run_track"]

_log = logging.getLogger(__name__)

_CURVE_POINTS = 60

REFERENCES = ("expert", "random", "bundled")
"""Policies that play as they are; a row of their name is theirs."""

_PACKAGES = ("tempest-gym", "gymnasium", "numpy", "torch")


@dataclass(frozen=True)
class Player:
    """A player of a track: how it is trained, and what then plays.

    Attributes:
        name: of the row in the report.
        train: shell command that trains it, with {folder}, {seed}, {minutes}, {steps} and {levels}; None: untrained.
        resume: shell command that resumes an interrupted training, with the same placeholders; None: it restarts.
        resumes_from: pattern of a file that the training leaves in its folder; without one it restarts.
        policy: what then plays: ``random``, ``expert``, ``bundled``, a path, or FILE.py:FUNCTION or MODULE:FUNCTION,
            which is called with the folder. {folder} stands for it here too.
    """

    name: str
    train: str | None
    policy: str
    resume: str | None = None
    resumes_from: str = "*"

    @classmethod
    def of(
        cls,
        track: str,
        name: str | None = None,
        train: str | None = None,
        policy: str | None = None,
        resume: str | None = None,
    ) -> Player:
        """Return the player that the command line describes, by default the default trainer.

        Raises:
            ValueError: it has no name, one that cannot be a file's or that of another policy, or the default trainer
                has no settings for the track.
        """
        if name is not None and Path(name).name != name:
            raise ValueError(f"--name must be usable as a file name, got {name!r}")
        if name in REFERENCES and (train, policy) != (None, name):
            raise ValueError(f"--name {name} is kept for --policy {name}")
        if train is None and policy is None:
            if track not in OURS:
                raise ValueError(
                    f"the default trainer cannot be trained in track {track!r}: give --train and --name"
                )
            continues = OURS[track].replace("--run {folder}", "--resume {folder}")
            return cls(name or "ours", OURS[track], "{folder}", continues, "checkpoints/[0-9]*")
        if train is None:
            assert policy is not None
            return cls(name or re.sub(r"\W+", "-", policy), None, policy)
        if name is None:
            raise ValueError("--train needs a --name for its row")
        return cls(name, train, policy or "{folder}", resume)


def run_track(name: str, player: Player, seeds: tuple[int, ...], folder: Path) -> list[Path]:
    """Train and evaluate a player once for each seed and return the files of the results.

    Finished work is kept: neither a result that exists nor a finished training is repeated. A training
    that was interrupted resumes if the player has a command for that and left a checkpoint, or restarts.

    Args:
        name: of the track.
        player: who plays.
        seeds: of the trainings.
        folder: results are written to ``folder/TRACK/NAME-SEED.json``, trainings to ``folder/work``.

    Raises:
        ValueError: the game is not the benchmark's, the folder cannot be written, the policy's file does not exist,
            the command cannot be filled in, or a training took too long.
        RuntimeError: a training failed, or another process is at work on the same row.
    """
    track = TRACKS[name]
    _check_game()
    _check_folder(folder / name)
    _check_policy(player.policy)
    _log.info("track %s: %s", name, track.summary)
    results = []
    for seed in dict.fromkeys(seeds) if player.train else (0,):
        result = folder / name / f"{player.name}-{seed}.json"
        results.append(result)
        if result.exists():
            _note_existing(result, player)
            continue
        work = folder / "work" / name / f"{player.name}-{seed}"
        work.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{work}.lock", timeout=0):
                content = _content(name, player, seed, work)
        except Timeout:
            raise RuntimeError(f"another process is at work on {work}") from None
        write_bytes(result, json.dumps(content).encode())
        _log.info("%s written", result)
    return results


def _content(name: str, player: Player, seed: int, work: Path) -> dict[str, Any]:
    """Train a player and let it play; return the result."""
    track = TRACKS[name]
    training = _trained(track, player, work, seed) if player.train else {}
    track.check_time(training.get("processor_minutes"))
    policy = _Shown(loaded(player.policy, work), track)
    return {
        "format": 1,
        "track": name,
        "player": player.name,
        "seed": seed,
        "train": player.train,
        "policy": player.policy,
        "settings": asdict(track),
        "game": SQUALL_SHA1,
        "versions": versions_of(_PACKAGES),
        "machine": f"{llvm.get_host_cpu_name()}, {platform.machine()}, {platform.system()}",
        "scripts": _digests(player),
        **training,
        "curve": _curve(work),
        "tasks": {str(task.start_level): _played(track, task, policy) for task in track.tasks},
    }


def _digests(player: Player) -> dict[str, str]:
    """Return the SHA-256 of each Python file that a player's commands name."""
    paths = map(Path, re.findall(r"[^\s'\"{}=]+\.py", f"{player.train} {player.policy}"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}


def _check_folder(folder: Path) -> None:
    """Make the folder of the results, before hours are spent; raise ValueError if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"--folder: {folder} cannot be written ({error.strerror})") from error


def _check_policy(policy: str) -> None:
    """Raise ValueError if a policy's Python file does not exist; one in {folder} may appear in training."""
    source, colon, _ = policy.rpartition(":")
    if colon and source.endswith(".py") and "{folder}" not in source and not Path(source).is_file():
        raise ValueError(f"--policy {policy}: there is no file {source}")


def _note_existing(result: Path, player: Player) -> None:
    """Log that a result is kept, and if other commands made it."""
    try:
        made = read_json(result)
        commands = made["train"], made["policy"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{result} is not a whole result: delete it to measure again") from None
    if commands == (player.train, player.policy):
        _log.info("%s exists", result)
    else:
        _log.warning(
            "%s exists, made by other commands (train %s, policy %s): choose another --name to measure yours",
            result,
            *commands,
        )


def fill_in(template: str, track: Track, folder: Path, seed: int) -> str:
    """Return a training command with every placeholder filled in.

    Raises:
        ValueError: a placeholder is unknown, or stands for a limit that the track does not have.
    """
    values: dict[str, Any] = {"folder": shlex.quote(str(folder)), "seed": seed}
    if track.minutes is not None:
        values["minutes"] = f"{track.minutes:g}"
    if track.steps is not None:
        values["steps"] = track.steps
    if track.levels:
        values["levels"] = " ".join(map(str, track.levels))
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError) as error:
        known = ", ".join(f"{{{name}}}" for name in values)
        raise ValueError(f"{template!r}: {error}; this track knows {known}") from error


def _check_game() -> None:
    """Raise ValueError unless environments play the benchmark's game."""
    rom = resolve_rom()
    if rom.sha1 != SQUALL_SHA1:
        raise ValueError(
            f"the benchmark is for Squall (SHA-1 {SQUALL_SHA1}), the environment plays {rom.name} ({rom.sha1}): "
            "unset TEMPEST_ROM, or install the version that the results name"
        )


def _trained(track: Track, player: Player, folder: Path, seed: int) -> dict[str, Any]:
    """Train a player unless a finished training exists, and return the minutes that it took.

    An interrupted training continues with the player's ``resume`` command if it left a checkpoint, or restarts.

    Raises:
        RuntimeError: the command failed.
    """
    record = folder / "training.json"
    minutes: dict[str, Any] = {"wall_minutes": 0.0, "processor_minutes": 0.0}
    template = player.train
    if record.exists():
        known = dict(read_json(record))
        finished = known.pop("finished")
        if finished:
            return known
        if player.resume and any(folder.glob(player.resumes_from)):
            minutes, template = known, player.resume
    command = fill_in(str(template), track, folder.absolute(), seed)
    if template is player.train:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_bytes(record, json.dumps({**minutes, "finished": False}).encode())
    _log.info("%s, seed %d: %s", player.name, seed, command)
    code = None
    try:
        code = _run(command, folder / "output.txt", minutes, one_core=track.minutes is not None)
    finally:
        write_bytes(record, json.dumps({**minutes, "finished": code == 0}).encode())
    if code:
        raise RuntimeError(f"the training ended with code {code}; its output is in {folder / 'output.txt'}")
    return minutes


def _run(command: str, output: Path, minutes: dict[str, Any], *, one_core: bool) -> int:
    """Run a shell command and return its exit code; its time is added to ``minutes``, however it ends.

    Processor time includes the command's child processes. It is None on Windows, which does not report it.
    """
    start = time.monotonic()
    # Scripts find python and tempest-rainbow beside this interpreter, whether or not its environment is active.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with open(output, "ab") as file, _pinned(one_core):
        process = subprocess.Popen(
            command,
            shell=True,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": path},
            start_new_session=True,
        )
    try:
        return _wait(process, minutes)
    except BaseException:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.terminate()
        _wait(process, minutes)
        raise
    finally:
        minutes["wall_minutes"] = round(minutes["wall_minutes"] + (time.monotonic() - start) / 60, 3)


@contextmanager
def _pinned(one_core: bool) -> Iterator[None]:
    """Restrict processes that start within to one core, on systems that can."""
    if not one_core or not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [min(cores)])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _wait(process: subprocess.Popen[bytes], minutes: dict[str, Any]) -> int:
    """Wait for a process, add its processor time and return its exit code."""
    if not hasattr(os, "wait4"):
        minutes["processor_minutes"] = None
        return process.wait()
    _, status, usage = os.wait4(process.pid, 0)
    minutes["processor_minutes"] = round(
        minutes["processor_minutes"] + (usage.ru_utime + usage.ru_stime) / 60, 3
    )
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


def loaded(policy: str, folder: Path) -> Policy:
    """Return the policy that a player's ``policy`` names.

    Raises:
        ValueError: the file, module or function does not exist, or what it returns cannot play.
    """
    policy = policy.format(folder=folder)
    source, colon, function = policy.rpartition(":")
    if not colon or not function.isidentifier():
        return load_policy(policy, ACTION_COUNT, FIRST_SEED)
    if source.endswith(".py"):
        sys.path.append(str(Path(source).absolute().parent))  # for what it imports from beside itself
        _check_policy(policy)
        spec = importlib.util.spec_from_file_location(Path(source).stem, source)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        sys.path.append(str(Path.cwd()))  # as `python -m` does
        try:
            module = importlib.import_module(source)
        except ModuleNotFoundError as error:
            if f"{source}.".startswith(f"{error.name}."):
                raise ValueError(f"--policy {policy}: there is no module {error.name}") from error
            raise
    if not hasattr(module, function):
        raise ValueError(f"--policy {policy}: {source} has no function {function}")
    with _error_of(f"--policy {policy}"):
        player: Policy = getattr(module, function)(folder)
    if not callable(getattr(player, "act", None)):
        raise ValueError(
            f"--policy {policy}: {function} must return an object with act(observations, info), got {player!r}"
        )
    return player


@contextmanager
def _error_of(what: str) -> Iterator[None]:
    """Log where the code of somebody else failed, and raise RuntimeError with one sentence."""
    try:
        yield
    except Exception as error:
        _log.exception("%s failed", what)
        raise RuntimeError(f"{what} failed: {type(error).__name__}: {error}") from error


class _Shown:
    """Passes a policy observations in their original shape, and of ``info`` only whether a game started. The
    teacher, as a reference, also gets its advice.
    """

    def __init__(self, policy: Policy, track: Track) -> None:
        self.name = getattr(policy, "name", type(policy).__name__)
        self._policy: Any = policy
        self._space = observation_space(Settings(**track.environment))
        self._keys = {"episode_frames"} | ({"expert_action"} if isinstance(policy, ExpertPolicy) else set())

    def act(self, observations: NDArray[np.float32], info: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return the policy's actions."""
        rows = observations.reshape(-1, *self._space.shape).astype(self._space.dtype, copy=False)
        with _error_of(f"act of {self.name}"):
            return self._policy.act(rows, {name: info[name] for name in self._keys})


def _played(track: Track, task: LevelTask, policy: Policy) -> dict[str, Any]:
    """Play a task's games and return their statistics; ``result`` is the number that stands for them."""

    def make_envs(count: int) -> Any:
        return gym.make_vec(
            TEMPEST, num_envs=count, rom="squall", start_level=task.start_level, **track.environment
        )

    games = evaluate(make_envs, policy, track.games, FIRST_SEED)
    result = games["mean"]
    if track.measure == "cleared":
        result = float(np.mean(np.asarray(games["levels"]) > task.start_level))
    _log.info("level %d: %s %g", task.start_level, track.measure, result)
    names = ("scores", "levels", "steps", "truncated", "deaths_per_level", "deaths_by_level")
    return {"result": result, **{name: games[name] for name in names}}


def _curve(folder: Path) -> list[list[float]]:
    """Return points (minutes, steps, score) that a training left in ``curve.csv`` or in a run's history."""
    if (folder / "curve.csv").exists():
        with open(folder / "curve.csv", newline="", encoding="utf-8") as file:
            return [
                [float(row[name]) for name in ("minutes", "steps", "score")] for row in csv.DictReader(file)
            ]
    if not (folder / "history.jsonl").exists():
        return []
    rows = [
        (line["seconds"] / 60, line["frames"], line["values"]["episodes/agent_score"])
        for line in read_history(folder / "history.jsonl")
        if line["kind"] == "row" and line["values"].get("episodes/agent_score") is not None
    ]
    last_in = {int(_CURVE_POINTS * row[0] / rows[-1][0]): row for row in rows}
    return [[round(minutes, 2), steps, round(score, 1)] for minutes, steps, score in last_in.values()]
