"""A planner over any policy: it plays copies of the game ahead, and changes the policy's choice where they die.

At a decision the policy plays some copies of the game a short way ahead (the guard). Only if one of them dies does a
search follow: every action, held for a few steps and then left to the policy, is tried on copies that are played
further, those that survive longest on more of them (sequential halving, Karnin et al. 2013). The best plan is followed
for as long as it holds its action, under the same guard. Every copy gets random numbers of its own, so the planner
knows the rules of the game, but not its future random numbers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.policy import Policy

__all__ = ["Forks", "Futures", "Planner", "PlannerConfig"]

_SEEDS = 2**31 - 1
_ROUNDS = 3
"""Rounds of the search; each keeps a quarter of the plans."""

_REWARD_WEIGHT = 1e-3
"""Steps of life that a unit of reward is worth: rewards decide only between plans that live equally long."""

_COUNTS = ("decisions", "simulations", "searches")

_Integers = NDArray[np.int64]
_Reals = NDArray[np.float64]


class Forks(Protocol):
    """A vector environment whose games can be copied, and stepped some at a time."""

    num_envs: int
    single_action_space: gym.spaces.Discrete

    def fork(
        self, sources: Any, targets: Any, seeds: NDArray[np.int64] | None = None, *, origin: Any = None
    ) -> None:
        """Copy games of ``origin`` onto ``targets``, with their own random numbers if ``seeds`` are given."""

    def step_rows(self, rows: Any, actions: NDArray[np.int64]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step some games; what is returned is of these alone."""


@dataclass(frozen=True)
class PlannerConfig:
    """Settings of the planner.

    Attributes:
        copies: copies that the guard plays ahead.
        guard_horizon: steps that the guard plays them.
        guard_every: decisions between two guards of a game in which no copy died.
        horizon: steps that the search plays a copy ahead.
        holds: steps for which the search holds each action before the policy plays on.
        simulations: most copies that one search plays ahead.
        enough: copies of a plan; a search ends early where that many, all that were tried, live to the horizon.
        seconds: time after which the searches of a decision compare no more plans; None for no limit.
        seed: of the copies' random numbers.

    Raises:
        ValueError: a value is out of range.
    """

    copies: int = 8
    guard_horizon: int = 24
    guard_every: int = 4
    horizon: int = 40
    holds: tuple[int, ...] = (3, 8)
    simulations: int = 267
    enough: int = 1000
    seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in ("copies", "guard_horizon", "guard_every", "horizon", "simulations", "enough"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.holds or min(self.holds) < 1 or max(self.holds) > self.horizon:
            raise ValueError(f"holds must be from 1 to the horizon ({self.horizon}), got {self.holds}")
        if self.seconds is not None and self.seconds <= 0.0:
            raise ValueError(f"seconds must be above 0, or None, got {self.seconds}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")


class Futures(NamedTuple):
    """Where copies of a game ended: at their death, or alive at the horizon.

    Attributes:
        lived: steps that each copy lived, int64 ``(k,)``; the horizon if it did not die.
        died: whether it died, bool ``(k,)``.
        rewards: sum of each copy's rewards, float64 ``(k,)``.
        lanes: lane of the player there, int64 ``(k,)``, -1 where the environment names none.
    """

    lived: _Integers
    died: NDArray[np.bool_]
    rewards: _Reals
    lanes: _Integers


class Planner:
    """Plays with a policy, and plans where its rollouts die.

    Attributes:
        name: the policy's, with ``+planner``.
        config: the settings.
        policy: who plays where no copy dies.
        plans: actions and the steps for which a search holds them, int64 ``(n, 2)``.
        decisions: decisions taken so far.
        simulations: copies played ahead so far.
        searches: decisions at which a rollout died, so that plans were compared.
        futures: of every copy that the last guard played, a game after the other; None before the first.
        searched: of every copy that the searches of the last decision played; None if none was needed.
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
        self.decisions = self.simulations = self.searches = 0
        self.futures: Futures | None = None
        self.searched: Futures | None = None
        self.policy = policy
        self._copies = copies
        self._random = np.random.default_rng(self.config.seed)
        actions = np.arange(copies.single_action_space.n)
        plans = np.array([(action, hold) for hold in self.config.holds for action in actions])
        self.plans = plans
        self._plan = self._left = self._wait = np.zeros(0, np.int64)

    def act(
        self,
        games: Any,
        rows: Sequence[int] | NDArray[np.integer],
        observations: NDArray[np.float32],
        info: Mapping[str, Any],
    ) -> _Integers:
        """Choose an action for some games.

        Args:
            games: what the games belong to, of the kind of ``copies`` or a single environment.
            rows: the games to choose for, shape ``(k,)``.
            observations: of these, float32 ``(k, size)``.
            info: of these, arrays ``(k,)``.

        Returns:
            Actions, int64 ``(k,)``.
        """
        places: _Integers = np.asarray(rows, np.int64)
        self._make_room(int(places.max(initial=-1)) + 1)
        deadline = None if self.config.seconds is None else time.monotonic() + self.config.seconds
        chosen = self.policy.act(observations, info).astype(np.int64)
        self.decisions += len(places)
        actions = np.where(self._left[places] > 0, self._plan[places], chosen)
        holds = np.maximum(self._left[places], 1)
        self._wait[places] -= 1
        self.searched = None
        due = np.flatnonzero(self._wait[places] <= 0)
        if len(due):
            copies, horizon = self.config.copies, self.config.guard_horizon
            guard = self.play(games, places[due], actions[due, None], holds[due, None], copies, horizon)
            self.futures = _flat([guard])
            died = guard.died.any(axis=(1, 2))
            self._wait[places[due]] = np.where(died, 1, self.config.guard_every)
            bad = due[died]
            if len(bad):
                actions[bad], holds[bad] = self.search(games, places[bad], actions[bad], holds[bad], deadline)
        self._plan[places], self._left[places] = actions, holds - 1
        return actions

    def choose(self, game: Any, observation: NDArray[np.float32], info: Mapping[str, Any]) -> int:
        """Return an action for a single environment, from its latest observation and info."""
        batch = np.asarray(observation, np.float32).reshape(1, -1)
        return int(self.act(game, [0], batch, {name: np.array([value]) for name, value in info.items()})[0])

    def forget(self, rows: Sequence[int] | NDArray[np.integer]) -> None:
        """Drop the plans of games that were reset."""
        self._make_room(int(np.max(rows, initial=-1)) + 1)
        self._left[rows] = self._wait[rows] = 0

    def get_state(self) -> dict[str, Any]:
        """Return what `set_state` needs: plans under way, the copies' random numbers, counts; nothing of the policy."""
        return {
            "random": self._random.bit_generator.state,
            "plans": {"action": self._plan.copy(), "left": self._left.copy(), "wait": self._wait.copy()},
            "counts": {name: getattr(self, name) for name in _COUNTS},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `get_state` returned, in games that are where they were."""
        self._random.bit_generator.state = state["random"]
        self._plan, self._left, self._wait = (
            state["plans"][name].copy() for name in ("action", "left", "wait")
        )
        for name in _COUNTS:
            setattr(self, name, state["counts"][name])

    def _make_room(self, count: int) -> None:
        if len(self._plan) < count:
            more = np.zeros(count - len(self._plan), np.int64)
            self._plan, self._left, self._wait = (
                np.concatenate([each, more]) for each in (self._plan, self._left, self._wait)
            )

    def search(
        self, games: Any, rows: _Integers, actions: _Integers, holds: _Integers, deadline: float | None = None
    ) -> tuple[_Integers, _Integers]:
        """Return the best plan of each game, as actions and the steps to hold them, int64 ``(k,)`` each.

        Args:
            games: as for `act`.
            rows: the games to search for, shape ``(k,)``.
            actions: the plans that are compared with `plans`, ``(k,)``.
            holds: the steps for which these hold their actions, ``(k,)``.
            deadline: `time.monotonic` after which no further round starts.
        """
        self.searches += len(rows)
        budget = max(self.config.simulations // _ROUNDS, 1)
        own = np.stack([actions, holds], axis=1)[:, None]
        others = np.stack([self._random.permutation(self.plans)[: budget - 1] for _ in rows])
        plans = np.concatenate([own, others], axis=1)
        total, deaths, tried, played = np.zeros(plans.shape[:2]), np.zeros(plans.shape[:2], np.int64), 0, []
        for _ in range(_ROUNDS):
            copies = max(budget // plans.shape[1], 1)
            futures = self.play(games, rows, plans[..., 0], plans[..., 1], copies, self.config.horizon)
            played.append(futures)
            total += copies * _value(futures)
            deaths += futures.died.sum(axis=2)
            tried += copies
            best = np.argsort(-total, axis=1, kind="stable")[:, : max(plans.shape[1] // 4, 1)]
            plans = np.take_along_axis(plans, best[..., None], axis=1)
            total, deaths = np.take_along_axis(total, best, axis=1), np.take_along_axis(deaths, best, axis=1)
            safe = tried >= self.config.enough and not deaths[:, 0].any()
            if safe or (deadline is not None and time.monotonic() > deadline):
                break
        self.searched = _flat(played)
        return plans[:, 0, 0], plans[:, 0, 1]

    def play(
        self, games: Any, rows: _Integers, actions: _Integers, holds: _Integers, copies: int, horizon: int
    ) -> Futures:
        """Play plans ``(games, plans)`` ahead, each on some copies; the futures are ``(games, plans, copies)``."""
        shape = (*actions.shape, copies)
        each = [
            np.broadcast_to(values, shape).reshape(-1)
            for values in (rows[:, None, None], actions[..., None], holds[..., None])
        ]
        self.simulations += len(each[0])
        room = self._copies.num_envs
        parts = [
            self._play_ahead(games, horizon, *(values[at : at + room] for values in each))
            for at in range(0, len(each[0]), room)
        ]
        return Futures(*(np.concatenate(values).reshape(shape) for values in zip(*parts, strict=True)))

    def _play_ahead(
        self, games: Any, horizon: int, sources: _Integers, actions: _Integers, holds: _Integers
    ) -> Futures:
        """Play copies of ``sources`` that hold an action and then follow the policy."""
        count = len(sources)
        seeds = self._random.integers(_SEEDS, size=count)
        self._copies.fork(sources, np.arange(count), seeds, origin=games)
        lived, total, lanes = np.full(count, horizon), np.zeros(count), np.full(count, -1)
        alive = np.arange(count)
        playing = actions
        for step in range(horizon):
            observations, rewards, terminated, truncated, info = self._copies.step_rows(alive, playing)
            total[alive] += rewards
            lanes[alive] = info.get("player_lane", -1)
            ended = terminated | truncated
            if ended.any():
                lived[alive[ended]] = step
                alive, observations = alive[~ended], observations[~ended]
                info = {name: values[~ended] for name, values in info.items()}
            if not len(alive) or step + 1 == horizon:
                break
            free = holds[alive] <= step + 1
            playing = actions[alive]
            if free.any():
                free_info = {name: values[free] for name, values in info.items()}
                playing[free] = self.policy.act(observations[free], free_info)
        return Futures(lived, lived < horizon, total, lanes)


def _flat(played: Sequence[Futures]) -> Futures:
    """Join futures of any shape into one of shape ``(k,)``."""
    return Futures(*(np.concatenate([part.ravel() for part in parts]) for parts in zip(*played, strict=True)))


def _value(futures: Futures) -> _Reals:
    """Return the mean over the copies of a plan: steps lived first, then rewards."""
    value: _Reals = futures.lived.mean(axis=-1) + _REWARD_WEIGHT * futures.rewards.mean(axis=-1)
    return value
