"""The decisions of a policy: expected returns, choice, the teacher's choice, attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.networks.rainbow import attention_of
from tempest_rainbow.planner import Futures, Planner
from tempest_rainbow.policy import NetworkPolicy, Policy

__all__ = ["Decision", "decide"]


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        action: what the policy chose.
        expert_action: the action that the teacher advises, or None.
        q_values: expected returns, float32 ``(actions,)``; None for a policy without a network.
        attention: attention of each lane to each enemy slot, float32 ``(16, 7)``, mean over heads; None for a
            network without a lane encoder.
        futures: how many of the copies that a planner played ahead for this decision, or for its latest guard, ended
            on each lane, int64 ``(2, 16)``: alive at the horizon, and dead; None without a planner.
        searched: the planner searched for this decision.
    """

    action: int
    expert_action: int | None = None
    q_values: NDArray[np.float32] | None = None
    attention: NDArray[np.float32] | None = None
    futures: NDArray[np.int64] | None = None
    searched: bool = False


def decide(
    policy: Policy | Planner, observation: NDArray[np.float32], info: Mapping[str, Any], game: Any = None
) -> Decision:
    """Let a policy decide, and return the decision with what led to it.

    Args:
        policy: who decides.
        observation: float32 ``(size,)``.
        info: that of the same step.
        game: the environment, which a planner copies.
    """
    if isinstance(policy, Planner):
        action = policy.choose(game, observation, info)
        seen = [futures for futures in (policy.futures, policy.searched) if futures is not None]
        return replace(
            decide(policy.policy, observation, info),
            action=action,
            futures=np.sum([_by_lane(futures) for futures in seen], axis=0),
            searched=policy.searched is not None,
        )
    batch = np.asarray(observation, np.float32).reshape(1, -1)
    advice = {key: np.array([value]) for key, value in info.items() if key == "expert_action"}
    expert = int(info["expert_action"]) if info.get("expert_action", -1) >= 0 else None
    if not isinstance(policy, NetworkPolicy):
        return Decision(int(policy.act(batch, advice)[0]), expert)
    q_values, preferences = policy.values(batch)
    return Decision(int(preferences[0].argmax()), expert, q_values[0], attention_of(policy.network, batch[0]))


def _by_lane(futures: Futures) -> NDArray[np.int64]:
    """Count copies by the lane that they ended on, alive and dead, int64 ``(2, 16)``."""
    known = futures.lanes >= 0
    return np.stack(
        [
            np.bincount(futures.lanes[known & each], minlength=16)[:16]
            for each in (~futures.died, futures.died)
        ]
    )
