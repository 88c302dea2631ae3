"""Starts of a run by the command line: one that fails changes nothing, one that resumes continues correctly."""

from __future__ import annotations

import json

import pytest
import torch
from filelock import FileLock

from tempest_gym.roms import squall_rom
from tempest_rainbow import run as run_module
from tempest_rainbow.checkpoint import Checkpoints, read_weights
from tempest_rainbow.cli import main
from tempest_rainbow.config.settings import TrainConfig
from tempest_rainbow.config.toml import from_toml
from tempest_rainbow.monitor.history import read_history, rewind

QUICK = [
    *("--env", "CartPole-v1", "--frames", "400", "--envs", "4", "--learn-start", "100", "--threads", "1"),
    *("--network.trunk", "16", "--network.head", "8", "--evaluation.every-frames", "0"),
    *("--evaluation.no-at-end", "--dashboard.no-on", "--monitor.no-tensorboard"),
]


@pytest.fixture
def finished(tmp_path):
    """The folder of a run that has ended."""
    assert main(["train", *QUICK, "--run", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def newest(folder):
    return Checkpoints(folder / "checkpoints", 9).latest()


def test_a_start_that_fails_can_be_tried_again(tmp_path, capsys):
    arguments = ["train", *QUICK, "--run", str(tmp_path / "run")]
    assert main([*arguments, "--network.value-min", "200"]) == 1
    assert "value_min below value_max" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("not to be removed")
    assert main([*arguments, "--network.value-min", "200"]) == 1
    assert (tmp_path / "run" / "mine.txt").exists()
    assert main(arguments) == 0


def test_a_resume_that_fails_leaves_the_settings_as_they_were(finished, capsys):
    before = (finished / "config.toml").read_text()
    history = (
        finished / "history.jsonl"
    ).read_bytes() + b'{"kind": "event", "frames": 1000000, "text": "later"}\n'
    (finished / "history.jsonl").write_bytes(history)
    assert main(["train", "--resume", str(finished), "--frames", "600", "--network.trunk", "32"]) == 1
    assert "does not fit these settings" in capsys.readouterr().err
    assert (finished / "config.toml").read_text() == before
    assert (finished / "history.jsonl").read_bytes() == history
    assert main(["train", "--resume", str(finished), "--frames", "600"]) == 0
    assert from_toml((finished / "config.toml").read_text(), TrainConfig()).frames == 600


def test_a_run_starts_with_the_weights_of_another(finished, tmp_path, capsys):
    arguments = ["train", *QUICK, "--init", str(finished), "--learner.learning-rate", "0"]
    assert main([*arguments, "--run", str(tmp_path / "next")]) == 0
    given, _ = read_weights(Checkpoints(finished / "checkpoints", 9).best() / "weights.safetensors")
    taken, _ = read_weights(newest(tmp_path / "next") / "weights.safetensors")
    assert all(torch.equal(given[name], taken[name]) for name in given)
    capsys.readouterr()
    assert main([*arguments, "--run", str(tmp_path / "wider"), "--network.trunk", "32"]) == 1
    assert "trunk (16,) instead of (32,)" in capsys.readouterr().err
    assert not (tmp_path / "wider").exists()


def test_a_run_that_is_over_is_reported_and_left_alone(finished, capsys):
    last = newest(finished)
    assert main(["train", "--resume", str(finished)]) == 1
    assert "give it more with --frames or --minutes" in capsys.readouterr().err
    assert newest(finished) == last
    assert main(["train", "--resume", str(finished), "--preset", "classic"]) == 1
    assert "here those of preset 'cartpole': --preset classic cannot change them" in capsys.readouterr().err


@pytest.mark.parametrize("envs", [2, 7])
def test_a_run_continues_with_another_number_of_games(finished, envs):
    assert main(["train", "--resume", str(finished), "--frames", "800", "--envs", str(envs)]) == 0
    rows = [line for line in read_history(finished / "history.jsonl") if line["kind"] == "row"]
    assert rows[-1]["frames"] >= 800
    assert rows[-1]["values"]["collect/clients"] == envs


def test_a_run_with_a_relative_rom_resumes_in_another_folder_and_paths_start_at_home(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("here", "elsewhere"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    squall_rom().write(tmp_path / "here" / "rom")
    tempest = ["--preset", "fast-check", *QUICK[2:], "--network.encoder", "none", "--rom", "rom"]
    assert main(["train", *tempest, "--run", "~/run"]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["train", "--resume", "~/run", "--frames", "600"]) == 0
    settings = from_toml((tmp_path / "run" / "config.toml").read_text(), TrainConfig())
    assert (settings.frames, settings.rom) == (600, str(tmp_path / "here" / "rom"))
    last = newest(tmp_path / "run").relative_to(tmp_path)
    capsys.readouterr()
    evaluate = ["evaluate", "--games", "1", "--time-limit", "1", "--rom", "~/here/rom", "--json"]
    assert main([*evaluate, "--policy", f"~/{last}"]) == 0
    assert json.loads(capsys.readouterr().out)["policy"] == f"~/{last}"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_belongs_to_one_trainer_at_a_time(finished, capsys):
    with FileLock(finished / ".lock"):
        assert main(["train", "--resume", str(finished), "--frames", "600"]) == 1
    assert "another process is training in" in capsys.readouterr().err


def test_a_folder_that_another_trainer_claimed_first_is_left_alone(tmp_path, monkeypatch, capsys):
    """Both found no folder, and the other one was faster."""
    make = run_module.make_folder

    def late(config):
        folder = make(config)
        other.acquire()
        return folder

    other = FileLock(tmp_path / "run" / ".lock")
    monkeypatch.setattr(run_module, "make_folder", late)
    with other:
        assert main(["train", *QUICK, "--run", str(tmp_path / "run")]) == 1
    assert "another process is training in" in capsys.readouterr().err
    assert (tmp_path / "run").is_dir()


def test_more_games_than_the_start_of_learning_counts_on(tmp_path):
    """The first learning waits until some game is longer than the steps that a return spans."""
    options = ["--envs", "100", "--frames", "1500", "--learn-start", "10"]
    assert main(["train", *QUICK, *options, "--run", str(tmp_path / "run")]) == 0
    assert read_weights(newest(tmp_path / "run") / "weights.safetensors")[1]["learner_steps"] > 0


def test_returns_outside_the_support_are_reported(tmp_path):
    """Acrobot's returns lie below zero."""
    support = [
        "--env",
        "Acrobot-v1",
        "--network.value-min",
        "0",
        "--network.value-max",
        "5",
        "--frames",
        "1000",
    ]
    assert main(["train", *QUICK, *support, "--run", str(tmp_path / "run")]) == 0
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    warnings = [line for line in history if "lie at an end of the support (0 to 5)" in line.get("text", "")]
    assert len(warnings) == 1


def test_a_history_is_rewound_to_the_checkpoint_that_is_resumed(tmp_path):
    path = tmp_path / "history.jsonl"
    lines = [json.dumps({"kind": "event", "frames": frames, "text": "x"}) + "\n" for frames in (1, 5, 6)]
    path.write_text("".join(lines[:1]) + "damaged\n" + "".join(lines[1:]) + '{"kind": "ev')
    rewind(path, 5)
    assert path.read_text() == "".join(lines[:2])
    rewind(tmp_path / "nowhere", 5)


def test_evaluation_plays_what_the_policy_was_trained_on(finished, capsys):
    assert main(["evaluate", "--policy", str(finished), "--games", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["games"] == 3
    assert main(["evaluate", "--policy", str(finished), "--env", "Acrobot-v1", "--games", "3"]) == 1
    assert "plays with 2 actions, this environment has 3" in capsys.readouterr().err


def test_an_environment_of_an_unknown_module_is_named(tmp_path, capsys):
    assert main(["train", "--env", "nosuchmodule:X-v0", "--run", str(tmp_path / "run")]) == 1
    assert "nosuchmodule" in capsys.readouterr().err
