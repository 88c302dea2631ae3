"""The examples run as their first lines say, for a short while."""

import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from tempest_rainbow.benchmark.runs import loaded

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(arguments):
    """Run an example and return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=EXAMPLES, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["planner.py", "--steps", "4"], r"^seed 0: \d+ points, level 33, 0 lives lost"),
        (
            ["sb3_ppo.py", "--steps", "500", "--envs", "2", "--games", "1"],
            r"^reward per game after 500 steps: -?[\d.]+",
        ),
        (["players.py", "--games", "1"], r"^at_random +[\d,]+ points a game.*\nexpert +[\d,]+ points a game"),
    ],
    ids=["planner", "sb3_ppo", "players"],
)
def test_an_example_runs(arguments, said):
    shown = run(arguments)
    assert re.search(said, shown, re.MULTILINE), shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["pqn.py"],
        ["ppo.py", "--teacher", "1"],
        ["sb3_baselines.py", "--algorithm", "dqn", "--start-levels", "9"],
    ],
    ids=["pqn", "ppo", "sb3"],
)
def test_a_baseline_leaves_a_policy(arguments, tmp_path):
    run([*arguments, "--folder", str(tmp_path), "--steps", "1000", "--envs", "8"])
    policy = loaded(f"{EXAMPLES / arguments[0]}:load", tmp_path)
    observations = np.random.default_rng(0).uniform(-1, 1, (5, 195)).astype(np.float32)
    actions = policy.act(observations, {"episode_frames": np.zeros(5)})
    assert actions.shape == (5,)
    assert set(actions) <= set(range(44))
    if (tmp_path / "curve.csv").exists():
        lines = (tmp_path / "curve.csv").read_text().splitlines()
        assert lines[0] == "minutes,steps,score"
        assert int(lines[-1].split(",")[1]) >= 1000


def random_rollout(horizon, envs):
    """Return rewards, values, ended, terminated and the last value of a made-up rollout."""
    generator = np.random.default_rng(3)
    rewards, values = generator.normal(size=(2, horizon, envs)).astype(np.float32)
    ended = generator.random((horizon, envs)) < 0.2
    terminated = ended & (generator.random((horizon, envs)) < 0.5)
    return rewards, values, ended, terminated, generator.normal(size=envs).astype(np.float32)


def weighted_returns(rewards, values, ended, terminated, last_value, gamma, trace):
    """Return lambda-returns by their definition: n-step returns, each weighted by (1 - lambda) lambda^(n-1)."""
    horizon, envs = rewards.shape
    following = np.concatenate([values[1:], last_value[None]])
    result = np.zeros((horizon, envs))
    for t in range(horizon):
        for env in range(envs):
            reward_sum, weight = 0.0, 1.0
            for n in range(1, horizon - t + 1):
                last = t + n - 1
                reward_sum += gamma ** (n - 1) * rewards[last, env]
                bootstrapped = reward_sum + gamma**n * following[last, env] * (not terminated[last, env])
                if ended[last, env] or last == horizon - 1:
                    result[t, env] += weight * bootstrapped
                    break
                result[t, env] += weight * (1 - trace) * bootstrapped
                weight *= trace
    return result


def test_the_targets_of_pqn_and_ppo_are_lambda_returns(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import ppo
    import pqn

    rollout = random_rollout(pqn.HORIZON, 6)
    expected = weighted_returns(*rollout, pqn.GAMMA, pqn.LAMBDA)
    assert pqn.lambda_returns(*rollout) == pytest.approx(expected, abs=1e-4)
    rollout = random_rollout(ppo.HORIZON, 6)
    expected = weighted_returns(*rollout, ppo.GAMMA, ppo.LAMBDA) - rollout[1]
    assert ppo.advantages_of(*rollout) == pytest.approx(expected, abs=1e-4)


def test_the_tube_of_behaviour_cloning_shows_enemies_in_the_lanes_that_the_ram_names(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import behaviour_cloning

    levels = [1, 9, 17, 33]
    features, ram = (
        gym.make_vec("tempest_gym:Tempest-v0", 8, start_level=levels, obs_type=kind)
        for kind in ("features", "ram")
    )
    observations, bytes_seen = features.reset(seed=2)[0], ram.reset(seed=2)[0]
    generator, shown = np.random.default_rng(0), 0
    for _ in range(300):
        tube = behaviour_cloning.Tube()(torch.from_numpy(observations))
        assert tube.shape == (8, behaviour_cloning.Tube.size)
        by_lane = tube[:, 390:].reshape(8, -1, 31).numpy()
        assert (by_lane[:, :5] > 0).sum() <= (bytes_seen[:, 0x02DF:0x02E6] > 0).sum()
        for game, memory in enumerate(bytes_seen.astype(int)):
            for slot in range(7):
                kind, lane, depth = (
                    memory[0x0283 + slot] % 8,
                    memory[0x02B9 + slot] % 16,
                    memory[0x02DF + slot],
                )
                if depth == 0:
                    continue
                distance = lane - memory[0x0200] % 16
                distance = distance if memory[0x0111] else (distance + 7) % 16 - 7
                assert by_lane[game, kind, 15 + distance] >= 1 - depth / 255 - 1e-6
                shown += 1
        actions = generator.integers(44, size=8)
        observations, bytes_seen = features.step(actions)[0], ram.step(actions)[0]
    assert shown > 3000
