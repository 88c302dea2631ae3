"""A batch of n-step transitions, as the replay gives it to the learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACTOR_EXPERT", "ACTOR_POLICY", "ACTOR_RANDOM", "Batch"]

ACTOR_POLICY = 0
"""The action was the network's."""

ACTOR_RANDOM = 1
"""The action was drawn at random."""

ACTOR_EXPERT = 2
"""The action was the teacher's."""


@dataclass
class Batch:
    """B transitions from time t-1 to t-1+m, m being n steps or fewer at an episode's end.

    Attributes:
        observations: (B, D) float16 or float32, acted on at t-1.
        actions: (B,) int64, taken at t-1.
        returns: (B,) float32, discounted sum of the m rewards.
        discounts: (B,) float32, gamma^m, or 0 where the episode terminated on the way.
        next_observations: (B, D) like ``observations``, where the rest of the return is estimated
            (meaningless where the discount is 0).
        expert_actions: (B,) int64, the teacher's advice at t-1, -1 where none is known.
        actors: (B,) uint8, who chose the action: `ACTOR_POLICY`, `ACTOR_RANDOM` or `ACTOR_EXPERT`.
        weights: (B,) float32, importance weights within (0, 1].
        imitation_weights: (B,) float32, weight of each sample in the imitation loss; 1 where advice is
            known, else 0, free for the caller to overwrite.
        indices: (B,) int64, rows of the replay, for `Replay.update_priorities`.
        stamps: (B,) int64, by which rows that were overwritten since are recognised.
    """

    observations: NDArray[np.floating]
    actions: NDArray[np.int64]
    returns: NDArray[np.float32]
    discounts: NDArray[np.float32]
    next_observations: NDArray[np.floating]
    expert_actions: NDArray[np.int64]
    actors: NDArray[np.uint8]
    weights: NDArray[np.float32]
    imitation_weights: NDArray[np.float32]
    indices: NDArray[np.int64]
    stamps: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.actions)

    @classmethod
    def join(cls, batches: Sequence[Batch]) -> Batch:
        """Return one batch of all transitions, for example half demonstrations, half own play (RLPD).

        ``indices`` still refer to each part's own replay; split the priorities by the parts' lengths.
        """
        return cls(
            *(np.concatenate([getattr(batch, field.name) for batch in batches]) for field in fields(cls))
        )
