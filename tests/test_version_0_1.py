"""What version 0.1 wrote is still read: a run's folder, its checkpoint, and a policy exported from it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tempest_rainbow.checkpoint import read_tree
from tempest_rainbow.cli import main
from tempest_rainbow.config.settings import TrainConfig
from tempest_rainbow.config.toml import from_toml
from tempest_rainbow.policy import load_stored

OLD = Path(__file__).parent / "version_0_1"


@pytest.fixture
def run(tmp_path):
    return Path(shutil.copytree(OLD / "run", tmp_path / "run"))


def test_the_settings_of_version_0_1_are_read():
    config = from_toml((OLD / "run" / "config.toml").read_text(), TrainConfig())
    assert (config.envs, config.frames, config.network.trunk, config.network.atoms) == (2, 600, (8,), 5)
    assert config.network.value_min == -20.0
    assert config.preset is None


def test_the_weights_of_version_0_1_give_the_values_that_they_gave_then():
    policy = load_stored(str(OLD / "run"))
    expected = json.loads((OLD / "values.json").read_text())
    observations = np.random.default_rng(1).uniform(-1, 1, (2, 195)).astype(np.float32)
    values, preferences = policy.values(observations)
    assert np.allclose(values, expected["values"], atol=1e-4)
    assert np.allclose(preferences, expected["preferences"], atol=1e-4)


def steps(checkpoint):
    return read_tree(checkpoint / "state.safetensors")["learner"]["scalars"]["steps"]


def test_a_run_of_version_0_1_resumes(run, capsys):
    (before,) = (run / "checkpoints").iterdir()
    old, steps_before = load_file(before / "weights.safetensors"), steps(before)
    assert (
        main(
            [
                "train",
                "--resume",
                str(run),
                "--frames",
                "1200",
                "--evaluation.no-at-end",
                "--dashboard.no-on",
                "--monitor.no-tensorboard",
            ]
        )
        == 0
    )
    newest = max((run / "checkpoints").iterdir())
    assert int(newest.name) >= 1200
    new = load_file(newest / "weights.safetensors")
    assert old.keys() == new.keys()
    assert steps(newest) > steps_before
