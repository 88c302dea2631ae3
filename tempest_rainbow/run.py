"""A training run from the command line: its folder, its monitors, its signals."""

from __future__ import annotations

import logging
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

from tempest_rainbow.checkpoint import Checkpoints, write_bytes
from tempest_rainbow.config import ConfigError, TrainConfig, to_toml
from tempest_rainbow.monitor.console import Console
from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.monitor.history import History
from tempest_rainbow.monitor.metrics import Metrics
from tempest_rainbow.trainer import Diverged, Trainer

__all__ = ["make_folder", "stop_on_signals", "train"]

_log = logging.getLogger(__name__)


def make_folder(config: TrainConfig) -> Path:
    """Make the run's folder and return it.

    Raises:
        ConfigError: the folder holds another run already.
    """
    if config.resume is not None:
        return config.resume
    if config.run is not None:
        if (config.run / "config.toml").exists():
            raise ConfigError(f"{config.run} holds a run already; go on with it by --resume {config.run}")
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
    raise ConfigError(f"there are a thousand folders runs/{stem}-* already")


@contextmanager
def stop_on_signals(controls: Controls) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM save and end the run; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        # The handler runs between two steps of the very thread that may hold the locks of controls.
        threading.Thread(target=controls.request, args=("quit", signal.Signals(number).name)).start()

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(config: TrainConfig) -> int:
    """Run training to its end and return the exit code: 0 done or stopped, 1 diverged, 130 interrupted
    twice."""
    folder = make_folder(config)
    resume = config.resume
    config = replace(config, run=folder, resume=None, config=None)
    controls, metrics = Controls(), Metrics()
    handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        write_bytes(folder / "config.toml", to_toml(config).encode())
        metrics.subscribe(Console())
        metrics.subscribe(History(folder / "history.jsonl"))
        if config.monitor.tensorboard:
            from tempest_rainbow.monitor.tensorboard import TensorBoard

            metrics.subscribe(
                TensorBoard(folder / "tensorboard", asdict(config), histograms=config.monitor.histograms)
            )
        _log.info("run folder %s; Ctrl-C saves and ends, a second one ends at once", folder)
        trainer = Trainer(config, folder, controls=controls, metrics=metrics)
        try:
            if resume is not None:
                trainer.restore(Checkpoints(folder / "checkpoints", config.checkpoint.keep).latest())
            with stop_on_signals(controls):
                trainer.run()
        except Diverged as error:
            metrics.event(trainer.frames, str(error))
            return 1
        except KeyboardInterrupt:
            metrics.event(trainer.frames, "interrupted again: ended without saving")
            return 130
        finally:
            trainer.close()
        best = Checkpoints(folder / "checkpoints", config.checkpoint.keep).best()
        _log.info("done; tempest-rainbow evaluate --policy %s%s plays %s", folder, _suffix(config), best.name)
    finally:
        metrics.close()
        logging.getLogger().removeHandler(handler)
        handler.close()
    return 0


def _suffix(config: TrainConfig) -> str:
    return "" if config.is_tempest else f" --env {config.env}"
