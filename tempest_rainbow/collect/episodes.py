"""Statistics of the episodes played while collecting."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.collect.sources import Arrivals

__all__ = ["Episode", "EpisodeStatistics"]

_WINDOW = 100
_SPANS = {"100k": 100_000, "1m": 1_000_000, "5m": 5_000_000}
_PART = 10_000
"""Frames whose episodes are added up together."""


@dataclass(frozen=True)
class Episode:
    """A finished episode.

    Attributes:
        reward: sum of the rewards.
        length: steps.
        score: the game's score at the end, the sum of the rewards where the environment shows none.
        level: highest level seen, NaN where the environment shows none.
        expert_share: share of the steps that were the teacher's.
        first_level: level it began at, NaN where the environment shows none.
    """

    reward: float
    length: int
    score: float
    level: float
    expert_share: float
    first_level: float = math.nan


class RollingReward:
    """Mean reward of the student's episodes that ended within the last 100K, 1M and 5M frames, in small
    memory."""

    def __init__(self) -> None:
        """Begin without episodes."""
        self._parts: deque[list[float]] = deque()

    def add(self, frames: int, reward: float) -> None:
        """Count an episode that ended at ``frames``."""
        start = frames // _PART * _PART
        if not self._parts or self._parts[-1][0] != start:
            self._parts.append([start, 0.0, 0.0])
        self._parts[-1][1] += reward
        self._parts[-1][2] += 1
        while self._parts[0][0] < start - max(_SPANS.values()):
            self._parts.popleft()

    def metrics(self, frames: int) -> dict[str, float]:
        """Return the means by metric name; spans without an episode are left out."""
        values = {}
        for name, span in _SPANS.items():
            parts = [part for part in self._parts if part[0] + _PART > frames - span]
            if parts:
                total, count = sum(part[1] for part in parts), sum(part[2] for part in parts)
                values[f"episodes/agent_reward_{name}"] = total / count
        return values

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs to go on."""
        return {"parts": [list(part) for part in self._parts]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``get_state`` gave."""
        self._parts = deque(list(part) for part in state["parts"])


class EpisodeStatistics:
    """Adds up episodes by environment, and keeps the last 100 of the student's, the teacher's and mixed
    ones.

    Attributes:
        finished: how many ended.
        highest_start: games that began above this level count as finished and nothing else, so that the means stay
            those of whole games while others begin late; None to count all.
    """

    def __init__(self, count: int) -> None:
        """Begin with no episodes."""
        self.highest_start: int | None = None
        self._reward = np.zeros(count)
        self._length = np.zeros(count, np.int64)
        self._expert = np.zeros(count, np.int64)
        self._level = np.full(count, np.nan)
        self._first_level = np.full(count, np.nan)
        self.finished = 0
        self._frames = 0
        self._rolling = RollingReward()
        self._recent: dict[str, deque[Episode]] = {
            who: deque(maxlen=_WINDOW) for who in ("agent", "expert", "mixed")
        }

    def add(self, arrivals: Arrivals, by_expert: NDArray[np.bool_]) -> list[Episode]:
        """Count a step of each arrived environment and return the episodes that ended.

        Args:
            arrivals: what came back from the step.
            by_expert: bool ``(k,)``, the action of that step was the teacher's.
        """
        ids, went_on = arrivals.ids, ~arrivals.first
        began = ids[arrivals.first]
        self._reward[began] = 0.0
        self._length[began] = 0
        self._expert[began] = 0
        self._level[began] = np.nan
        self._first_level[began] = np.nan
        moved = ids[went_on]
        self._frames += len(moved)
        self._reward[moved] += arrivals.rewards[went_on]
        self._length[moved] += 1
        self._expert[moved] += by_expert[went_on]
        if "level" in arrivals.info:
            levels = arrivals.info["level"][went_on]
            self._level[moved] = np.fmax(self._level[moved], levels)
            first = self._first_level[moved]
            self._first_level[moved] = np.where(np.isnan(first), levels, first)
        ended = []
        scores = arrivals.info.get("score")
        for row in np.flatnonzero((arrivals.terminated | arrivals.truncated) & went_on):
            index = ids[row]
            reward = float(self._reward[index])
            score = float(scores[row]) if scores is not None else reward
            episode = Episode(
                reward=reward,
                length=int(self._length[index]),
                score=score,
                level=float(self._level[index]),
                expert_share=float(self._expert[index] / max(self._length[index], 1)),
                first_level=float(self._first_level[index]),
            )
            ended.append(episode)
            self.record(episode, self._frames)
        return ended

    def record(self, episode: Episode, frames: int) -> None:
        """Count an episode that ended when ``frames`` frames were collected."""
        self._frames = frames
        self.finished += 1
        if self.highest_start is not None and episode.first_level > self.highest_start:
            return
        who = {0.0: "agent", 1.0: "expert"}.get(episode.expert_share, "mixed")
        self._recent[who].append(episode)
        if who == "agent":
            self._rolling.add(frames, episode.reward)

    def metrics(self) -> dict[str, float]:
        """Return means over the last episodes of each kind, by metric name."""
        values = {"episodes/count": float(self.finished), **self._rolling.metrics(self._frames)}
        for who, episodes in self._recent.items():
            if not episodes:
                continue
            values[f"episodes/{who}_reward"] = float(np.mean([episode.reward for episode in episodes]))
            values[f"episodes/{who}_score"] = float(np.mean([episode.score for episode in episodes]))
            values[f"episodes/{who}_length"] = float(np.mean([episode.length for episode in episodes]))
            levels = [episode.level for episode in episodes if not np.isnan(episode.level)]
            if levels:
                values[f"episodes/{who}_level"] = float(np.mean(levels))
        return values

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs to go on."""
        return {
            "reward": self._reward.copy(),
            "length": self._length.copy(),
            "expert": self._expert.copy(),
            "level": self._level.copy(),
            "first_level": self._first_level.copy(),
            "finished": self.finished,
            "frames": self._frames,
            "rolling": self._rolling.get_state(),
            "recent": {
                who: [list(astuple(episode)) for episode in episodes]
                for who, episodes in self._recent.items()
            },
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``get_state`` gave; with another number of environments without the episodes
        under way."""
        if len(state["reward"]) == len(self._reward):
            self._reward = np.array(state["reward"])
            self._length = np.array(state["length"])
            self._expert = np.array(state["expert"])
            self._level = np.array(state["level"])
            self._first_level = np.array(state.get("first_level", self._first_level))
        self.finished = int(state["finished"])
        self._frames = int(state["frames"])
        self._rolling.set_state(state["rolling"])
        for who, episodes in state["recent"].items():
            self._recent[who] = deque((Episode(*episode) for episode in episodes), maxlen=_WINDOW)

    def restart(self) -> None:
        """Forget the episodes under way, which cannot be played to their end."""
        self._reward[:] = 0.0
        self._length[:] = 0
        self._expert[:] = 0
        self._level[:] = np.nan
        self._first_level[:] = np.nan
