"""Data sets of Minari: what ``tempest-gym dataset`` writes, and that the example learns from it."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import minari
import numpy as np
import pytest

from tempest_gym.actions import MEANINGS
from tempest_gym.cli import main
from tempest_gym.commands.dataset import KEPT_INFO, mixed_player, record_dataset

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of its own for Minari's data sets."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("policy", ["expert", "random", "bundled", "mixed"])
def test_a_data_set_holds_games_advice_levels_and_seeds(policy):
    result = record_dataset(policy, 2, seed=5, steps=120, settings={"start_level": [1, 9, 17]})
    assert (result["dataset"], result["episodes"], result["steps"]) == (f"tempest/{policy}-v0", 2, 240)
    dataset = minari.load_dataset(result["dataset"])
    for seed, episode in zip((5, 6), dataset.iterate_episodes(), strict=True):
        assert episode.observations.shape == (121, 195)
        assert set(episode.infos) == set(KEPT_INFO)
        assert (episode.infos["seed"] == seed).all()
        assert episode.infos["level"][0] in (1, 9, 17)
        followed = (episode.infos["expert_action"][:-1] == episode.actions).mean()
        assert {"expert": followed == 1.0, "random": followed < 0.3}.get(policy, 0.2 < followed < 1.0)


def test_the_environment_of_a_data_set_repeats_its_games():
    record_dataset(
        "random", 1, seed=3, steps=100, settings={"obs_type": "grayscale", "screen_size": (40, 30)}
    )
    dataset = minari.load_dataset("tempest/random-v0")
    episode, env = dataset[0], dataset.recover_environment()
    observation, info = env.reset(seed=int(episode.infos["seed"][0]))
    for step, action in enumerate(episode.actions):
        np.testing.assert_array_equal(observation, episode.observations[step])
        assert info["expert_action"] == episode.infos["expert_action"][step]
        observation, reward, *_, info = env.step(action)
        assert reward == episode.rewards[step]


def test_a_seed_fixes_what_a_mixed_player_does():
    players = [mixed_player(2), mixed_player(2), mixed_player(3)]
    games = [[player(None, {"expert_action": 50}) for _ in range(500)] for player in players]
    assert games[0] == games[1] != games[2]
    assert 0.8 < np.mean(np.equal(games[0], 50)) < 1.0


def test_random_actions_of_mixed_games_leave_the_superzapper_to_the_expert():
    player = mixed_player(0)
    taken = {player(None, {"expert_action": 50}) for _ in range(5000)} - {50}
    assert taken == {action for action in range(44) if "ZAP" not in MEANINGS[action]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "nobody"], "must be one of mixed, expert, random, bundled, planner, got nobody"),
        (["--policy", "bundled", "--obs-type", "ram"], "bundled plays from features"),
        (["--name", "tempest/there-v0"], "the data set tempest/there-v0 exists already"),
    ],
)
def test_a_wrong_option_is_refused(arguments, message, capsys):
    record_dataset("random", 1, name="tempest/there-v0", steps=5)
    try:
        code = main(["dataset", "--steps", "5", *arguments])
    except SystemExit as error:
        code = error.code
    assert code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "episodes", "message"),
    [("two words", 2, "Malformed dataset ID: two words"), (None, 0, "at least 1 game, got 0")],
)
def test_a_data_set_that_cannot_be_stored_is_refused_before_the_first_game(
    name, episodes, message, folder, monkeypatch
):
    monkeypatch.setattr("gymnasium.make", lambda *_, **__: pytest.fail("a game was started"))
    with pytest.raises(ValueError, match=message):
        record_dataset("random", episodes, name=name)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("whole", [0, 1, 2])
def test_an_interruption_keeps_the_games_that_are_over(whole, folder, monkeypatch):
    def make_player(policy, env, seed):
        def choose(observation, info):
            if seed == whole and info["episode_frames"] > 30:
                signal.raise_signal(signal.SIGINT)
            return 0

        return choose

    monkeypatch.setattr("tempest_gym.commands.dataset.make_player", make_player)
    if whole == 0:
        with pytest.raises(KeyboardInterrupt):
            record_dataset("random", 3, steps=50)
        assert not minari.list_local_datasets()
        return
    result = record_dataset("random", 3, steps=50)
    assert (result["episodes"], result["steps"]) == (whole, 50 * whole)
    dataset = minari.load_dataset(result["dataset"])
    assert [len(episode.actions) for episode in dataset.iterate_episodes()] == [50] * whole


def clone(*arguments):
    """Run the example and return what it prints."""
    command = [sys.executable, "behaviour_cloning.py", *arguments]
    done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_behaviour_cloning_learns_from_a_data_set(capsys):
    assert main(["dataset", "--policy", "mixed", "--episodes", "3", "--steps", "600"]) == 0
    assert "tempest/mixed-v0: 3 games by mixed on squall, 1,800 steps" in capsys.readouterr().out
    printed = clone("--epochs", "10", "--games", "2", "--time-limit", "20")
    agreement = [float(found) for found in re.findall(r"epoch \d+: ([\d.]+)%", printed)]
    assert len(agreement) == 10
    assert agreement[-1] > max(40.0, agreement[0])
    assert re.search(r"^clone: [\d,]+ points.*\nteacher: [\d,]+ points", printed, re.MULTILINE)


@pytest.mark.slow
def test_behaviour_cloning_reaches_the_score_of_the_teacher():
    """Within the 95% interval of the teacher's mean over 100 games, as the page says."""
    assert main(["dataset", "--policy", "mixed", "--episodes", "150", "--seed", "1000"]) == 0
    means = re.findall(r"^\w+: ([\d,]+) points a game, standard error ([\d,]+)$", clone(), re.MULTILINE)
    (cloned, _), (teacher, error) = ([int(number.replace(",", "")) for number in row] for row in means)
    assert cloned > teacher - 1.96 * error
