"""A slow, obvious replay: keeps every step ever inserted in plain lists. The oracle of the real one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Step:
    observation: np.ndarray
    action: int
    reward: float
    terminated: bool
    truncated: bool
    expert_action: int
    actor: int
    final_observation: np.ndarray | None
    rows: int
    """1, or 2 if a row with the final observation follows."""
    stamp: int
    epoch: int
    """Counts the cuts of the stream before this step."""
    value: float = 0.0


class NaiveReplay:
    """What the real replay promises, without rings, trees or compiled code."""

    def __init__(self, ring_length: int, environments: int, n_step: int, gamma: float) -> None:
        self.ring_length = ring_length
        self.n_step = n_step
        self.gamma = gamma
        self.streams: list[list[Step]] = [[] for _ in range(environments)]
        self.rows_written = [0] * environments
        self.epochs = [0] * environments
        self.entered: set[tuple[int, int]] = set()

    def insert(self, environment: int, step: Step, value: float) -> None:
        step.stamp = self.rows_written[environment]
        step.epoch = self.epochs[environment]
        step.rows = 2 if step.truncated and not step.terminated else 1
        self.rows_written[environment] += step.rows
        self.streams[environment].append(step)
        for index in range(len(self.streams[environment])):
            key = (environment, index)
            if key not in self.entered and self.window(environment, index) is not None:
                self.entered.add(key)
                self.streams[environment][index].value = value

    def cut(self, environment: int) -> None:
        self.epochs[environment] += 1

    def window(self, environment: int, index: int, n_step: int | None = None):
        """Return (return, discount, next observation or None), or None while the window is not complete."""
        stream = self.streams[environment]
        total, discount = 0.0, 1.0
        for step in stream[index : index + (n_step or self.n_step)]:
            if step.epoch != stream[index].epoch:
                return None
            total += discount * step.reward
            discount *= self.gamma
            if step.terminated:
                return total, 0.0, None
            if step.truncated:
                return total, discount, step.final_observation
        following = index + (n_step or self.n_step)
        if following >= len(stream) or stream[following].epoch != stream[index].epoch:
            return None
        return total, discount, stream[following].observation

    def drawable(self) -> dict[tuple[int, int], int]:
        """Return (environment, stamp) -> index of all steps that can be drawn."""
        found = {}
        for environment, stream in enumerate(self.streams):
            oldest = self.rows_written[environment] - self.ring_length
            for index, step in enumerate(stream):
                if step.stamp >= oldest and self.window(environment, index) is not None:
                    found[environment, step.stamp] = index
        return found

    def values(self) -> np.ndarray:
        """Return the priority of every row of the rings, 0 where nothing can be drawn, in row order."""
        table = np.zeros((len(self.streams), self.ring_length))
        for (environment, stamp), index in self.drawable().items():
            table[environment, stamp % self.ring_length] = self.streams[environment][index].value
        return table.reshape(-1)
