"""Settings of a training run: dataclasses that are the command line, the TOML file and the record of a run
at once."""

from __future__ import annotations

import difflib
import math
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from tempest_rainbow.agenda import ClockKind
from tempest_rainbow.collect.cluster import ClusterConfig
from tempest_rainbow.collect.environments import TEMPEST, Task
from tempest_rainbow.learner_config import LearnerConfig
from tempest_rainbow.monitor.dashboard import DashboardConfig
from tempest_rainbow.network import NetworkConfig
from tempest_rainbow.replay import ReplayConfig
from tempest_rainbow.schedules import (
    BetaSchedule,
    EpsilonSchedule,
    ExpertSchedule,
    ImitationSchedule,
    LearningRateSchedule,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "TEMPEST",
    "CheckpointConfig",
    "ConfigError",
    "EvaluationConfig",
    "MonitorConfig",
    "TrainConfig",
    "from_toml",
    "overlay",
    "spell_none",
    "to_toml",
]


class ConfigError(ValueError):
    """A setting is unknown, of a wrong type or out of range; the message says what was expected."""


@dataclass(frozen=True)
class EvaluationConfig:
    """Evaluation during training: greedy, whole games, seeds that training never uses."""

    every_minutes: float = 15.0
    """Minutes between evaluations; 0 switches those by time off."""
    every_frames: int = 0
    """Frames between evaluations; 0 switches those by frames off."""
    games: int = 30
    """Games per evaluation."""
    envs: int = 64
    """Greatest number of games at once."""
    seed: int = 20_000
    """Seed of the first game; the others follow. The command `evaluate` plays others, so that what was chosen by
    these is judged by those."""
    at_end: bool = True
    """Evaluate once more when the run ends by --frames or --minutes."""
    solved_at: float | None = None
    """End the run as soon as an evaluation's mean score reaches this."""


@dataclass(frozen=True)
class CheckpointConfig:
    """Checkpoints: saved by time and at the end, into <run>/checkpoints."""

    every_minutes: float = 5.0
    """Minutes between automatic saves; 0 switches those by time off."""
    every_frames: int = 0
    """Frames between automatic saves; 0 switches those by frames off."""
    keep: int = 3
    """How many of the last checkpoints are kept; the best by evaluation is kept beside them."""
    replay: bool = False
    """Save the replay too: a resumed run then continues exactly, but each checkpoint is as large as the
    replay."""


@dataclass(frozen=True)
class MonitorConfig:
    """What tells of a run while it goes on."""

    every_seconds: float = 30.0
    """Seconds between rows of metrics in the terminal or the log."""
    curve_seconds: float = 5.0
    """Seconds between points of the curves."""
    ui: Literal["auto", "rows", "live", "log"] = "auto"
    """`rows`: columns under a header; `live`: a panel with a progress bar; `log`: plain lines; `auto`: rows
    at a terminal,
    otherwise plain lines."""
    keyboard: bool = True
    """Steer by single keys where standard input is a terminal; ? lists them."""
    tensorboard: bool = True
    """Write TensorBoard curves into <run>/tensorboard."""
    histograms: bool = True
    """Write histograms of priorities and Q-values to TensorBoard."""


@dataclass(frozen=True)
class TrainConfig:
    """Train a Rainbow agent. Without arguments: Tempest on the in-process board, for an hour, with the
    default preset."""

    preset: str | None = None
    """Settings to start from: default, original, fast-check, cartpole or classic; by default `default` for Tempest,
    `cartpole` for CartPole and `classic` for others."""
    config: Path | None = None
    """TOML file with settings, as saved in every run folder; it goes over the preset, the command line over
    both."""
    resume: Path | None = None
    """Run folder to go on with from its latest checkpoint, with its settings unless others are given."""
    run: Path | None = None
    """Run folder to make; by default runs/<environment>-<date>-<time>."""

    env: str = TEMPEST
    """Gymnasium id with Box observations and Discrete actions."""
    machine: Literal["board", "mame"] = "board"
    """Tempest only: the board in process, or MAME."""
    rom: str | None = None
    """Tempest only: path of a ROM set; by default TEMPEST_ROM, else the free game Squall."""
    start_level: int = 1
    """Tempest only: level at which games start (1 to 81)."""
    start_levels: tuple[int, ...] = ()
    """Tempest only: levels one of which each training game starts at instead, drawn by chance: 1 1 9 17 gives half
    of the games to late levels that few games reach, until the level is changed by hand or by the curriculum.
    Levels below --start-level count as that. Evaluation and the scores that are shown keep to --start-level, as do
    clients of --listen. None are drawn if none are given after the name."""
    frame_skip: int = 1
    """Tempest only: game frames for which an action is held."""
    envs: int = 64
    """Environments played side by side."""
    env_threads: int | None = None
    """Tempest on boards only: threads that share the environments; by default the environment decides."""
    listen: str | None = None
    """Tempest only: collect from clients that connect here instead, HOST:PORT (clients: `lua/main.lua` in
    MAME anywhere;
    at most `envs` of them). Any host but this machine's own demands a token."""
    listen_token_file: Path | None = None
    """With --listen: file whose first line is the token, instead of TEMPEST_TOKEN."""
    listen_legacy: Literal["loopback", "all", "none"] = "loopback"
    """Who may come to --listen with the original's empty hello, which shows no token: clients on this
    computer, all, or none. Behind a tunnel or proxy everybody seems to be on this computer: choose none."""
    ray: str | None = None
    """Collect on a Ray cluster instead: `local`, `auto` or a cluster's address; `runners` and
    `envs_per_runner` then count."""
    runners: int = 2
    """Ray only: processes that play, each on one core."""
    envs_per_runner: int = 32
    """Ray only: environments of each runner."""
    life_ends: bool = True
    """A lost life is terminal for learning (where info carries life_lost)."""

    frames: int | None = None
    """End after this many collected frames (environment steps)."""
    minutes: float | None = 60.0
    """End after this many minutes of training, resumed parts included; None for no limit."""
    clock: ClockKind = "wall"
    """What minutes are: those on the wall, or of processor time of this process, which compares runs on a
    computer that others use too; that goes with play and learning in this one process only."""
    seed: int = 0
    """Seed of everything: environments, exploration, network, replay."""
    device: str = "auto"
    """Where the network lives: auto, cpu, cuda, cuda:1, mps ..."""
    threads: int | None = None
    """CPU threads of the learner; by default all cores but one, which collects."""
    learner_processes: bool | None = None
    """Learn in processes of its own, which do not share an interpreter with the play; by default for large
    networks on a CPU with two cores or more."""
    deterministic: bool = False
    """One thread for everything: the same seed gives the same weights, and a resumed run equals an
    uninterrupted one."""

    batch_size: int = 256
    """Transitions per learner step."""
    samples_per_insert: float = 8.0
    """Transitions learned per frame collected; whoever is ahead waits."""
    learn_start: int = 10_000
    """Frames collected before learning begins."""
    imitation_by_expert_only: bool = False
    """Imitate only where the teacher acted; otherwise its advice on the agent's own states counts too."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    epsilon: EpsilonSchedule = field(default_factory=EpsilonSchedule)
    expert: ExpertSchedule = field(default_factory=ExpertSchedule)
    imitation: ImitationSchedule = field(default_factory=ImitationSchedule)
    learning_rate: LearningRateSchedule = field(default_factory=LearningRateSchedule)
    beta: BetaSchedule = field(default_factory=BetaSchedule)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    dashboard: DashboardConfig = field(default_factory=DashboardConfig)

    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    @property
    def is_tempest(self) -> bool:
        """Whether the environment is this project's own."""
        return self.env.split(":")[-1].startswith("Tempest-")

    @property
    def rings(self) -> int:
        """How many environments the replay keeps apart."""
        return self.envs if self.ray is None else self.runners * self.envs_per_runner

    @property
    def drawn_levels(self) -> tuple[int, ...]:
        """The levels that training games draw theirs from; empty if all start at the same."""
        if self.listen is not None or not self.is_tempest:
            return ()
        return tuple(max(level, self.start_level) for level in self.start_levels)

    @property
    def task(self) -> Task:
        """Which environment is played."""
        return Task(
            env=self.env,
            tempest=self.is_tempest,
            machine=self.machine,
            rom=self.rom,
            start_level=self.start_level,
            start_levels=self.drawn_levels,
            frame_skip=self.frame_skip,
            threads=1 if self.deterministic else self.env_threads,
        )

    def _value(self, name: str) -> Any:
        """Return the setting that the command line calls ``name``."""
        return attrgetter(name.replace("-", "_"))(self)

    def check(self) -> None:
        """Check what types cannot say.

        Raises:
            ConfigError: a setting is out of range or does not go with another.
        """
        for name, least in (
            ("envs", 1),
            ("batch-size", 1),
            ("frame-skip", 1),
            ("runners", 1),
            ("envs-per-runner", 1),
            ("seed", 0),
            ("evaluation.games", 1),
            ("evaluation.envs", 1),
            ("evaluation.seed", 0),
            ("checkpoint.keep", 1),
        ):
            if self._value(name) < least:
                raise ConfigError(f"--{name} must be at least {least}, got {self._value(name)}")
        for name in ("samples-per-insert", "minutes", "frames", "replay.memory-gb"):
            value = self._value(name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"--{name} must be a number above 0, got {value}")
        for name, value in (
            ("epsilon.start", self.epsilon.start),
            ("epsilon.end", self.epsilon.end),
            ("expert.start", self.expert.start),
            ("expert.end", self.expert.end),
            ("beta.start", self.beta.start),
            ("beta.end", self.beta.end),
        ):
            if not 0.0 <= value <= 1.0:
                raise ConfigError(f"--{name} is a share and must be from 0 to 1, got {value}")
        if self.imitation.mode == "behind" and self.expert.unit != "episode":
            raise ConfigError(
                "--imitation.mode behind compares whole episodes of student and teacher: "
                "it needs --expert.unit episode"
            )
        if self.learn_start > self.replay.capacity and self.replay.memory_gb is None:
            raise ConfigError(
                f"--learn-start {self.learn_start} exceeds --replay.capacity {self.replay.capacity}: "
                "learning would start after the first frames are overwritten"
            )
        if not all(1 <= level <= 81 for level in self.start_levels):
            raise ConfigError(f"--start-levels must be from 1 to 81, got {self.start_levels}")
        if self.listen is not None and (self.ray is not None or not self.is_tempest):
            raise ConfigError(
                "--listen collects Tempest from clients; it goes neither with --ray nor with other games"
            )
        if self.deterministic and (self.listen is not None or self.ray is not None):
            raise ConfigError("--deterministic needs environments in this process, not --listen or --ray")
        if self.clock == "processor" and (
            self.learner_processes is not False or self.ray is not None or self.machine != "board"
        ):
            raise ConfigError(
                "--clock processor counts the time of this process alone: it needs --learner-processes False "
                "and goes with boards, not with --ray or --machine mame"
            )
        if not self.is_tempest and self.machine != "board":
            raise ConfigError(
                f"--machine {self.machine} goes with Tempest only, the environment is {self.env}"
            )


def overlay(base: Any, values: Mapping[str, Any], where: str = "") -> Any:
    """Return the dataclass ``base`` with ``values`` (nested like it) put over its fields.

    Raises:
        ConfigError: a name is unknown or a value has the wrong type.
    """
    hints = typing.get_type_hints(type(base))
    changes = {}
    for name, value in values.items():
        place = f"{where}{name}"
        if name not in hints:
            close = difflib.get_close_matches(name, hints, 1)
            hint = f"; did you mean {where}{close[0]}?" if close else ""
            raise ConfigError(f"unknown setting {place}{hint}")
        present = getattr(base, name)
        if is_dataclass(present):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{place} is a group of settings, got {value!r}")
            changes[name] = overlay(present, value, f"{place}.")
        else:
            changes[name] = _convert(value, hints[name], place)
    return replace(base, **changes)


def _convert(value: Any, hint: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value in (None, "none") and type(None) in arguments:
            return None
        for choice in arguments:
            if choice is not type(None):
                try:
                    return _convert(value, choice, place)
                except ConfigError:
                    continue
        raise ConfigError(f"{place} cannot be {value!r}: expected {hint}")
    if origin is Literal:
        if value in arguments:
            return value
        raise ConfigError(f"{place} must be one of {', '.join(map(str, arguments))}, got {value!r}")
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = [arguments[0]] * len(value) if arguments[-1:] == (Ellipsis,) else list(arguments)
        if len(kinds) == len(value):
            return tuple(_convert(item, kind, place) for item, kind in zip(value, kinds, strict=True))
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{place} cannot be {value!r}: expected {getattr(hint, '__name__', hint)}")


def spell_none(settings: type, arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command line with ``none``, as TOML files here have it, spelt ``None``, as the
    parser of command lines wants it, wherever the setting may be None."""
    optional = {f"--{name.replace('_', '-')}" for name in _optional(settings, "")}
    spelt = list(arguments)
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") not in optional:
            continue
        if equals and value == "none":
            spelt[place] = f"{name}=None"
        elif not equals and arguments[place + 1 : place + 2] == ["none"]:
            spelt[place + 1] = "None"
    return spelt


def _optional(settings: type, prefix: str) -> Iterator[str]:
    """Yield the names of the settings that may be None, with those of their groups before them."""
    for name, hint in typing.get_type_hints(settings).items():
        if is_dataclass(hint):
            yield from _optional(typing.cast(type, hint), f"{prefix}{name}.")
        elif type(None) in typing.get_args(hint):
            yield f"{prefix}{name}"


def to_toml(config: Any) -> str:
    """Return a configuration as TOML; a value of None becomes the string "none", which ``from_toml`` reads
    back."""
    lines: list[str] = []
    _emit(config, "", lines)
    return "\n".join(lines) + "\n"


def _emit(config: Any, prefix: str, lines: list[str]) -> None:
    groups = []
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            groups.append((f"{prefix}{item.name}", value))
        else:
            lines.append(f"{item.name} = {_literal(value)}")
    for name, group in groups:
        lines.extend(["", f"[{name}]"])
        _emit(group, f"{name}.", lines)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    text = "none" if value is None else str(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for character in {c for c in escaped if ord(c) < 32 or ord(c) == 127}:
        escaped = escaped.replace(character, f"\\u{ord(character):04x}")
    return f'"{escaped}"'


def from_toml(text: str, base: Any) -> Any:
    """Put the settings of a TOML text over the configuration ``base``.

    Raises:
        ConfigError: the text is no TOML, or a setting is unknown or of a wrong type.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is no TOML: {error}") from error
    return overlay(base, values)
