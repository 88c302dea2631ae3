"""Shows a policy's games in a window or a video file, with its expected returns and attention."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from tempest_gym.display.video import Picture, check_video_name, open_screen
from tempest_rainbow.collect.environments import make_single
from tempest_rainbow.collect.sources import check_spaces
from tempest_rainbow.config.settings import Task
from tempest_rainbow.planner import Planner
from tempest_rainbow.policy import Policy, load_policy
from tempest_rainbow.watch.decision import Decision, decide
from tempest_rainbow.watch.panel import Panel

__all__ = ["watch"]


def watch(
    task: Task,
    policy: str,
    *,
    output: Path | None,
    games: int,
    seed: int,
    seconds: float | None = None,
    panel: bool = True,
    plan: Callable[[Policy], Planner] | None = None,
) -> list[tuple[int, float, bool]]:
    """Let a policy play and return seed, score and whether it ended of each game.

    Args:
        task: which environment.
        policy: expert, random, bundled or a path.
        output: video file to write, .mp4 or .gif; None opens a window.
        games: number of games.
        seed: of the first game.
        seconds: of play after which to stop; None plays to the end.
        panel: Tempest only: show expected returns, choices, and attention or the planner's futures too.
        plan: makes a planner of the policy; None: the policy plays alone.

    Raises:
        ValueError: the file name does not end in that of a video, or the environment draws nothing.
        ModuleNotFoundError, gymnasium.error.DependencyNotInstalled: an extra for the panel, the window or the
            video is not installed.
    """
    if output is not None:
        check_video_name(output)
    env = make_single(task, render_mode="rgb_array")
    try:
        size, action_count = check_spaces(env.observation_space, env.action_space)
        loaded = load_policy(policy, action_count, seed, observation_size=size)
        player = loaded if plan is None else plan(loaded)
        rate = float(env.metadata.get("render_fps", 30))
        limit = None if seconds is None else int(seconds * rate)
        drawn = Panel(player.name) if panel and task.tempest else None
        with open_screen(output, rate) as (show, _):
            return _play(env, player, games, seed, limit, _Film(env, drawn, show))
    finally:
        env.close()


class _Film:
    """Shows an environment's pictures, with a panel if there is one."""

    def __init__(self, env: gym.Env[Any, Any], panel: Panel | None, show: Callable[[Picture], bool]) -> None:
        self._env, self._panel, self._show = env, panel, show
        self.open = True

    def take(self, decision: Decision | None, info: dict[str, Any]) -> None:
        """Show the present picture and the decision taken in it."""
        picture = self._env.render()
        if not isinstance(picture, np.ndarray):
            raise ValueError(f"{self._env} renders no pictures")
        if self._panel is not None:
            game: Any = self._env.unwrapped
            picture = self._panel.draw(picture, decision, info, game.lane_positions(), game.enemy_positions())
        self.open = self._show(picture)


def _play(
    env: gym.Env[Any, Any], policy: Policy | Planner, games: int, seed: int, limit: int | None, film: _Film
) -> list[tuple[int, float, bool]]:
    results: list[tuple[int, float, bool]] = []
    shown = 0
    for game in range(games):
        observation, info = env.reset(seed=seed + game)
        if isinstance(policy, Planner):
            policy.forget([0])
        total, ended = 0.0, False
        while not ended and film.open and (limit is None or shown < limit):
            decision = decide(policy, np.asarray(observation, np.float32).reshape(-1), info, env.unwrapped)
            film.take(decision, info)
            observation, reward, terminated, truncated, info = env.step(decision.action)
            total += float(reward)
            ended = terminated or truncated
            shown += 1
        if ended:
            film.take(None, info)
        results.append((seed + game, float(info.get("score", total)), ended))
        if not film.open or (limit is not None and shown >= limit):
            break
    return results
