"""The command ``tempest-gym``: with --json one JSON object on standard output and nothing else."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tempest_gym import cli
from tempest_gym.commands.bench_observations import bench_observations
from tempest_gym.commands.pictures import write_png
from tempest_gym.roms import squall_rom


def tempest_gym(*arguments, **environment):
    command = [
        sys.executable,
        "-c",
        "import sys; from tempest_gym.cli import main; sys.exit(main())",
        *arguments,
    ]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, **environment}
    )


def result_of(*arguments, code=0):
    done = tempest_gym(*arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_doctor_finds_mame_the_game_and_lua():
    result = result_of("doctor")
    assert result["mame"]["path"]
    assert result["mame"]["version"]
    assert result["rom"]["name"] == "squall"
    assert result["rom"]["kind"] == "tempest1"
    assert result["lua"]["runtime"]
    assert result["problems"] == []


def test_doctor_fails_where_something_is_wrong():
    done = tempest_gym("doctor", "--json", TEMPEST_ROM="/nonexistent/set.zip")
    assert done.returncode == 1
    assert any("/nonexistent/set.zip" in problem for problem in json.loads(done.stdout)["problems"])


@pytest.mark.parametrize("machine", ["board", "mame"])
def test_play_reports_every_game(machine):
    games = 3 if machine == "board" else 1
    result = result_of(
        "play", "--policy", "random", "--games", str(games), "--seed", "5", "--machine", machine
    )
    assert (result["policy"], result["machine"], result["game"]) == ("random", machine, "squall")
    assert [game["seed"] for game in result["games"]] == [5, 6, 7][:games]
    scores = sorted(game["score"] for game in result["games"])
    assert result["mean_score"] == pytest.approx(sum(scores) / games)
    assert result["median_score"] == scores[games // 2]
    for game in result["games"]:
        assert set(game) >= {"seed", "score", "level", "frames", "reward"}
        assert game["level"] >= 1
        assert game["frames"] > 100


def test_a_seed_plays_the_same_game_on_both_machines():
    arguments = ("play", "--policy", "random", "--seed", "3", "--start-level", "33", "--machine")
    games = [result_of(*arguments, machine)["games"] for machine in ("board", "mame")]
    assert games[0] == games[1]


def test_the_expert_beats_chance_and_clears_levels():
    expert, chance = (
        result_of("play", "--games", "6", "--seed", "0", "--policy", policy)
        for policy in ("expert", "random")
    )
    assert expert["mean_score"] >= 5 * chance["mean_score"]
    assert max(game["level"] for game in expert["games"]) > 1


def test_bench_of_boards_has_the_documented_keys():
    result = result_of("bench", "--envs", "8", "--threads", "2", "--seconds", "0.3")
    assert set(result) >= {
        "env_steps_per_second",
        "cpu_only_steps_per_second",
        "share",
        "bytes_per_env",
        "single_step_us",
        "mame_game_frames_per_second",
        "ratio_to_mame",
    }
    assert set(result["share"]) == {"cpu", "lua", "python"}
    assert sum(result["share"].values()) == pytest.approx(1.0)
    assert result["ratio_to_mame"] == pytest.approx(
        result["env_steps_per_second"] / result["mame_game_frames_per_second"]
    )


def test_bench_of_boards_works_without_mame(tmp_path):
    done = tempest_gym("bench", "--envs", "2", "--seconds", "0.1", "--json", MAME=str(tmp_path / "none"))
    result = json.loads(done.stdout)
    assert (result["mame_game_frames_per_second"], result["ratio_to_mame"]) == (None, None)


def test_bench_of_observations_measures_every_kind_beside_ale_py():
    result = result_of(
        "bench", "--observations", "--envs", "2", "--seconds", "0.01", "--screen-size", "40", "40"
    )
    assert result["ale_py"] is not None
    speeds = {(row["environment"], row["observation"]): row for row in result["speeds"]}
    for kind in ("features", "ram", "grayscale 40x40", "rgb 40x40"):
        for teacher in ("", ", no teacher"):
            row = speeds.pop(("Tempest-v0", kind + teacher))
            assert min(row["single"], row["vector"]) > 0
    for kind in ("grayscale 40x40", "rgb 40x40"):
        row = speeds.pop(("ALE/Breakout-v5", kind))
        assert min(row["single"], row["vector"]) > 0
    assert [observation for _, observation in speeds] == ["ram", "grayscale 210x160", "rgb 210x160"]
    assert all(row["single"] > 0 and row["vector"] is None for row in speeds.values())


def test_bench_of_observations_works_without_ale_py(monkeypatch):
    monkeypatch.setattr("tempest_gym.commands.bench_observations.find_spec", lambda name: None)
    result = bench_observations(squall_rom(), 2, (20, 30), 0.01, 0)
    assert result["ale_py"] is None
    assert {row["environment"] for row in result["speeds"]} == {"Tempest-v0"}


def test_bench_of_mame_has_the_documented_keys():
    result = result_of("bench", "--machine", "mame", "--seconds", "2")
    keys = (
        "video_frames_per_second",
        "video_frames_per_second_without_lua",
        "ratio",
        "game_frames_per_second",
    )
    assert all(result[key] > 0 for key in keys)
    assert result["ratio"] == pytest.approx(
        result["video_frames_per_second"] / result["video_frames_per_second_without_lua"]
    )


def test_verify_finds_the_machines_equal():
    result = result_of("verify", "--frames", "600", "--seed", "1")
    assert result["frames"] == 600
    assert result["equal"] is True
    assert result["first_difference"] is None
    assert result["levels_seen"]


def test_precompile_names_the_compiled_code():
    result = result_of("precompile")
    assert os.path.exists(result["compiled"])
    assert os.path.exists(result["translated"])


def test_pictures_saves_every_screen(tmp_path):
    files = result_of("pictures", str(tmp_path))["pictures"]
    assert [os.path.basename(file) for file in files] == [
        "title.png",
        "closed.png",
        "open.png",
        "descent.png",
    ]


def test_without_json_the_output_is_text():
    done = tempest_gym("play", "--policy", "random")
    assert done.returncode == 0
    assert "score" in done.stdout
    assert "{" not in done.stdout


@pytest.mark.parametrize("json_wanted", [True, False])
def test_an_error_is_one_sentence(json_wanted):
    done = tempest_gym("play", "--rom", "/nonexistent", *(["--json"] if json_wanted else []))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if json_wanted:
        assert "/nonexistent" in json.loads(done.stdout)["error"]
    else:
        assert "/nonexistent" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("address", ["nowhere", "host:", ":9999", "host:99999"])
def test_a_client_needs_a_server(address):
    done = tempest_gym("client", "--json", "--connect", address)
    assert done.returncode == 1
    assert "HOST:PORT" in json.loads(done.stdout)["error"]


def test_a_token_is_read_from_a_file_and_must_be_long(tmp_path):
    (tmp_path / "token").write_text("short\n")
    done = tempest_gym(
        "client", "--json", "--connect", "localhost:1", "--token-file", str(tmp_path / "token")
    )
    assert done.returncode == 1
    assert "16 characters" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("arguments", [["fly"], ["play", "--games", "0"], ["play", "--policy", "martian"]])
def test_a_wrong_command_line_ends_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


def test_a_picture_is_encoded_as_others_decode_it(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (17, 23, 3), np.uint8)
    file = tmp_path / "picture.png"
    file.write_bytes(write_png(picture))
    np.testing.assert_array_equal(np.asarray(Image.open(file)), picture)
