"""The tables that a person asks for during a run."""

import numpy as np

from tempest_rainbow.bench.learner import random_batch
from tempest_rainbow.config.settings import NETWORK_PRESETS, NetworkConfig
from tempest_rainbow.monitor.reports import attention_report, replay_report
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.replay.replay import Replay, ReplayConfig
from tempest_rainbow.replay.steps import Steps


def test_attention_is_shown_for_the_game_with_most_enemies_by_lane_type_and_depth():
    network = RainbowNetwork(NETWORK_PRESETS["fast"], 195, 44)
    games = np.zeros((3, 195), np.float32)
    games[:, 5] = 12 / 15  # the player's lane
    games[0, 135] = games[1, 135:137] = 0.5
    games[1, 86], games[1, 92] = 2 / 7, 4 / 7  # a tanker and a fuseball
    games[1, 128], games[1, 129] = 5 / 15, -3 / 15  # lanes from the player's
    lines = attention_report(network, games).splitlines()
    assert lines[1].split() == ["lane", "T", "1/128", "B", "9/128"]
    assert len(lines) == 2 + 16
    assert lines[2 + 12].startswith("> 12")
    shares = np.array([[float(word) for word in line.split() if "." in word[1:2]] for line in lines[2:]])
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=0.011)


def test_a_game_without_enemies_is_reported():
    network = RainbowNetwork(NETWORK_PRESETS["fast"], 195, 44)
    assert attention_report(network, np.zeros((2, 195), np.float32)) == "no enemies at present"
    assert attention_report(network, np.zeros((0, 195), np.float32)) == "nothing was observed yet"
    plain = RainbowNetwork(NetworkConfig(encoder="none"), 4, 2)
    assert attention_report(plain, np.zeros((1, 4), np.float32)) == "this network has no attention"


def test_the_replay_reports_what_it_holds():
    replay = Replay(ReplayConfig(capacity=1000), 2, 195)
    batch = random_batch(40)
    never = np.zeros(40, bool)
    replay.insert(Steps(np.arange(40) % 2, batch.observations, batch.actions, batch.returns, never, never))
    values = dict(line.split() for line in replay_report(replay).splitlines())
    assert values["inserted"] == "40"
    assert float(values["fill"]) == 0.04
