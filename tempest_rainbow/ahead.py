"""Draws batches one step ahead: the next one is made ready on another core while the learner steps on this one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from torch import Tensor

from tempest_rainbow.batch import Batch

__all__ = ["BatchesAhead", "Drawn"]


@dataclass(frozen=True)
class Drawn:
    """A batch to learn from.

    Attributes:
        batch: the transitions.
        goal: what `Learner.goal` returned for it.
    """

    batch: Batch
    goal: Tensor | None


class BatchesAhead:
    """Hands out batches, each drawn by ``draw`` in a thread of its own since `begin` was called.

    A batch drawn ahead knows neither the weights nor the priorities of the step it was drawn beside: both are
    one step old. All methods belong to the thread that learns.
    """

    def __init__(self, draw: Callable[[], Drawn]) -> None:
        """Draw by ``draw``, which is called in another thread after `begin` and in this one otherwise."""
        self._draw = draw
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="draw")
        self._next: Future[Drawn] | None = None

    def take(self) -> Drawn:
        """Return the batch drawn ahead, or draw one now."""
        following, self._next = self._next, None
        return self._draw() if following is None else following.result()

    def begin(self) -> None:
        """Begin to draw the next batch."""
        self._next = self._thread.submit(self._draw)

    def wait(self) -> None:
        """Return when the batch begun is ready, so that weights may change; whether it failed tells `take`."""
        if self._next is not None:
            self._next.exception()

    def drop(self) -> None:
        """Forget the batch drawn ahead."""
        self.wait()
        self._next = None

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
        self._next = None
