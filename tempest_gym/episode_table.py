"""Where each game of a vector environment is in its episode, as arrays with a row per game."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tempest_gym.env import TempestEnv

__all__ = ["EpisodeTable"]

_ARRAYS = {
    **dict.fromkeys(("frames", "steps", "levels", "last_actions", "seeds"), np.int64),
    **dict.fromkeys(("playing", "game_continues"), np.bool_),
}


class EpisodeTable:
    """What an environment remembers about its episode, for many games at once.

    Args:
        count: number of games.

    Attributes:
        frames, steps: since the episode started, int64 ``(count,)``.
        levels: level - 1 at which it started.
        last_actions: the action played last.
        seeds: the game's seed.
        playing: whether an episode is under way, bool ``(count,)``.
        game_continues: whether the next episode continues the same game.
    """

    def __init__(self, count: int) -> None:
        """Start with no episodes."""
        self.frames, self.steps, self.levels, self.last_actions, self.seeds = np.zeros((5, count), np.int64)
        self.playing, self.game_continues = np.zeros((2, count), np.bool_)
        # Of each game: None, a generator, or the seed of one that has not been needed yet.
        self._generators = np.full(count, None, object)
        self._shared = np.zeros(count, np.bool_)

    @classmethod
    def of_env(cls, env: TempestEnv) -> EpisodeTable:
        """Return a table with the one game of a single environment."""
        table = cls(1)
        table.frames[0], table.levels[0] = env._episode_frames, env._episode_level
        table.last_actions[0], table.seeds[0] = env._last_action, env._seed
        table.playing[0], table.game_continues[0] = env._playing, env._game_continues
        table._generators[0] = deepcopy(env.np_random)
        return table

    def __len__(self) -> int:
        """Return the number of games."""
        return len(self.playing)

    @property
    def all_seeded(self) -> bool:
        """Whether every game has a random generator."""
        return not any(each is None for each in self._generators)

    def seed(self, row: int, seed: int | None) -> None:
        """Give a game the random generator of a seed; None gives one from the system, to a game without any."""
        if seed is not None or self._generators[row] is None:
            self._generators[row], _ = seeding.np_random(seed)
            self._shared[row] = False

    def generator(self, row: int) -> np.random.Generator:
        """Return the generator from which the games after this one are drawn, not shared with a copy."""
        generator = self._generators[row]
        if isinstance(generator, np.random.Generator):
            own = deepcopy(generator) if self._shared[row] else generator
        else:
            own, _ = seeding.np_random(int(generator))
        self._generators[row], self._shared[row] = own, False
        return own

    def copy(
        self,
        rows: NDArray[np.int32],
        source: EpisodeTable,
        source_rows: NDArray[np.int32],
        seeds: NDArray[np.int64] | None = None,
    ) -> None:
        """Copy games of a table onto rows of this one, with their random generators or with those of other seeds."""
        for name in _ARRAYS:
            getattr(self, name)[rows] = getattr(source, name)[source_rows]
        if seeds is not None:
            self.reseed(rows, seeds)
            return
        self._generators[rows] = source._generators[source_rows]  # Copied where one is needed.
        source._shared[source_rows] = self._shared[rows] = True

    def reseed(self, rows: NDArray[np.int32], seeds: NDArray[np.int64]) -> None:
        """Give games other seeds and generators."""
        self.seeds[rows] = self._generators[rows] = seeds
        self._shared[rows] = False

    def state(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        generators = [
            None if each is None else self.generator(row).bit_generator.state
            for row, each in enumerate(self._generators)
        ]
        return {**{name: getattr(self, name).tolist() for name in _ARRAYS}, "generators": generators}

    def load_state(self, state: dict[str, Any], *, with_generators: bool) -> None:
        """Take over what `state` returned, the random generators only on request."""
        for name in _ARRAYS:
            getattr(self, name)[:] = state[name]
        if not with_generators:
            return
        for row, generator_state in enumerate(state["generators"]):
            self._generators[row], self._shared[row] = None, False
            if generator_state is not None:
                self._generators[row] = np.random.default_rng()
                self._generators[row].bit_generator.state = generator_state
