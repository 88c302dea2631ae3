"""Players by name: those of the environment, those that the trainer registers, and the error for others."""

import subprocess
import sys
from functools import partial
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

from tempest_gym import players
from tempest_gym.commands.games import play_games
from tempest_gym.commands.human import Opponent
from tempest_gym.commands.recording import Recorder
from tempest_gym.env import TempestEnv
from tempest_gym.players import make_player, player_names
from tempest_rainbow.policy import load_stored


@pytest.fixture
def env():
    game = TempestEnv(start_level=9, time_limit=6.0)
    yield game
    game.close()


def test_the_trainer_registers_its_players():
    assert player_names() == ["expert", "random", "bundled", "planner"]


def test_the_bundled_player_plays_as_the_bundled_policy(env):
    policy, player = load_stored("bundled"), make_player("bundled", env, 0)
    observation, info = env.reset(seed=3)
    for _ in range(30):
        action = player(observation, info)
        assert action == policy.act(observation[None], {})[0]
        observation, _, _, _, info = env.step(action)


def test_the_planner_plays_a_recorded_game_to_its_end(env):
    env.machine = recorder = Recorder(env.machine)
    result = next(play_games(env, "planner", range(5, 6)))
    assert result["frames"] == recorder.recording("planner", env.rom.sha1).header.frames


def test_the_planner_plays_beside_a_person(env):
    opponent = Opponent("planner", env, partial(make_player, "planner"))
    for _ in range(2):
        opponent.reset(5, 9)
        for _ in range(12):
            opponent.step()
        assert opponent.frame.level == 8


def test_the_planner_plans_under_the_settings_of_its_game(env):
    planner = make_player("planner", env, 0).func.__self__
    copies = planner._copies
    observation, info = env.reset(seed=3)
    assert (copies.settings.episode, copies.settings.time_limit) == ("life", None)
    planner.choose(env, observation, info)
    assert planner.simulations == planner.config.copies
    assert np.isin(planner.futures.lanes, range(16)).all()


def test_a_player_without_its_packages_names_the_extra(env, monkeypatch):
    found = EntryPoint("bundled", "no_such_package:player", players.ENTRY_POINTS)
    monkeypatch.setattr(players, "entry_points", lambda **_: [found])
    with pytest.raises(
        DependencyNotInstalled, match=r'no_such_package.*pip install "tempest-gym\[rainbow\]"'
    ):
        make_player("bundled", env, 0)


def test_an_unknown_player_is_refused_with_the_names_of_all():
    done = subprocess.run(
        [sys.executable, "-m", "tempest_gym", "play", "--policy", "martian"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "must be one of human, expert, random, bundled, planner, got martian" in done.stderr
