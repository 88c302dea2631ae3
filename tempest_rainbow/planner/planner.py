"""A planner over any policy: it plays copies of the game ahead, and changes the policy's choice where they die.

At every decision some copies of the game are played on by the policy (the guard). Only if one of them dies does a
search follow: every action, held for a few steps and then left to the policy, is tried on copies, those that survive
longest on more of them (sequential halving, Karnin et al. 2013). Every copy gets random numbers of its own, so the
planner knows the rules of the game, and never its dice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.policy import Policy

__all__ = ["Forks", "Planner", "PlannerConfig"]

_SEEDS = 2**31 - 1


class Forks(Protocol):
    """A vector environment whose games can be copied, and stepped some at a time."""

    num_envs: int
    single_action_space: gym.spaces.Discrete

    def fork(
        self, sources: Any, targets: Any, seeds: NDArray[np.int64] | None = None, *, origin: Any = None
    ) -> None:
        """Copy games of ``origin`` onto ``targets``, with random numbers of their own if ``seeds`` are given."""

    def step_rows(self, rows: Any, actions: NDArray[np.int64]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step some games; what is returned is of these alone."""


@dataclass(frozen=True)
class PlannerConfig:
    """Settings of the planner."""

    copies: int = 8
    """Copies that the guard plays ahead at a decision."""

    horizon: int = 40
    """Steps that a copy is played ahead."""

    holds: tuple[int, ...] = (3, 8)
    """Steps for which the search holds each action before the policy plays on."""

    rounds: int = 3
    """Rounds of the search; each keeps a quarter of the plans and tries these on four times as many copies."""

    guard_every: int = 1
    """Decisions between two guards; a copy's death is then noticed that much later."""

    seed: int = 0
    """Seed of the copies' random numbers."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: one is out of range.
        """
        for name in ("copies", "horizon", "rounds", "guard_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.holds or min(self.holds) < 1 or max(self.holds) > self.horizon:
            raise ValueError(f"holds must be from 1 to the horizon ({self.horizon}), got {self.holds}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")


class Planner:
    """Plays with a policy, and plans where its rollouts die.

    Attributes:
        name: the policy's, with ``+planner``.
        decisions: decisions taken so far.
        simulated: steps of copies so far.
        searches: decisions at which a rollout died, so that plans were compared.
    """

    def __init__(self, policy: Policy, copies: Forks, config: PlannerConfig | None = None) -> None:
        """Plan for ``policy``.

        Args:
            policy: who plays, in the games and in their copies.
            copies: an environment of one life an episode whose games are overwritten; the more it holds, the more is
                played at once. Its time limit should be None.
            config: the settings.
        """
        self.name = f"{policy.name}+planner"
        self.config = config or PlannerConfig()
        self.decisions = self.simulated = self.searches = 0
        self._policy = policy
        self._copies = copies
        self._random = np.random.default_rng(self.config.seed)
        actions = np.arange(copies.single_action_space.n)
        self._plans = np.array([(action, hold) for hold in self.config.holds for action in actions])
        self._guard_in = self._held = self._held_for = np.zeros(0, np.int64)

    def act(
        self,
        games: Forks,
        rows: Sequence[int] | NDArray[np.integer],
        observations: NDArray[np.float32],
        info: dict[str, Any],
    ) -> NDArray[np.int64]:
        """Choose an action for some games.

        Args:
            games: what the games belong to.
            rows: the games to choose for, shape ``(k,)``.
            observations: of these, float32 ``(k, size)``.
            info: of these, arrays ``(k,)``.

        Returns:
            Actions, int64 ``(k,)``.
        """
        rows = np.asarray(rows)
        if len(self._guard_in) != games.num_envs:
            self._guard_in, self._held, self._held_for = np.zeros((3, games.num_envs), np.int64)
        config = self.config
        self.decisions += len(rows)
        self._guard_in[rows] -= 1
        self._held_for[rows] -= 1
        holding = self._held_for[rows] > 0
        chosen = np.where(holding, self._held[rows], self._policy.act(observations, info).astype(np.int64))
        for_steps = np.maximum(self._held_for[rows], 1)

        due = np.flatnonzero(self._guard_in[rows] <= 0)
        sources, actions, holds = (np.repeat(each[due], config.copies) for each in (rows, chosen, for_steps))
        lived = self._play_ahead(games, sources, actions, holds).reshape(len(due), config.copies)
        dies = (lived < config.horizon).any(axis=1)
        self._guard_in[rows[due[~dies]]] = config.guard_every
        for index, guard in zip(due[dies], lived[dies], strict=True):
            self.searches += 1
            action, hold, best = self._search(games, int(rows[index]))
            if best > guard.mean():
                chosen[index] = self._held[rows[index]] = action
                self._held_for[rows[index]] = hold
        return chosen

    def _search(self, games: Forks, row: int) -> tuple[int, int, float]:
        """Return action and hold of the plan whose copies live longest, and for how long they do on average."""
        plans, copies = np.arange(len(self._plans)), 1
        lived = np.zeros((len(plans), 0))
        for _ in range(self.config.rounds):
            sources = np.full(len(plans) * copies, row)
            actions, holds = np.repeat(self._plans[plans], copies, axis=0).T
            new = self._play_ahead(games, sources, actions, holds).reshape(len(plans), copies)
            lived = np.hstack([lived, new])
            best = np.argsort(-lived.mean(axis=1), kind="stable")[: max(len(plans) // 4, 1)]
            plans, lived, copies = plans[best], lived[best], copies * 4
        action, hold = self._plans[plans[0]]
        return int(action), int(hold), float(lived[0].mean())

    def _play_ahead(
        self, games: Forks, sources: NDArray[np.int64], actions: NDArray[np.int64], holds: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return for how many steps copies of ``sources`` live that hold an action and then follow the policy."""
        room = self._copies.num_envs
        if len(sources) > room:
            parts = [
                self._play_ahead(
                    games, sources[at : at + room], actions[at : at + room], holds[at : at + room]
                )
                for at in range(0, len(sources), room)
            ]
            return np.concatenate(parts)
        count, horizon = len(sources), self.config.horizon
        seeds = self._random.integers(_SEEDS, size=count)
        self._copies.fork(sources, np.arange(count), seeds, origin=games)
        lived = np.full(count, horizon)
        alive = np.arange(count)
        playing = actions
        for step in range(horizon):
            observations, _, terminated, truncated, info = self._copies.step_rows(alive, playing)
            self.simulated += len(alive)
            ended = terminated | truncated
            if ended.any():
                lived[alive[ended]] = step
                alive, observations = alive[~ended], observations[~ended]
                info = {name: values[~ended] for name, values in info.items()}
            if not len(alive) or step + 1 == horizon:
                break
            held = holds[alive] > step + 1
            playing = np.where(held, actions[alive], 0)
            if not held.all():
                free = np.flatnonzero(~held)
                free_info = {name: values[free] for name, values in info.items()}
                playing[free] = self._policy.act(observations[free], free_info)
        return lived
