"""Threads that share the work on a fleet of boards, each with its own Lua.

A step of 64 boards takes half a millisecond, so a helper that slept would be late for each. Helpers therefore stay
inside Lua for a moment after their work, without the interpreter's lock, and look for the next: the leader publishes
a plan, every thread claims one row after the other by an atomic counter, and words of memory hold each thread's state.

On a busy computer a helper may lose its core in the middle of a row, and the whole step then waits for milliseconds.
The crew therefore measures whether its helpers save time, and works without them while they do not.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from tempest_gym.cores import usable_cores
from tempest_gym.machines.lua_host import ALL_WELL, FleetArrays, LuaHost, NoDecisionError

__all__ = ["Crew", "Job"]

Job = Callable[[LuaHost], None]
"""Work on some boards; it runs in one thread, with that thread's Lua."""

READY, WORK, ASLEEP, WATCHED = range(4)
"""State of a helper: looking for work; at work; asleep, to be woken through its queue; at work, with the leader
waiting for its result. `lua/host.lua` has the same numbers."""

_LINE = 8
"""Words of a cache line: each thread writes to its own lines."""

_LOOKS = 6000
"""Polls for work, or for its end, before a thread goes to sleep: some 150 microseconds."""

_BLOCK = 64
"""Steps with helpers, or without, that are timed together."""

_TRIAL_AFTER = 8, 64
"""Blocks without helpers after which they are tried again: after a change, and at most."""

_RARELY = 1024
"""Blocks with helpers after which steps without are timed again, although the helpers save time."""

_EXCHANGE = ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64)
_COMPARE_EXCHANGE = ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class Crew:
    """The calling thread, which leads, and its helpers.

    Args:
        hosts: a Lua for the calling thread, and one for each helper.
        fleet: the arrays whose rows `share` advances; None without it.
    """

    def __init__(self, hosts: Sequence[LuaHost], fleet: FleetArrays | None = None) -> None:
        """Start the helpers."""
        self._host, self._owner = hosts[0], os.getpid()
        self._words = np.zeros((1 + len(hosts), _LINE), np.int64)
        self._looks = _LOOKS if len(hosts) <= usable_cores() else 0
        self._pace = Pace()
        if fleet is not None:
            for host in hosts:
                host.join(self._words, fleet)
        self._helpers = [
            _Helper(host, number, self._words[1 + number], self._looks)
            for number, host in enumerate(hosts[1:], 1)
        ]
        # Without close, too: the threads end when nothing refers to this crew any more.
        weakref.finalize(self, _release, self._helpers).atexit = False

    def run(self, jobs: Sequence[Job]) -> None:
        """Do all jobs, the first ones first; what a job raises is raised when all threads are done."""
        self._check_process()
        queue, helpers = deque(jobs), self._helpers[: max(len(jobs) - 1, 0)]
        try:
            for helper in helpers:
                helper.start(queue)
            _work(queue, self._host)
        finally:
            errors = [helper.end() for helper in helpers]
        _raise_first(errors)

    def share(self, rows: NDArray[np.int32], jobs: Sequence[Job], *, stop_at_death: bool, skip: int) -> None:
        """Advance ``rows``, every thread one after the other, while the leader does ``jobs`` first.

        Raises:
            NoDecisionError: a program never reached play.
        """
        self._check_process()
        helpers = self._helpers[: max(len(rows) - 1, 0)] if self._pace.helped else []
        start = time.perf_counter()
        try:
            if self._host.plan(rows, stop_at_death, skip, len(helpers)):
                for helper in helpers:
                    helper.wake()
            for job in jobs:
                job(self._host)
            lost = self._host.lead(len(helpers), self._looks)
        finally:  # Also after Ctrl-C anywhere above: no helper may be left at work on these arrays.
            for helper in helpers:
                helper.wake()
            errors = [helper.wait() for helper in helpers]
        _raise_first(errors)
        if self._helpers and len(rows) > 1 and not jobs:
            self._pace.add(time.perf_counter() - start, len(rows))
        lost = max([lost, *(helper.lost for helper in helpers)])
        if lost != ALL_WELL:
            raise NoDecisionError(lost)

    def _check_process(self) -> None:
        if self._helpers and os.getpid() != self._owner:
            raise RuntimeError(
                "this process was forked from the one that made the environment, and its worker threads are not here: "
                "make the environment in this process, or with threads=1, or start processes by 'spawn' or 'forkserver'"
            )

    def close(self) -> None:
        """End the helpers."""
        _release(self._helpers)
        for helper in self._helpers:
            helper.join()
        self._helpers = []


class Pace:
    """Chooses between steps with helpers and without by the time that they take.

    Attributes:
        helped: whether helpers take part in the next step.
    """

    def __init__(self) -> None:
        """Start with the helpers."""
        self.helped = self._chosen = True
        self._seconds = self._rows = 0.0
        self._steps = self._blocks = 0
        self._row_seconds: dict[bool, float] = {}
        self._trial_after = 1

    def add(self, seconds: float, rows: int) -> None:
        """Add the time that a step of some rows took."""
        self._seconds += seconds
        self._rows += rows
        self._steps += 1
        if self._steps == _BLOCK:
            self._end_block()

    @property
    def _due(self) -> int:
        """Blocks after which the other way is tried. The time without helpers is at its best on a quiet computer, so
        helpers that beat it need no trial."""
        return _RARELY if self._chosen else self._trial_after

    def _end_block(self) -> None:
        times, measured = self._row_seconds, self._seconds / self._rows
        self._seconds = self._rows = self._steps = 0
        trial = self.helped != self._chosen
        self._blocks += 1
        if self._blocks == 1 and not times:
            return  # The first block warms up.
        times[self.helped] = measured if trial else (times.get(self.helped, measured) + measured) / 2
        faster = min(times, key=times.__getitem__)
        if trial:
            shortest, longest = _TRIAL_AFTER
            self._trial_after = shortest if faster != self._chosen else min(2 * self._trial_after, longest)
            self.helped = self._chosen = faster
            self._blocks = 0
        elif len(times) < 2 or faster != self._chosen or self._blocks >= self._due:
            self.helped = not self.helped


class _Helper:
    """A thread that works on one queue of jobs after the other, and on plans in between."""

    def __init__(self, host: LuaHost, number: int, words: NDArray[np.int64], looks: int) -> None:
        self._host, self._number, self._words, self._looks = host, number, words, looks
        self._state = words.ctypes.data
        self._words[:3] = ASLEEP, ALL_WELL, 0
        self._exchange = _EXCHANGE(host.signals.get("exchange", 0))
        self._compare_exchange = _COMPARE_EXCHANGE(host.signals.get("compare_exchange", 0))
        self._error: BaseException | None = None
        self._queues: SimpleQueue[deque[Job] | str | None] = SimpleQueue()
        self._has_jobs = False
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="tempest-board", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """The row of the last plan that reached no decision frame, or -1."""
        return int(self._words[1])

    def start(self, queue: deque[Job]) -> None:
        """Work on jobs."""
        self._has_jobs = True
        self._queues.put(queue)

    def end(self) -> BaseException | None:
        """Wait for the end of the jobs, if it has any; returns what one raised."""
        return self._wait_while(lambda: self._has_jobs)

    def wake(self) -> None:
        """Work on the plan that is published, if it found the thread asleep and no other call has woken it since."""
        if self._words[2]:
            self._queues.put("plan")
            self._words[2] = 0

    def wait(self) -> BaseException | None:
        """Wait for the end of the work on the plan; returns what it raised."""
        self._compare_exchange(self._state, WORK, WATCHED)
        return self._wait_while(lambda: self._words[0] == WATCHED)

    def _wait_while(self, busy: Callable[[], bool]) -> BaseException | None:
        """Wait through any Ctrl-C, which is returned like an error of the work: no helper may be left at work."""
        interruption = None
        while busy():
            try:
                self._changed.wait()
                self._changed.clear()
            except KeyboardInterrupt as raised:
                interruption = raised
        error, self._error = interruption or self._error, None
        return error

    def release(self) -> None:
        """Let the thread end after its work."""
        self._queues.put(None)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _loop(self) -> None:
        while (work := self._queues.get()) is not None:
            if isinstance(work, deque):
                try:
                    _work(work, self._host)
                except BaseException as raised:
                    self._error = raised
                self._has_jobs = False
                self._changed.set()
            else:
                self._serve()

    def _serve(self) -> None:
        """Work on plans until none arrives for a moment."""
        try:
            while self._host.serve(self._number, self._looks):
                self._changed.set()
        except BaseException as raised:
            self._error = raised
            self._exchange(self._state, ASLEEP)
            self._changed.set()


def _release(helpers: Sequence[_Helper]) -> None:
    for helper in helpers:
        helper.release()


def _work(queue: deque[Job], host: LuaHost) -> None:
    while True:
        try:
            job = queue.popleft()
        except IndexError:
            return
        job(host)


def _raise_first(errors: Sequence[BaseException | None]) -> None:
    for error in errors:
        if error is not None:
            raise error
