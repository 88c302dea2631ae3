"""When something is due next, by time, by frames, or by both."""

from __future__ import annotations

__all__ = ["Agenda"]


class Agenda:
    """Says when a thing is due that is done every so many minutes, every so many frames, or both."""

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
