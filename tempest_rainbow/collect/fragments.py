"""Fragments: hundreds of steps in one message from a cluster's runner to the learner."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempest_rainbow.collect.episodes import Episode
from tempest_rainbow.replay.replay import Replay
from tempest_rainbow.replay.steps import Steps

__all__ = ["Fragment", "FragmentRecorder"]


@dataclass(frozen=True)
class Fragment:
    """Steps in the order in which they were played, environments interleaved.

    Attributes:
        steps: k steps in small types and without final observations; environments are counted within the runner.
        final_rows: int ``(j,)``, the steps that were truncated.
        final_observations: float16 ``(j, size)``, what these led to.
        cuts: (position, environments): before the step at this position the streams of these break.
        episodes: those that ended.
        agreements: choices of the agent that equalled the teacher's, of ``comparisons``.
        comparisons: choices compared.
        weights_step: learner step of the weights that chose.
    """

    steps: Steps
    final_rows: NDArray[np.integer]
    final_observations: NDArray[np.float16]
    cuts: list[tuple[int, list[int]]] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    agreements: int = 0
    comparisons: int = 0
    weights_step: int = 0

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.steps)

    @property
    def bytes_per_transition(self) -> float:
        """Bytes of the arrays for each step."""
        arrays = [getattr(self.steps, each.name) for each in fields(Steps)]
        arrays += [self.final_rows, self.final_observations]
        return sum(array.nbytes for array in arrays if array is not None) / max(len(self), 1)

    def insert_into(self, replay: Replay, first_environment: int) -> None:
        """Append the steps to the rings of ``replay`` from ``first_environment`` on."""
        steps = replace(self.steps, environments=self.steps.environments.astype(np.int64) + first_environment)
        if len(self.final_rows):
            finals = np.zeros_like(steps.observations)
            finals[self.final_rows] = self.final_observations
            steps = replace(steps, final_observations=finals)
        start = 0
        for end, broken in [*self.cuts, (len(self), [])]:
            replay.insert(steps[start:end])
            if broken:
                replay.cut(np.asarray(broken) + first_environment)
            start = end


class FragmentRecorder:
    """Takes what a collector writes, as a replay does, and returns it as a fragment."""

    def __init__(self, observation_size: int) -> None:
        """Start empty."""
        self._clear()
        self._no_finals = np.zeros((0, observation_size), np.float16)

    def _clear(self) -> None:
        self._parts: list[Steps] = []
        self._finals: list[NDArray[np.float16]] = []
        self._final_rows: list[int] = []
        self._cuts: list[tuple[int, list[int]]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return the number of steps recorded."""
        return self._count

    def insert(self, steps: Steps) -> None:
        """Record steps.

        Raises:
            ValueError: a truncated step has no final observation.
        """
        count = len(steps)
        cut_off = np.flatnonzero(steps.truncated & ~steps.terminated)
        if len(cut_off):
            if steps.final_observations is None:
                raise ValueError("a truncated step needs its final observation")
            self._final_rows += (cut_off + self._count).tolist()
            self._finals.append(steps.final_observations[cut_off].astype(np.float16))
        advice, actors = steps.expert_actions, steps.actors
        self._parts.append(
            Steps(
                steps.environments.astype(np.int32),
                steps.observations.astype(np.float16),
                steps.actions.astype(np.int16),
                steps.rewards.astype(np.float32),
                steps.terminated.copy(),
                steps.truncated.copy(),
                np.full(count, -1, np.int16) if advice is None else advice.astype(np.int16),
                np.zeros(count, np.uint8) if actors is None else actors.astype(np.uint8),
            )
        )
        self._count += count

    def cut(self, environments: ArrayLike) -> None:
        """Record that the streams of these environments break here."""
        self._cuts.append((self._count, np.unique(np.asarray(environments, np.int64)).tolist()))

    def take(self, **more: Any) -> Fragment:
        """Return what was recorded since the last call; ``more`` are the fragment's other attributes."""
        fragment = Fragment(
            Steps.join(self._parts),
            np.array(self._final_rows, np.int32),
            np.concatenate([self._no_finals, *self._finals]),
            self._cuts,
            **more,
        )
        self._clear()
        return fragment
