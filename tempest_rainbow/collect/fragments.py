"""Stretches of experience that travel between machines, hundreds of transitions in a message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempest_rainbow.collect.episodes import Episode
from tempest_rainbow.replay import Replay

__all__ = ["Fragment", "FragmentRecorder"]


@dataclass(frozen=True)
class Fragment:
    """Transitions in the order in which they were played, environments interleaved.

    Attributes:
        environments: int32 ``(k,)``, counted within the runner.
        observations: float16 ``(k, size)``, acted on.
        actions: int16 ``(k,)``.
        rewards: float32 ``(k,)``.
        terminated: bool ``(k,)``.
        truncated: bool ``(k,)``.
        expert_actions: int16 ``(k,)``, the teacher's advice, -1 for none.
        actors: uint8 ``(k,)``, who chose.
        final_rows: int32 ``(j,)``, transitions that were truncated.
        final_observations: float16 ``(j, size)``, what these led to.
        episodes: those that ended.
        agreements: choices of the agent's that equalled the teacher's, of ``comparisons``.
        comparisons: choices compared.
        weights_step: learner step of the weights that chose.
    """

    environments: NDArray[np.int32]
    observations: NDArray[np.float16]
    actions: NDArray[np.int16]
    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    expert_actions: NDArray[np.int16]
    actors: NDArray[np.uint8]
    final_rows: NDArray[np.int32]
    final_observations: NDArray[np.float16]
    episodes: list[Episode] = field(default_factory=list)
    agreements: int = 0
    comparisons: int = 0
    weights_step: int = 0

    def __len__(self) -> int:
        """Return the number of transitions."""
        return len(self.environments)

    @property
    def bytes_per_transition(self) -> float:
        """Bytes of the arrays for each transition."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray)) / max(
            len(self), 1
        )

    def insert_into(self, replay: Replay, first_environment: int) -> None:
        """Append the transitions to the rings of ``replay`` from ``first_environment`` on."""
        finals = None
        if len(self.final_rows):
            finals = np.zeros_like(self.observations)
            finals[self.final_rows] = self.final_observations
        replay.insert(
            self.environments.astype(np.int64) + first_environment,
            self.observations,
            self.actions,
            self.rewards,
            self.terminated,
            self.truncated,
            expert_actions=self.expert_actions,
            actors=self.actors,
            final_observations=finals,
        )


class FragmentRecorder:
    """Takes what a collector writes, as a replay would, and hands it over as a fragment."""

    def __init__(self, observation_size: int) -> None:
        """Begin empty."""
        self._size = observation_size
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._finals: list[NDArray[np.float16]] = []
        self._final_rows: list[NDArray[np.int32]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return the number of transitions recorded."""
        return self._count

    def insert(
        self,
        environments: ArrayLike,
        observations: NDArray[np.floating],
        actions: ArrayLike,
        rewards: ArrayLike,
        terminated: ArrayLike,
        truncated: ArrayLike,
        expert_actions: ArrayLike,
        actors: ArrayLike,
        final_observations: NDArray[np.floating],
    ) -> None:
        """Record k steps; arguments as ``Replay.insert``."""
        cut_off = np.flatnonzero(np.asarray(truncated) & ~np.asarray(terminated))
        if len(cut_off):
            self._final_rows.append((cut_off + self._count).astype(np.int32))
            self._finals.append(final_observations[cut_off].astype(np.float16))
        part = (
            np.array(environments, np.int32),
            observations.astype(np.float16),
            np.array(actions, np.int16),
            np.array(rewards, np.float32),
            np.array(terminated, bool),
            np.array(truncated, bool),
            np.array(expert_actions, np.int16),
            np.array(actors, np.uint8),
        )
        self._parts.append(part)
        self._count += len(part[0])

    def take(self, **more: Any) -> Fragment:
        """Return what was recorded since the last call; ``more`` are the fragment's other attributes."""
        arrays = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        rows = np.concatenate(self._final_rows) if self._final_rows else np.zeros(0, np.int32)
        finals = np.concatenate(self._finals) if self._finals else np.zeros((0, self._size), np.float16)
        self._parts, self._finals, self._final_rows, self._count = [], [], [], 0
        return Fragment(*arrays, final_rows=rows, final_observations=finals, **more)
