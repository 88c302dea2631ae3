"""Turns the game frames of a client into steps of episodes, by the environment's rules."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import CONTROLS, advised_action
from tempest_gym.frame import Frame
from tempest_gym.info import TempestInfo, step_info
from tempest_gym.machines.machine import Advance
from tempest_gym.server.arrivals import Truncation
from tempest_gym.settings import Settings

__all__ = ["EpisodeStep", "Episodes"]

_IDLE = (False, False, 0)


@dataclass
class EpisodeStep:
    """A client's frame in which the agent acts, or the end of an episode.

    Attributes:
        observation: float32 ``(195,)``.
        reward: of the step that led here, clipped.
        terminated: the game is over, or a life lost with ``episode="life"``.
        truncation: why the episode was cut off, if it was.
        first: the observation is an episode's first; reward and ends then have no meaning.
        info: a value for every key of `tempest_gym.info.INFO_DTYPES`.
    """

    observation: NDArray[np.float32]
    reward: float
    terminated: bool
    truncation: Truncation
    first: bool
    info: TempestInfo


class Episodes:
    """The episodes that one client plays, one after the other.

    `take` accepts each frame and returns a step when the agent must act. Until then ``controls`` is the reply.

    Attributes:
        playing: an episode has started and not ended.
        controls: fire, zap and spinner of the next reply.
    """

    def __init__(self, settings: Settings) -> None:
        """Wait for a game to start."""
        self._settings = settings
        self._frames = -1  # The client's first frame starts the count.
        self._advance = self._next_advance()
        self.playing = False
        self.controls = _IDLE

    def act(self, action: int) -> None:
        """Take the agent's joint action, 0-43; after an end it has no effect."""
        self.controls = CONTROLS[action] if self.playing else _IDLE
        self._advance = self._next_advance()
        if not self.playing:
            self._frames = 0

    def take(self, frame: Frame) -> EpisodeStep | None:
        """Take a game frame; return a step if the agent must see it."""
        self._frames += 1
        if not self.playing:
            if not frame.decision:
                return None
            self.playing = True
            start = replace(frame, objective=0.0, subjective=0.0, life_lost=False, frames=self._frames)
            return self._step(start, False, False, first=True)
        whole = self._advance.add(frame)
        if whole is None:
            return None
        terminated, truncated = self._settings.ends(whole.over, whole.life_lost, False, self._frames)
        self.playing = not (terminated or truncated)
        return self._step(whole, terminated, truncated)

    def _next_advance(self) -> Advance:
        return Advance(stop_at_death=self._settings.ends_at_death, skip=self._settings.frame_skip)

    def _step(self, frame: Frame, terminated: bool, truncated: bool, first: bool = False) -> EpisodeStep:
        reward = self._settings.reward(frame.objective, frame.subjective)
        info: TempestInfo = step_info(frame, advised_action(frame), self._frames)
        truncation = Truncation.TIME_LIMIT if truncated else Truncation.NONE
        return EpisodeStep(frame.features, reward, terminated, truncation, first, info)
