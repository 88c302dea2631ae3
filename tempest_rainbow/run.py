"""A training run from the command line: its folder, its monitors, its signals."""

from __future__ import annotations

import logging
import math
import re
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from tempest_gym.extras import missing_extra
from tempest_gym.files import write_bytes
from tempest_rainbow.checkpoint import CheckpointError, Checkpoints, frames_of
from tempest_rainbow.config.settings import ConfigError, DashboardConfig, MonitorConfig, TrainConfig
from tempest_rainbow.config.toml import to_toml
from tempest_rainbow.monitor.console import Console
from tempest_rainbow.monitor.controls import Controls, Event
from tempest_rainbow.monitor.dashboard.client import Dashboard, available
from tempest_rainbow.monitor.history import History, rewind
from tempest_rainbow.monitor.keyboard import Keyboard, can_read_keys
from tempest_rainbow.monitor.metrics import Metrics
from tempest_rainbow.monitor.retrying import Retrying
from tempest_rainbow.monitor.terminal import LivePanel, Rows
from tempest_rainbow.training.trainer import Diverged, Trainer

__all__ = ["make_folder", "stop_on_signals", "train"]

_log = logging.getLogger(__name__)


_ONE_REQUEST_SECONDS = 1.0
"""Signals that arrive within this time of the first are the same request to stop."""


def make_folder(config: TrainConfig) -> Path:
    """Make the run's folder and return it.

    Raises:
        ConfigError: the folder holds another run already.
    """
    if config.resume is not None:
        return config.resume
    if config.run is not None:
        if (config.run / "config.toml").exists():
            raise ConfigError(f"{config.run} already holds a run; continue it with --resume {config.run}")
        config.run.mkdir(parents=True, exist_ok=True)
        return config.run
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", config.env.split(":")[-1])
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for serial in range(1000):
        folder = Path("runs") / (stem if serial == 0 else f"{stem}-{serial}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise ConfigError(f"there are already a thousand folders runs/{stem}-*")


@contextmanager
def stop_on_signals(controls: Controls) -> Iterator[Callable[[], None]]:
    """Yield a function; once it is called, Ctrl-C, SIGTERM and SIGHUP (a closed terminal) save and end the run.

    Signals within a second are one request, since process groups and wrappers send several. A later Ctrl-C or SIGTERM
    ends the run at once, as ``KeyboardInterrupt``, so that the terminal is restored. Under ``nohup`` SIGHUP stays
    ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none.
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        numbers.append(hangup)
    before = {number: signal.getsignal(number) for number in numbers}
    requested: list[float] = []

    def stop(number: int, frame: FrameType | None) -> None:
        requested.append(time.monotonic())
        if len(requested) > 1:
            if number != hangup and requested[-1] - requested[0] > _ONE_REQUEST_SECONDS:
                raise KeyboardInterrupt
            return
        # The handler runs between two steps of the very thread that may hold the locks of controls.
        threading.Thread(target=controls.request, args=("quit", signal.Signals(number).name)).start()

    def start() -> None:
        for number in before:
            signal.signal(number, stop)

    try:
        yield start
    finally:
        if requested:  # Signals of the same request must not reach the restored handlers.
            time.sleep(max(requested[0] + _ONE_REQUEST_SECONDS - time.monotonic(), 0.0))
        for number, handler in before.items():
            signal.signal(number, handler)


def make_screen(config: MonitorConfig, title: str) -> Console | LivePanel:
    """Return what shows the run in the terminal or the log."""
    ui = config.ui
    if ui == "auto":
        ui = "live" if sys.stderr.isatty() else "log"
    if ui == "live":
        return LivePanel(title=title)
    return Rows() if ui == "rows" else Console()


def train(config: TrainConfig) -> int:
    """Run training to its end and return the exit code: 0 finished or stopped, 1 diverged or failed, 130 interrupted
    twice."""
    new = config.resume is None and (config.run is None or not config.run.exists())
    folder = make_folder(config)
    checkpoint = None
    if config.resume is not None:
        checkpoint = Checkpoints(folder / "checkpoints", config.checkpoint.keep).latest()
    config = replace(config, run=folder, resume=None, config=None)
    controls, metrics = Controls(), Metrics()
    with ExitStack() as stack:
        failed_start = stack.enter_context(ExitStack())
        stack.enter_context(_claimed(folder))
        if new:  # and not another trainer's, which has claimed it
            failed_start.callback(shutil.rmtree, folder, ignore_errors=True)
        log_file = stack.enter_context(_log_file(folder / "log.txt"))
        stack.callback(metrics.close)
        start_handling_signals = stack.enter_context(stop_on_signals(controls))
        screen = make_screen(config.monitor, folder.name)
        metrics.subscribe(screen, headlines_only=not isinstance(screen, LivePanel))
        if isinstance(screen, LivePanel):  # Other displays write into the log anyway.
            log = logging.Logger(__name__)
            log.addHandler(log_file)
            metrics.subscribe(Console(log), headlines_only=True)
        controls.listen(partial(_follow_verbose, screen))
        trainer = Trainer(config, folder, controls=controls, metrics=metrics)
        stack.callback(trainer.close)
        resumed = None
        if checkpoint is None and config.init is not None:
            _log.info("%s", trainer.start_from(config.init))
        if checkpoint is not None:
            resumed = trainer.restore(checkpoint)
            if isinstance(screen, LivePanel) and math.isfinite(trainer.checkpoints.best_mean()):
                screen.best = trainer.checkpoints.best_mean()
            if trainer.finished():
                raise ConfigError(
                    f"this run ended after {trainer.frames:,} frames and {trainer.seconds / 60:.1f} minutes, as its "
                    "settings demand; give it more with --frames or --minutes, which count from its start"
                )
        # Only now is it known to work, so nothing of an older run's records is changed before.
        _attach_records(config, folder, metrics, None if checkpoint is None else frames_of(checkpoint))
        write_bytes(folder / "config.toml", to_toml(config).encode())
        if resumed is not None:
            metrics.event(trainer.frames, resumed)
        start_handling_signals()
        _attach_dashboard(config.dashboard, folder, trainer)
        _attach_screen(stack, config.monitor, screen, trainer)
        failed_start.pop_all()
        _log.info("run folder %s; Ctrl-C saves and ends; another after a second ends at once", folder)
        _log.info("%s", _outlook(config))
        try:
            trainer.run()
        except Diverged as error:
            metrics.event(trainer.frames, str(error))
            return 1
        except KeyboardInterrupt:
            metrics.event(trainer.frames, "interrupted again: ended without saving")
            return 130
        except CheckpointError:
            raise
        except Exception as error:
            _log.error("%s", _failure(error, trainer.save_after(error)), exc_info=error)
            return 1
        best = trainer.checkpoints.best()
        _log.info("done; tempest-rainbow evaluate --policy %s%s plays %s", folder, _suffix(config), best.name)
    return 0


def _outlook(config: TrainConfig) -> str:
    """Return how long the run lasts and how to watch it."""
    ends = [f"{config.frames:,} frames"] if config.frames is not None else []
    ends += [f"{config.minutes:g} minutes"] if config.minutes is not None else []
    text = f"the run lasts {' or '.join(ends)}" if ends else "the run lasts until it is stopped"
    if config.monitor.tensorboard:
        text += f"; curves: tensorboard --logdir {config.run.parent if config.run else 'runs'}"
    return f"{text}; ? lists the keys" if config.monitor.keyboard and can_read_keys() else text


def _failure(error: Exception, saved: str) -> str:
    """Return in a sentence what ended a run: the error, where it was raised, and what was saved."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno}, in {place.name}); {saved}"
    )


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Lock a run's folder against other trainers.

    Raises:
        ConfigError: another one uses it.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"another process is training in {folder}") from None
    try:
        yield
    finally:
        lock.release()


def _attach_records(config: TrainConfig, folder: Path, metrics: Metrics, resumed_at: int | None) -> None:
    """Write history and curves; those of a run resumed at an earlier frame lose what follows it."""
    if resumed_at is not None:
        rewind(folder / "history.jsonl", resumed_at)
    metrics.subscribe(History(folder / "history.jsonl"))
    if not config.monitor.tensorboard:
        return
    from tempest_rainbow.monitor.tensorboard import TensorBoard

    settings, histograms = asdict(config), config.monitor.histograms
    undone = [] if resumed_at is None else [resumed_at + 1]  # for the first opening only

    def open_curves() -> TensorBoard:
        purge = undone.pop() if undone else None
        return TensorBoard(folder, settings, histograms=histograms, purge_step=purge)

    metrics.subscribe(Retrying("TensorBoard's files", open_curves))


def _attach_screen(
    stack: ExitStack, config: MonitorConfig, screen: Console | LivePanel, trainer: Trainer
) -> None:
    """Show a live panel and read keys until ``stack`` ends, where there is a terminal for that."""
    if isinstance(screen, LivePanel):
        stack.enter_context(screen.shown())
    if isinstance(screen, (Rows, LivePanel)) and config.keyboard and can_read_keys():
        keyboard = Keyboard(trainer.controls, trainer.metrics, screen, _reports(trainer))
        keyboard.start()
        stack.callback(keyboard.stop)


def _attach_dashboard(config: DashboardConfig, folder: Path, trainer: Trainer) -> None:
    """Serve the dashboard if it is switched on, or installed and not switched off."""
    if config.on is False or (config.on is None and not available()):
        return
    if not available():
        raise ConfigError(missing_extra("the dashboard", "dashboard"))
    dashboard = Dashboard(
        config,
        trainer.controls,
        title=folder.name,
        history=folder / "history.jsonl",
        picture=trainer.live_view(),
        reports=_reports(trainer),
    )
    trainer.run_metrics.viewers = lambda: dashboard.viewers
    trainer.metrics.subscribe(dashboard)
    _log.info("dashboard at %s", dashboard.address)


def _reports(trainer: Trainer) -> dict[str, Callable[[], str]]:
    return {"attention": trainer.attention_report, "replay": trainer.replay_report}


class _LogFile(logging.FileHandler):
    """The log on the disk; lines that cannot be written, because the disk is full, are lost or written later."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Continue without the line."""

    def close(self) -> None:
        """Close the file, also where its last lines cannot be written."""
        with suppress(OSError):
            super().close()


@contextmanager
def _log_file(path: Path) -> Iterator[logging.Handler]:
    """Write the log into ``path`` as well."""
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _follow_verbose(screen: Console | LivePanel, event: Event) -> None:
    """Let the setting ``verbose`` decide whether all metrics are shown and details are logged."""
    if event.name == "verbose":
        screen.verbose = bool(event.new)
        logging.getLogger("tempest_rainbow").setLevel(logging.DEBUG if event.new else logging.INFO)


def _suffix(config: TrainConfig) -> str:
    """Return the options with which other commands play as the run did."""
    options = ""
    if not config.is_tempest and ":" in config.env:  # weights hold no id that imports a module
        options += f" --env {config.env}"
    if config.rom is not None:
        options += f" --rom {config.rom}"
    if config.start_level != 1:
        options += f" --start-level {config.start_level}"
    return options
