"""Keeps the ratio of learning to collecting: whichever is ahead waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["RateLimiter"]


class RateLimiter:
    """Counts how many samples the learner may still draw.

    Every collected frame adds ``samples_per_insert`` to the allowance, every drawn sample takes one
    away. The learner waits while the allowance is less than a batch, collection waits while it exceeds
    ``slack``: nothing is ever dropped to keep pace.
    """

    def __init__(self, samples_per_insert: float, learn_start: int, batch_size: int, slack: float) -> None:
        """Start with nothing inserted.

        Args:
            samples_per_insert: samples learned per frame collected.
            learn_start: frames collected before learning starts; they add nothing to the allowance.
            batch_size: samples the learner draws at once.
            slack: allowance above which collection waits, in samples.
        """
        self.samples_per_insert = samples_per_insert
        self.learn_start = learn_start
        self.batch_size = batch_size
        self.slack = max(slack, 2.0 * batch_size)
        self.learning = True
        self._paused = False
        self._closed = False
        self._allowance = 0.0
        self._inserted = 0
        self._condition = threading.Condition()

    @property
    def allowance(self) -> float:
        """Samples the learner may still draw."""
        return self._allowance

    def inserted(self, frames: int) -> None:
        """Count collected frames."""
        with self._condition:
            before = self._inserted
            self._inserted += frames
            counting = min(frames, max(self._inserted - max(self.learn_start, before), 0))
            if self.learning:
                self._allowance += counting * self.samples_per_insert
            self._condition.notify_all()

    def sampled(self, samples: int) -> None:
        """Count drawn samples."""
        with self._condition:
            self._allowance -= samples
            self._condition.notify_all()

    def may_learn(self) -> bool:
        """Whether a batch may be drawn now."""
        return self.learning and self._inserted >= self.learn_start and self._allowance >= self.batch_size

    def may_collect(self) -> bool:
        """Whether collection may continue now."""
        return not self._paused and (not self.learning or self._allowance <= self.slack)

    def wait_to_learn(self, seconds: float) -> bool:
        """Wait until a batch may be drawn, at most ``seconds``; return whether it may."""
        return self._wait(self.may_learn, seconds)

    def wait_to_collect(self, seconds: float) -> bool:
        """Wait until collection may continue, at most ``seconds``; return whether it may."""
        return self._wait(self.may_collect, seconds)

    def _wait(self, may: Callable[[], bool], seconds: float) -> bool:
        with self._condition:
            self._condition.wait_for(lambda: self._closed or may(), seconds)
            return may()

    def pause(self) -> None:
        """Make collection wait until ``resume``."""
        with self._condition:
            self._paused = True

    def resume(self) -> None:
        """Let collection continue."""
        with self._condition:
            self._paused = False
            self._condition.notify_all()

    def close(self) -> None:
        """End all waiting permanently."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def get_state(self) -> dict[str, float]:
        """Return what ``set_state`` needs."""
        with self._condition:
            return {"allowance": self._allowance, "inserted": self._inserted}

    def set_state(self, state: dict[str, float]) -> None:
        """Continue from a state that ``get_state`` returned."""
        with self._condition:
            self._allowance, self._inserted = float(state["allowance"]), int(state["inserted"])
            self._condition.notify_all()
