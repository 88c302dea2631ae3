"""`tempest-rainbow bench` prints the documented keys, with plausible values."""

import json

from tempest_rainbow.bench.command import main as bench
from tempest_rainbow.bench.learner import bench_learner
from tempest_rainbow.bench.replay import bench_replay
from tempest_rainbow.bench.training import measure_training

PARTS = {"environment", "inference", "insert", "sample", "learn", "wait"}


def test_learner_and_replay_are_measured():
    learner = bench_learner(seconds=0.1, batch_size=8)
    assert min(learner["learner_steps_per_second"], learner["plain_steps_per_second"]) > 0
    assert learner["batch_size"] == 8
    replay = bench_replay(transitions=20_000, batch_size=16, draws=5)
    assert 10_000 < replay["replay_transitions"] <= 20_000
    assert 390 < replay["replay_bytes_per_transition"] < 433  # 15 million in less than 6.5 GB
    assert min(replay["replay_insert_per_second"], replay["replay_sample_ms"]) > 0


def test_the_shares_of_a_training_are_shares():
    result = measure_training(seconds=6.0)
    assert result["share"].keys() == PARTS
    for thread in (("environment", "inference", "insert"), ("sample", "learn", "wait")):
        assert 0 < sum(result["share"][part] for part in thread) <= 1.1
    assert all(result["share"][part] > 0 for part in ("environment", "inference", "sample", "learn"))


def test_the_command_prints_one_object(capsys, monkeypatch):
    monkeypatch.setattr("tempest_rainbow.bench.training.measure_training", lambda seconds: {"share": {}})
    assert bench(["--json", "--seconds", "0.1", "--transitions", "20000", "--batch-size", "8"]) == 0
    result = json.loads(capsys.readouterr().out)
    documented = {"learner_steps_per_second", "plain_steps_per_second", "ratio", "replay_insert_per_second"}
    assert documented | {"replay_sample_ms", "replay_bytes_per_transition", "share"} <= result.keys()
