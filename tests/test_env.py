"""The single environment on the board: Gymnasium's rules, determinism, episodes, rewards, states."""

import copy
import dataclasses
import inspect
import pickle
import shutil
import typing

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

from tempest_gym.actions import ACTION_COUNT, CONTROLS
from tempest_gym.display.projection import enemy_positions, lane_positions
from tempest_gym.env import TempestEnv, TempestInfo
from tempest_gym.machines import make_machine
from tempest_gym.machines.machine import advance_by_frames
from tempest_gym.paths import lua_directory
from tempest_gym.roms import squall_rom
from tempest_gym.settings import Settings, SettingsArguments
from tempest_gym.vector import TempestVectorEnv

PLAY, DESCENT = 0x04, 0x20


@pytest.fixture
def env():
    env = TempestEnv()
    yield env
    env.close()


def actions(seed, count):
    return np.random.default_rng(seed).integers(ACTION_COUNT, size=count)


def rollout(env, chosen):
    """Step through episodes, resetting where one ends, and return every result."""
    results = []
    for action in chosen:
        result = env.step(action)
        results.append(result)
        if result[2] or result[3]:
            results.append(env.reset())
    return results


def play_until_the_end(env, action=0):
    while True:
        result = env.step(action)
        if result[2] or result[3]:
            return result


@pytest.mark.filterwarnings("ignore:.*for Box action space.*")
def test_the_checker_of_gymnasium_passes(recwarn):
    check_env(gym.make("tempest_gym:Tempest-v0", render_mode="rgb_array").unwrapped)
    assert [str(warning.message) for warning in recwarn] == []


def test_the_checker_of_stable_baselines_passes(recwarn):
    from stable_baselines3.common.env_checker import check_env as check_env_by_sb3

    recwarn.clear()
    check_env_by_sb3(TempestEnv(), warn=True)
    assert [str(warning.message) for warning in recwarn] == []


def test_the_registered_name_takes_the_documented_arguments():
    env = gym.make(
        "tempest_gym:Tempest-v0",
        machine="board",
        rom=None,
        start_level=3,
        episode="life",
        frame_skip=2,
        objective_scale=0.02,
        subjective_scale=0.0,
        reward_clip=5.0,
        render_mode="rgb_array",
    )
    assert env.observation_space == gym.spaces.Box(-1, 1, (195,), np.float32)
    assert env.action_space == gym.spaces.Discrete(44)
    _, info = env.reset(seed=0)
    assert (info["level"], info["seed"]) == (3, 0)
    assert (env.unwrapped.machine.game, env.unwrapped.machine.name) == ("squall", "board")


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"machine": "arcade"}, ValueError, "machine must be one of 'board', 'mame', got 'arcade'"),
        ({"episode": "death"}, ValueError, "episode must be one of 'game', 'life', 'level', got 'death'"),
        ({"start_level": 0}, ValueError, "start_level must be from 1 to 81, got 0"),
        ({"start_level": 82}, ValueError, "start_level must be from 1 to 81, got 82"),
        ({"start_level": 1.5}, TypeError, "start_level must be a whole number from 1 to 81, got 1.5"),
        ({"frame_skip": 0}, ValueError, "frame_skip must be from 1 to 1000, got 0"),
        ({"frame_skip": True}, TypeError, "frame_skip must be a whole number"),
        ({"objective_scale": "0.01"}, TypeError, "objective_scale must be a number, got '0.01'"),
        ({"subjective_scale": float("nan")}, ValueError, "subjective_scale must be finite, got nan"),
        ({"reward_clip": 0.0}, ValueError, "reward_clip must be greater than 0, got 0.0"),
        ({"render_mode": "ansi"}, ValueError, "render_mode must be None, 'rgb_array' or 'human', got 'ansi'"),
        ({"randomness": "mame"}, ValueError, "randomness must be 'seed' on the board, got 'mame'"),
        ({"rom": "/nonexistent/roms"}, ValueError, "/nonexistent/roms"),
    ],
)
def test_an_error_names_the_wrong_argument_and_what_was_expected(wrong, error, message):
    with pytest.raises(error, match=message):
        TempestEnv(**wrong)


@pytest.mark.parametrize("action", [-1, 44, 0.5])
def test_a_wrong_action_is_refused(env, action):
    env.reset(seed=0)
    with pytest.raises(ValueError, match="0 to 43"):
        env.step(action)


def test_unknown_options_are_ignored(env):
    """Wrappers and collectors put keys of their own into reset's options."""
    expected = env.reset(seed=3)
    assert data_equivalence(env.reset(seed=3, options={"autoseed": True}), expected, exact=True)
    env = TempestEnv(episode="life")
    env.reset(seed=2)
    play_until_the_end(env, action=22)
    assert env.reset(options={"autoseed": True})[1]["lives"] == 2


def test_a_wrong_start_level_in_the_options_is_refused(env):
    with pytest.raises(ValueError, match="from 1 to 81, got 99"):
        env.reset(options={"start_level": 99})


def test_a_step_without_an_episode_is_refused(env):
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(0)
    env.reset(seed=0)
    play_until_the_end(env)
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(0)


def test_info_has_the_documented_keys_and_types(env):
    kinds = typing.get_type_hints(TempestInfo)
    observation, info = env.reset(seed=5)
    assert set(info) == set(kinds)
    assert (info["objective_reward"], info["subjective_reward"], info["life_lost"]) == (0.0, 0.0, False)
    for action in actions(5, 3000):
        assert observation in env.observation_space
        assert {key: type(value) for key, value in info.items()} == {key: kinds[key] for key in info}
        assert 0 <= info["expert_action"] < ACTION_COUNT
        observation, _, terminated, _, info = env.step(action)
        assert set(info) == set(kinds)
        if terminated:
            break
        assert info["game_state"] in (PLAY, DESCENT)


def test_every_setting_is_in_the_signature_and_for_type_checkers():
    """A new keyword is a field of `Settings`; all else follows, or this fails."""
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    hints = typing.get_type_hints(Settings)
    assert typing.get_type_hints(SettingsArguments) == {
        name: hint for name, hint in hints.items() if name != "machine"
    }
    assert list(SettingsArguments.__annotations__) == [name for name in fields if name != "machine"]
    for cls in (TempestEnv, TempestVectorEnv):
        parameters = inspect.signature(cls).parameters
        assert {name: parameters[name].default for name in fields} == {
            name: field.default for name, field in fields.items()
        }
        assert not any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    documented = inspect.getdoc(Settings)
    assert all(f"{name}: " in documented for name in fields)


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_a_misspelt_keyword_is_named_with_the_right_one(make):
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'; did you mean 'frame_skip'"):
        make("tempest_gym:Tempest-v0", frameskip=4)


def test_two_environments_with_one_seed_play_the_same_game():
    twins = [TempestEnv() for _ in range(2)]
    starts = [env.reset(seed=11) for env in twins]
    assert data_equivalence(*starts, exact=True)
    lives = [rollout(env, actions(11, 3000)) for env in twins]
    assert data_equivalence(*lives, exact=True)


def test_a_thousand_seeds_give_a_thousand_games():
    env = gym.make_vec("tempest_gym:Tempest-v0", num_envs=1000)
    env.reset(seed=0)
    history = []
    for step in range(60):
        observations, *_ = env.step(np.full(1000, 22 + step % 11))
        history.append(observations)
    different = {games.tobytes() for games in np.stack(history, axis=1)}
    assert len(different) >= 990


def test_the_seed_of_a_game_given_to_reset_replays_it(env):
    env.reset(seed=3)
    play_until_the_end(env)
    again, info = env.reset()
    fresh = TempestEnv()
    same, same_info = fresh.reset(seed=info["seed"])
    assert data_equivalence((again, info), (same, same_info), exact=True)
    assert data_equivalence(rollout(env, actions(1, 300)), rollout(fresh, actions(1, 300)), exact=True)


def test_a_whole_game_ends_with_the_last_life(env):
    _, info = env.reset(seed=2)
    lives, lost, frames = info["lives"], 0, info["episode_frames"]
    for _ in range(Settings().episode_frames):
        _, _, terminated, truncated, info = env.step(0)
        lost += info["life_lost"]
        frames += info["frames"]
        assert info["episode_frames"] == frames
        assert not truncated
        if terminated:
            break
        assert info["lives"] == lives - lost
    assert lost == lives == 3


def test_a_life_ends_at_its_death_and_the_next_continues_the_game():
    env = TempestEnv(episode="life")
    _, info = env.reset(seed=2)
    scores = []
    for lives in (3, 2, 1):
        assert info["lives"] == lives
        _, reward, terminated, truncated, info = play_until_the_end(env, action=22)
        assert terminated
        assert not truncated
        assert info["life_lost"]
        assert reward == pytest.approx(-10.0)
        scores.append(info["score"])
        _, info = env.reset()
        assert not info["life_lost"]
    assert scores == sorted(scores)
    assert (info["lives"], info["score"]) == (3, 0)


def test_after_a_lost_life_a_seed_or_a_level_starts_a_new_game():
    env = TempestEnv(episode="life")
    for arguments, level in (({"seed": 9}, 1), ({"options": {"start_level": 5}}, 5)):
        env.reset(seed=2)
        play_until_the_end(env, action=22)
        _, info = env.reset(**arguments)
        assert (info["lives"], info["score"], info["level"]) == (3, 0, level)


def test_episodes_of_lives_add_up_to_the_whole_game():
    by_game, by_life = TempestEnv(), TempestEnv(episode="life")
    by_game.reset(seed=4)
    by_life.reset(seed=4)
    for action in actions(4, 5000):
        observation, _, over, _, info = by_game.step(action)
        ended_observation, _, life_over, _, life_info = by_life.step(action)
        if life_over:
            ended_observation, life_info = by_life.reset()
        if over:
            break
        np.testing.assert_array_equal(observation, ended_observation)
        assert info["score"] == life_info["score"]
    assert over


def test_time_runs_out_at_the_time_limit():
    assert Settings().episode_frames == 49_218  # 30 * 60 * 27.34375
    assert Settings(time_limit=None).episode_frames == float("inf")
    env = TempestEnv(time_limit=400 / 27.34375)
    env.reset(seed=0)
    _, _, terminated, truncated, info = play_until_the_end(env)
    assert (terminated, truncated) == (False, True)
    assert info["episode_frames"] - info["frames"] < 400 <= info["episode_frames"]
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    _, info = env.reset()
    assert info["score"] == 0


def test_the_reward_is_the_clipped_sum_of_its_scaled_parts():
    env = TempestEnv(objective_scale=0.03, subjective_scale=-0.5, reward_clip=2.0)
    env.reset(seed=7)
    clipped = 0
    for action in actions(7, 2000):
        _, reward, terminated, _, info = env.step(action)
        wanted = 0.03 * info["objective_reward"] - 0.5 * info["subjective_reward"]
        assert reward == pytest.approx(float(np.clip(wanted, -2.0, 2.0)))
        clipped += abs(wanted) > 2.0
        if terminated:
            break
    assert clipped


def test_points_are_the_objective_reward(env):
    env.reset(seed=7)
    before = 0
    for action in actions(7, 2000):
        _, _, terminated, _, info = env.step(action)
        gained = info["score"] - before
        if not info["life_lost"] and info["frames"] == 1 and CONTROLS[action][1] is False and gained < 1000:
            assert info["objective_reward"] == gained
        if info["life_lost"]:
            assert info["objective_reward"] <= -1000 + gained
        before = info["score"]
        if terminated:
            break


def test_a_skipped_frame_repeats_the_action():
    single, skipping = TempestEnv(reward_clip=1e9), TempestEnv(frame_skip=4, reward_clip=1e9)
    single.reset(seed=8)
    skipping.reset(seed=8)
    for action in actions(8, 600):
        total, frames = 0.0, 0
        for _ in range(4):
            observation, reward, terminated, _, info = single.step(action)
            total += reward
            frames += info["frames"]
            if terminated or info["life_lost"]:
                break
        skipped, reward, skipped_terminated, _, skipped_info = skipping.step(action)
        np.testing.assert_array_equal(observation, skipped)
        assert reward == pytest.approx(total)
        assert (skipped_terminated, skipped_info["frames"]) == (terminated, frames)
        if terminated:
            break


@pytest.mark.parametrize(("stop_at_death", "skip"), [(False, 1), (True, 1), (False, 3)])
def test_one_call_of_the_board_is_many_single_frames(stop_at_death, skip):
    whole, stepped = (make_machine("board", squall_rom()) for _ in range(2))
    whole.reset(6, 1)
    stepped.reset(6, 1)
    for action in actions(6, 1500):
        one = whole.advance(*CONTROLS[action], stop_at_death=stop_at_death, skip=skip)
        many = advance_by_frames(stepped.step, *CONTROLS[action], stop_at_death=stop_at_death, skip=skip)
        np.testing.assert_array_equal(whole.ram(), stepped.ram())
        np.testing.assert_array_equal(one.features, many.features)
        one.features = many.features = None
        assert one == many
        if one.over:
            break
    assert one.over


def test_a_start_level_in_the_options_is_for_one_game(env):
    for wanted, level in ((1, 1), (4, 3), (33, 33), (81, 81)):
        _, info = env.reset(seed=0, options={"start_level": wanted})
        assert info["level"] == level
    _, info = env.reset()
    assert info["level"] == 1


def test_a_new_start_level_takes_effect_with_the_next_game(env):
    env.reset(seed=0)
    env.set_start_level(9)
    assert env.step(0)[4]["level"] == 1
    assert env.reset()[1]["level"] == 9
    with pytest.raises(ValueError, match="from 1 to 81, got 0"):
        env.set_start_level(0)


def test_games_start_at_several_levels_by_chance_and_by_seed(env):
    env.set_start_level(1, 9, 17)
    levels = [env.reset(seed=seed)[1]["level"] for seed in range(30)]
    assert set(levels) == {1, 9, 17}
    assert levels == [env.reset(seed=seed)[1]["level"] for seed in range(30)]
    assert env.reset(seed=0, options={"start_level": 5})[1]["level"] == 5
    with pytest.raises(ValueError, match="at least one level"):
        env.set_start_level()


def test_a_restored_state_continues_bit_for_bit(env):
    env.reset(seed=21)
    rollout(env, actions(21, 150))
    state = env.clone_state()
    future = rollout(env, actions(22, 500))
    env.restore_state(state)
    assert data_equivalence(future, rollout(env, actions(22, 500)), exact=True)
    other = TempestEnv()
    other.restore_state(state)
    assert data_equivalence(future, rollout(other, actions(22, 500)), exact=True)


@pytest.mark.parametrize("copy", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("started", [True, False], ids=["started", "fresh"])
def test_a_copy_continues_bit_for_bit_and_leaves_the_original_alone(copy, started):
    env = TempestEnv(episode="life", start_level=3, render_mode="rgb_array")
    env.set_start_level(1, 9, 17)
    if started:
        env.reset(seed=21)
        rollout(env, actions(21, 150))
    twin = copy(env)
    for each in (env, twin):
        if not started:
            each.reset(seed=4)
    future = rollout(env, actions(22, 800))
    assert data_equivalence(future, rollout(twin, actions(22, 800)), exact=True)
    np.testing.assert_array_equal(env.render(), twin.render())


@pytest.mark.parametrize(("frame_skip", "rate"), [(1, 27), (4, 7), (1000, 1)])
def test_films_of_skipped_frames_play_at_the_game_s_speed(frame_skip, rate):
    for env in (TempestEnv(frame_skip=frame_skip), TempestVectorEnv(frame_skip=frame_skip)):
        assert env.metadata["render_fps"] == rate


def test_a_state_between_two_lives_continues_with_the_next():
    env = TempestEnv(episode="life")
    env.reset(seed=21)
    play_until_the_end(env)
    state = env.clone_state()
    future = env.reset()
    other = TempestEnv(episode="life")
    other.restore_state(state)
    assert data_equivalence(future, other.reset(), exact=True)


@pytest.mark.parametrize("cls", [TempestEnv, TempestVectorEnv])
def test_seeds_and_states_name_the_board_model(cls):
    """The same seed gives another game on another model; a restored state keeps its own."""
    older, newer, other = cls(), cls(board_model="mame-0.276"), cls()
    infos = [env.reset(seed=4)[1] for env in (older, newer)]
    assert [np.ravel(info["mame_version"]).tolist() for info in infos] == [[251], [276]]
    action = np.int64(22) if cls is TempestEnv else np.array([22])
    results = [[env.step(action)[0] for _ in range(60)] for env in (older, newer)]
    assert not data_equivalence(*results)
    other.restore_state(newer.clone_state())
    for _ in range(100):
        ours, theirs = other.step(action), newer.step(action)
        assert data_equivalence(ours, theirs, exact=True)
        assert np.ravel(ours[4]["mame_version"]).tolist() == [276]


@pytest.mark.parametrize("state", [b"", b"nothing of the kind", b'{"identity": 1}\n', b"\xff\n"])
def test_bytes_that_are_not_a_state_are_refused(env, state):
    env.reset(seed=0)
    with pytest.raises(ValueError, match="state"):
        env.restore_state(state)


def test_a_state_cut_short_is_refused(env):
    env.reset(seed=0)
    with pytest.raises(ValueError, match="bytes"):
        env.restore_state(env.clone_state()[:-1])


def test_a_state_of_another_program_is_refused(env, tmp_path, monkeypatch):
    """A saved game means nothing to another ROM, another layout of the board, or another Lua."""
    env.reset(seed=0)
    state = env.clone_state()
    shutil.copytree(lua_directory(), tmp_path / "lua")
    (tmp_path / "lua" / "reward.lua").open("a").write("-- another\n")
    with monkeypatch.context() as patch:
        patch.setattr("tempest_gym.machines.fleet.lua_directory", lambda: tmp_path / "lua")
        other = TempestEnv()
    with pytest.raises(ValueError, match=r"the state was made with another Lua$"):
        other.restore_state(state)
    rom = squall_rom()
    patched = dataclasses.replace(rom, sha1="0" * 40)  # Squall is called squall whatever its version
    with pytest.raises(ValueError, match=r"the state was made with another ROM set$"):
        TempestEnv(rom=patched).restore_state(state)


def test_a_picture_shows_the_game():
    env = TempestEnv(render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(30):
        env.step(0)
    picture = env.render()
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    lit = (picture.max(axis=2) > 80).mean()
    assert 0.002 < lit < 0.5
    rows, columns = np.nonzero(picture.max(axis=2) > 80)
    assert np.ptp(rows) > picture.shape[0] / 3
    assert np.ptp(columns) > picture.shape[1] / 3


def brightest_near(picture, position, reach=4):
    row, column = round(position[1] * picture.shape[0]), round(position[0] * picture.shape[1])
    return picture[row - reach : row + reach + 1, column - reach : column + reach + 1].max()


@pytest.mark.parametrize("start_level", [1, 5, 9, 17, 36])
def test_lanes_and_enemies_are_where_the_picture_shows_them(start_level):
    env = TempestEnv(start_level=start_level)
    _, info = env.reset(seed=0)
    steps = 0
    while steps < 100 or np.isnan(env.enemy_positions()).all() or info["game_state"] != PLAY:
        *_, info = env.step(info["expert_action"])
        steps += 1
    is_open = bool(env.machine.ram()[0x0111])
    lanes, enemies, picture = env.lane_positions(), env.enemy_positions(), env.picture()
    assert np.isnan(lanes).any(axis=1).tolist() == [False] * 15 + [is_open]
    assert all(brightest_near(picture, lane) > 60 for lane in lanes[: 16 - is_open])
    seen = enemies[np.isfinite(enemies).all(axis=1)]
    assert len(seen) == np.count_nonzero(env.machine.ram()[0x02DF:0x02E6]) > 0
    assert all(brightest_near(picture, enemy, reach=12) > 60 for enemy in seen)


def test_there_are_no_positions_where_no_tube_is_played():
    machine = make_machine("board", squall_rom())
    machine.reset(0, 1)
    for positions in (lane_positions(machine.ram()), enemy_positions(machine.ram())):
        assert np.isnan(positions).all()


@pytest.mark.parametrize("driver", ["dummy", "offscreen"])
def test_a_window_shows_every_game_frame(monkeypatch, driver):
    monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    env, reference = TempestEnv(render_mode="human"), TempestEnv()
    monkeypatch.setattr("tempest_gym.display.window.FRAMES_PER_SECOND", 0)  # As fast as it goes.
    shown = []
    show = env._window.show
    monkeypatch.setattr(env._window, "show", lambda picture: (shown.append(picture.shape), show(picture)))
    _, info = env.reset(seed=1)
    assert len(shown) == 1 + info["frames"]
    reference.reset(seed=1)
    assert data_equivalence(env.step(3), reference.step(3), exact=True)
    assert env.render() is None
    env.close()
