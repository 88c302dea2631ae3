"""Evaluation: statistics against slow and obvious versions, games by seed, export and video."""

import itertools
import json
import logging
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from fake_games import LADDER
from hypothesis import given
from hypothesis import strategies as st

import tempest_rainbow
from tempest_rainbow.cli import EvaluateOptions, _play_share, main
from tempest_rainbow.collect.environments import make_vector
from tempest_rainbow.config.settings import NETWORK_PRESETS, TEMPEST, NetworkConfig, Task
from tempest_rainbow.evaluate import bootstrap_interval, evaluate, interquartile_mean, play_games
from tempest_rainbow.export import export_onnx, export_safetensors
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.policy import (
    ExpertPolicy,
    NetworkPolicy,
    load_policy,
    load_stored,
    network_card,
)
from tempest_rainbow.watch.watch import watch


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end(scores):
    ordered = sorted(scores)
    for _ in range(len(scores) // 4):
        ordered.remove(max(ordered))
        ordered.remove(min(ordered))
    assert interquartile_mean(scores) == pytest.approx(sum(ordered) / len(ordered), abs=1e-3)


def test_the_interquartile_mean_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no scores"):
        interquartile_mean([])


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
def test_bootstrap_intervals_agree_with_a_loop(statistic):
    scores = np.random.default_rng(1).lognormal(3, 1, 40)
    function = {"mean": lambda draw: sum(draw) / len(draw), "iqm": interquartile_mean}[statistic]
    generator = np.random.default_rng(99)
    results = sorted(function(generator.choice(scores, len(scores))) for _ in range(4000))
    low, high = bootstrap_interval(scores, statistic)
    spread = results[-1] - results[0]
    assert low == pytest.approx(results[100], abs=0.03 * spread)
    assert high == pytest.approx(results[3900], abs=0.03 * spread)


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
@pytest.mark.parametrize("games", [1, 37, 100])
def test_blocks_of_resamples_leave_the_interval_as_it_is(statistic, games, monkeypatch):
    scores = np.random.default_rng(2).lognormal(8, 1, games)
    monkeypatch.setattr("tempest_rainbow.evaluate._BLOCK", 10**9)
    whole = bootstrap_interval(scores, statistic)
    for block in (1_000_000, 1_234 * games, 5 * games):
        monkeypatch.setattr("tempest_rainbow.evaluate._BLOCK", block)
        assert bootstrap_interval(scores, statistic) == whole


def test_a_bootstrap_of_thousands_of_games_takes_little_memory(monkeypatch):
    most = 0

    def mean(draws):
        nonlocal most
        most = max(most, draws.nbytes)
        return draws[:, 0]

    monkeypatch.setattr("tempest_rainbow.evaluate._row_iqm", mean)
    bootstrap_interval(np.arange(3000.0), "iqm")
    assert 0 < most <= 8_000_000


def test_the_interval_of_the_mean_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(5)
    hits = 0
    for trial in range(100):
        low, high = bootstrap_interval(generator.normal(10, 2, 60), "mean", seed=trial)
        hits += low <= 10 <= high
    assert 88 <= hits <= 99


def ladder(count):
    return make_vector(Task(LADDER, tempest=False), count)


def one_by_one(policy, seeds):
    """Play the games one after the other in single environments."""
    games = []
    for seed in seeds:
        env = gym.make(LADDER)
        observation, info = env.reset(seed=seed)
        ended, reward_sum, level = False, 0.0, 0
        while not ended:
            action = policy.act(observation[None], {"expert_action": np.array([info["expert_action"]])})[0]
            observation, reward, terminated, truncated, info = env.step(int(action))
            reward_sum += reward
            level = max(level, info["level"])
            ended = terminated or truncated
        games.append((seed, info["score"], pytest.approx(reward_sum), level, truncated and not terminated))
    return games


class Careless:
    """Presses the second lamp always: a policy without a state, so that the order of games cannot matter."""

    name = "careless"

    def act(self, observations, info):
        return np.full(len(observations), 1)


@pytest.mark.parametrize("count", [1, 3, 7])
@pytest.mark.parametrize("policy", [ExpertPolicy(), Careless()])
def test_games_side_by_side_equal_games_one_by_one(policy, count):
    envs = ladder(count)
    games = play_games(envs, policy, 7, seed=10_000)
    envs.close()
    assert [(game.seed, game.score, game.reward, game.level, game.truncated) for game in games] == one_by_one(
        policy, range(10_000, 10_007)
    )


def test_an_evaluation_reports_its_progress(caplog, monkeypatch):
    monkeypatch.setattr("tempest_rainbow.evaluate._PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr("tempest_rainbow.evaluate._LONGEST_WAIT", 0.0)
    caplog.set_level(logging.INFO, "tempest_rainbow")
    clock = itertools.count(0.0, 10.0)
    monkeypatch.setattr("tempest_rainbow.evaluate.time.monotonic", lambda: next(clock))
    evaluate(ladder, Careless(), 9, seed=3, envs=4)
    lines = [record.getMessage() for record in caplog.records]
    over = [int(line.split()[0]) for line in lines]
    assert over == sorted(over)
    assert (over[0], over[-1]) == (0, 9)
    assert "0 of 9 games over, 4 under way, mean step 1, mean level " in lines[0]
    assert "left" not in lines[0], "no game has ended"
    assert "left" not in lines[-1], "none is left"
    assert any(re.search(r"about 0:\d\d:\d\d left$", line) for line in lines)


def test_the_report_has_the_promised_keys():
    result = evaluate(ladder, Careless(), 9, seed=3, envs=4)
    assert result["policy"] == "careless"
    assert result["games"] == len(result["scores"]) == 9
    assert result["mean"] == pytest.approx(np.mean(result["scores"]))
    assert result["median"] == pytest.approx(np.median(result["scores"]))
    for name in ("mean", "iqm"):
        low, high = result["ci95"][name]
        assert low <= result[name] <= high
    assert result["level_max"] >= result["level_mean"] >= 1
    assert result == evaluate(ladder, Careless(), 9, seed=3, envs=9), (
        "the number of environments changes nothing"
    )


def test_the_command_prints_one_json_object(capsys):
    assert main(["evaluate", "--policy", "random", "--env", "CartPole-v1", "--games", "5", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["games"] == 5
    assert result["level_mean"] is None
    assert result["scores"] == pytest.approx([float(round(score)) for score in result["scores"]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "expert", "--env", "CartPole-v1", "--games", "1"], "no teacher"),
        (["--policy", "/nowhere", "--env", "CartPole-v1"], "neither a run folder nor a checkpoint"),
        (["--policy", "random", "--env", "Pendulum-v1"], "Discrete actions"),
        (["--policy", "random", "--env", "CartPole-v1", "--games", "0"], "at least 1 game"),
        (["--policy", "random", "--env", "CartPole-v1", "--prior-weight", "1"], "random has none"),
    ],
)
def test_what_cannot_be_evaluated_is_reported_in_a_sentence(arguments, message, capsys):
    assert main(["evaluate", *arguments]) == 1
    assert message in capsys.readouterr().err


def policies() -> list[NetworkPolicy]:
    settings = {
        "plain": (NetworkConfig(encoder="none", trunk=(16,), head=8), 5, 3),
        "prior": (NETWORK_PRESETS["small"], 5, 4),
        "tempest": (NETWORK_PRESETS["fast"], 195, 44),
    }
    return [
        NetworkPolicy(
            name,
            RainbowNetwork(config, size, actions),
            network_card(config, size, actions, prior_weight=0.5 if config.policy_head else 0.0),
        )
        for name, (config, size, actions) in settings.items()
    ]


@pytest.mark.parametrize("policy", policies(), ids=lambda policy: policy.name)
def test_exports_compute_what_the_policy_computes(tmp_path, policy):
    import onnxruntime

    export_safetensors(policy, tmp_path / "p.safetensors")
    assert export_onnx(policy, tmp_path / "p.onnx") < 1e-3
    observations = (
        np.random.default_rng(3).uniform(-1, 1, (17, policy.card["observation_size"])).astype(np.float32)
    )
    again = load_policy(str(tmp_path / "p.safetensors"), policy.card["action_count"], 0)
    np.testing.assert_array_equal(again.act(observations, {}), policy.act(observations, {}))
    session = onnxruntime.InferenceSession(str(tmp_path / "p.onnx"))
    written = session.run(["q_values", "preferences"], {"observations": observations})
    for values, expected in zip(written, policy.values(observations), strict=True):
        np.testing.assert_allclose(values, expected, atol=1e-3)
    with pytest.raises(ValueError, match="this environment has 9"):
        load_policy(str(tmp_path / "p.safetensors"), 9, 0)
    with pytest.raises(ValueError, match="this environment shows 9"):
        load_policy(str(tmp_path / "p.safetensors"), policy.card["action_count"], 0, observation_size=9)


def test_a_policy_is_exported_with_another_weight_of_the_imitated_one(tmp_path, capsys):
    export_safetensors(policies()[1], tmp_path / "p.safetensors")
    output = tmp_path / "q.safetensors"
    arguments = ["export", "--policy", str(tmp_path / "p.safetensors"), "--prior-weight", "0.2"]
    assert main([*arguments, "--output", str(output)]) == 0
    assert load_stored(str(output)).card["prior_weight"] == 0.2
    assert main([*arguments, "--output", str(tmp_path / "nowhere" / "q.onnx")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_another_weight_of_the_imitated_policy_changes_the_choice():
    policy = policies()[1]
    observations = np.random.default_rng(0).uniform(-1, 1, (50, 5)).astype(np.float32)
    policy.set_prior_weight(1e6)
    imitated = policy.network.policy_logits(policy.network.features(torch.from_numpy(observations)))
    np.testing.assert_array_equal(policy.act(observations, {}), imitated.argmax(dim=1).numpy())
    with pytest.raises(ValueError, match="of 0 or more, got -1"):
        policy.set_prior_weight(-1.0)
    with pytest.raises(ValueError, match="no policy head"):
        policies()[0].set_prior_weight(0.1)


def test_the_bundled_agent_is_small_and_plays_far_better_than_chance():
    policy = load_stored("bundled")
    path = Path(tempest_rainbow.__file__).parent / "bundled" / "weights.safetensors"
    assert path.stat().st_size < 5_000_000
    assert (policy.card["observation_size"], policy.card["action_count"]) == (195, 44)
    result = evaluate(partial(make_vector, Task(TEMPEST, tempest=True)), policy, 4, seed=10_000)
    assert result["mean"] > 15_000, "chance scores about 4,500"


def test_watching_gives_the_score_of_the_game_that_was_filmed(tmp_path):
    task = Task(LADDER, tempest=False)
    assert watch(task, "expert", output=tmp_path / "v.gif", games=2, seed=5) == [
        (5, 120.0, True),
        (6, 120.0, True),
    ]
    assert (tmp_path / "v.gif").stat().st_size > 0


def test_equal_blocks_give_equal_values_whatever_else_is_played():
    policy = load_policy("bundled", 44, 0)
    observations = np.random.default_rng(0).uniform(-1, 1, (70, 195)).astype(np.float32)
    seen = []
    values = policy.values
    policy.values = lambda rows: seen.append(values(rows)) or seen[-1]
    policy.block = 64
    together = policy.act(observations, {})
    apart = [policy.act(observations[i : i + 1], {})[0] for i in range(64)]
    assert [len(values) for values, _ in seen] == [64] * 66
    assert together[:64].tolist() == apart
    assert len(together) == 70


def test_the_command_computes_on_one_thread(capsys):
    torch.set_num_threads(2)
    assert main(["evaluate", "--policy", "bundled", "--games", "1", "--time-limit", "2", "--json"]) == 0
    assert torch.get_num_threads() == 1


_VALUES = """
import sys
import numpy as np
import torch
from tempest_rainbow.policy import load_policy

threads, block, observations, values = sys.argv[1:]
torch.set_num_threads(int(threads))
rows = np.load(observations)
policy = load_policy("bundled", 44, 0)
np.save(values, np.concatenate([policy.values(part)[1] for part in np.array_split(rows, len(rows) // int(block))]))
"""


@pytest.mark.slow
def test_threads_blocks_and_instructions_change_values_by_rounding_alone(tmp_path, record_property):
    """The bundled agent on 12,800 states of its own games; `docs/results.md` names the figures."""
    envs = make_vector(Task(TEMPEST, tempest=True), 64)
    policy = load_policy("bundled", 44, 0)
    observations, infos = envs.reset(seed=list(range(10_000, 10_064)))
    states = []
    for step in range(600):
        if step % 3 == 0:
            states.append(observations.copy())
        observations, _, _, _, infos = envs.step(policy.act(observations, infos))
    envs.close()
    np.save(tmp_path / "states.npy", np.concatenate(states))

    def values(threads=1, block=64, **variables):
        file = tmp_path / "values.npy"
        arguments = [str(threads), str(block), str(tmp_path / "states.npy"), str(file)]
        environment = os.environ | variables
        subprocess.run([sys.executable, "-c", _VALUES, *arguments], check=True, env=environment)
        return np.load(file)

    first = values()
    order = np.sort(first, axis=1)
    figures = {"decided by less than 0.0001": float(np.mean(order[:, -1] - order[:, -2] < 1e-4))}
    for name, others in {
        "two threads": values(threads=2),
        "one game at a time": values(block=1),
        "AVX2": values(ATEN_CPU_CAPABILITY="avx2", MKL_ENABLE_INSTRUCTIONS="AVX2", ONEDNN_MAX_CPU_ISA="AVX2"),
        "SSE": values(ATEN_CPU_CAPABILITY="default", MKL_CBWR="COMPATIBLE", ONEDNN_MAX_CPU_ISA="SSE41"),
    }.items():
        difference = float(np.abs(others - first).max())
        assert difference < 1e-3
        figures[name] = difference, int(np.sum(others.argmax(axis=1) != first.argmax(axis=1)))
    record_property("figures", figures)


def test_every_share_of_a_random_evaluation_draws_its_own_actions(monkeypatch):
    monkeypatch.setattr("tempest_rainbow.evaluate.play_share", lambda _, policy, *__, **___: policy)
    options = EvaluateOptions(policy="random")
    task = Task("CartPole-v1", tempest=False)
    first, second = (_play_share(options, task, 5, seed) for seed in (10_000, 10_005))
    rows = np.zeros((50, 4), np.float32)
    assert (first.act(rows, {}) != second.act(rows, {})).any()


def test_random_draws_all_actions_evenly():
    policy = load_policy("random", 44, 0)
    counts = np.bincount(policy.act(np.zeros((44_000, 1), np.float32), {}), minlength=44)
    assert counts.min() > 850
    assert counts.max() < 1150
