"""Watching: the decision shown is the one that is played, and the panel draws it in its place."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image

from tempest_gym.env import TempestEnv
from tempest_gym.machines.board import BoardMachine
from tempest_rainbow.cli import main
from tempest_rainbow.config.settings import NetworkConfig, Task
from tempest_rainbow.networks.rainbow import RainbowNetwork, attention_of
from tempest_rainbow.planner import PlannerConfig
from tempest_rainbow.players import make_planner, player_of
from tempest_rainbow.policy import ExpertPolicy, NetworkPolicy, RandomPolicy, load_policy
from tempest_rainbow.watch.decision import Decision, decide
from tempest_rainbow.watch.panel import _ALIVE, _BAR, _CHOSEN, _DEAD, _EXPERT, PANEL_WIDTH, Panel
from tempest_rainbow.watch.watch import watch

BLACK = np.zeros((640, 480, 3), np.uint8)
NOWHERE_16, NOWHERE_7 = np.full((16, 2), np.nan), np.full((7, 2), np.nan)
TEMPEST = Task("tempest_gym:Tempest-v0", tempest=True)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return RainbowNetwork(NetworkConfig(), 195, 44).eval()


@pytest.fixture(scope="module")
def observations():
    return np.random.default_rng(0).uniform(-1, 1, (5, 195)).astype(np.float32)


def test_the_decision_of_a_network_is_what_it_plays(network, observations):
    policy = NetworkPolicy("net", network, {})
    for observation in observations:
        decision = decide(policy, observation, {"expert_action": 7})
        q_values, preferences = policy.values(observation[None])
        assert decision.action == policy.act(observation[None], {})[0] == preferences.argmax()
        np.testing.assert_array_equal(decision.q_values, q_values[0])
        assert decision.expert_action == 7
        assert decision.q_values.shape == (44,)
        np.testing.assert_array_equal(decision.attention, attention_of(network, observation))
        assert decision.attention.shape == (16, 7)
        assert decision.attention.sum(axis=1).max() == pytest.approx(1.0, abs=1e-5)


def test_decisions_without_a_network_have_no_values(observations):
    decision = decide(ExpertPolicy(), observations[0], {"expert_action": 23})
    assert (decision.action, decision.expert_action) == (23, 23)
    assert decision.q_values is None
    assert decision.attention is None
    assert decide(RandomPolicy(3, 0), observations[0], {}).expert_action is None


def test_a_network_without_lanes_has_no_attention():
    plain = RainbowNetwork(NetworkConfig(encoder="none"), 8, 3)
    assert attention_of(plain, np.zeros(8, np.float32)) is None


def drawn(decision, lanes=NOWHERE_16, enemies=NOWHERE_7, picture=BLACK):
    return Panel("somebody").draw(picture, decision, {"score": 12345, "level": 3}, lanes, enemies)


def place_of(picture, colour):
    """Middle of the pixels of a colour inside the grid of actions, None if there are none."""
    rows, columns = np.nonzero((picture[90:355, 480:] == colour).all(axis=2))
    return None if not len(rows) else (rows.mean(), columns.mean())


def test_the_game_stays_as_it_is_beside_the_panel():
    game = np.random.default_rng(1).integers(0, 256, BLACK.shape, np.uint8)
    result = drawn(Decision(3, 4, np.arange(44, dtype=np.float32)), picture=game)
    assert result.shape == (640, 480 + PANEL_WIDTH, 3)
    np.testing.assert_array_equal(result[:, :480], game)
    assert drawn(None, picture=game).shape == result.shape


def test_the_grid_has_fire_below_and_right_turns_on_the_right():
    def at(action):
        values = np.zeros(44, np.float32)
        values[action] = 1.0
        return place_of(drawn(Decision(action, None, values)), _CHOSEN)

    stand, left, right, fire = at(0), at(1), at(10), at(22)
    assert left[1] < stand[1] < right[1]
    assert fire[0] > stand[0]
    assert fire[1] == pytest.approx(stand[1])
    assert len({at(action) for action in range(44)}) == 44


def test_the_expert_is_framed_and_bars_grow_with_the_value():
    values = np.zeros(44, np.float32)
    values[[5, 6]] = 1.0, 2.0

    def bar(value):
        values[7] = value
        return (drawn(Decision(6, None, values))[90:355, 480:] == _BAR).all(axis=2).sum()

    assert bar(0.2) < bar(0.8) < bar(1.6)
    assert place_of(drawn(Decision(6, None, values)), _EXPERT) is None
    framed = place_of(drawn(Decision(6, 6, values)), _EXPERT)
    np.testing.assert_allclose(framed, place_of(drawn(Decision(6, None, values)), _CHOSEN), atol=1.5)


@pytest.mark.parametrize("value", [0.0, -50.0])
def test_equal_values_are_drawn(value):
    drawn(Decision(0, 0, np.full(44, value, np.float32)))


def test_attention_joins_a_lane_and_an_enemy():
    lanes, enemies = NOWHERE_16.copy(), NOWHERE_7.copy()
    lanes[2], lanes[9], enemies[4] = (0.2, 0.5), (0.8, 0.9), (0.6, 0.5)
    attention = np.zeros((16, 7), np.float32)
    attention[2, 4] = 1.0
    light = drawn(Decision(0, None, None, attention), lanes, enemies)[:, :480].sum(axis=2)
    assert light[320, 96] > 200  # the lane
    assert light[318:323, 190].max() > 100  # halfway to the enemy
    assert light[576, 384] == 0  # the lane without attention
    attention[2] = 0.0
    attention[2, 5] = 1.0  # no enemy is there: a dot, no line
    assert drawn(Decision(0, None, None, attention), lanes, enemies)[318:323, 190].sum() == 0


def test_a_planner_shows_on_which_lanes_its_copies_live_and_die():
    lanes = NOWHERE_16.copy()
    lanes[2], lanes[9] = (0.2, 0.5), (0.8, 0.9)
    futures = np.zeros((2, 16), np.int64)
    futures[:, 2], futures[:, 9] = (6, 0), (0, 2)
    picture = drawn(Decision(0, None, None, None, futures), lanes)
    assert tuple(picture[320, 96]) == _ALIVE
    assert tuple(picture[576, 384]) == _DEAD
    bars = picture[430:, 480:]
    green, red = ((bars == colour).all(axis=2).sum() for colour in (_ALIVE, _DEAD))
    assert green == pytest.approx(3 * red, rel=0.05)


def test_the_decision_of_a_planner_counts_every_copy_by_its_lane():
    env = gym.make(TEMPEST.env, start_level=33).unwrapped
    planner = make_planner(ExpertPolicy(), TEMPEST, PlannerConfig(copies=5, guard_horizon=8), room=16)
    observation, info = env.reset(seed=1)
    for _ in range(60):
        decision = decide(planner, observation, info, env)
        searched = 0 if planner.searched is None else len(planner.searched.lived)
        assert decision.futures.sum() == 5 + searched
        assert decision.searched == (searched > 0)
        dead = planner.futures.died.sum() + (planner.searched.died.sum() if searched else 0)
        assert decision.futures[1].sum() == dead
        observation, _, terminated, _, info = env.step(decision.action)
        if terminated:
            break
    env.close()


@pytest.mark.parametrize(("panel", "width"), [(True, 480 + PANEL_WIDTH), (False, 480)])
def test_a_film_of_tempest_has_the_panel_beside_it(tmp_path, panel, width):
    film = tmp_path / "film.gif"
    [(seed, score, ended)] = watch(TEMPEST, "expert", output=film, games=2, seed=3, seconds=1.0, panel=panel)
    assert seed == 3
    assert score >= 0
    assert not ended
    with Image.open(film) as gif:
        assert gif.size == (width, 640)


def test_closing_the_window_ends_it(monkeypatch):
    shown = []

    def show(self, picture):
        shown.append(picture.shape)
        self.closed = len(shown) == 5

    monkeypatch.setattr("tempest_gym.display.window.Window.show", show)
    assert [seed for seed, _, _ in watch(TEMPEST, "random", output=None, games=3, seed=1)] == [1]
    assert shown == [(640, 480 + PANEL_WIDTH, 3)] * 5


def test_a_game_cut_off_by_the_time_limit_is_not_reported_as_a_result(tmp_path, capsys):
    options = ["--policy", "random", "--env", "CartPole-v1", "--output", str(tmp_path / "film.gif")]
    assert main(["watch", *options, "--seconds", "0.1"]) == 0
    assert "so far, not a result" in capsys.readouterr().out
    assert main(["watch", *options]) == 0
    assert "so far" not in capsys.readouterr().out


def test_a_person_plays_the_same_game_beside_the_agent(monkeypatch, capsys):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    played = {}

    def play(self, machine, seed, start_level, sound=None):
        opponent = self._opponent
        opponent.reset(seed, start_level)
        for _ in range(50):
            opponent.step()
        played.update(name=opponent.name, ram=opponent.env.machine.ram(), seed=seed)
        self._window.closed = True
        return {"seed": seed, "score": 120, "level": 1, "frames": 9, "reward": 0.0}

    monkeypatch.setattr("tempest_gym.commands.human.HumanPlay.choose_level", lambda *arguments: arguments[3])
    monkeypatch.setattr("tempest_gym.commands.human.HumanPlay.play", play)
    assert main(["watch", "--play", "--seed", "7", "--start-level", "9"]) == 0
    assert capsys.readouterr().out == "seed 7: you 120\n"
    assert (played["name"], played["seed"]) == ("bundled", 7)
    env = TempestEnv(start_level=9)
    policy = load_policy("bundled", 44, 0)
    observation, info = env.reset(seed=7)
    while info["episode_frames"] < frames_before_play(env) + 50:
        observation, _, _, _, info = env.step(policy.act(observation[None], {})[0])
    np.testing.assert_array_equal(env.machine.ram(), played["ram"])


def frames_before_play(env):
    machine = BoardMachine(env.rom)
    frame, frames = machine.reset(7, 9), 0
    while not frame.decision:
        frame, frames = machine.step(False, False, 0), frames + 1
    return frames


@pytest.mark.parametrize("option", [["--planner"], ["--output", "film.gif"], ["--env", "CartPole-v1"]])
def test_a_person_plays_only_beside_tempest_in_a_window(option, capsys):
    assert main(["watch", "--policy", "random", "--play", *option]) == 1
    assert "--play is for Tempest" in capsys.readouterr().err


def test_a_player_holds_its_action_for_the_frame_skip():
    player = player_of(RandomPolicy(44, 0), frame_skip=3)
    actions = [player(np.zeros(195, np.float32), {"expert_action": 0}) for _ in range(9)]
    drawn = [int(RandomPolicy(44, 0).act(np.zeros((1, 195), np.float32), {})[0])]
    assert actions[0] == drawn[0]
    assert [actions[index : index + 3] for index in (0, 3, 6)] == [[each] * 3 for each in actions[::3]]
    assert len(set(actions)) > 1
