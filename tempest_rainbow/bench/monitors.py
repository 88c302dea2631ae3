"""What watching costs a training run: every monitor by its processor time, and all of them with ten viewers by the
speed of one run that is watched and left alone in turns."""

from __future__ import annotations

import logging
import math
import os
import pty
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole

from tempest_rainbow.config.settings import CheckpointConfig, DashboardConfig, EvaluationConfig, TrainConfig
from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.monitor.dashboard.client import Dashboard
from tempest_rainbow.monitor.history import History
from tempest_rainbow.monitor.keyboard import Keyboard
from tempest_rainbow.monitor.metrics import Metrics, Monitor, Row
from tempest_rainbow.monitor.tensorboard import TensorBoard
from tempest_rainbow.monitor.terminal import LivePanel, Rows
from tempest_rainbow.presets import preset
from tempest_rainbow.training.trainer import Trainer

__all__ = ["measure_monitors"]

_log = logging.getLogger(__name__)

_VIEWERS = 10
_WARM_UP_STEPS = 30
_PAUSE = 3.0
"""Seconds between switching and measuring: pages come and go in them."""
_TICKS = os.sysconf("SC_CLK_TCK")


class _Timed:
    """A monitor whose methods' processor time is added up."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self.seconds = 0.0

    def row(self, row: Row) -> None:
        self._time(lambda: self._monitor.row(row))

    def event(self, frames: int, text: str) -> None:
        self._time(lambda: self._monitor.event(frames, text))

    def evaluation(self, frames: int, result: Mapping[str, Any]) -> None:
        self._time(lambda: self._monitor.evaluation(frames, result))

    def close(self) -> None:
        self._monitor.close()

    def _time(self, call: Callable[[], None]) -> None:
        started = time.thread_time()
        call()
        self.seconds += time.thread_time() - started


@dataclass
class _Watch:
    """What works for a monitor that is on: its methods, its threads, its processes."""

    methods: list[_Timed]
    threads: list[threading.Thread]
    processes: list[int]

    def seconds(self) -> float:
        """Processor seconds so far."""
        clocks = [time.pthread_getcpuclockid(each.ident) for each in self.threads if each.ident is not None]
        return (
            sum(each.seconds for each in self.methods)
            + sum(map(time.clock_gettime, clocks))
            + sum(map(_process_seconds, self.processes))
        )


def _process_seconds(number: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class _Run:
    """A training run with nothing attached, and everything that can be."""

    def __init__(self, config: TrainConfig, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.metrics = Metrics()
        self.trainer = Trainer(config, folder, controls=Controls(), metrics=self.metrics)
        stack.callback(self.trainer.close)
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._train, name="train")
        self._thread.start()
        stack.callback(self._stop)
        master, slave = pty.openpty()
        stack.callback(os.close, master)
        self.terminal = stack.enter_context(os.fdopen(slave, "w", buffering=1))
        threading.Thread(target=_drain, args=(master,), daemon=True).start()
        self.dashboard = Dashboard(
            DashboardConfig(port=_free_port()),
            self.trainer.controls,
            title="cost",
            history=folder / "history.jsonl",
            picture=self.trainer.live_view(),
        )
        stack.callback(self.dashboard.close)
        self.dashboard_threads = [
            each for each in threading.enumerate() if each.name.startswith("dashboard-")
        ]
        self.viewers = subprocess.Popen(
            [sys.executable, "-m", "tempest_rainbow.bench.viewer", self.dashboard.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        stack.callback(self._send_away)

    def console(self) -> RichConsole:
        """A terminal of 120 columns that nobody looks at."""
        return RichConsole(file=self.terminal, force_terminal=True, width=120, height=35, highlight=False)

    def wait(self, seconds: float) -> None:
        """Let the run go on."""
        self._thread.join(seconds)
        if not self._thread.is_alive():
            raise RuntimeError("the training run has ended early") from self.failure

    def view(self, count: int, watching: int) -> None:
        """Let ``count`` viewers be there, of whom ``watching`` watch the game."""
        assert self.viewers.stdin is not None
        assert self.viewers.stdout is not None
        self.viewers.stdin.write(f"{count} {watching}\n")
        if not self.viewers.stdout.readline():
            raise RuntimeError("the viewers have ended")

    def processor_seconds(self) -> float:
        """Processor time of training and monitors in all their processes, without the viewers."""
        mine = [os.getpid()]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # a process that has just ended
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                if parent == os.getpid() and int(stat.parent.name) != self.viewers.pid:
                    mine.append(int(stat.parent.name))
        return sum(map(_process_seconds, mine))

    def _train(self) -> None:
        try:
            self.trainer.run()
        except Exception as error:
            self.failure = error

    def _stop(self) -> None:
        self.trainer.controls.request("quit", "bench")
        self._thread.join()

    def _send_away(self) -> None:
        assert self.viewers.stdin is not None
        assert self.viewers.stdout is not None
        self.viewers.stdin.close()
        self.viewers.wait(30)
        self.viewers.stdout.close()


def _drain(descriptor: int) -> None:
    while True:
        try:
            if not os.read(descriptor, 65536):
                return
        except OSError:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _subscribed(run: _Run, monitor: Monitor, *, headlines_only: bool = False) -> Iterator[list[_Timed]]:
    timed = _Timed(monitor)
    run.metrics.subscribe(timed, headlines_only=headlines_only)
    try:
        yield [timed]
    finally:
        run.metrics.unsubscribe(timed)


@contextmanager
def _history(run: _Run) -> Iterator[list[_Timed]]:
    history = History(run.folder / "history.jsonl")
    try:
        with _subscribed(run, history) as methods:
            yield methods
    finally:
        history.close()


@contextmanager
def _rows(run: _Run) -> Iterator[list[_Timed]]:
    with _subscribed(run, Rows(run.console()), headlines_only=True) as methods:
        yield methods


@contextmanager
def _live_panel(run: _Run) -> Iterator[list[_Timed]]:
    panel = LivePanel(run.console())
    with panel.shown(), _subscribed(run, panel, headlines_only=True) as methods:
        yield methods


@contextmanager
def _keyboard(run: _Run) -> Iterator[list[_Timed]]:
    keyboard = Keyboard(run.trainer.controls, run.metrics, Rows(run.console()), {}, run.terminal)
    keyboard.start()
    try:
        yield []
    finally:
        keyboard.stop()


@contextmanager
def _tensorboard(run: _Run) -> Iterator[list[_Timed]]:
    board = TensorBoard(run.folder, asdict(run.trainer.config), histograms=True)
    try:
        with _subscribed(run, board) as methods:
            yield methods
    finally:
        board.close()


def _dashboard(viewers: int, watching: int) -> _Attach:
    @contextmanager
    def attach(run: _Run) -> Iterator[list[_Timed]]:
        with _subscribed(run, run.dashboard) as methods:
            run.view(viewers, watching)
            try:
                yield methods
            finally:
                run.view(0, 0)

    return attach


_Attach = Callable[[_Run], AbstractContextManager[list[_Timed]]]

MONITORS: dict[str, _Attach] = {
    "history": _history,
    "terminal rows": _rows,
    "live panel": _live_panel,
    "keyboard": _keyboard,
    "TensorBoard": _tensorboard,
    "dashboard, nobody there": _dashboard(0, 0),
    "dashboard, 1 viewer": _dashboard(1, 0),
    f"dashboard, {_VIEWERS} viewers": _dashboard(_VIEWERS, 0),
    "dashboard, 1 viewer watching the game": _dashboard(1, 1),
    f"dashboard, {_VIEWERS} viewers watching the game": _dashboard(_VIEWERS, _VIEWERS),
}
"""What is measured: how each is switched on."""

_TOGETHER = ("history", "terminal rows", "keyboard", "TensorBoard")


def _share(run: _Run, attach: _Attach, seconds: float, *, served: bool) -> float:
    """Return the share of one processor core that a monitor takes, with the dashboard's server if ``served``."""
    before = set(threading.enumerate())
    with attach(run) as methods:
        threads = [each for each in threading.enumerate() if each not in before]
        watch = _Watch(methods, threads, [])
        if served:
            watch = _Watch(methods, threads + run.dashboard_threads, [run.dashboard.process_id])
        run.wait(_PAUSE)
        run.trainer.controls.request("report", "bench")  # at least one row
        used, started = watch.seconds(), time.perf_counter()
        run.wait(seconds)
        return (watch.seconds() - used) / (time.perf_counter() - started)


@dataclass(frozen=True)
class _Speed:
    """How a slice went: frames a second of the clock, and of processor time."""

    by_clock: float
    by_processor: float


def _speed(run: _Run, seconds: float) -> _Speed:
    run.wait(_PAUSE)
    frames, used, started = run.trainer.frames, run.processor_seconds(), time.perf_counter()
    run.wait(seconds)
    collected = run.trainer.frames - frames
    return _Speed(collected / (time.perf_counter() - started), collected / (run.processor_seconds() - used))


def _compare(run: _Run, attach: list[_Attach], seconds: float, pairs: int) -> dict[str, float]:
    """Return the speed with monitors over the speed without, from neighbouring slices, with 95% intervals."""
    clock, processor = [], []
    for pair in range(pairs):
        speeds = {}
        for watched in (True, False) if pair % 2 else (False, True):
            with ExitStack() as stack:
                for each in attach if watched else ():
                    stack.enter_context(each(run))
                speeds[watched] = _speed(run, seconds)
        clock.append(speeds[True].by_clock / speeds[False].by_clock)
        processor.append(speeds[True].by_processor / speeds[False].by_processor)
        _log.info("pair %d of %d: %.4f %.4f", pair + 1, pairs, clock[-1], processor[-1])
    return _interval("by_clock", clock) | _interval("by_processor", processor)


def _interval(name: str, ratios: list[float]) -> dict[str, float]:
    """Return the geometric mean with its 95% interval (normal)."""
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.fmean(logs)
    half = 1.96 * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.nan
    return {name: math.exp(mean), f"{name}_low": math.exp(mean - half), f"{name}_high": math.exp(mean + half)}


def measure_monitors(
    seconds: float = 15.0, pairs: int = 8, config: TrainConfig | None = None
) -> dict[str, Any]:
    """Train, and switch monitors on and off meanwhile. Linux only: it reads ``/proc``.

    Args:
        seconds: how long each slice lasts.
        pairs: slices with and without monitors for the speed.
        config: what to train; by default Tempest with the default preset.

    Returns:
        ``cores``; ``core_share`` (name: processor time of the monitor's methods, threads and processes, over wall
        time, so of one core); ``ten_viewers``: speed with history, rows, keyboard, TensorBoard and a dashboard with
        ten viewers, over the speed without any of them, in frames a second (``by_clock``) and in frames per processor
        second of training and monitors together (``by_processor``, which other processes disturb less), with 95%
        intervals (``_low``, ``_high``); ``ten_watching`` likewise, with all ten watching a game.
    """
    base = preset("default") if config is None else config
    config = replace(
        base,
        minutes=None,
        frames=None,
        evaluation=EvaluationConfig(every_minutes=0, at_end=False),
        checkpoint=CheckpointConfig(every_minutes=0, keep=1),
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        run = _Run(config, Path(folder), stack)
        while run.trainer.learner.steps < _WARM_UP_STEPS:
            run.wait(0.5)
        shares = {}
        for name, attach in MONITORS.items():
            shares[name] = _share(run, attach, seconds, served=name.startswith("dashboard"))
            _log.info("%s: %.2f%% of a core", name, 100 * shares[name])
        together = [MONITORS[name] for name in _TOGETHER]
        return {
            "cores": os.cpu_count(),
            "core_share": shares,
            "ten_viewers": _compare(run, [*together, _dashboard(_VIEWERS, 0)], seconds, pairs),
            "ten_watching": _compare(run, [*together, _dashboard(_VIEWERS, _VIEWERS)], seconds, pairs),
        }
