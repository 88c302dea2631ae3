"""The ``info`` of a step, the same for an environment, a vector of them and the server's clients."""

from __future__ import annotations

from typing import Any, TypedDict, get_type_hints

import numpy as np

__all__ = ["INFO_DTYPES", "TempestInfo", "step_info"]


class TempestInfo(TypedDict, total=False):
    """What `reset` and `step` return beside the observation: the same keys in both, and numbers alone.

    Collectors and wrappers that convert infos into arrays need both. The names of game and machine are
    ``env.unwrapped.machine.game`` and ``env.unwrapped.machine.name``.

    Without a teacher ``expert_action``, ``expert_target`` and ``subjective_reward`` are missing.

    Attributes:
        expert_action: joint action, 0-43, that the scripted expert would take now.
        expert_target: lane that the expert steers for, -1 for none.
        score: player 1's score in points; it keeps counting where the game's six digits wrap.
        lives: lives including the one in play.
        level: level as the player sees it, 1-99.
        game_state: RAM $00.
        player_lane: 0-15.
        objective_reward: score changes and penalties of this step, in points.
        subjective_reward: lane shaping of this step, unscaled.
        life_lost: whether the player died on this step.
        frames: game frames that this step took.
        episode_frames: game frames since the episode started, those before its first decision included.
        seed: seed of the game; a server's clients do not report it.
        mame_version: 251 for MAME 0.251: the MAME that plays, or after which the board's model is named. Where these
            differ, a seed gives another game. A server's clients do not report it.
    """

    expert_action: int
    expert_target: int
    score: int
    lives: int
    level: int
    game_state: int
    player_lane: int
    objective_reward: float
    subjective_reward: float
    life_lost: bool
    frames: int
    episode_frames: int
    seed: int
    mame_version: int


def step_info(frame: Any, expert_action: Any, episode_frames: Any, **origin: Any) -> Any:
    """Return the info of a step.

    Args:
        frame: a `Frame` that represents the whole step; for many environments any object with the same attributes,
            each an array.
        expert_action: the expert's joint action or actions; None without a teacher, whose keys are then left out.
        episode_frames: game frames since the episode started.
        origin: ``seed`` and ``mame_version``, where they are known.

    Returns:
        A `TempestInfo`; for many environments its keys with arrays.
    """
    taught = {}
    if expert_action is not None:
        taught = {
            "expert_action": expert_action,
            "expert_target": frame.expert_target,
            "subjective_reward": frame.subjective,
        }
    return {
        **taught,
        "score": frame.score,
        "lives": frame.lives,
        "level": frame.level + 1,
        "game_state": frame.game_state,
        "player_lane": frame.player_lane,
        "objective_reward": frame.objective,
        "life_lost": frame.life_lost,
        "frames": frame.frames,
        "episode_frames": episode_frames,
        **origin,
    }


_DTYPES: dict[type, type[np.generic]] = {int: np.int64, float: np.float64, bool: np.bool_}

INFO_DTYPES = {
    name: _DTYPES[kind]
    for name, kind in get_type_hints(TempestInfo).items()
    if name not in ("seed", "mame_version")
}
"""The keys that a server's clients have too, and the dtypes of their arrays."""
