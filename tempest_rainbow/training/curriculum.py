"""The start level that rises as the agent clears levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from tempest_rainbow.collect.episodes import Episode
from tempest_rainbow.monitor.controls import Controls

__all__ = ["Curriculum"]

_EPISODES = 20
_CLEARED = 3.0
_HIGHEST = 81


class Curriculum:
    """Raises the start level by one whenever the student's last 20 games cleared 3 levels each on average."""

    def __init__(self, start_level: int) -> None:
        """Start at ``start_level`` (1 to 81)."""
        self._start_level = start_level
        self.level = start_level
        self._applied = start_level
        self._cleared: list[float] = []

    def move_to(self, level: int) -> None:
        """Continue from another level, with no games counted yet."""
        self.level = level
        self._cleared = []

    def follow(self, episodes: Iterable[Episode]) -> int | None:
        """Count finished games that the student played alone; return the new start level if it rises."""
        for episode in episodes:
            if episode.expert_share == 0.0 and not math.isnan(episode.level):
                began_at = max(self.level, episode.first_level)  # the level where the first is not known
                self._cleared.append(max(episode.level - began_at, 0.0))
        recent = self._cleared[-_EPISODES:]
        if len(recent) < _EPISODES or sum(recent) < _CLEARED * _EPISODES or self.level >= _HIGHEST:
            self._cleared = recent
            return None
        self.move_to(self.level + 1)
        return self.level

    def apply(
        self, ended: list[Episode], controls: Controls, set_start_level: Callable[[int], object]
    ) -> None:
        """Set the start level of the controls or, with the automatic curriculum, the one that the ended games allow."""
        wanted = controls["start_level"]
        if wanted is not None and wanted != self.level:
            self.move_to(wanted)
        elif controls["auto_curriculum"]:
            risen = self.follow(ended)
            if risen is not None:
                controls.set("start_level", risen, "curriculum")
        elif wanted is None and self.level != self._start_level:
            self.move_to(self._start_level)
        if self.level != self._applied:
            self._applied = self.level
            set_start_level(self.level)

    def get_state(self) -> dict[str, Any]:
        """Return what ``set_state`` needs."""
        return {
            "start_level": self._start_level,
            "level": self.level,
            "cleared": list(self._cleared),
        }

    def set_state(self, state: dict[str, Any]) -> bool:
        """Continue from a state that ``get_state`` returned; return False if it started at another level."""
        if state.get("start_level", self._start_level) != self._start_level:
            return False
        self.level, self._cleared = int(state["level"]), list(state["cleared"])
        return True
