"""Watching a policy play, in a window or as a video file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from tempest_gym.video import open_video
from tempest_rainbow.collect.environments import Task, make_single
from tempest_rainbow.collect.sources import check_spaces
from tempest_rainbow.policy import Policy, load_policy

__all__ = ["watch"]

_log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]


def watch(
    task: Task, policy: str, *, output: Path | None, games: int, seed: int, seconds: float | None = None
) -> list[tuple[int, float]]:
    """Let a policy play and return seed and score of each game (an unfinished last game included).

    Args:
        task: which environment.
        policy: expert, random, bundled or a path.
        output: video file to write, .mp4 or .gif; None opens a window.
        games: number of games.
        seed: of the first game.
        seconds: of play after which to stop; None plays to the end.

    Raises:
        ValueError: the file's ending is none of a video.
        ModuleNotFoundError: what draws the window or writes the video is not installed.
    """
    env = make_single(task, render_mode="human" if output is None else "rgb_array")
    try:
        _, action_count = check_spaces(env.observation_space, env.action_space)
        player = load_policy(policy, action_count, seed)
        rate = float(env.metadata.get("render_fps", 30))
        limit = None if seconds is None else int(seconds * rate)
        if output is None:
            return _play(env, player, games, seed, limit, lambda: None)
        with open_video(output, rate) as show:
            return _play(env, player, games, seed, limit, lambda: show(_picture(env)))
    finally:
        env.close()


def _play(
    env: gym.Env[Any, Any],
    policy: Policy,
    games: int,
    seed: int,
    limit: int | None,
    show: Callable[[], None],
) -> list[tuple[int, float]]:
    results: list[tuple[int, float]] = []
    shown = 0
    for game in range(games):
        observation, info = env.reset(seed=seed + game)
        total, ended = 0.0, False
        show()
        while not ended and (limit is None or shown < limit):
            flat = np.asarray(observation, np.float32).reshape(1, -1)
            advice = {key: np.array([value]) for key, value in info.items() if key == "expert_action"}
            action = int(policy.act(flat, advice)[0])
            observation, reward, terminated, truncated, info = env.step(action)
            total += float(reward)
            ended = terminated or truncated
            shown += 1
            show()
        results.append((seed + game, float(info.get("score", total))))
        if limit is not None and shown >= limit:
            break
    return results


def _picture(env: gym.Env[Any, Any]) -> Picture:
    picture = env.render()
    if not isinstance(picture, np.ndarray):
        raise ValueError(f"{env} renders no pictures")
    return picture
