"""The training examples do what they describe, and Stable-Baselines3 gets the boards in its form."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from tempest_rainbow.sb3 import GymnasiumVecEnv

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_vecenv_of_stable_baselines3_returns_what_the_boards_return():
    envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=4, autoreset_mode="SameStep")
    twins = gym.make_vec("tempest_gym:Tempest-v0", num_envs=4, autoreset_mode="SameStep")
    wrapped = GymnasiumVecEnv(envs, seed=5)
    observations, _ = twins.reset(seed=5)
    np.testing.assert_array_equal(wrapped.reset(), observations)
    generator = np.random.default_rng(0)
    sums, lengths, episodes = np.zeros(4), np.zeros(4, int), 0
    while episodes < 5:
        actions = generator.integers(44, size=4)
        observations, rewards, terminated, truncated, info = twins.step(actions)
        got, got_rewards, ended, infos = wrapped.step(actions)
        np.testing.assert_array_equal(got, observations)
        np.testing.assert_allclose(got_rewards, rewards, rtol=1e-6)
        np.testing.assert_array_equal(ended, terminated | truncated)
        sums += rewards
        lengths += 1
        for index in np.flatnonzero(ended):
            episodes += 1
            np.testing.assert_array_equal(infos[index]["terminal_observation"], info["final_obs"][index])
            assert infos[index]["episode"]["r"] == pytest.approx(sums[index])
            assert infos[index]["episode"]["l"] == lengths[index]
            assert not infos[index]["TimeLimit.truncated"]
            sums[index], lengths[index] = 0, 0
    wrapped.close()
    twins.close()


def test_the_vecenv_refuses_the_other_autoreset():
    envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=1)
    with pytest.raises(ValueError, match="autoreset_mode='SameStep'"):
        GymnasiumVecEnv(envs)
    envs.close()


def test_the_reward_wrapper_plays():
    assert re.search(r"500 steps of the expert: -?[\d.]+ reward, \d+ points", run("reward_wrapper.py"))


def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.setenv("FRAMES", "2600")
    monkeypatch.setenv("GAMES", "2")
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    players = re.findall(r"^(random|expert|run|bundled) +[\d,]+ points a game", printed, re.MULTILINE)
    assert players == ["random", "expert", "run", "bundled"]


def test_the_notebook_carries_its_outputs():
    """What a reader sees without running it: an animation, a learning curve, and a student that learnt something."""
    cells = [
        cell
        for cell in nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4).cells
        if cell.cell_type == "code"
    ]
    assert all(cell.execution_count for cell in cells)
    kinds = {kind for cell in cells for output in cell.outputs for kind in output.get("data", {})}
    assert {"image/gif", "image/png"} <= kinds
    printed = "".join(output.get("text", "") for output in cells[-1].outputs)
    points = {
        name: int(score.replace(",", ""))
        for name, score in re.findall(r"^(\w+) +([\d,]+) points", printed, re.MULTILINE)
    }
    assert points["run"] > points["random"]


def test_a_wrapped_environment_is_found_where_the_command_is_given(tmp_path):
    """As in the first lines of reward_wrapper.py."""
    arguments = ["--env", "reward_wrapper:CalmTempest-v0", "--preset", "fast-check", "--frames", "100"]
    quick = ["--evaluation.no-at-end", "--dashboard.no-on", "--run", str(tmp_path / "run")]
    command = shutil.which("tempest-rainbow")
    for rest in (
        ["train", *arguments, *quick],
        ["evaluate", *arguments[:2], "--policy", "random", "--games", "1"],
    ):
        done = subprocess.run([command, *rest], cwd=EXAMPLES, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
