"""The tracks of the benchmark as data: what may be used in training, and how the result is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["FIRST_SEED", "OURS", "SQUALL_SHA1", "TRACKS", "LevelTask", "Track"]

SQUALL_SHA1 = "d8726df4556a7b31d1ecfae759013ae55e75487d"
"""SHA-1 of the game that every result was made with."""

FIRST_SEED = 10_000
"""Seed of a task's first game; training keeps to seeds below."""

_TRAIN = (
    "tempest-rainbow train --run {folder} --seed {seed} --evaluation.every-minutes 0 --evaluation.no-at-end"
)
_ONE_CORE = " --minutes {minutes} --clock processor --threads 1 --env-threads 1 --no-learner-processes"
_ALONE = " --expert.start 0 --expert.end 0 --learner.imitation none --network.no-policy-head"

OURS = {
    "core-hour": _TRAIN + _ONE_CORE,
    "100m": _TRAIN + " --frames {steps} --minutes none",
    "no-teacher": _TRAIN + _ONE_CORE + _ALONE,
    "trial": _TRAIN + _ONE_CORE + " --learn-start 500 --replay.capacity 20000",
}
"""How the default trainer is trained in a track; it has no settings for the others."""


@dataclass(frozen=True)
class LevelTask:
    """Games that one number of a run is made of.

    Attributes:
        start_level: level at which they start.
        random: mean score of random actions, which counts as 0; shares need no scale.
        teacher: mean score of the scripted teacher, which counts as 1.
    """

    start_level: int
    random: float = 0.0
    teacher: float = 1.0

    def normalised(self, result: float) -> float:
        """Return a result on the scale from random actions (0) to the teacher (1)."""
        return (result - self.random) / (self.teacher - self.random)


@dataclass(frozen=True)
class Track:
    """A task with a budget.

    Attributes:
        summary: the track in a sentence.
        tasks: games that a trained policy plays; each gives one number of a run.
        minutes: processor time that a training may use on one core; None: no limit.
        steps: environment steps that a training may take; None: no limit.
        teacher: whether training may use ``info["expert_action"]``.
        levels: levels that training games may be played on, by ``episode="level"``; empty: all.
        environment: keyword arguments of the environment, in training and evaluation.
        measure: ``score``, or ``cleared``: the share of games that clear their level.
        games: games for each task.
        runs: training seeds that a complete row needs.
    """

    summary: str
    tasks: tuple[LevelTask, ...]
    minutes: float | None = None
    steps: int | None = None
    teacher: bool = True
    levels: tuple[int, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    measure: Literal["score", "cleared"] = "score"
    games: int = 100
    runs: int = 3

    def check_time(self, processor_minutes: float | None) -> None:
        """Raise ValueError if a training took more than the limit, 5% and a minute to start included."""
        if self.minutes is None or processor_minutes is None:
            return
        if processor_minutes > 1.05 * self.minutes + 1.0:
            raise ValueError(
                f"the training took {processor_minutes:g} minutes of processor time, allowed are {self.minutes:g}"
            )


_WHOLE_GAME = (LevelTask(1, random=4314.4, teacher=34641.33),)

TRACKS = {
    "core-hour": Track("One hour of processor time on one core.", _WHOLE_GAME, minutes=60.0),
    "100m": Track("100 million environment steps on any hardware.", _WHOLE_GAME, steps=100_000_000),
    "pixels": Track(
        "10 million steps from grayscale pictures of 84 x 84, without the teacher.",
        _WHOLE_GAME,
        steps=10_000_000,
        teacher=False,
        environment={"obs_type": "grayscale", "screen_size": (84, 84)},
    ),
    "no-teacher": Track(
        "One hour of processor time on one core, without the teacher.",
        _WHOLE_GAME,
        minutes=60.0,
        teacher=False,
    ),
    "generalisation": Track(
        "One hour of processor time on the tubes of levels 1, 5, 9 and 13; then levels 3, 7, 11 and 15.",
        tuple(LevelTask(level) for level in (3, 7, 11, 15)),
        minutes=60.0,
        levels=(1, 5, 9, 13),
        environment={"episode": "level"},
        measure="cleared",
    ),
    "trial": Track(
        "Three seconds of processor time and four games of 20 seconds, to try a command.",
        (LevelTask(1, random=1087.5, teacher=2587.5),),
        minutes=0.05,
        environment={"time_limit": 20.0},
        games=4,
        runs=1,
    ),
}
"""The tracks by name."""
