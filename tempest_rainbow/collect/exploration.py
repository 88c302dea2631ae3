"""Who acts in which environment, and what a random action looks like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TEMPEST_ACTIONS", "ExpertSeats", "random_actions"]

TEMPEST_ACTIONS = 44
"""Joint actions of Tempest-v0: 11 x (2 x fire + zap) + spinner index (ARCADE F.5)."""

_SPINNERS = 11


def random_actions(
    generator: np.random.Generator,
    count: int,
    action_count: int,
    fire_probability: float,
    zap_probability: float,
) -> NDArray[np.int64]:
    """Draw ``count`` random actions, int64 ``(count,)``.

    With Tempest's 44 actions fire, zap and spinner are drawn apart, because a superzapper is worth
    much more than one of 44 equal choices; otherwise all actions are equally likely.
    """
    if action_count != TEMPEST_ACTIONS:
        return generator.integers(action_count, size=count)
    fire = generator.random(count) < fire_probability
    zap = generator.random(count) < zap_probability
    return _SPINNERS * (2 * fire + 1 * zap) + generator.integers(_SPINNERS, size=count)


class ExpertSeats:
    """Which environments the teacher plays, when that is decided for whole episodes.

    Environments are handed out when their episode begins, so that the number of the teacher's
    environments (and with it its share of the frames) follows the wanted ratio although its
    episodes are of other length than the student's.
    """

    def __init__(self, count: int) -> None:
        """Begin with every environment the student's."""
        self.taken = np.zeros(count, bool)

    def begin(self, ids: NDArray[np.int64], ratio: float, generator: np.random.Generator) -> None:
        """Decide for the environments ``ids``, whose episodes begin now."""
        self.taken[ids] = False
        for index in ids:
            missing = ratio * len(self.taken) - np.count_nonzero(self.taken)
            self.taken[index] = generator.random() < missing

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs to go on."""
        return {"taken": self.taken.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``get_state`` gave."""
        self.taken = np.array(state["taken"], bool)
