"""What a pool of environments returns at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrivals", "Truncation"]


class Truncation(IntEnum):
    """Why an episode was truncated. An agent bootstraps from the last observation in each case."""

    NONE = 0
    """It was not."""
    TIME_LIMIT = 1
    """The time limit of the environment."""
    DEPARTURE = 2
    """The client closed its connection, or an environment was closed, in the middle of a game."""
    FAULT = 3
    """A connection or an environment failed in the middle of a game."""


@dataclass(frozen=True)
class Arrivals:
    """The k environments that have something new; each then awaits its action.

    Attributes:
        ids: int64 ``(k,)``, distinct numbers of environments.
        observations: float32 ``(k, size)``; after an end the final observation.
        rewards: float32 ``(k,)``, of the step that led here.
        terminated: bool ``(k,)``: the step ended the episode: the game is over, or a life lost with
            ``episode="life"``.
        truncations: int8 ``(k,)``: why the episode was cut off, a `Truncation`; 0 where it was not.
        first: bool ``(k,)``: the observation is an episode's first; rewards and ends then have no meaning.
        info: arrays ``(k,)`` by key; those of a `ClientPool` are the keys of `tempest_gym.info.INFO_DTYPES`.

    Example:
        >>> cut = Arrivals(
        ...     ids=np.arange(2),
        ...     observations=np.zeros((2, 195), np.float32),
        ...     rewards=np.zeros(2, np.float32),
        ...     terminated=np.zeros(2, bool),
        ...     truncations=np.array([Truncation.TIME_LIMIT, Truncation.NONE], np.int8),
        ...     first=np.zeros(2, bool),
        ...     info={},
        ... )
        >>> cut.truncated
        array([ True, False])
    """

    ids: NDArray[np.int64]
    observations: NDArray[np.float32]
    rewards: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncations: NDArray[np.int8]
    first: NDArray[np.bool_]
    info: Mapping[str, NDArray[Any]]

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """Bool ``(k,)``: the episode was cut off, whatever the reason."""
        return self.truncations != Truncation.NONE
