"""Steps of environments, in the form in which the collector writes them and the replay takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Steps"]


@dataclass(frozen=True)
class Steps:
    """k steps, in the order in which they were played.

    The steps of one environment must follow each other in time: the observation of a step is what the preceding
    step led to, unless that one ended the episode. Several steps may be of one environment. A lost life may be
    marked ``terminated`` although the game continues.

    Attributes:
        environments: int ``(k,)``, number of the environment.
        observations: float ``(k, size)``, acted on.
        actions: int ``(k,)``, taken.
        rewards: float ``(k,)``, earned.
        terminated: bool ``(k,)``, the step ended the episode; takes precedence over ``truncated``.
        truncated: bool ``(k,)``, the step was the last for another reason.
        expert_actions: int ``(k,)``, the teacher's advice, -1 for none; None: all are -1.
        actors: uint8 ``(k,)``, who chose, see `Batch.actors`; None: the policy.
        final_observations: float ``(k, size)``, read only where ``truncated``: what the step led to.
    """

    environments: NDArray[np.integer]
    observations: NDArray[np.floating]
    actions: NDArray[np.integer]
    rewards: NDArray[np.floating]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    expert_actions: NDArray[np.integer] | None = None
    actors: NDArray[np.uint8] | None = None
    final_observations: NDArray[np.floating] | None = None

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.environments)

    def __getitem__(self, rows: slice) -> Steps:
        """Return some of the steps."""
        arrays = (getattr(self, field.name) for field in fields(self))
        selected: Any = [None if array is None else array[rows] for array in arrays]
        return Steps(*selected)

    @classmethod
    def join(cls, parts: Sequence[Steps]) -> Steps:
        """Return the steps of all parts, which must have the same arrays, one after the other."""
        columns = ([getattr(part, field.name) for part in parts] for field in fields(cls))
        joined: Any = [None if column[0] is None else np.concatenate(column) for column in columns]
        return cls(*joined)
