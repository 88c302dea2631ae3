"""Settings of a training run: dataclasses that are the command line, the TOML file and the record of a run
at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from tempest_rainbow.config.schedules import (
    BetaSchedule,
    EpsilonSchedule,
    ExpertSchedule,
    ImitationSchedule,
    LearningRateSchedule,
)

__all__ = [
    "NETWORK_PRESETS",
    "TEMPEST",
    "CheckpointConfig",
    "ClockKind",
    "ClusterConfig",
    "ConfigError",
    "DashboardConfig",
    "EvaluationConfig",
    "LearnerConfig",
    "MonitorConfig",
    "NetworkConfig",
    "ReplayConfig",
    "Task",
    "TrainConfig",
    "check_settings",
]


class ConfigError(ValueError):
    """A setting is unknown, of a wrong type or out of range; the message names what was expected."""


@dataclass(frozen=True)
class LearnerConfig:
    """Settings of the learner."""

    learning_rate: float = 5e-5
    """Step size, unless a schedule gives another."""

    adam_epsilon: float = 1.5e-4
    """Added to Adam's denominator; larger values damp steps on rare gradients."""

    weight_decay: float = 0.0
    """Decoupled decay of all weights, per step and unit of learning rate."""

    gradient_clip: float = 5.0
    """Largest norm of the gradient of all weights together."""

    target_update_steps: int = 2500
    """Steps between copies of the weights to the target network; unused with target_polyak."""

    target_polyak: float = 0.0
    """Share of the weights that the target network takes over at every step; 0: whole copies instead."""

    double: bool = True
    """Choose the next action with the online network and evaluate it with the target network."""

    imitation: Literal["none", "policy", "margin", "softmax"] = "policy"
    """Imitation loss: a policy head's log-likelihood, a large margin on Q, or a softmax over Q."""

    imitation_margin: float = 0.8
    """By how much the advised action's Q should exceed the others' (imitation margin)."""

    imitation_temperature: float = 1.0
    """Divides Q before the softmax (imitation softmax)."""

    improvement: float = 0.0
    """Weight of the policy head's improvement towards higher expected returns (clipped MPO). It grows as the imitation
    weight falls below 1. 0: the head only imitates."""

    improvement_temperature: float = 0.3
    """Advantage, in units of return, that makes an action e times as likely in the improved policy."""

    munchausen: bool = False
    """Munchausen RL: soft values, and the scaled log-policy added to the reward, instead of double Q."""

    munchausen_alpha: float = 0.9
    """Share of the log-policy added to the reward."""

    munchausen_temperature: float = 0.03
    """Temperature of the softmax policy, in units of return."""

    munchausen_clip: float = -1.0
    """Lower bound of the scaled log-policy."""

    publish_steps: int = 25
    """Steps between copies of the weights to the network that acts."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the matrix products; auto times both at the start and takes the faster."""

    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the loss with torch.compile; auto: on CUDA devices. The run continues uncompiled where that fails."""

    cuda_graphs: Literal["auto", "off"] = "auto"
    """Replay the whole step as one CUDA graph where there is a CUDA device."""


@dataclass(frozen=True)
class ReplayConfig:
    """Settings of the replay."""

    capacity: int = 1_000_000
    """Transitions kept, over all environments."""

    memory_gb: float | None = None
    """Take this much memory (10^9 bytes) instead of a fixed number of transitions."""

    n_step: int = 12
    """Rewards summed before the network's estimate."""

    gamma: float = 0.99
    """Discount of one step."""

    dtype: Literal["float16", "float32"] = "float16"
    """Type in which observations are stored; float16 halves the memory and is exact to three digits."""

    path: Path | None = None
    """Keep the observations in this file instead of in memory."""

    priority_exponent: float = 0.5
    """Exponent of the priorities; 0 samples uniformly."""

    minimum_priority: float = 1e-3
    """Added to every priority, so that every transition can be sampled."""

    new_priority: Literal["max", "mean"] = "max"
    """New transitions enter at the largest priority seen, or at the mean of the present ones."""


def check_settings(config: ReplayConfig, environment_count: int, observation_size: int) -> None:
    """Raise ValueError naming the first setting that is out of range."""
    if environment_count < 1 or observation_size < 1:
        raise ValueError(
            f"expected at least one environment and one value, got {environment_count} and {observation_size}"
        )
    if config.n_step < 1:
        raise ValueError(f"n_step must be at least 1, got {config.n_step}")
    if not 0.0 <= config.gamma <= 1.0:
        raise ValueError(f"gamma must lie within 0-1, got {config.gamma}")
    if not 0.0 <= config.priority_exponent <= 2.0 or config.minimum_priority <= 0.0:
        raise ValueError("priority_exponent must lie within 0-2 and minimum_priority above 0")
    if config.dtype not in ("float16", "float32"):
        raise ValueError(f"observations can be stored as float16 or float32, got {config.dtype!r}")
    if config.new_priority not in ("max", "mean"):
        raise ValueError(f"new_priority must be 'max' or 'mean', got {config.new_priority!r}")


@dataclass(frozen=True)
class NetworkConfig:
    """Settings of the network."""

    encoder: Literal["auto", "lanes", "none"] = "auto"
    """Cross-attention between lanes and enemies before the trunk; auto: for Tempest's 195 features."""

    encoder_size: int = 128
    """Width of the encoder's tokens and of its code."""

    encoder_heads: int = 4
    """Attention heads."""

    trunk: tuple[int, ...] = (384, 384)
    """Widths of the trunk's layers, each followed by LayerNorm and ReLU."""

    head: int = 192
    """Width of the hidden layer of the value head and of the advantage head."""

    atoms: int = 51
    """Atoms of the return distribution."""

    value_min: float = -100.0
    """Return at the first atom."""

    value_max: float = 100.0
    """Return at the last atom."""

    action_factors: tuple[int, ...] = ()
    """Sizes of independent choices whose product is the number of actions, slowest index first, such as 4 11. An
    action's advantage is the sum over its choices. Empty: one advantage per action."""

    policy_head: bool = False
    """Add a linear policy on the trunk, which imitates the teacher."""


NETWORK_PRESETS: dict[str, NetworkConfig] = {
    "original": NetworkConfig(),
    "fast": NetworkConfig(
        encoder_size=64, trunk=(256, 256), head=128, action_factors=(4, 11), policy_head=True
    ),
    "small": NetworkConfig(encoder="none", trunk=(128, 128), head=128, policy_head=True),
}
"""``original``: the 934,071 parameters of tempest_ai; ``fast``: for two CPU cores; ``small``: for small
problems."""


@dataclass(frozen=True)
class ClusterConfig:
    """Messages and weights of a collection on a Ray cluster."""

    fragment: int = 1024
    """Least number of transitions in a message."""
    in_flight: int = 2
    """Fragments that a runner may have in flight: it collects the next while one is sent."""
    weights_every: int = 50
    """Learner steps between weights sent to the runners."""
    patience: float = 300.0
    """Seconds after which a runner that has sent no fragment is killed and replaced."""


@dataclass(frozen=True)
class DashboardConfig:
    """The dashboard in a browser."""

    on: bool | None = None
    """Serve the dashboard; by default if the extra `dashboard` is installed."""
    host: str = "127.0.0.1"
    """Address to bind to; any but loopback requires a token."""
    port: int = 8765
    """Port to bind to; the next free one if it is taken."""
    token_file: Path | None = None
    """File with the token that browsers must present, instead of the variable TEMPEST_DASHBOARD_TOKEN."""
    pictures_per_second: float = 4.0
    """Pictures of a game per second while somebody watches."""


TEMPEST = "tempest_gym:Tempest-v0"
"""The environment trained on unless another is named."""


@dataclass(frozen=True)
class Task:
    """Which environment.

    Attributes:
        env: Gymnasium id.
        tempest: the id is Tempest's, so that the other settings apply.
        machine: ``board`` or ``mame``.
        rom: path of a ROM set, None for the environment's default.
        start_level: level at which games start.
        start_levels: levels one of which each game to collect from starts at instead, drawn by chance.
        frame_skip: game frames an action is held for.
        threads: threads that share boards, None for the environment's default.
        episode: ``game``, or ``life`` for one life an episode.
        time_limit: seconds of game time after which an episode is truncated, None for no limit.
    """

    env: str
    tempest: bool
    machine: Literal["board", "mame"] = "board"
    rom: str | None = None
    start_level: int = 1
    start_levels: tuple[int, ...] = ()
    frame_skip: int = 1
    threads: int | None = None
    episode: Literal["game", "life"] = "game"
    time_limit: float | None = 1800.0

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``gymnasium.make``."""
        if not self.tempest:
            return {}
        return {
            "machine": self.machine,
            "rom": self.rom,
            "start_level": self.start_level,
            "frame_skip": self.frame_skip,
            "episode": self.episode,
            "time_limit": self.time_limit,
        }


ClockKind = Literal["wall", "processor"]


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
    """Seed of the first game; the others follow. The command evaluate uses others, so that the best checkpoint is not
    measured on the seeds that chose it."""
    at_end: bool = True
    """Evaluate once more when --frames or --minutes end the run."""
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
    """Number of recent checkpoints to keep; the best by evaluation is kept as well."""
    replay: bool = False
    """Save the replay too: a resumed run then continues exactly, but each checkpoint is as large as the replay."""


@dataclass(frozen=True)
class MonitorConfig:
    """How a run is shown."""

    every_seconds: float = 30.0
    """Seconds between rows of metrics in the terminal or the log."""
    curve_seconds: float = 5.0
    """Seconds between points of the curves."""
    ui: Literal["auto", "rows", "live", "log"] = "auto"
    """Display in the terminal. live: a panel with a progress bar; rows: columns under a header; log: plain lines; auto:
    live at a terminal, log elsewhere."""
    keyboard: bool = True
    """Read single keys where standard input is a terminal; ? lists them."""
    tensorboard: bool = True
    """Write TensorBoard curves, and films of games, into the run's folder."""
    histograms: bool = True
    """Write histograms of priorities and Q-values to TensorBoard."""


@dataclass(frozen=True)
class TrainConfig:
    """Train a Rainbow agent. Without arguments: Tempest on the in-process board, for an hour, with the
    default preset."""

    preset: str | None = None
    """Settings to start from: default, original, fast-check, cartpole or classic. Without it: default for Tempest,
    cartpole for CartPole, classic for others."""
    config: Path | None = None
    """TOML file with settings, as in every run folder. It overrides the preset; the command line overrides both."""
    resume: Path | None = None
    """Run folder to resume from its latest checkpoint, with its settings unless others are given."""
    run: Path | None = None
    """Run folder to create; by default runs/<environment>-<date>-<time>."""
    init: str | None = None
    """Policy whose weights the network starts with: bundled, a run folder, a checkpoint or a weights file. Its network
    settings must be this run's."""

    env: str = TEMPEST
    """Gymnasium id with Box observations and Discrete actions."""
    machine: Literal["board", "mame"] = "board"
    """Tempest only: the board in process, or MAME."""
    rom: str | None = None
    """Tempest only: path of a ROM set; by default TEMPEST_ROM, else the free game Squall."""
    start_level: int = 1
    """Tempest only: level at which games start (1 to 81)."""
    start_levels: tuple[int, ...] = ()
    """Tempest only: each training game starts at one of these levels, drawn at random: 1 1 9 17 starts half of
    the games late. Lower levels count as --start-level. An empty list, a change by hand or the curriculum ends
    this. Evaluations, the scores shown and clients of --listen keep to --start-level."""
    frame_skip: int = 1
    """Tempest only: game frames for which an action is held."""
    envs: int = 64
    """Number of environments."""
    env_threads: int | None = None
    """Tempest on boards only: threads that step the environments; by default as many as pay off."""
    listen: str | None = None
    """Tempest only: HOST:PORT on which to wait for clients, at most --envs of them, and collect from these instead
    (lua/main.lua in any MAME). Any host but this machine's own requires a token."""
    listen_token_file: Path | None = None
    """With --listen: file whose first line is the token, instead of the variable TEMPEST_TOKEN."""
    listen_legacy: Literal["loopback", "all", "none"] = "loopback"
    """Which clients may connect with the original's empty hello, which carries no token: those on this computer, all,
    or none. Behind a tunnel or proxy every client appears to be on this computer: choose none."""
    listen_legacy_reply: Literal[3, 5] = 3
    """Bytes of a reply to such a client: 3, or 5 for its later versions, which also read a start level."""
    ray: str | None = None
    """Collect on a Ray cluster instead, with --runners and --envs-per-runner: local, auto or a cluster's address."""
    runners: int = 2
    """Ray only: processes that collect, each on one core."""
    envs_per_runner: int = 32
    """Ray only: environments of each runner."""
    life_ends: bool = True
    """A lost life is terminal for learning (where info carries life_lost)."""
    life_price: float = 0.0
    """Reward subtracted at each lost life, on top of the environment's own and outside its clip of 10."""

    frames: int | None = None
    """End after this many collected frames (environment steps)."""
    minutes: float | None = 60.0
    """End after this many minutes of training, resumed parts included; none: no limit."""
    clock: ClockKind = "wall"
    """Which minutes count: wall-clock time, or processor time of this process, which makes runs on a shared computer
    comparable. Processor time needs collection and learning in this process."""
    seed: int = 0
    """Seed of everything: environments, exploration, network, replay."""
    device: str = "auto"
    """Device of the network: auto, cpu, cuda, cuda:1, mps ..."""
    threads: int | None = None
    """CPU threads of the learner; by default one fewer than there are cores."""
    learner_processes: bool | None = None
    """Learn in separate processes, which share no interpreter with collection; by default for large networks on a CPU
    with two cores or more."""
    deterministic: bool = False
    """Use one thread for everything: the same seed gives the same weights, and a resumed run equals an uninterrupted
    one."""

    batch_size: int = 256
    """Transitions per learner step."""
    samples_per_insert: float = 8.0
    """Transitions learned from per frame collected; whichever side is ahead waits."""
    learn_start: int = 10_000
    """Frames collected before learning starts."""
    imitation_by_expert_only: bool = False
    """Imitate only where the teacher acted, not its advice in states that the agent reached."""

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
        """Check what types do not express.

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
        if not 0.0 <= self.life_price < math.inf:
            raise ConfigError(f"--life-price must be a number of 0 or more, got {self.life_price}")
        for name in ("epsilon.start", "epsilon.end", "expert.start", "expert.end", "beta.start", "beta.end"):
            if not 0.0 <= self._value(name) <= 1.0:
                raise ConfigError(f"--{name} is a share and must be from 0 to 1, got {self._value(name)}")
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
                "--clock processor counts the time of this process alone: it needs --no-learner-processes "
                "and goes with boards, not with --ray or --machine mame"
            )
        if not self.is_tempest and self.machine != "board":
            raise ConfigError(
                f"--machine {self.machine} goes with Tempest only, the environment is {self.env}"
            )
