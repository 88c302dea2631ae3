"""Threads that share the work on a fleet of boards, each with a Lua of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from tempest_gym.machines.lua_host import LuaHost

__all__ = ["Job", "Workers"]

Job = Callable[[LuaHost], None]
"""A piece of work on some boards; it runs in one thread, with that thread's Lua."""


class Workers:
    """The calling thread and helpers that wait for its work; a step is too short for a thread pool's ado.

    Args:
        hosts: a Lua for the calling thread, and one for each helper.
    """

    def __init__(self, hosts: Sequence[LuaHost]) -> None:
        """Start the helpers."""
        self._host = hosts[0]
        self._helpers = [_Helper(host) for host in hosts[1:]]

    def run(self, jobs: Sequence[Job]) -> None:
        """Do all jobs, the first ones first; what a job raises is raised when all threads are done."""
        queue = deque(jobs)
        helpers = self._helpers[: max(len(jobs) - 1, 0)]
        for helper in helpers:
            helper.begin(queue)
        try:
            _work(queue, self._host)
        finally:
            errors = [helper.end() for helper in helpers]
        for error in errors:
            if error is not None:
                raise error

    def close(self) -> None:
        """End the helpers."""
        for helper in self._helpers:
            helper.close()
        self._helpers = []


class _Helper:
    """A thread that works on one queue of jobs after the other."""

    def __init__(self, host: LuaHost) -> None:
        self._host = host
        self._queues: SimpleQueue[deque[Job] | None] = SimpleQueue()
        self._results: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="tempest-board", daemon=True)
        self._thread.start()

    def begin(self, queue: deque[Job]) -> None:
        self._queues.put(queue)

    def end(self) -> BaseException | None:
        """Wait for the end of the work; returns what it raised."""
        return self._results.get()

    def close(self) -> None:
        self._queues.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while (queue := self._queues.get()) is not None:
            error: BaseException | None = None
            try:
                _work(queue, self._host)
            except BaseException as raised:
                error = raised
            self._results.put(error)


def _work(queue: deque[Job], host: LuaHost) -> None:
    while True:
        try:
            job = queue.popleft()
        except IndexError:
            return
        job(host)
