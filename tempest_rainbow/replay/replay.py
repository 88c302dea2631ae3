"""Prioritised replay: every observation stored once, n-step transitions formed when they are drawn.

Rows are in one ring per environment (`rings`), priorities in a `SumTree`. With the defaults a row of
195 values takes 404 bytes: float16 observation, action, advice, reward, flags and its share of the tree.

Prioritisation: Schaul et al. 2016 (https://arxiv.org/abs/1511.05952), proportional variant, stratified.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempest_rainbow.config.settings import ReplayConfig, check_settings
from tempest_rainbow.replay import storage as replay_files
from tempest_rainbow.replay.batch import Batch
from tempest_rainbow.replay.rings import (
    ACTOR_SHIFT,
    TERMINATED,
    TRUNCATED,
    gather_windows,
    set_current,
    write_rows,
)
from tempest_rainbow.replay.steps import Steps
from tempest_rainbow.replay.sum_tree import SumTree

__all__ = ["Replay", "ReplayConfig"]


class Replay:
    """A prioritised replay over a fixed number of environments. All methods may be called from any thread.

    Attributes:
        inserted: steps inserted in all.
        dropped: steps that will never be drawn because their stream was cut before their window was complete.
        stale: priorities that arrived after their row was overwritten.
    """

    def __init__(
        self, config: ReplayConfig, environment_count: int, observation_size: int, seed: int = 0
    ) -> None:
        """Reserve the memory.

        Args:
            config: the settings.
            environment_count: rings; the capacity is divided among them.
            observation_size: values per observation.
            seed: of the generator that draws.

        Raises:
            ValueError: a setting is out of range, or the capacity leaves no room for one window per
                environment.
            MemoryError: the replay would not fit into memory, or its file not on the disk.
        """
        check_settings(config, environment_count, observation_size)
        self.config = config
        self.environment_count = environment_count
        self.observation_size = observation_size
        row_bytes = replay_files.bytes_per_row(observation_size, config.dtype)
        capacity = config.capacity if config.memory_gb is None else int(config.memory_gb * 1e9 / row_bytes)
        self._length = capacity // environment_count
        self.capacity = self._length * environment_count
        if self._length < config.n_step + 2:
            raise ValueError(
                f"a replay of {capacity} transitions leaves {self._length} to each of "
                f"{environment_count} environments; windows of {config.n_step} steps need {config.n_step + 2}"
            )
        self.bytes_per_transition = row_bytes
        replay_files.check_room(self.capacity, observation_size, config.dtype, config.path)

        self._observations = replay_files.allocate(
            (self.capacity, observation_size), np.dtype(config.dtype), config.path
        )
        self._actions = np.zeros(self.capacity, np.int16)
        self._expert_actions = np.full(self.capacity, -1, np.int16)
        self._rewards = np.zeros(self.capacity, np.float32)
        self._flags = np.zeros(self.capacity, np.uint8)
        self._tree = SumTree(self.capacity)
        self._written = np.zeros(environment_count, np.int64)
        self._open_windows = np.zeros(environment_count, np.int64)
        self._largest = 1.0
        self._drawable = 0
        self.inserted = 0
        self.dropped = 0
        self.stale = 0
        self._rng = np.random.default_rng(seed)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many transitions can be drawn at present."""
        return self._drawable

    def insert(self, steps: Steps) -> None:
        """Append steps, each to the ring of its environment.

        Raises:
            ValueError: shapes do not fit, a number is not finite or out of range, or a final observation is
                missing.
        """
        rings = np.ascontiguousarray(steps.environments, np.int64)
        count = rings.shape[0]
        ended = np.asarray(steps.terminated, bool)
        cut_off = np.asarray(steps.truncated, bool) & ~ended
        flags = ended * np.uint8(TERMINATED) + cut_off * np.uint8(TRUNCATED)
        if steps.actors is not None:
            flags = flags | (np.asarray(steps.actors, np.uint8) << ACTOR_SHIFT)
        stored = self._stored(steps.observations)
        if cut_off.any():
            if steps.final_observations is None:
                raise ValueError("a truncated step needs its final observation")
            finals = self._stored(np.where(cut_off[:, None], steps.final_observations, 0))
        else:
            finals = stored
        advice = (
            np.full(count, -1, np.int16)
            if steps.expert_actions is None
            else np.ascontiguousarray(steps.expert_actions, np.int16)
        )
        earned = np.ascontiguousarray(steps.rewards, np.float32)
        taken = np.ascontiguousarray(steps.actions, np.int16)
        if not (stored.shape == finals.shape == (count, self.observation_size)):
            raise ValueError(
                f"expected {count} observations of {self.observation_size} values, got shape {stored.shape}"
            )
        if not (taken.shape == earned.shape == flags.shape == advice.shape == (count,)):
            raise ValueError(f"expected {count} actions, rewards, endings, expert actions and actors")
        if count and not (rings.min() >= 0 and rings.max() < self.environment_count):
            raise ValueError(f"environments must lie within 0-{self.environment_count - 1}, got {rings}")
        if not np.isfinite(earned).all():
            raise ValueError("a reward is not finite")

        with self._lock:
            self._drawable += write_rows(
                self._rows(),
                self._sums(),
                (self._written, self._open_windows),
                (rings, _bits(stored), taken, earned, flags, advice, _bits(finals)),
                self.config.n_step,
                self._entry_value(),
            )
            self.inserted += count

    def cut(self, environments: ArrayLike) -> None:
        """Break the streams of these environments: what they send next does not follow what they sent last.

        Steps whose window is still open are counted as dropped; none is ever bootstrapped across the break.
        """
        with self._lock:
            rings = np.unique(np.asarray(environments, np.int64))
            self.dropped += int(self._open_windows[rings].sum())
            self._open_windows[rings] = 0

    def clear(self) -> None:
        """Forget every transition; the counts of what was inserted and dropped, and the generator, stay."""
        with self._lock:
            self._written[:] = 0
            self._open_windows[:] = 0
            self._tree.leaves[:] = 0.0
            self._tree.rebuild()
            self._largest = 1.0
            self._drawable = 0

    def sample(
        self, batch_size: int, beta: float = 0.4, n_step: int | None = None, gamma: float | None = None
    ) -> Batch:
        """Draw transitions in proportion to their priorities, one from each of ``batch_size`` equal slices.

        Args:
            batch_size: transitions, with repetition where one is very likely.
            beta: how far the importance weights undo the skew of the draw, 0 (not at all) to 1.
            n_step: shorter windows than the setting's.
            gamma: another discount than the setting's.

        Raises:
            ValueError: nothing can be drawn yet, or ``n_step`` is out of range.
        """
        steps = self.config.n_step if n_step is None else n_step
        if not 1 <= steps <= self.config.n_step:
            raise ValueError(f"n_step must lie within 1-{self.config.n_step}, got {steps}")
        shape = (batch_size, self.observation_size)
        batch = Batch(
            observations=np.empty(shape, self.config.dtype),
            actions=np.empty(batch_size, np.int64),
            returns=np.empty(batch_size, np.float32),
            discounts=np.empty(batch_size, np.float32),
            next_observations=np.empty(shape, self.config.dtype),
            expert_actions=np.empty(batch_size, np.int64),
            actors=np.empty(batch_size, np.uint8),
            weights=np.empty(batch_size, np.float32),
            imitation_weights=np.empty(batch_size, np.float32),
            indices=np.empty(batch_size, np.int64),
            stamps=np.empty(batch_size, np.int64),
        )
        values = np.empty(batch_size, np.float64)
        with self._lock:
            if self._drawable == 0:
                raise ValueError("the replay holds no complete transition yet")
            masses = (np.arange(batch_size) + self._rng.random(batch_size)) * (self._tree.total / batch_size)
            gather_windows(
                self._rows(),
                self._sums(),
                self._written,
                masses,
                steps,
                self.config.gamma if gamma is None else gamma,
                (
                    batch.indices,
                    batch.stamps,
                    values,
                    _bits(batch.observations),
                    batch.actions,
                    batch.returns,
                    batch.discounts,
                    _bits(batch.next_observations),
                    batch.expert_actions,
                    batch.actors,
                ),
            )
        # Equation: (N P(i))^-beta over its largest; N and the total cancel.
        batch.weights[:] = (values / values.min()) ** -beta
        batch.imitation_weights[:] = batch.expert_actions >= 0
        return batch

    def update_priorities(
        self, indices: NDArray[np.int64], stamps: NDArray[np.int64], priorities: NDArray[np.floating]
    ) -> None:
        """Give drawn transitions new priorities; those overwritten meanwhile are counted as stale and left
        alone.

        Args:
            indices: (B,) as in the batch.
            stamps: (B,) as in the batch.
            priorities: (B,), the larger, the more there is to learn; negative ones count as 0.

        Raises:
            ValueError: a priority is not finite.
        """
        if not np.isfinite(priorities).all():
            raise ValueError("a priority is not finite")
        values = self._value(np.asarray(priorities, np.float64))
        with self._lock:
            self._largest = max(self._largest, float(values.max(initial=0.0)))
            self.stale += set_current(self._sums(), self._written, self._length, indices, stamps, values)

    def statistics(self) -> dict[str, float]:
        """Return metrics: fill, counts, and the mean and largest value of the tree."""
        with self._lock:
            return {
                "transitions": float(self._drawable),
                "fill": float(np.minimum(self._written, self._length).sum() / self.capacity),
                "inserted": float(self.inserted),
                "dropped": float(self.dropped),
                "stale": float(self.stale),
                "mean_value": self._tree.total / max(self._drawable, 1),
                "largest_value": self._largest,
            }

    def get_state(self) -> dict[str, Any]:
        """Return everything that decides what happens next: ``scalars`` (fit for JSON) and ``arrays``."""
        with self._lock:
            return {
                "scalars": self._scalars(),
                "arrays": {name: np.array(array) for name, array in self._arrays().items()},
            }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned.

        Raises:
            ValueError: the state is of a replay of another shape.
        """
        with self._lock:
            self._check_shape(state["scalars"])
            for name, array in self._arrays().items():
                array[:] = state["arrays"][name]
            self._set_scalars(state["scalars"])

    def save(self, directory: Path) -> None:
        """Write the state into a directory of NumPy files and one JSON file, replacing it if it exists.

        Only the rows in use are written; the directory appears whole or not at all.
        """
        with self._lock:
            used = int(min(self._written.max(), self._length))
            replay_files.save(directory, self._scalars(), self._arrays(), self.environment_count, used)

    def load(self, directory: Path) -> None:
        """Continue from what `save` wrote.

        Raises:
            ValueError: the files are of a replay of another shape.
        """
        with self._lock:
            scalars = replay_files.load_scalars(directory)
            self._check_shape(scalars)
            replay_files.load_arrays(directory, self._arrays(), self.environment_count)
            self._set_scalars(scalars)

    def close(self) -> None:
        """Write a memory-mapped file's pages to the disk."""
        if isinstance(self._observations, np.memmap):
            self._observations.flush()

    def _stored(self, observations: NDArray[np.floating]) -> NDArray[np.floating]:
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(observations, self.config.dtype)
        if not np.isfinite(stored).all():
            raise ValueError(f"an observation is not finite, or too large for {self.config.dtype}")
        return stored

    def _rows(self) -> tuple[NDArray[Any], ...]:
        return (_bits(self._observations), self._actions, self._rewards, self._flags, self._expert_actions)

    def _sums(self) -> tuple[NDArray[Any], ...]:
        return self._tree.leaves, self._tree.nodes, self._tree.offsets

    def _value(self, priorities: NDArray[np.float64]) -> NDArray[np.float32]:
        bounded = np.maximum(priorities, 0.0) + self.config.minimum_priority
        return (bounded**self.config.priority_exponent).astype(np.float32)

    def _entry_value(self) -> float:
        if self.config.new_priority == "mean" and self._drawable:
            return self._tree.total / self._drawable
        return self._largest

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "observations": self._observations,
            "actions": self._actions,
            "rewards": self._rewards,
            "flags": self._flags,
            "expert_actions": self._expert_actions,
            "values": self._tree.leaves[: self.capacity],
            "written": self._written,
            "open_windows": self._open_windows,
        }

    def _scalars(self) -> dict[str, Any]:
        return {
            "capacity": self.capacity,
            "environment_count": self.environment_count,
            "observation_size": self.observation_size,
            "dtype": self.config.dtype,
            "n_step": self.config.n_step,
            "largest": self._largest,
            "drawable": self._drawable,
            "inserted": self.inserted,
            "dropped": self.dropped,
            "stale": self.stale,
            "rng": self._rng.bit_generator.state,
        }

    def _check_shape(self, scalars: dict[str, Any]) -> None:
        for name in ("capacity", "environment_count", "observation_size", "dtype", "n_step"):
            mine = self._scalars()[name]
            if scalars[name] != mine:
                raise ValueError(f"the saved replay has {name} {scalars[name]}, this one has {mine}")

    def _set_scalars(self, scalars: dict[str, Any]) -> None:
        self._tree.rebuild()
        self._largest = scalars["largest"]
        self._drawable = scalars["drawable"]
        self.inserted = scalars["inserted"]
        self.dropped = scalars["dropped"]
        self.stale = scalars["stale"]
        self._rng.bit_generator.state = scalars["rng"]

    def check_valid(self) -> None:
        """Raise AssertionError naming the broken invariant, if one is broken."""
        self._tree.check_valid()
        leaves = self._tree.leaves[: self.capacity]
        assert int((leaves > 0).sum()) == self._drawable, "the count of drawable rows is off"
        assert (self._open_windows <= self.config.n_step).all(), "more windows are open than can be"
        rows = np.arange(self.capacity).reshape(self.environment_count, self._length)
        unused = rows % self._length >= self._written[:, None]
        assert not leaves[rows[unused]].any(), "a row never written can be drawn"


def _bits(array: NDArray[Any]) -> NDArray[Any]:
    """View floats as unsigned integers, which compiled code copies without converting."""
    return np.asarray(array).view(np.uint16 if array.dtype.itemsize == 2 else np.uint32)
