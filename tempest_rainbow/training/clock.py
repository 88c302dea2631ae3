"""Time of a run: how long it has lasted, when something is due next, and when it ends."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from tempest_rainbow.config.settings import ClockKind

__all__ = ["Ending", "RunClock", "Timetable"]


class Timetable:
    """When something is due that happens at intervals of time, of frames, or of both."""

    def __init__(self, every_seconds: float, every_frames: int, seconds: float, frames: int) -> None:
        """Count from ``seconds`` and ``frames`` of the run.

        Args:
            every_seconds: seconds between two times; 0 for never.
            every_frames: due at multiples of this many frames; 0 for never.
            seconds: of the run so far.
            frames: of the run so far.
        """
        self._every_seconds = every_seconds
        self._every_frames = every_frames
        self._at_second = seconds + every_seconds
        self._at_frame = self._next_multiple(frames)

    def due(self, seconds: float, frames: int) -> bool:
        """Whether it is due; if so, it will be due again after its interval."""
        by_time = self._every_seconds > 0 and seconds >= self._at_second
        by_frames = self._every_frames > 0 and frames >= self._at_frame
        if by_time:
            self._at_second = seconds + self._every_seconds
        if by_frames:
            self._at_frame = self._next_multiple(frames)
        return by_time or by_frames

    def _next_multiple(self, frames: int) -> int:
        return (frames // self._every_frames + 1) * self._every_frames if self._every_frames > 0 else 0


class RunClock:
    """Seconds that a run has lasted, its earlier parts included; it is stopped until `start`."""

    def __init__(self, kind: ClockKind = "wall") -> None:
        """Start at 0, stopped; ``processor`` counts the processor time of this process."""
        self._now = {"wall": time.monotonic, "processor": time.process_time}[kind]
        self._before = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._before + (0.0 if self._since is None else self._now() - self._since)

    def start(self) -> None:
        """Start the clock."""
        self._before, self._since = self.seconds, self._now()

    def set(self, seconds: float) -> None:
        """Continue from ``seconds``."""
        self._before, self._since = seconds, None if self._since is None else self._now()


@dataclass(frozen=True)
class Ending:
    """When a run ends by itself.

    Attributes:
        frames: collected frames, None for no limit.
        minutes: of the run's clock, None for no limit.
        score: mean score of an evaluation that is good enough, None for no such score.
    """

    frames: int | None
    minutes: float | None
    score: float | None

    def reached(self, frames: int, seconds: float, score: float) -> bool:
        """Whether the run is over; ``score`` is the last evaluation's mean, NaN before the first."""
        return (
            (self.frames is not None and frames >= self.frames)
            or (self.minutes is not None and seconds >= 60 * self.minutes)
            or (self.score is not None and score >= self.score)
        )

    def progress(self, frames: int, seconds: float) -> float:
        """Return the share of the run that is over (0 to 1), NaN if neither frames nor minutes end it."""
        shares = []
        if self.minutes is not None:
            shares.append(seconds / (60 * self.minutes))
        if self.frames is not None:
            shares.append(frames / self.frames)
        return min(max(shares), 1.0) if shares else math.nan

    def seconds_left(self, frames: int, seconds: float, frames_per_second: float) -> float:
        """Return the seconds until frames or minutes end the run at this speed, NaN if neither does."""
        left = []
        if self.minutes is not None:
            left.append(60 * self.minutes - seconds)
        if self.frames is not None and frames_per_second > 0:
            left.append((self.frames - frames) / frames_per_second)
        return max(min(left), 0.0) if left else math.nan
