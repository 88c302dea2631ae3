"""Policies as players: with a planner on boards, and for ``tempest-gym play``."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import ACTION_COUNT
from tempest_rainbow.collect.environments import make_vector
from tempest_rainbow.config.settings import TEMPEST, Task
from tempest_rainbow.planner import Planner, PlannerConfig
from tempest_rainbow.policy import Policy, load_policy

if TYPE_CHECKING:
    from tempest_gym.env import TempestEnv
    from tempest_gym.players import Player

__all__ = ["bundled", "make_planner", "planner", "player_of"]

_ROOM = 512


def make_planner(
    policy: Policy, task: Task, config: PlannerConfig | None = None, room: int = _ROOM
) -> Planner:
    """Return a planner over ``policy`` for games of ``task``, with boards for ``room`` copies.

    Raises:
        ValueError: games of this environment cannot be copied.
    """
    if not task.tempest or task.machine != "board":
        raise ValueError(
            "--planner plays on copies of the game: only Tempest on boards (--machine board) can be copied"
        )
    copies: Any = make_vector(replace(task, episode="life", time_limit=None), room).unwrapped
    return Planner(policy, copies, config)


def player_of(policy: Policy, frame_skip: int = 1) -> Player:
    """Return a policy as a player that chooses an action and holds it for ``frame_skip`` decision frames."""
    action, left = 0, 0

    def play(observation: NDArray[Any], info: Any) -> int:
        nonlocal action, left
        if left == 0:
            advice = {"expert_action": np.array([info["expert_action"]])}
            action, left = int(policy.act(observation[None], advice)[0]), frame_skip
        left -= 1
        return action

    return play


def bundled(env: TempestEnv, seed: int) -> Player:
    """Return the bundled agent as a player of ``env``."""
    return player_of(load_policy("bundled", ACTION_COUNT, seed))


def planner(env: TempestEnv, seed: int) -> Player:
    """Return the bundled agent with a planner as a player of ``env``.

    Raises:
        ValueError: the game cannot be copied.
    """
    settings = asdict(replace(env.settings, machine="board", episode="life", time_limit=None))
    copies: Any = gym.make_vec(TEMPEST, num_envs=_ROOM, rom=env.rom, **settings).unwrapped
    plans = Planner(load_policy("bundled", ACTION_COUNT, seed), copies, PlannerConfig(seed=seed))
    return partial(plans.choose, env)
