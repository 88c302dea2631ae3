"""Lives, difficulty and extra lives by the operator's switches: what the game makes of them, on both machines."""

from contextlib import closing

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from tempest_gym.env import TempestEnv
from tempest_gym.machines.setup import BONUS_LIVES, DIFFICULTIES, LIVES
from tempest_gym.settings import Settings
from tempest_gym.vector import TempestVectorEnv

BONUS_STEP, START_LIVES, DIFFICULTY = (
    0x0156,
    0x0158,
    0x016A,
)  # RAM: what the game made of the switches (ARCADE A)


@pytest.mark.parametrize("lives", LIVES)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_game_reads_every_setting_of_lives_and_difficulty(lives, difficulty):
    with closing(TempestEnv(lives=lives, difficulty=difficulty)) as env:
        _, info = env.reset(seed=0)
        ram = env.machine.ram()
        assert (info["lives"], ram[START_LIVES], ram[BONUS_STEP]) == (lives, lives, 2)
        assert ram[DIFFICULTY] == {"medium": 0, "easy": 1, "hard": 2}[difficulty]


@pytest.mark.parametrize("bonus_life", BONUS_LIVES)
def test_the_game_reads_every_setting_of_the_extra_life(bonus_life):
    with closing(TempestEnv(bonus_life=bonus_life)) as env:
        env.reset(seed=0)
        assert env.machine.ram()[BONUS_STEP] == (bonus_life or 0) // 10_000


@pytest.mark.parametrize("bonus_life", [10_000, 20_000, None])
def test_extra_lives_come_at_their_points(bonus_life):
    with closing(TempestEnv(bonus_life=bonus_life)) as env:
        _, info = env.reset(seed=1)
        over, gained = False, 0
        while not over:
            lives = info["lives"]
            _, _, over, _, info = env.step(info["expert_action"])
            gained += max(0, info["lives"] - lives + info["life_lost"])
        assert info["score"] > 10_000
        assert gained == (info["score"] // bonus_life if bonus_life else 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"lives": 2, "difficulty": "easy", "bonus_life": 10_000},
        {"lives": 4, "difficulty": "hard", "bonus_life": None},
        {"lives": 5, "difficulty": "medium", "bonus_life": 70_000, "start_level": 17},
    ],
)
def test_board_and_mame_play_the_same_game(settings):
    envs = [TempestEnv(machine, frame_skip=2, **settings) for machine in ("board", "mame")]
    with closing(envs[0]), closing(envs[1]):
        assert data_equivalence(*(env.reset(seed=17) for env in envs), exact=True)
        np.testing.assert_array_equal(*(env.machine.ram() for env in envs))
        for action in np.random.default_rng(17).integers(44, size=400):
            results = [env.step(action) for env in envs]
            assert data_equivalence(*results, exact=True)
            if results[0][2]:
                assert data_equivalence(*(env.reset() for env in envs), exact=True)
        np.testing.assert_array_equal(*(env.machine.ram() for env in envs))


def test_a_vector_environment_plays_the_same_game():
    settings = {"lives": 2, "difficulty": "hard", "bonus_life": 10_000}
    single, vector = TempestEnv(**settings), TempestVectorEnv(2, autoreset_mode="Disabled", **settings)
    with closing(single), closing(vector):
        assert (single.reset(seed=4)[0] == vector.reset(seed=3)[0][1]).all()
        for action in np.random.default_rng(4).integers(44, size=300):
            observation, *_, over, _, info = single.step(action)
            observations, *_, infos = vector.step(np.array([action, action]))
            assert (observation == observations[1]).all()
            assert (info["lives"], info["score"]) == (infos["lives"][1], infos["score"][1])
            if over:
                break


@pytest.mark.parametrize("machine", ["board", "mame"])
def test_a_restored_state_keeps_its_switches_until_the_next_game(machine):
    with closing(TempestEnv(machine, lives=5)) as origin, closing(TempestEnv(machine, lives=2)) as env:
        origin.reset(seed=0)
        env.reset(seed=0)
        env.restore_state(origin.clone_state())
        assert env.step(0)[4]["lives"] == 5
        assert env.reset(seed=1)[1]["lives"] == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lives": 6}, "lives must be one of 2, 3, 4, 5, got 6"),
        ({"lives": True}, "lives must be one of 2, 3, 4, 5, got True"),
        ({"difficulty": "easiest"}, "difficulty must be one of 'medium', 'easy', 'hard', got 'easiest'"),
        ({"bonus_life": 15_000}, "bonus_life must be one of .*70000, None, got 15000"),
        ({"bonus_life": 0}, "bonus_life must be one of .*70000, None, got 0"),
    ],
)
def test_a_wrong_setting_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)
