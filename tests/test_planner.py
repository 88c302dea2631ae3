"""The planner: it knows the rules but not the random numbers, leaves the games alone, and loses fewer lives."""

import itertools
import json
import signal

import gymnasium as gym
import numpy as np
import pytest

from tempest_rainbow.checkpoint import CheckpointError
from tempest_rainbow.cli import main
from tempest_rainbow.evaluate import Game, play_games, play_share, summary
from tempest_rainbow.planner import Planner, PlannerConfig
from tempest_rainbow.policy import ExpertPolicy
from tempest_rainbow.saved_evaluation import SavedEvaluation

GAMES = 3


class Still:
    """Stands still and fires."""

    name = "still"

    def act(self, observations, info):
        return np.full(len(observations), 22)


def vector(count, **arguments):
    return gym.make_vec("tempest_gym:Tempest-v0", num_envs=count, threads=1, **arguments).unwrapped


@pytest.fixture
def games():
    envs = vector(GAMES, start_level=33, time_limit=None)
    yield envs
    envs.close()


@pytest.fixture
def copies():
    envs = vector(48, episode="life", time_limit=None)
    yield envs
    envs.close()


def before_a_death(games):
    """Bring game 0 to 20 steps before the death that it meets when everyone stands still."""

    def steps():
        observations, info = games.reset(seed=5)
        while True:
            yield observations, info
            observations, _, _, _, info = games.step_rows(range(GAMES), np.full(GAMES, 22))

    death = next(step for step, (_, info) in enumerate(steps()) if info["life_lost"][0])
    return next(state for step, state in enumerate(steps()) if step == death - 20)


def decide(planner, games, rows, observations, info):
    return planner.act(games, rows, observations, {name: values[rows] for name, values in info.items()})


def test_the_choice_does_not_depend_on_future_random_numbers(games, copies):
    """Games that differ only in their random numbers to come get equal futures and equal actions."""
    observations, info = before_a_death(games)
    config = PlannerConfig(copies=4, guard_every=1, simulations=88)
    searches, planners = 0, [Planner(Still(), copies, config) for _ in range(2)]
    for step in range(4):
        games.fork([0], [1], seeds=[1000 + step])
        chosen = [
            decide(planner, games, [row], observations[[0]], info)
            for planner, row in zip(planners, (0, 1), strict=True)
        ]
        assert chosen[0] == chosen[1]
        for one, other in zip(planners[0].futures, planners[1].futures, strict=True):
            assert np.array_equal(one, other)
        searches = planners[0].searches
        observations, _, ended, _, info = games.step_rows(range(GAMES), np.full(GAMES, chosen[0][0]))
        if ended[0]:
            break
    assert searches > 0, "the test is to see searches as well"


def test_planning_changes_nothing_in_the_games(games, copies):
    observations, info = before_a_death(games)
    state = games.clone_state()
    planner = Planner(Still(), copies, PlannerConfig(copies=4, guard_every=1, simulations=88))
    decide(planner, games, np.arange(GAMES), observations, info)
    assert games.clone_state() == state


def test_without_a_death_ahead_the_policy_plays(games, copies):
    observations, info = games.reset(seed=5)
    planner = Planner(ExpertPolicy(), copies, PlannerConfig(copies=2, guard_horizon=3, guard_every=1))
    for _ in range(5):
        actions = decide(planner, games, np.arange(GAMES), observations, info)
        assert np.array_equal(actions, info["expert_action"])
        assert (planner.futures.lived == 3).all()
        observations, _, _, _, info = games.step_rows(range(GAMES), actions)
    assert planner.searches == 0
    assert planner.simulations == 5 * GAMES * 2
    assert planner.decisions == 5 * GAMES


@pytest.mark.parametrize(("guard_horizon", "searches"), [(12, 0), (24, 1)])
def test_a_death_beyond_the_guards_horizon_starts_no_search(guard_horizon, searches, games, copies):
    """The policy's death is 20 steps away; its search looks 40 steps ahead either way."""
    observations, info = before_a_death(games)
    planner = Planner(Still(), copies, PlannerConfig(guard_horizon=guard_horizon, simulations=88))
    decide(planner, games, [0], observations[[0]], info)
    assert planner.searches == searches
    assert planner.futures.died.any() == bool(searches)
    assert planner.futures.lived.max() <= guard_horizon
    if searches:
        assert planner.searched.lived.max() == planner.config.horizon


def test_guards_pause_for_the_set_number_of_decisions(games, copies):
    observations, info = games.reset(seed=5)
    planner = Planner(ExpertPolicy(), copies, PlannerConfig(copies=2, guard_horizon=3, guard_every=4))
    simulations = []
    for _ in range(9):
        observations, _, _, _, info = games.step_rows(
            range(GAMES), decide(planner, games, np.arange(GAMES), observations, info)
        )
        simulations.append(planner.simulations // (2 * GAMES))
    assert simulations == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    planner.forget([0])
    decide(planner, games, np.arange(GAMES), observations, info)
    assert planner.simulations == 3 * 2 * GAMES + 2, "a game that was reset is guarded at once"


def test_few_copies_at_once_give_the_futures_of_many(games, copies):
    observations, info = before_a_death(games)
    config = PlannerConfig(copies=4, guard_every=1, simulations=88)
    few = vector(5, episode="life", time_limit=None)
    chosen, futures = [], []
    for room in (copies, few):
        planner = Planner(Still(), room, config)
        chosen.append(decide(planner, games, np.arange(GAMES), observations, info))
        futures.append(planner.futures)
    few.close()
    assert np.array_equal(*chosen)
    for one, other in zip(*futures, strict=True):
        assert np.array_equal(one, other)


def test_a_search_keeps_to_its_simulations(games, copies):
    observations, info = before_a_death(games)
    planner = Planner(Still(), copies, PlannerConfig(copies=2, guard_every=1, simulations=30))
    decide(planner, games, np.arange(GAMES), observations, info)
    assert planner.searches > 0
    assert planner.simulations <= 2 * GAMES + 30 * planner.searches


def test_a_deadline_ends_a_search_after_its_first_round(games, copies):
    observations, info = before_a_death(games)
    config = PlannerConfig(copies=2, guard_every=1, simulations=90, seconds=1e-9)
    planner = Planner(Still(), copies, config)
    decide(planner, games, np.arange(GAMES), observations, info)
    assert planner.searches > 0
    assert planner.simulations == 2 * GAMES + 30 * planner.searches


def test_an_interrupted_evaluation_continues_as_if_nothing_had_happened(copies, tmp_path):
    """Three games, two at a time, stopped in the first round and in the second."""

    def play(stop=lambda: False, saved=None):
        envs = vector(2, start_level=33, time_limit=12.0)
        planner = Planner(Still(), copies, PlannerConfig(copies=2, simulations=88))
        games = play_games(envs, planner, 3, 5, stop, saved=saved)
        envs.close()
        return games, planner.decisions, planner.simulations, planner.searches

    def saved():
        return SavedEvaluation(tmp_path / "evaluation", {"games": 3}, every_seconds=0.0)

    whole = play()
    assert whole[-1] > 0, "the test is to see searches as well"
    for steps in (50, 450):
        count = itertools.count()
        given_up, *_ = play(lambda count=count, steps=steps: next(count) > steps, saved())
        assert len(given_up) < 3
    assert play(saved=saved()) == whole
    with pytest.raises(CheckpointError, match="games 3 there and 4 here"):
        SavedEvaluation(tmp_path / "evaluation", {"games": 4}).load()


def test_a_saved_state_does_not_change_while_planning_continues(games, copies):
    planner = Planner(Still(), copies)
    planner.forget(range(GAMES))
    state = planner.get_state()
    planner._wait[:] = 7
    assert state["plans"]["wait"].tolist() == [0] * GAMES
    planner.set_state(state)
    planner._wait[:] = 7
    assert state["plans"]["wait"].tolist() == [0] * GAMES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_evaluation_is_saved_and_a_finished_one_is_not_repeated(tmp_path, number):
    def play(interrupt_at):
        count = itertools.count()

        def stop():
            if next(count) == interrupt_at:
                signal.raise_signal(number)
            return False

        saved = SavedEvaluation(tmp_path / "evaluation", {})
        return play_share(vector_of, Still(), 2, 5, stop=stop, saved=saved), next(count)

    def vector_of(count):
        return vector(count, time_limit=2.0)

    with pytest.raises(KeyboardInterrupt):
        play(interrupt_at=20)
    (_, games, *_), steps = play(interrupt_at=None)
    assert games == play_share(vector_of, Still(), 2, 5).games
    assert steps < max(game.steps for game in games) - 10
    again, steps = play(interrupt_at=None)
    assert (again.games, steps) == (games, 1)


def test_what_cannot_be_saved_is_refused(tmp_path, capsys):
    arguments = ["evaluate", "--games", "1", "--save", str(tmp_path / "evaluation")]
    for more, reason in (
        (["--policy", "random"], "--policy random"),
        (["--policy", "expert", "--machine", "mame"], "Tempest on boards"),
        (["--policy", "expert", "--ray", "local"], "--ray"),
        (
            ["--policy", "expert", "--save", str(tmp_path / "none/file")],
            f"the folder {tmp_path / 'none'} does not",
        ),
    ):
        assert main([*arguments, *more]) == 1
        assert reason in capsys.readouterr().err


def test_a_search_ends_with_a_plan_that_enough_copies_outlive(games, copies):
    observations, info = before_a_death(games)
    tried = {}
    for enough in (1, 1000):
        planner = Planner(Still(), copies, PlannerConfig(guard_every=1, enough=enough))
        decide(planner, games, [0], observations[[0]], info)
        tried[enough] = len(planner.searched.lived)
        assert not planner.searched.died.all()
    assert tried == {1: 89, 1000: 89 + 22 * 4 + 5 * 17}


def test_the_planner_outlives_its_policy(copies):
    """At level 33 games of one life, with equal seeds, last longer."""
    envs = vector(4, start_level=33, episode="life", time_limit=15)
    config = PlannerConfig(copies=4, guard_every=2, simulations=88)
    alone = play_games(envs, Still(), 4, seed=3)
    planned = play_games(envs, Planner(Still(), copies, config), 4, seed=3)
    envs.close()
    assert sum(game.steps for game in planned) > 1.2 * sum(game.steps for game in alone)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"copies": 0}, "copies must be at least 1, got 0"),
        ({"guard_horizon": 0}, "guard_horizon must be at least 1, got 0"),
        ({"horizon": 5}, "holds must be from 1 to the horizon"),
        ({"enough": 0}, "enough must be at least 1, got 0"),
        ({"seconds": 0.0}, "seconds must be above 0"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PlannerConfig(**settings)


def test_the_command_plans(capsys):
    arguments = ["--policy", "expert", "--planner", "--games", "2", "--time-limit", "4", "--plan.room", "16"]
    assert main(["evaluate", *arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["policy"] == "expert+planner"
    assert result["truncated"] == 2
    assert result["decisions_per_second"] > 0
    assert result["simulations_per_decision"] > 0
    assert main(["evaluate", *arguments]) == 0
    assert "games ended by the time limit: 2" in capsys.readouterr().out


def test_a_cluster_plays_the_games_that_one_process_plays(capsys):
    """With a planner and without: each runner plays its seeds as an evaluation of these alone would."""
    arguments = ["--policy", "expert", "--time-limit", "4", "--json", "--plan.room", "16"]

    def evaluated(*more):
        assert main(["evaluate", *arguments, *more]) == 0
        return json.loads(capsys.readouterr().out)

    spread = evaluated("--games", "5", "--ray", "local", "--runners", "2")
    alone = evaluated("--games", "5")
    assert spread == alone
    planned = evaluated("--planner", "--games", "2", "--ray", "local", "--runners", "2")
    for index in range(2):
        share = evaluated("--planner", "--games", "1", "--seed", str(10_000 + index))
        assert (planned["scores"][index], planned["steps"][index]) == (share["scores"][0], share["steps"][0])
    assert planned["seeds"] == [10_000, 10_001]
    assert planned["simulations_per_decision"] > 0


def test_an_error_on_the_cluster_is_one_sentence(capsys):
    arguments = ["--policy", "random", "--planner", "--env", "CartPole-v1", "--ray", "local"]
    assert main(["evaluate", *arguments]) == 1
    assert "only Tempest on boards" in (error := capsys.readouterr().err)
    assert "Traceback" not in error


@pytest.mark.parametrize("where", [["--machine", "mame"], ["--env", "CartPole-v1"]])
def test_what_cannot_be_copied_is_refused(where, capsys):
    assert main(["evaluate", "--policy", "random", "--planner", "--games", "1", *where]) == 1
    assert "only Tempest on boards" in capsys.readouterr().err


def test_deaths_are_counted_by_the_level_they_happen_on():
    played = [
        Game(1, 100.0, 1.0, 12.0, 10, False, 1.0, (3, 12, 12)),
        Game(2, 100.0, 1.0, 11.0, 10, True, 9.0, (11,)),
    ]
    result = summary("anyone", played)
    assert result["truncated"] == 1
    assert result["deaths_per_level"] == 4 / 13
    assert result["deaths_by_level"] == {
        "1-5": {"deaths": 1, "levels": 5},
        "6-10": {"deaths": 0, "levels": 7},
        "11-15": {"deaths": 3, "levels": 1},
    }


def test_games_that_show_no_level_have_no_deaths_per_level():
    result = summary("anyone", [Game(1, 100.0, 1.0, float("nan"), 10, False)])
    assert result["deaths_per_level"] is None
    assert result["deaths_by_level"] == {}


def test_every_life_of_a_game_is_counted():
    envs = vector(2, start_level=9)
    for game in play_games(envs, Still(), 2, seed=0):
        assert game.first_level >= 1
        assert len(game.deaths) >= 3
        assert min(game.deaths) >= game.first_level
    envs.close()
