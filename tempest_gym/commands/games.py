"""Plays whole games with a fixed policy, for ``tempest-gym play`` and as a yardstick for agents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import fmean, median
from typing import Literal, TypedDict

import numpy as np

from tempest_gym.actions import ACTION_COUNT
from tempest_gym.env import TempestEnv, TempestInfo

__all__ = ["POLICIES", "GameResult", "PlayResult", "play_games", "summary"]

POLICIES = ("expert", "random")

_Policy = Callable[[TempestInfo], int]


class GameResult(TypedDict):
    """One game: its seed, points, level reached (1-99), game frames, and the sum of the env's rewards."""

    seed: int
    score: int
    level: int
    frames: int
    reward: float


class PlayResult(TypedDict):
    """Some games of one policy."""

    policy: str
    machine: str
    game: str
    games: list[GameResult]
    mean_score: float
    median_score: float


def play_games(env: TempestEnv, policy: Literal["expert", "random"], seeds: range) -> Iterator[GameResult]:
    """Play one game per seed, each a whole game from its start; no more once the env's window is closed.

    Args:
        env: an environment with ``episode="game"``.
        policy: ``"expert"`` does as the scripted expert says, ``"random"`` draws from the 44 actions evenly.
        seeds: the seeds of the games; they seed the random policy too.
    """
    for seed in seeds:
        choose = _policy(policy, seed)
        _, info = env.reset(seed=seed)
        reward, over = 0.0, False
        while not (over or env.window_closed):
            _, step_reward, terminated, truncated, info = env.step(choose(info))
            reward += step_reward
            over = terminated or truncated
        yield GameResult(
            seed=seed,
            score=info["score"],
            level=info["level"],
            frames=info["episode_frames"],
            reward=reward,
        )
        if env.window_closed:
            return


def summary(env: TempestEnv, policy: str, games: list[GameResult]) -> PlayResult:
    """Sum up some games."""
    scores = [game["score"] for game in games]
    return PlayResult(
        policy=policy,
        machine=env.machine.name,
        game=env.machine.game,
        games=games,
        mean_score=fmean(scores),
        median_score=median(scores),
    )


def _policy(name: str, seed: int) -> _Policy:
    if name == "expert":
        return lambda info: int(info["expert_action"])
    if name == "random":
        generator = np.random.default_rng(seed)
        return lambda _: int(generator.integers(ACTION_COUNT))
    raise ValueError(f"policy must be one of {', '.join(map(repr, POLICIES))}, got {name!r}")
