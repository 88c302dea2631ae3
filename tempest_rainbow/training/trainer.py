"""The training run: collection and learning side by side, with saving, evaluating and steering in between."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tempest_rainbow.checkpoint import REPLAY, STATE, CheckpointError, Checkpoints, read_tree
from tempest_rainbow.collect.environments import probe
from tempest_rainbow.collect.factory import open_collector, open_source
from tempest_rainbow.config.settings import NetworkConfig, TrainConfig
from tempest_rainbow.device import usable_cores
from tempest_rainbow.learner.learner import NotFiniteError
from tempest_rainbow.learner.processes import make_learner
from tempest_rainbow.monitor.controls import Controls, Event
from tempest_rainbow.monitor.dashboard.live_game import live_view
from tempest_rainbow.monitor.metrics import Metrics
from tempest_rainbow.monitor.reports import attention_report, replay_report
from tempest_rainbow.policy import load_stored, network_card
from tempest_rainbow.replay.replay import Replay
from tempest_rainbow.training.clock import Ending, RunClock, Timetable
from tempest_rainbow.training.curriculum import Curriculum
from tempest_rainbow.training.evaluator import Evaluator, Film
from tempest_rainbow.training.learner_loop import LearnerLoop
from tempest_rainbow.training.rate_limiter import RateLimiter
from tempest_rainbow.training.run_metrics import RunMetrics
from tempest_rainbow.training.steered_schedules import SteeredSchedules

__all__ = ["Diverged", "Trainer"]

_log = logging.getLogger(__name__)

_FIRST_PICTURES = 32
"""Pictures of the film of a run's first game: 9 seconds of play."""

_CROWDED = 0.5
"""Share of the expected returns at the ends of the support from which on a run warns."""


class Diverged(RuntimeError):
    """The loss became infinite or NaN; the message names the last good checkpoint."""


class Trainer:
    """One run from its start, or its last checkpoint, to its end.

    Attributes:
        config: the resolved settings.
        controls: what can be steered during the run.
        metrics: the hub to subscribe monitors to.
        checkpoints: the run's checkpoints.
        learner, replay, collector: the main parts.
        run_metrics: what the run's rows of metrics are made of.
    """

    def __init__(self, config: TrainConfig, folder: Path, *, controls: Controls, metrics: Metrics) -> None:
        """Make environments, replay and network.

        Args:
            config: checked settings.
            folder: the run's folder; checkpoints go into ``checkpoints`` below it.
            controls: steering.
            metrics: passes rows and events to monitors.
        """
        self.config = config
        self.controls = controls
        self.metrics = metrics
        self._stopping = False
        self._opened = ExitStack()
        try:
            self._open(config, folder)
        except BaseException:
            self.close()
            raise
        controls.listen(self._on_event)

    def _open(self, config: TrainConfig, folder: Path) -> None:
        """Make the parts; each that has to be closed is added to ``_opened`` as soon as it exists."""
        self.checkpoints = Checkpoints(folder / "checkpoints", config.checkpoint.keep)
        torch.set_num_threads(config.threads or max(usable_cores() - 1, 1))
        self._clock = RunClock(config.clock)
        self._ending = Ending(config.frames, config.minutes, config.evaluation.solved_at)
        source = open_source(config) if config.ray is None else None
        if source is not None:
            self._opened.callback(source.close)
        size, actions = (
            probe(config.task) if source is None else (source.observation_size, source.action_count)
        )
        self.replay = Replay(config.replay, config.rings, size, seed=config.seed)
        self._opened.callback(self.replay.close)
        self.learner = make_learner(
            config.network,
            config.learner,
            size,
            actions,
            device=config.device,
            seed=config.seed,
            deterministic=config.deterministic,
            processes=config.learner_processes,
        )
        self._opened.callback(self.learner.close)
        self._schedules = SteeredSchedules(config, self.controls, self._progress)
        self._curriculum = Curriculum(config.start_level)
        self.collector = open_collector(
            config, source, self._act, self.learner, self.replay, self._prior_weight
        )
        if source is None:
            self._opened.callback(self.collector.close)
        if config.drawn_levels:
            self.collector.statistics.highest_start = config.start_level
        self._limiter = RateLimiter(
            config.samples_per_insert,
            max(config.learn_start, config.rings * (config.replay.n_step + 1)),  # some transition is complete
            config.batch_size,
            slack=2 * config.samples_per_insert * config.rings,
        )
        self._opened.callback(self._limiter.close)
        self.run_metrics = RunMetrics(
            config, self._ending, self._schedules, self.collector, self.learner, self.replay
        )
        self._learner_loop = LearnerLoop(
            config, self.learner, self.replay, self._schedules, self.run_metrics, lambda: self.frames
        )
        self._opened.callback(self._learner_loop.close)
        self._evaluator = Evaluator(
            config, self.checkpoints, self.metrics, lambda: self.controls.pending("quit")
        )
        self._collecting = threading.Lock()
        self._failure: BaseException | None = None
        self._saved_at = (-1, -1)
        self._first_film = Film() if config.monitor.tensorboard else None
        self._film_path: str | None = None
        self._warned_of_support = False

    @property
    def frames(self) -> int:
        """Frames collected so far."""
        return self.collector.frames

    @property
    def seconds(self) -> float:
        """Seconds of training so far, earlier parts of a resumed run included."""
        return self._clock.seconds

    def _progress(self) -> float:
        """Return the share of the run that is over, which in a deterministic run does not depend on a clock."""
        return self._ending.progress(self.frames, 0.0 if self.config.deterministic else self.seconds)

    def run(self) -> dict[str, Any]:
        """Train until the run's end and return the last evaluation ({} without any).

        Raises:
            Diverged: the loss is no longer finite.
            CheckpointError: the run is over, but its end could not be saved.
        """
        self._clock.start()
        self.run_metrics.start(self.seconds, self.frames)
        config = self.config
        self._headlines = Timetable(config.monitor.every_seconds, 0, self.seconds, self.frames)
        self._points = Timetable(config.monitor.curve_seconds, 0, self.seconds, self.frames)
        self._saves, self._evaluations = (
            Timetable(60 * group.every_minutes, group.every_frames, self.seconds, self.frames)
            for group in (config.checkpoint, config.evaluation)
        )
        try:
            if self.config.deterministic:
                self._run_in_turns()
            else:
                self._run_side_by_side()
        except NotFiniteError as error:
            raise Diverged(self._divergence(error)) from error
        saved = self._save_the_end()
        if (
            self.config.evaluation.at_end
            and self._evaluator.steps != self.learner.steps
            and not self.controls.pending("quit")
        ):
            self._evaluate(saved)
        self._publish_row()
        return self._evaluator.last or {}

    def close(self) -> None:
        """End the environments, also after a construction that failed half way. May be called twice."""
        self._stopping = True
        self._opened.close()

    def save(self) -> Path:
        """Write a checkpoint now.

        Raises:
            OSError: it cannot be written; those saved before are as they were.
        """
        self._limiter.pause()
        try:
            with self._collecting:
                frames = self.frames
                path = self.checkpoints.save(
                    frames,
                    self._get_state(),
                    self.learner.network.state_dict(),
                    self._card(),
                    save_replay=self.replay.save if self.config.checkpoint.replay else None,
                )
                self._saved_at = (frames, self.learner.steps)
        finally:
            self._limiter.resume()
        self.metrics.event(frames, f"saved {path}")
        return path

    def save_after(self, error: Exception) -> str:
        """Save what there is after an error ended the run, and return in a clause what became of it."""
        if self._saved_at == (self.frames, self.learner.steps):
            return self.checkpoints.last_good()
        try:
            return f"saved {self.save()}"
        except Exception as failure:  # It may have the same cause, and must not hide the first error.
            _log.debug("saving after %r failed", error, exc_info=failure)
            return f"the run could not be saved ({failure}); {self.checkpoints.last_good()}"

    def _save_if_possible(self) -> Path | None:
        """Save; report a failure, for example a full disk, so that training continues."""
        try:
            return self.save()
        except OSError as error:
            text = f"the checkpoint could not be saved ({error}); {self.checkpoints.last_good()}; training continues"
            self.metrics.event(self.frames, text)
            return None

    def _save_the_end(self) -> Path:
        if self._saved_at == (self.frames, self.learner.steps):
            return self.checkpoints.latest()
        try:
            return self.save()
        except OSError as error:
            raise CheckpointError(
                f"the end of the run could not be saved ({error}); {self.checkpoints.last_good()}"
            ) from error

    def start_from(self, policy: str) -> str:
        """Start with the weights of a stored policy and return a sentence that names it.

        Raises:
            CheckpointError: nothing usable is stored there, or it does not fit these settings.
        """
        stored = load_stored(policy).network
        if stored.config != self.config.network:
            raise CheckpointError(
                f"{policy} has other network settings than this run: {_differences(stored.config, self.config.network)}"
            )
        try:
            self.learner.start_from(stored.state_dict())
        except ValueError as error:
            raise CheckpointError(f"{policy} does not fit this environment: {error}") from error
        return f"the network starts with the weights of {policy}"

    def restore(self, checkpoint: Path) -> str:
        """Continue from a checkpoint and return a sentence that describes how.

        Raises:
            CheckpointError: it cannot be read, or does not fit these settings.
        """
        state = read_tree(checkpoint / STATE)
        try:
            self.learner.set_state(state["learner"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(f"{checkpoint} does not fit these settings: {error}") from error
        notes = []
        whole = (checkpoint / REPLAY).is_dir()
        if whole:
            try:
                self.replay.load(checkpoint / REPLAY)
            except ValueError as error:
                whole = False
                self.replay.clear()
                notes.append(f"the saved replay does not fit ({error}), so it starts empty")
        else:
            notes.append(
                "the checkpoint holds no replay, so it starts empty and is filled before learning continues"
            )
        self._limiter.set_state(state["limiter"] if whole else {"allowance": 0.0, "inserted": 0})
        obstacle = self.collector.set_state(state["collector"])
        if obstacle is not None:
            notes.append(f"{obstacle}, so their episodes restart")
        self._schedules.set_state(state["guidance"])
        self.controls.set_state(state["controls"])
        if steered := self.controls.steered():
            notes.append(
                f"as steered before: {', '.join(f'{name} {value}' for name, value in steered.items())}"
            )
        if "curriculum" in state and not self._curriculum.set_state(state["curriculum"]):
            self.controls.set("start_level", None, "the run's settings")
        self._clock.set(float(state["seconds"]))
        self._first_film = None
        if not whole:
            self.replay.cut(np.arange(self.config.rings))
        return "; ".join([f"resumed from {checkpoint}", *notes])

    def _run_in_turns(self) -> None:
        while self._continues():
            self._collect()
            while self._limiter.may_learn():
                self._learn()

    def _run_side_by_side(self) -> None:
        thread = threading.Thread(target=self._collect_forever, name="collect", daemon=True)
        thread.start()
        try:
            while self._continues():
                before = time.perf_counter()
                ready = self._limiter.wait_to_learn(0.1)
                self.run_metrics.spent("wait", time.perf_counter() - before)
                if ready:
                    self._learn()
                if self._failure is not None:
                    raise self._failure
        finally:
            self._stopping = True
            self._limiter.close()
            thread.join()

    def _collect_forever(self) -> None:
        try:
            while not self._stopping:
                if self._limiter.wait_to_collect(0.2) and not self._stopping:
                    with self._collecting:
                        self._collect()
        except BaseException as error:
            self._failure = error
            self._limiter.close()

    def _collect(self) -> None:
        exploration = self._schedules.exploration(self.frames)
        frames, ended = self.collector.step(exploration)
        self._schedules.finished(ended)
        self._curriculum.apply(ended, self.controls, self._set_start_level)
        self._limiter.learning = bool(self.controls["training"])
        self._limiter.samples_per_insert = self._schedules.samples_per_insert()
        self._limiter.inserted(frames)
        if self._first_film is not None:
            self._record(self._first_film)

    def _record(self, film: Film) -> None:
        """Film a game from the start of the run; the next row carries the film."""
        drawable = self.collector.drawable()
        if drawable is not None:
            film.take(drawable[0])
        if drawable is None or len(film.pictures) == _FIRST_PICTURES:
            self._film_path = self._evaluator.save_film(film, self.frames)
            self._first_film = None

    def _set_start_level(self, level: int) -> None:
        """Start games at a level; at the configured one as configured, so that several levels are drawn again."""
        levels = self.config.drawn_levels if level == self.config.start_level else ()
        self.collector.statistics.highest_start = level if levels else None
        if not self.collector.call("set_start_level", *(levels or (level,))):
            self.metrics.event(self.frames, "these environments have no start level to change")

    def _learn(self) -> None:
        self._limiter.sampled(self._learner_loop.learn())

    def live_view(self) -> Callable[[], Mapping[str, Any]] | None:
        """Return what draws one of the games with the network's attention, None if they cannot be drawn."""
        return live_view(self.collector, self.learner.network, self._collecting)

    def attention_report(self) -> str:
        """Return which lanes attend to which enemies at present, as a table."""
        with self._collecting:
            observations = self.run_metrics.seen.copy()
        return attention_report(self.learner.network, observations)

    def replay_report(self) -> str:
        """Return the replay's statistics as lines."""
        return replay_report(self.replay)

    def _act(self, observations: NDArray[np.float32]) -> NDArray[np.int64]:
        started = time.perf_counter()
        actions, values = self.learner.act(observations, prior_weight=self._prior_weight())
        self.run_metrics.acted(observations, values, time.perf_counter() - started)
        return actions

    def _prior_weight(self) -> float:
        return self._schedules.prior_weight(self.frames)

    def _continues(self) -> bool:
        """Do what is due and return whether the run continues."""
        if not self.finished():
            self._attend()
        return not self.finished()

    def finished(self) -> bool:
        """Whether frames, minutes, score or a request have ended the run."""
        over = self._ending.reached(self.frames, self.seconds, self._evaluator.score)
        return over or self.controls.pending("quit")

    def _attend(self) -> None:
        """Do what is due or was requested."""
        now = self.seconds, self.frames
        headline = self._headlines.due(*now) or self.controls.take("report")
        if self._points.due(*now) or headline:
            self._publish_row(headline=headline)
        if self.controls.take("pulse"):
            self._schedules.pulse.start(self.frames)
            epsilon = self.config.epsilon
            text = f"epsilon pulse: {epsilon.pulse_value:.0%} for {epsilon.pulse_frames:,} frames"
            self.metrics.event(self.frames, text)
        if self.controls.take("flush_replay"):
            self._flush()
        if self._evaluations.due(*now) or self.controls.take("evaluate"):
            self._evaluate(self._save_if_possible())
        if self._saves.due(*now) or self.controls.take("save"):
            self._save_if_possible()

    def _flush(self) -> None:
        self._limiter.pause()
        with self._collecting:
            self._learner_loop.clear()
            self._limiter.set_state({"allowance": 0.0, "inserted": 0})
        self._limiter.resume()

    def _evaluate(self, checkpoint: Path | None) -> None:
        if self._film_path is not None:  # The first game's film comes before an evaluation's.
            self._publish_row(headline=False)
        self._evaluator.evaluate(self.learner, self._card(), self.frames, checkpoint)

    def _publish_row(self, *, headline: bool = True) -> None:
        film, self._film_path = self._film_path, None
        row = replace(self.run_metrics.row(self.seconds, self.frames, headline=headline), film=film)
        self.metrics.publish(row)
        at_ends = row.values.get("learner/at_ends", 0.0)
        if at_ends > _CROWDED and not self._warned_of_support:
            self._warned_of_support = True
            network = self.config.network
            text = (
                f"{at_ends:.0%} of the expected returns lie at an end of the support ({network.value_min:g} to "
                f"{network.value_max:g}): choose --network.value-min and --network.value-max around the returns, "
                "or scale the rewards"
            )
            self.metrics.event(self.frames, text)

    def _on_event(self, event: Event) -> None:
        self.metrics.event(self.frames, str(event))

    def _divergence(self, error: NotFiniteError) -> str:
        text = f"training diverged: {error}; {self.checkpoints.last_good()}"
        smaller = f"--learner.learning-rate {self.config.learner.learning_rate / 4:.1e}"
        if not self.checkpoints.all():
            return f"{text}. Start again with a smaller step, for example with {smaller}"
        command = f"tempest-rainbow train --resume {self.checkpoints.folder.parent}"
        return f"{text}. Continue from there with a smaller step, for example by {command} {smaller}"

    def _card(self) -> dict[str, Any]:
        return network_card(
            self.config.network,
            self.learner.network.observation_size,
            self.learner.network.action_count,
            env=self.config.env,
            frame_skip=self.config.frame_skip,
            frames=self.frames,
            learner_steps=self.learner.steps,
            prior_weight=self._schedules.prior_weight(self.frames),
        )

    def _get_state(self) -> dict[str, Any]:
        return {
            "format": 1,
            "seconds": self.seconds,
            "learner": self.learner.get_state(),
            "collector": self.collector.get_state(),
            "limiter": self._limiter.get_state(),
            "guidance": self._schedules.get_state(),
            "curriculum": self._curriculum.get_state(),
            "controls": self.controls.get_state(),
        }


def _differences(there: NetworkConfig, here: NetworkConfig) -> str:
    """Return the settings that differ, with both values."""
    return ", ".join(
        f"{field.name} {getattr(there, field.name)} instead of {getattr(here, field.name)}"
        for field in fields(here)
        if getattr(there, field.name) != getattr(here, field.name)
    )
