"""Statistics of the episodes played while collecting."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.collect.sources import Arrivals, Truncation
from tempest_rainbow.episode_sums import RunningEpisodes, deaths_by_level

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
        first_level: level it started at, NaN where the environment shows none.
        deaths: levels at which a life was lost, in the order of the deaths.
        truncated: the time limit ended it.
    """

    reward: float
    length: int
    score: float
    level: float
    expert_share: float
    first_level: float = math.nan
    deaths: tuple[float, ...] = ()
    truncated: bool = False


class RollingReward:
    """Mean reward of the student's episodes that ended within the last 100K, 1M and 5M frames, in small
    memory."""

    def __init__(self) -> None:
        """Start without episodes."""
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
            parts = [part for part in list(self._parts) if part[0] + _PART > frames - span]
            if parts:
                total, count = sum(part[1] for part in parts), sum(part[2] for part in parts)
                values[f"episodes/agent_reward_{name}"] = total / count
        return values

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs."""
        return {"parts": [list(part) for part in self._parts]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that ``get_state`` returned."""
        self._parts = deque(list(part) for part in state["parts"])


class EpisodeStatistics:
    """Adds up episodes by environment, and keeps the last 100 of the agent's, the teacher's and mixed ones.

    An episode that a departure or a fault cut off is not counted: its game did not end. One that the time limit ended
    is counted, and reported as truncated.

    Attributes:
        finished: number of episodes that ended.
        truncated: those of them that the time limit ended.
        highest_start: games that started above this level are left out of the means, so that these stay those of
            whole games while others start late; None to include all.
    """

    def __init__(self, count: int) -> None:
        """Start with no episodes."""
        self.highest_start: int | None = None
        self.finished = self.truncated = 0
        self._running = RunningEpisodes(count)
        self._expert = np.zeros(count, np.int64)
        self._frames = 0
        self._rolling = RollingReward()
        self._recent: dict[str, deque[Episode]] = {
            who: deque(maxlen=_WINDOW) for who in ("agent", "expert", "mixed")
        }
        self._games: deque[Episode] = deque(maxlen=_WINDOW)  # the agent's, those that started late included

    def add(self, arrivals: Arrivals, by_expert: NDArray[np.bool_]) -> list[Episode]:
        """Count a step of each arrived environment and return the episodes that ended.

        Args:
            arrivals: what the step returned.
            by_expert: bool ``(k,)``, the action of that step was the teacher's.
        """
        first, stepped, info = arrivals.first, ~arrivals.first, arrivals.info
        self._start(arrivals.ids[first], first, info)
        ids = arrivals.ids[stepped]
        self._frames += len(ids)
        self._running.step(ids, stepped, arrivals.rewards, info)
        self._expert[ids] += by_expert[stepped]
        by_time = arrivals.truncations == Truncation.TIME_LIMIT
        ended = []
        for row in np.flatnonzero((arrivals.terminated | by_time) & stepped).tolist():
            index = int(arrivals.ids[row])
            length = int(self._running.length[index])
            episode = Episode(
                length=length,
                expert_share=float(self._expert[index] / max(length, 1)),
                truncated=bool(by_time[row] and not arrivals.terminated[row]),
                **self._running.result(index, info, row),
            )
            ended.append(episode)
            self.record(episode, self._frames)
        return ended

    def record(self, episode: Episode, frames: int) -> None:
        """Count an episode that ended when ``frames`` frames were collected."""
        self._frames = frames
        self.finished += 1
        self.truncated += episode.truncated
        who = {0.0: "agent", 1.0: "expert"}.get(episode.expert_share, "mixed")
        if who == "agent":
            self._games.append(episode)
        if self.highest_start is not None and episode.first_level > self.highest_start:
            return
        self._recent[who].append(episode)
        if who == "agent":
            self._rolling.add(frames, episode.reward)

    def metrics(self) -> dict[str, float]:
        """Return means over the last episodes of each kind, by metric name; another thread may be adding some."""
        values = {"episodes/count": float(self.finished), "episodes/truncated": float(self.truncated)}
        values |= self._rolling.metrics(self._frames)
        for who, recent in self._recent.items():
            episodes = list(recent)
            if not episodes:
                continue
            for name in ("reward", "score", "length"):
                values[f"episodes/{who}_{name}"] = float(np.mean([getattr(each, name) for each in episodes]))
            levels = [episode.level for episode in episodes if not np.isnan(episode.level)]
            if levels:
                values[f"episodes/{who}_level"] = float(np.mean(levels))
        return values | self._death_metrics()

    def _death_metrics(self) -> dict[str, float]:
        """Return deaths per level passed over the agent's last 100 games, in all and by block of five levels."""
        by_level = deaths_by_level(list(self._games))
        values = {}
        levels = sum(passed for _, passed in by_level.values())
        if levels:
            values["episodes/agent_deaths_per_level"] = sum(lost for lost, _ in by_level.values()) / levels
        for block, (lost, passed) in by_level.items():
            if passed:
                values[f"deaths_per_level/{block}"] = lost / passed
        return values

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs."""
        return {
            **self._running.get_state(),
            "expert": self._expert.copy(),
            "finished": self.finished,
            "truncated": self.truncated,
            "frames": self._frames,
            "rolling": self._rolling.get_state(),
            "recent": {who: _rows(episodes) for who, episodes in self._recent.items()},
            "games": _rows(self._games),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that ``get_state`` returned; with another number of environments without the
        episodes under way."""
        if len(state["expert"]) == len(self._expert):
            self._running.set_state(state)
            self._expert = np.array(state["expert"])
        self.finished, self.truncated = int(state["finished"]), int(state.get("truncated", 0))
        self._frames = int(state["frames"])
        self._rolling.set_state(state["rolling"])
        for who, rows in state["recent"].items():
            self._recent[who] = deque(_episodes(rows), maxlen=_WINDOW)
        self._games = deque(_episodes(state.get("games", [])), maxlen=_WINDOW)  # version 0.1 has none

    def restart(self) -> None:
        """Forget the episodes under way, which cannot be played to their end."""
        everything = np.arange(len(self._expert))
        self._start(everything, everything, {})

    def _start(self, ids: NDArray[np.int64], rows: NDArray[Any], info: Mapping[str, Any]) -> None:
        self._running.start(ids, rows, info)
        self._expert[ids] = 0


def _rows(episodes: Iterable[Episode]) -> list[list[Any]]:
    return [[*astuple(episode)[:6], list(episode.deaths), episode.truncated] for episode in episodes]


def _episodes(rows: Iterable[list[Any]]) -> list[Episode]:
    return [Episode(*row[:6], *(tuple(row[6]), bool(row[7])) if len(row) > 6 else ()) for row in rows]
