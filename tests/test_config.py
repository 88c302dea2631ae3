"""Settings: presets, TOML and command line, and errors that say how to fix them."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempest_rainbow.cli import main, resolve
from tempest_rainbow.config.settings import ConfigError, TrainConfig
from tempest_rainbow.config.toml import from_toml, overlay, to_toml
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_toml(name):
    config = preset(name)
    config.check()
    assert from_toml(to_toml(config), TrainConfig()) == config


@given(
    st.builds(
        dataclasses.replace,
        st.just(TrainConfig()),
        env=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1),
        rom=st.none() | st.text(min_size=1, max_size=9).filter(lambda text: text != "none"),
        frames=st.none() | st.integers(0, 2**60),
        samples_per_insert=st.floats(allow_nan=False, allow_infinity=False),
        deterministic=st.booleans(),
        run=st.none() | st.sampled_from([Path("a/b"), Path('quote".d'), Path("back\\slash")]),
    )
)
def test_any_setting_survives_toml(config):
    assert from_toml(to_toml(config), TrainConfig()) == config


def test_the_command_line_goes_over_the_file_and_the_file_over_the_preset(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "envs = 3\nbatch_size = 17\n[learner]\nlearning_rate = 1e-3\n[network]\ntrunk = [32, 16]\n"
    )
    config = resolve(["--preset", "original", "--config", str(path), "--envs", "5", "--replay.n-step", "4"])
    assert (config.envs, config.batch_size, config.learner.learning_rate) == (5, 17, 1e-3)
    assert config.network.trunk == (32, 16)
    assert config.replay.n_step == 4
    assert config.replay.capacity == 15_000_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["--frames", "none", "--rom", "none", "--evaluation.solved-at", "none"],
        ["--frames=none", "--rom=none", "--evaluation.solved_at=none"],
        ["--frames", "None", "--rom", "None", "--evaluation.solved-at", "None"],
    ],
)
def test_none_on_the_command_line_goes_over_a_number_in_the_file(tmp_path, arguments):
    (tmp_path / "my.toml").write_text('frames = 5000\nrom = "here"\n[evaluation]\nsolved_at = 3.0\n')
    config = resolve(["--config", str(tmp_path / "my.toml"), *arguments, "--network.encoder", "none"])
    assert (config.frames, config.rom, config.evaluation.solved_at) == (None, None, None)
    assert config.network.encoder == "none"  # a choice of that name stays one


def test_whole_numbers_may_be_written_with_an_exponent(tmp_path):
    (tmp_path / "my.toml").write_text("frames = 2e6\n")
    assert repr(resolve(["--config", str(tmp_path / "my.toml")]).frames) == "2000000"
    assert repr(resolve(["--frames", "1e6"]).frames) == "1000000"


def test_without_arguments_tempest_trains_for_an_hour_with_the_default_preset():
    config = resolve([])
    assert config == preset("default")
    assert config.is_tempest
    assert config.machine == "board"
    assert config.minutes == 60.0


def test_paths_may_start_with_the_home_folder_and_a_rom_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set.zip").touch()
    (tmp_path / "settings.toml").write_text('run = "~/from_file"\n')
    config = resolve(["--config", "~/settings.toml", "--rom", "set.zip"])
    assert config.run == tmp_path / "from_file"
    assert config.rom == str(tmp_path / "set.zip")
    assert resolve(["--run=~/x", "--rom", "squall"]).run == tmp_path / "x"
    assert resolve(["--rom", "squall"]).rom == "squall"


def test_other_environments_start_from_the_classic_preset():
    config = resolve(["--env", "Acrobot-v1"])
    assert config == dataclasses.replace(preset("classic"), env="Acrobot-v1")
    assert config.evaluation.solved_at is None
    assert resolve(["--env", "CartPole-v1"]) == preset("cartpole")


def test_a_file_names_the_preset_that_its_settings_are_put_over(tmp_path):
    file = tmp_path / "run.toml"
    for text, expected in (
        ('env = "CartPole-v1"\nenvs = 3\n', dataclasses.replace(preset("cartpole"), envs=3)),
        ('preset = "original"\n', dataclasses.replace(preset("original"), preset="original")),
    ):
        file.write_text(text)
        assert resolve(["--config", str(file)]) == dataclasses.replace(expected, config=file)
    file.write_text('preset = "original"\n')
    config = resolve(["--config", str(file), "--preset", "fast-check"])
    assert config.batch_size == preset("fast-check").batch_size


def test_the_original_preset_has_the_original_size():
    network = RainbowNetwork(preset("original").network, 195, 44)
    assert sum(parameter.numel() for parameter in network.parameters()) == 934_071


def test_a_misspelt_setting_is_named_with_the_right_one():
    with pytest.raises(
        ConfigError, match=r"unknown setting learner\.learning_rat; did you mean learner\.learning_rate"
    ):
        from_toml("[learner]\nlearning_rat = 1.0\n", TrainConfig())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"envs": "many"}, "envs cannot be 'many': expected a whole number"),
        ({"envs": True}, "envs cannot be True"),
        ({"machine": "amiga"}, "machine must be one of board, mame"),
        ({"learner": 3}, "learner is a group of settings"),
        ({"minutes": "soon"}, "minutes cannot be 'soon'"),
    ],
)
def test_values_of_a_wrong_type_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        overlay(TrainConfig(), values)


@pytest.mark.parametrize(
    ("arguments", "levels"),
    [
        (["--start-levels", "1", "9", "17"], (1, 9, 17)),
        (["--start-levels", "1", "9", "17", "--start-level", "11"], (11, 11, 17)),
        (["--start-levels"], ()),
        (["--listen", "127.0.0.1:0"], ()),
        (["--preset", "default", "--env", "CartPole-v1"], ()),
        (["--preset", "original"], ()),
    ],
)
def test_training_games_draw_from_levels_not_below_the_start_level(arguments, levels):
    assert resolve(arguments).task.start_levels == levels


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--envs", "0"], "--envs must be at least 1"),
        (["--epsilon.start", "1.5"], "epsilon.start is a share"),
        (["--expert.unit", "frame", "--imitation.mode", "behind"], "needs --expert.unit episode"),
        (["--env", "CartPole-v1", "--machine", "mame"], "goes with Tempest only"),
        (["--learn-start", "10", "--replay.capacity", "5"], "exceeds --replay.capacity"),
        (["--start-levels", "1", "82"], "--start-levels must be from 1 to 81"),
        (["--checkpoint.keep", "0"], "--checkpoint.keep must be at least 1, got 0"),
        (["--evaluation.games", "0"], "--evaluation.games must be at least 1, got 0"),
        (["--evaluation.envs", "0"], "--evaluation.envs must be at least 1, got 0"),
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--minutes", "-5"], "--minutes must be a number above 0, got -5"),
        (["--replay.memory-gb", "nan"], "--replay.memory-gb must be a number above 0, got nan"),
        (["--clock", "processor"], "needs --no-learner-processes"),
        (["--preset", "fastest"], "choose one of default, original, fast-check, cartpole, classic"),
    ],
)
def test_settings_that_cannot_work_are_refused(arguments, message, capsys):
    assert main(["train", *arguments]) == 1
    assert message in capsys.readouterr().err
