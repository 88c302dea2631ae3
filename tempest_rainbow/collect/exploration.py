"""Who acts in which environment: the agent, a random draw or the teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExpertAssignment", "Exploration"]


@dataclass(frozen=True)
class Exploration:
    """Who acts at a moment of the run.

    Attributes:
        epsilon: share of the agent's actions that are random.
        expert_ratio: the teacher's share of the play.
    """

    epsilon: float
    expert_ratio: float


class ExpertAssignment:
    """Which environments the teacher plays, where that is decided for whole episodes.

    It is decided when an episode starts, so that the teacher's share of the frames follows the wanted ratio
    although its episodes differ in length from the agent's.

    Attributes:
        assigned: bool ``(count,)``, the teacher plays the present episode.
    """

    def __init__(self, count: int) -> None:
        """Start with the agent in every environment."""
        self.assigned = np.zeros(count, bool)

    def start(self, ids: NDArray[np.int64], ratio: float, generator: np.random.Generator) -> None:
        """Decide for the environments ``ids``, whose episodes start now."""
        self.assigned[ids] = False
        for index in ids:
            missing = ratio * len(self.assigned) - np.count_nonzero(self.assigned)
            self.assigned[index] = generator.random() < missing

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs."""
        return {"taken": self.assigned.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that ``get_state`` returned."""
        self.assigned = np.array(state["taken"], bool)
