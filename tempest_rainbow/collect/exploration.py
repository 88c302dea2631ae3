"""Who acts in which environment, and what a random action looks like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ExpertSeats",
]


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
