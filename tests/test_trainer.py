"""The whole run: reproducible, resumable bit for bit, steerable, and ended cleanly."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import fake_games
import numpy as np
import pytest
import torch
from resources import wait_for

from tempest_rainbow.checkpoint import Checkpoints, read_tree
from tempest_rainbow.collect.episodes import Episode
from tempest_rainbow.config.schedules import EpsilonSchedule, ExpertSchedule, ImitationSchedule
from tempest_rainbow.config.settings import (
    TEMPEST,
    CheckpointConfig,
    DashboardConfig,
    EvaluationConfig,
    LearnerConfig,
    MonitorConfig,
    NetworkConfig,
    TrainConfig,
)
from tempest_rainbow.config.toml import to_toml
from tempest_rainbow.learner.learner import NotFiniteError
from tempest_rainbow.monitor.controls import Controls
from tempest_rainbow.monitor.history import read_history
from tempest_rainbow.monitor.metrics import Metrics
from tempest_rainbow.replay.replay import ReplayConfig
from tempest_rainbow.run import train
from tempest_rainbow.training.clock import RunClock
from tempest_rainbow.training.curriculum import Curriculum
from tempest_rainbow.training.trainer import Diverged, Trainer


@pytest.fixture(autouse=True)
def _no_change_of_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def settings(**changes):
    base = TrainConfig(
        env=fake_games.LADDER,
        envs=3,
        frames=600,
        minutes=None,
        deterministic=True,
        batch_size=16,
        samples_per_insert=2.0,
        learn_start=60,
        threads=1,
        network=NetworkConfig(
            encoder="none", trunk=(16,), head=8, atoms=11, value_min=-3, value_max=3, policy_head=True
        ),
        learner=LearnerConfig(
            learning_rate=3e-3, target_update_steps=20, imitation="policy", compile="off", precision="float32"
        ),
        replay=ReplayConfig(capacity=3000, n_step=3),
        epsilon=EpsilonSchedule(start=0.5, end=0.05, frames=300),
        expert=ExpertSchedule(start=0.5, end=0.1, frames=400, unit="episode"),
        imitation=ImitationSchedule(mode="behind", prior=1.0),
        evaluation=EvaluationConfig(every_minutes=0, at_end=False, games=4),
        checkpoint=CheckpointConfig(every_minutes=0, replay=True, keep=2),
        monitor=MonitorConfig(tensorboard=False, ui="log", every_seconds=1e9, curve_seconds=1e9),
        dashboard=DashboardConfig(on=False),
    )
    return dataclasses.replace(base, **changes)


class Spy:
    """A monitor that keeps what it receives."""

    def __init__(self):
        self.rows, self.events, self.evaluations = [], [], []

    def row(self, row):
        self.rows.append(row)

    def event(self, frames, text):
        self.events.append(text)

    def evaluation(self, frames, result):
        self.evaluations.append(result)

    def close(self):
        pass


def make(config, folder):
    controls, metrics, spy = Controls(), Metrics(), Spy()
    metrics.subscribe(spy)
    return Trainer(config, folder, controls=controls, metrics=metrics), controls, spy


def run(config, folder, restore=None):
    trainer, _, spy = make(config, folder)
    try:
        if restore is not None:
            spy.events.append(trainer.restore(restore))
        trainer.run()
    finally:
        trainer.close()
    return trainer, spy


def assert_equal_states(one, two, path=""):
    assert type(one) is type(two), path
    if isinstance(one, dict):
        assert one.keys() == two.keys(), path
        for key in one:
            if path + key not in ("seconds",):
                assert_equal_states(one[key], two[key], f"{path}{key}.")
    elif isinstance(one, list):
        assert len(one) == len(two), path
        for i, (left, right) in enumerate(zip(one, two, strict=True)):
            assert_equal_states(left, right, f"{path}{i}.")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two), path
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two, path)
    else:
        assert one == two or (one != one and two != two), path


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    first, _ = run(settings(), tmp_path / "a")
    again, _ = run(settings(), tmp_path / "b")
    other, _ = run(settings(seed=1), tmp_path / "c")
    assert first.learner.steps == again.learner.steps > 30
    for name, value in first.learner.network.state_dict().items():
        assert torch.equal(value, again.learner.network.state_dict()[name])
    weights = [trainer.learner.network.state_dict() for trainer in (first, other)]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("at", [30, 200, 401])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, at):
    """Also while the replay is being filled (30), and at a number that is not a multiple of anything (401)."""
    run(settings(), tmp_path / "whole")
    run(settings(frames=at), tmp_path / "parts")
    last = Checkpoints(tmp_path / "parts" / "checkpoints", 2).latest()
    resumed, _ = run(settings(), tmp_path / "parts", last)
    whole = Checkpoints(tmp_path / "whole" / "checkpoints", 2).latest()
    parts = Checkpoints(tmp_path / "parts" / "checkpoints", 2).latest()
    assert_equal_states(read_tree(whole / "state.safetensors"), read_tree(parts / "state.safetensors"))
    twin, _, _ = make(settings(), tmp_path / "twin")
    twin.restore(whole)
    assert twin.replay.statistics() == resumed.replay.statistics()
    for _ in range(10):
        one, two = twin.replay.sample(64), resumed.replay.sample(64)
        assert_equal_states(dataclasses.asdict(one), dataclasses.asdict(two))
    twin.close()


def test_a_resumed_run_of_tempest_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    config = settings(
        env=TEMPEST,
        envs=4,
        frames=360,
        network=NetworkConfig(
            encoder_size=16, encoder_heads=2, trunk=(16,), head=8, action_factors=(4, 11), policy_head=True
        ),
    )
    run(config, tmp_path / "whole")
    run(dataclasses.replace(config, frames=200), tmp_path / "parts")
    run(config, tmp_path / "parts", Checkpoints(tmp_path / "parts" / "checkpoints", 2).latest())
    whole, parts = (
        read_tree(Checkpoints(tmp_path / name / "checkpoints", 2).latest() / "state.safetensors")
        for name in ("whole", "parts")
    )
    assert whole["collector"]["source"]["envs"]
    assert_equal_states(whole, parts)


def test_saving_and_evaluating_in_between_change_nothing(tmp_path):
    quiet, _ = run(settings(), tmp_path / "quiet")
    config = settings(
        checkpoint=CheckpointConfig(every_minutes=0, every_frames=50, replay=True),
        evaluation=EvaluationConfig(every_minutes=0, every_frames=100, games=3, at_end=True),
    )
    busy, spy = run(config, tmp_path / "busy")
    assert len(spy.evaluations) == 6
    for name, value in quiet.learner.network.state_dict().items():
        assert torch.equal(value, busy.learner.network.state_dict()[name])


def test_without_a_saved_replay_it_is_filled_again_and_the_run_reports_it(tmp_path):
    config = settings(checkpoint=CheckpointConfig(every_minutes=0, replay=False))
    first, _ = run(dataclasses.replace(config, frames=300), tmp_path)
    trainer, spy = run(config, tmp_path, Checkpoints(tmp_path / "checkpoints", 3).latest())
    assert any("holds no replay" in text for text in spy.events)
    assert trainer.frames >= 600
    assert trainer.replay.inserted == trainer.frames - first.frames


def test_games_that_cannot_continue_restart_and_the_run_reports_it(tmp_path, monkeypatch):
    run(settings(frames=300), tmp_path)

    def refuse(self, state):
        raise ValueError("the state was made with another Lua")

    monkeypatch.setattr(fake_games.LadderEnv, "restore_state", refuse)
    trainer, spy = run(
        settings(frames=600), tmp_path, restore=Checkpoints(tmp_path / "checkpoints", 2).latest()
    )
    assert trainer.frames == 600
    assert next(event for event in spy.events if "resumed" in event).endswith(
        "; the saved games cannot continue here (the state was made with another Lua), so their episodes restart"
    )


def test_it_learns_the_ladder_beside_its_teacher(tmp_path):
    """Deterministic, so that the score does not depend on how threads are scheduled."""
    config = settings(
        frames=6000,
        envs=6,
        evaluation=EvaluationConfig(every_minutes=0, every_frames=2000, games=10, solved_at=119.0),
    )
    _, spy = run(config, tmp_path)
    assert spy.evaluations[-1]["mean"] > 100, "120 is perfect, random play scores about 20"
    assert spy.rows[-1].values["episodes/expert_score"] == 120.0


def test_threads_keep_the_ratio_of_samples_to_frames(tmp_path):
    config = settings(deterministic=False, frames=2000, envs=6)
    trainer, spy = run(config, tmp_path)
    row = spy.rows[-1].values
    for name in ("speed/frames_per_second", "schedule/epsilon", "learner/loss", "replay/fill", "time/learn"):
        assert name in row
    samples = trainer.learner.steps * config.batch_size
    earned = config.samples_per_insert * (trainer.frames - config.learn_start)
    assert abs(samples - earned) <= 2 * config.batch_size + 4 * config.samples_per_insert * config.envs


def test_steering_takes_hold(tmp_path):
    trainer, controls, spy = make(settings(frames=2000), tmp_path)
    controls.set("expert_mode", True, "test")
    controls.set("learning_rate_factor", 0.5, "test")
    controls.set("training", False, "test")
    controls.request("report", "test")
    trainer.run()
    trainer.close()
    assert trainer.learner.steps == 0
    assert trainer.collector.statistics.metrics()["episodes/expert_score"] == 120.0
    values = spy.rows[-1].values
    assert values["schedule/expert_ratio"] == 1.0
    assert values["schedule/learning_rate"] == pytest.approx(1.5e-3)
    assert any("expert_mode" in text for text in spy.events)
    assert len(spy.rows) == 2


def test_a_pulse_raises_epsilon_for_its_time(tmp_path):
    config = settings(epsilon=EpsilonSchedule(start=0.0, end=0.0, pulse_value=0.9, pulse_frames=300))
    config = dataclasses.replace(config, expert=ExpertSchedule(start=0.0, end=0.0, unit="episode"))
    trainer, controls, _ = make(config, tmp_path)
    controls.request("pulse", "test")
    trainer.run()
    trainer.close()
    actors = trainer.replay.get_state()["arrays"]["flags"] >> 4
    rows = actors.reshape(3, 1000)[:, :195]
    assert rows[:, :100].mean() > 0.4
    assert rows[:, 120:].sum() == 0


def test_the_curriculum_raises_the_start_level_where_levels_are_cleared(tmp_path, monkeypatch):
    levels = []
    monkeypatch.setattr(
        fake_games.LadderEnv, "set_start_level", lambda _, level: levels.append(level), raising=False
    )
    trainer, controls, spy = make(
        settings(frames=1500, expert=ExpertSchedule(0.0, 0.0, unit="episode")), tmp_path
    )
    controls.set("auto_curriculum", True, "test")
    monkeypatch.setattr(fake_games.LadderEnv, "_info", lambda self, lost: {"level": 1 + self.steps})
    trainer.run()
    trainer.close()
    assert levels[:6] == [2, 2, 2, 3, 3, 3], "each of three environments is set"
    assert controls["start_level"] == levels[-1]
    assert any("curriculum: start_level" in text for text in spy.events)


def test_scores_shown_are_those_of_whole_games_until_the_level_is_set_by_hand(tmp_path):
    config = dataclasses.replace(
        settings(envs=4, frames=8), env=TEMPEST, expert=ExpertSchedule(0.0, 0.0), start_levels=(3, 1, 17)
    )
    trainer, controls, _ = make(config, tmp_path)
    statistics = trainer.collector.statistics
    assert statistics.highest_start == 1
    controls.set("start_level", 3, "test")
    trainer.run()
    trainer.close()
    assert statistics.highest_start is None


def test_the_curriculum_counts_levels_from_where_a_game_started():
    curriculum = Curriculum(1)
    late, whole = Episode(0.0, 1, 0.0, 19.0, 0.0, 17.0), Episode(0.0, 1, 0.0, 4.0, 0.0, 1.0)
    assert curriculum.follow([late] * 20) is None, "two levels each"
    assert curriculum.follow([whole] * 20) == 2, "three levels each"


def test_the_start_level_can_be_set_by_hand_and_is_kept_over_a_restart(tmp_path, monkeypatch):
    levels = []
    monkeypatch.setattr(
        fake_games.LadderEnv, "set_start_level", lambda _, level: levels.append(level), raising=False
    )
    trainer, controls, _ = make(settings(frames=60), tmp_path)
    controls.set("start_level", 7, "dashboard")
    trainer.run()
    trainer.close()
    assert levels == [7, 7, 7]
    levels.clear()
    run(settings(frames=90), tmp_path, trainer.checkpoints.latest())
    assert levels == [7, 7, 7]


def test_the_start_level_returns_to_the_schedule():
    levels = []
    curriculum, controls = Curriculum(3), Controls()
    for value in (None, 5, None):
        controls.set("start_level", value, "dashboard")
        curriculum.apply([], controls, levels.append)
    assert levels == [5, 3]


def test_divergence_names_the_last_good_checkpoint(tmp_path, monkeypatch):
    config = settings(checkpoint=CheckpointConfig(every_minutes=0, every_frames=100))
    trainer, _, _ = make(config, tmp_path)
    step = trainer.learner.step

    def breaking(*arguments, **keywords):
        if trainer.learner.steps == 20:
            raise NotFiniteError(21)
        return step(*arguments, **keywords)

    monkeypatch.setattr(trainer.learner, "step", breaking)
    with pytest.raises(
        Diverged, match=r"last good checkpoint is .*0000000002\d\d.*--learner\.learning-rate 7\.5e-04"
    ):
        trainer.run()
    trainer.close()


def test_an_error_while_collecting_ends_the_run_with_that_error(tmp_path, monkeypatch):
    def broken(self, action):
        raise OSError("the cable came out")

    monkeypatch.setattr(fake_games.LadderEnv, "step", broken)
    trainer, _, _ = make(settings(deterministic=False), tmp_path)
    with pytest.raises(OSError, match="cable"):
        trainer.run()
    trainer.close()


def test_a_construction_that_fails_half_way_raises_its_cause_and_closes_what_was_open(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(fake_games.LadderEnv, "close", lambda self: closed.append(self))
    monkeypatch.setattr("tempest_rainbow.collect.factory.LocalCollector", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(settings(), tmp_path)
    assert len(closed) == 3


def test_the_run_folder_records_the_whole_run(tmp_path):
    config = settings(
        run=tmp_path / "run",
        evaluation=EvaluationConfig(every_minutes=0, games=4),
        monitor=MonitorConfig(ui="log", tensorboard=True),
    )
    assert train(config) == 0
    assert train(dataclasses.replace(config, run=None, resume=tmp_path / "run", frames=700)) == 0
    text = (tmp_path / "run" / "config.toml").read_text()
    assert text == to_toml(dataclasses.replace(config, frames=700))
    lines = list(read_history(tmp_path / "run" / "history.jsonl"))
    assert {line["kind"] for line in lines} == {"row", "event", "evaluation"}
    assert lines[-1]["frames"] >= 700
    assert any("resumed from" in line.get("text", "") for line in lines)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(tmp_path / "run")).Reload()
    assert {"speed/frames_per_second", "evaluation/mean", "episodes/agent_score"} <= set(
        curves.Tags()["scalars"]
    )
    assert curves.Scalars("progress/frames")[-1].step >= 700
    assert "learner/q_values" in curves.Tags()["histograms"]


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(ValueError, match="already holds a run"):
        train(settings(run=tmp_path))


def start(folder, frames):
    quick = MonitorConfig(tensorboard=False, ui="log", curve_seconds=0.5)
    config = settings(run=None, deterministic=False, frames=frames, monitor=quick)
    file = folder.parent / "config.toml"
    file.write_text(to_toml(config))
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(fake_games.__file__)}
    code = "import fake_games, sys; from tempest_rainbow.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "train", "--config", str(file), "--run", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    history = folder / "history.jsonl"

    def plays() -> bool:
        assert process.poll() is None, process.stderr.read()
        return history.exists() and '"row"' in history.read_text()

    wait_for(plays)
    return process


def test_one_interrupt_saves_and_ends(tmp_path):
    process = start(tmp_path / "run", 10**9)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    latest = Checkpoints(tmp_path / "run" / "checkpoints", 2).latest()
    state = read_tree(latest / "state.safetensors")
    assert state["collector"]["frames"] == int(latest.name)
    lines = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert any("SIGINT" in line.get("text", "") for line in lines)


def test_a_second_interrupt_ends_at_once(tmp_path):
    process = start(tmp_path / "run", 10**9)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    process.communicate(timeout=600)
    assert process.returncode != 0


@pytest.mark.parametrize(("kind", "name"), [("wall", "monotonic"), ("processor", "process_time")])
def test_a_runs_clock_counts_the_configured_time(kind, name, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(f"tempest_rainbow.training.clock.time.{name}", lambda: now[0])
    clock = RunClock(kind)
    clock.set(60.0)  # an earlier part of the run
    now[0] += 5.0
    assert clock.seconds == 60.0
    clock.start()
    now[0] += 7.0
    assert clock.seconds == 67.0
