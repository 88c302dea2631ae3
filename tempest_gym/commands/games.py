"""Plays whole games with a fixed policy, for ``tempest-gym play`` and as a baseline for agents."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean, median
from typing import TypedDict

from tempest_gym.env import TempestEnv
from tempest_gym.players import make_player

__all__ = ["GameResult", "PlayResult", "play_games", "summary"]


class GameResult(TypedDict):
    """One game: its seed, points, level reached (1-99), game frames, and the sum of the env's rewards."""

    seed: int
    score: int
    level: int
    frames: int
    reward: float


class PlayResult(TypedDict):
    """Games of one policy; mean and median are None if none was played."""

    policy: str
    machine: str
    mame_version: int
    game: str
    games: list[GameResult]
    mean_score: float | None
    median_score: float | None


def play_games(env: TempestEnv, policy: str, seeds: range) -> Iterator[GameResult]:
    """Play one game per seed, each a whole game from its start; no more once the env's window is closed.

    Args:
        env: an environment with ``episode="game"``.
        policy: as for `make_player`.
        seeds: the seeds of the games, and of the player's random numbers.
    """
    for seed in seeds:
        choose = make_player(policy, env, seed)
        observation, info = env.reset(seed=seed)
        reward, over = 0.0, False
        while not (over or env.window_closed):
            observation, step_reward, terminated, truncated, info = env.step(choose(observation, info))
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
        mame_version=env.machine.mame_version,
        game=env.machine.game,
        games=games,
        mean_score=fmean(scores) if scores else None,
        median_score=median(scores) if scores else None,
    )
