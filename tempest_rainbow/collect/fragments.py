"""Stretches of experience that travel between machines, hundreds of transitions in a message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempest_rainbow.collect.episodes import Episode
from tempest_rainbow.replay.replay import Replay

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
        cuts: (position, environments): before the transition at this position the streams of these break.
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
    cuts: list[tuple[int, list[int]]] = field(default_factory=list)
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
        start = 0
        for end, broken in [*self.cuts, (len(self), [])]:
            part = slice(start, end)
            replay.insert(
                self.environments[part].astype(np.int64) + first_environment,
                self.observations[part],
                self.actions[part],
                self.rewards[part],
                self.terminated[part],
                self.truncated[part],
                expert_actions=self.expert_actions[part],
                actors=self.actors[part],
                final_observations=None if finals is None else finals[part],
            )
            if broken:
                replay.cut(np.asarray(broken) + first_environment)
            start = end


class FragmentRecorder:
    """Takes what a collector writes, as a replay would, and hands it over as a fragment."""

    def __init__(self, observation_size: int) -> None:
        """Begin empty."""
        self._size = observation_size
        self._parts: list[dict[str, NDArray[Any]]] = []
        self._finals: list[NDArray[np.float16]] = []
        self._final_rows: list[NDArray[np.int32]] = []
        self._cuts: list[tuple[int, list[int]]] = []
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
        expert_actions: ArrayLike | None = None,
        actors: ArrayLike | None = None,
        final_observations: NDArray[np.floating] | None = None,
    ) -> None:
        """Record k steps; arguments as ``Replay.insert``."""
        cut_off = np.flatnonzero(np.asarray(truncated) & ~np.asarray(terminated))
        if len(cut_off):
            if final_observations is None:
                raise ValueError("a truncated step needs its final observation")
            self._final_rows.append((cut_off + self._count).astype(np.int32))
            self._finals.append(final_observations[cut_off].astype(np.float16))
        count = len(observations)
        part: dict[str, NDArray[Any]] = {
            "environments": np.array(environments, np.int32),
            "observations": observations.astype(np.float16),
            "actions": np.array(actions, np.int16),
            "rewards": np.array(rewards, np.float32),
            "terminated": np.array(terminated, bool),
            "truncated": np.array(truncated, bool),
            "expert_actions": np.full(count, -1, np.int16)
            if expert_actions is None
            else np.array(expert_actions, np.int16),
            "actors": np.zeros(count, np.uint8) if actors is None else np.array(actors, np.uint8),
        }
        self._parts.append(part)
        self._count += count

    def cut(self, environments: ArrayLike) -> None:
        """Record that the streams of these environments break here."""
        self._cuts.append((self._count, np.unique(np.asarray(environments, np.int64)).tolist()))

    def take(self, **more: Any) -> Fragment:
        """Return what was recorded since the last call; ``more`` are the fragment's other attributes."""
        arrays: dict[str, Any] = {
            name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]
        }
        rows = np.concatenate(self._final_rows) if self._final_rows else np.zeros(0, np.int32)
        finals = np.concatenate(self._finals) if self._finals else np.zeros((0, self._size), np.float16)
        cuts = self._cuts
        self._parts, self._finals, self._final_rows, self._cuts, self._count = [], [], [], [], 0
        return Fragment(**arrays, final_rows=rows, final_observations=finals, cuts=cuts, **more)
