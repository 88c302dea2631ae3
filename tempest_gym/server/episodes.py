"""Turns the game frames of a client into steps of episodes, by the environment's rules."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import CONTROLS, advised_action
from tempest_gym.frame import Frame
from tempest_gym.info import TempestInfo, step_info
from tempest_gym.settings import Settings

__all__ = ["EpisodeStep", "Episodes"]

_IDLE = (False, False, 0)


@dataclass
class EpisodeStep:
    """What an agent is told when it must act, or when an episode has ended.

    Attributes:
        observation: float32 ``(195,)``.
        reward: of the step that led here, clipped.
        terminated: the game is over, or a life lost with ``episode="life"``.
        truncated: the time is up, or the client is gone.
        first: the observation begins an episode; reward and ends then mean nothing.
        info: a value for every key of `tempest_gym.info.INFO_DTYPES`.
    """

    observation: NDArray[np.float32]
    reward: float
    terminated: bool
    truncated: bool
    first: bool
    info: TempestInfo


class Episodes:
    """The endless row of episodes that one client plays.

    Frames go in by ``take``; a step comes out when the agent must look. Until then ``controls`` is the reply.
    """

    def __init__(self, settings: Settings) -> None:
        """Wait for a game to begin."""
        self._settings = settings
        self._playing = False
        self._repeat = 0
        self._frames = 0
        self._passed = -1  # The first frame is where the client begins.
        self._objective = self._subjective = 0.0
        self._died = False
        self.controls = _IDLE

    @property
    def playing(self) -> bool:
        """Whether an episode has begun and not ended."""
        return self._playing

    def act(self, action: int) -> None:
        """Take the agent's joint action, 0-43; after an end it means nothing."""
        self.controls = CONTROLS[action] if self._playing else _IDLE
        self._repeat = self._settings.frame_skip
        self._passed = 0
        self._objective = self._subjective = 0.0
        self._died = False

    def take(self, frame: Frame) -> EpisodeStep | None:
        """Take a game frame; return a step if the agent must look at it."""
        self._objective += frame.objective
        self._subjective += frame.subjective
        self._died = self._died or frame.done
        self._passed += 1
        self._frames += 1
        if not self._playing:
            if not frame.decision:
                return None
            self._playing = True
            self._frames = self._passed
            self._objective = self._subjective = 0.0
            self._died = False
            return self._step(frame, first=True)
        terminated, truncated = self._settings.ends(frame.over, self._died, self._frames)
        self._repeat -= frame.decision
        if not terminated and not (frame.decision and (self._repeat <= 0 or self._died)):
            return None
        self._playing = not (terminated or truncated)
        return self._step(frame, terminated=terminated, truncated=truncated)

    def _step(
        self, frame: Frame, *, terminated: bool = False, truncated: bool = False, first: bool = False
    ) -> EpisodeStep:
        whole = replace(
            frame,
            objective=self._objective,
            subjective=self._subjective,
            done=self._died,
            frames=self._passed,
        )
        reward = self._settings.reward(self._objective, self._subjective)
        info: TempestInfo = step_info(whole, advised_action(frame), self._frames)
        return EpisodeStep(frame.features, reward, terminated, truncated, first, info)
