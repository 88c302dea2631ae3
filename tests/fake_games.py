"""A tiny game with all of Tempest's interface that the trainer uses: teacher, lives, levels, cloning."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

LADDER = "Ladder-v0"

_SIZE = 5
_LENGTH = 12


class LadderEnv(gym.Env[np.ndarray, int]):
    """Show one of five lamps; pressing its number scores 10, any other costs a life with some chance; three
    lives."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (_SIZE,), np.float32)
        self.action_space = gym.spaces.Discrete(_SIZE)
        self.render_mode = render_mode
        self.lamp = self.score = self.steps = 0
        self.lives = 3

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.score = self.steps = 0
        self.lives = 3
        return self._next(), self._info(False)

    def step(self, action: int):
        right = int(action) == self.lamp
        lost = not right and bool(self.np_random.random() < 0.3)
        self.lives -= lost
        self.score += 10 * right
        self.steps += 1
        terminated, truncated = self.lives == 0, self.steps >= _LENGTH
        return self._next(), 0.1 * right - lost, terminated, truncated and not terminated, self._info(lost)

    def render(self) -> np.ndarray:
        picture = np.zeros((24, 5 * 8, 3), np.uint8)
        picture[:, 8 * self.lamp : 8 * self.lamp + 8] = 255
        return picture

    def clone_state(self) -> dict[str, Any]:
        numbers = [self.lamp, self.score, self.steps, self.lives]
        return {"numbers": numbers, "random": self.np_random.bit_generator.state}

    def restore_state(self, state: dict[str, Any]) -> None:
        self.lamp, self.score, self.steps, self.lives = state["numbers"]
        self.np_random.bit_generator.state = state["random"]

    def _next(self) -> np.ndarray:
        self.lamp = int(self.np_random.integers(_SIZE))
        observation = np.zeros(_SIZE, np.float32)
        observation[self.lamp] = 1.0
        return observation

    def _info(self, lost: bool) -> dict[str, Any]:
        return {
            "expert_action": self.lamp,
            "game_state": 0x20 if self.steps % 4 == 3 else 0x04,
            "life_lost": lost,
            "score": self.score,
            "level": 1 + self.steps // 4,
        }


gym.register(LADDER, entry_point=LadderEnv)
