"""The benchmark: runs of any player in a track, and statistics over runs."""

import hashlib
import json
import platform
import shlex
import signal
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from tempest_rainbow.benchmark import report, runs
from tempest_rainbow.benchmark.runs import Player, fill_in, loaded, run_track
from tempest_rainbow.benchmark.tracks import OURS, TRACKS, LevelTask, Track
from tempest_rainbow.cli import main, resolve
from tempest_rainbow.evaluate import interquartile_mean

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results"
PQN = f"python {shlex.quote(str(ROOT / 'examples/pqn.py'))} --folder {{folder}} --seed {{seed}} --minutes {{minutes}}"


@pytest.fixture
def tiny(monkeypatch):
    """A track whose games are over after a second of game time."""
    track = Track(
        "A test.", (LevelTask(1, 0.0, 100.0),), minutes=1.0, environment={"time_limit": 1.0}, games=2
    )
    monkeypatch.setitem(TRACKS, "tiny", track)
    return track


def command(tmp_path, text):
    """Return a training command that runs ``text`` in Python, with ``folder`` and ``seed``."""
    script = tmp_path / "train.py"
    script.write_text(
        f"import sys\nfrom pathlib import Path\nfolder, seed = Path(sys.argv[1]), sys.argv[2]\n{text}\n"
    )
    return f"python {script} {{folder}} {{seed}}"


def test_a_script_runs_in_a_track_from_the_command_line(tmp_path, capsys, monkeypatch):
    given = ["benchmark", "--track", "trial", "--folder", str(tmp_path)]
    script = ["--name", "pqn", "--train", PQN, "--policy", f"{ROOT / 'examples/pqn.py'}:load", "--seeds", "5"]
    assert main([*given, *script]) == 0
    file = tmp_path / "trial" / "pqn-5.json"
    assert capsys.readouterr().out.splitlines() == [str(file)]
    result = json.loads(file.read_text())
    assert (result["player"], result["seed"], result["train"]) == ("pqn", 5, PQN)
    assert 0.05 <= result["processor_minutes"] < 1.05
    assert result["curve"][-1][0] >= 0.05
    assert len(result["tasks"]["1"]["scores"]) == TRACKS["trial"].games

    monkeypatch.setattr(runs, "_run", lambda *a, **k: pytest.fail("trained twice"))
    file.unlink()
    assert main([*given, *script]) == 0  # The training is kept, its games are played again.
    assert json.loads(file.read_text()) == result
    monkeypatch.setattr(runs, "_played", lambda *a: pytest.fail("played twice"))
    assert main([*given, *script]) == 0
    monkeypatch.undo()

    assert main([*given, "--policy", "expert"]) == 0
    assert main([*given, "--report"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-2].startswith("| expert | reference | 1.00 | 2,588 |")
    assert shown[-1].startswith("| pqn | 1 | ")


def test_a_failed_training_is_repeated_and_finished_ones_are_kept(tmp_path, tiny):
    text = "if seed == '1' and not (folder.parent.parent / 'mended').exists(): sys.exit('no luck')"
    player = Player.of("tiny", "mine", command(tmp_path, f"{text}\nprint('trained', seed)"), "random")
    with pytest.raises(RuntimeError, match=r"ended with code 1.*output.txt") as raised:
        run_track("tiny", player, (0, 1), tmp_path)
    output = Path(str(raised.value).rpartition(" ")[2])
    assert output.read_text() == "no luck\n"
    first = (tmp_path / "tiny" / "mine-0.json").stat().st_mtime_ns
    (tmp_path / "work" / "mended").touch()
    results = run_track("tiny", player, (0, 1), tmp_path)
    assert [json.loads(path.read_text())["seed"] for path in results] == [0, 1]
    assert results[0].stat().st_mtime_ns == first
    assert output.read_text() == "trained 1\n"


def test_a_track_with_a_time_limit_trains_on_one_core(tmp_path, tiny):
    text = "import os\nprint(len(os.sched_getaffinity(0)))"
    player = Player.of("tiny", "mine", command(tmp_path, text), "random")
    run_track("tiny", player, (0,), tmp_path)
    assert (tmp_path / "work/tiny/mine-0/output.txt").read_text() == "1\n"


def test_processor_time_of_child_processes_counts(tmp_path):
    spin = "import time\nwhile time.process_time() < 0.3: pass"
    line = f"{sys.executable} -c {shlex.quote(spin)}"
    minutes = {"wall_minutes": 1.0, "processor_minutes": 2.0}
    assert runs._run(f"{line}; {line}", tmp_path / "output", minutes, one_core=False) == 0
    assert minutes["processor_minutes"] >= 2.0 + 0.6 / 60
    assert minutes["wall_minutes"] > 1.0


def test_an_interrupted_training_resumes_and_its_time_is_added(tmp_path, tiny):
    waits = "import signal, time\nprint('first', flush=True)\n(folder / 'started').touch()\ntime.sleep(600)"
    train = command(tmp_path, waits)
    player = Player.of("tiny", "mine", train, "random", "echo again {seed}")
    work = tmp_path / "work/tiny/mine-0"

    def interrupt():
        while not (work / "started").exists():
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_track("tiny", player, (0,), tmp_path)
    before = json.loads((work / "training.json").read_text())
    assert not before["finished"]
    (path,) = run_track("tiny", player, (0,), tmp_path)
    assert (work / "output.txt").read_text() == "first\nagain 0\n"
    assert json.loads(path.read_text())["wall_minutes"] >= before["wall_minutes"]


def test_a_default_training_that_left_no_checkpoint_restarts(tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(OURS, "tiny", "echo train --run {folder}")
    player = Player.of("tiny")
    work = tmp_path / "work"
    for left, expected in (("log.txt", "train --run"), ("checkpoints/000000000500", "train --resume")):
        (work / left).parent.mkdir(parents=True, exist_ok=True)
        (work / left).touch()
        (work / "training.json").write_text(
            '{"wall_minutes": 1.0, "processor_minutes": 0.0, "finished": false}'
        )
        runs._trained(tiny, player, work, 0)
        assert (work / "output.txt").read_text().splitlines()[-1] == f"{expected} {work}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_benchmark_ends_the_training(tmp_path, monkeypatch, number):
    trainings, wait = [], runs._wait

    def interrupted(process, minutes):
        trainings.append(process)
        if len(trainings) == 1:
            signal.raise_signal(number)
        return wait(process, minutes)

    monkeypatch.setattr(runs, "_wait", interrupted)
    given = ["benchmark", "--track", "trial", "--folder", str(tmp_path), "--seeds", "0"]
    assert main([*given, "--name", "mine", "--train", "sleep 600"]) == 130
    assert [training.returncode for training in trainings] == [-signal.SIGTERM] * 2


def test_a_training_that_took_too_long_gives_no_result(tmp_path, tiny, monkeypatch):
    def run(command, output, minutes, *, one_core):
        minutes["processor_minutes"] = 2.1
        return 0

    monkeypatch.setattr(runs, "_run", run)
    player = Player.of("tiny", "mine", "true", "random")
    with pytest.raises(ValueError, match=r"took 2\.1 minutes of processor time, allowed are 1"):
        run_track("tiny", player, (0,), tmp_path)
    assert not list((tmp_path / "tiny").iterdir())


def test_only_squall_is_played(tmp_path, tiny, monkeypatch):
    rom = replace(runs.resolve_rom(), name="tempest", sha1="0" * 40)
    monkeypatch.setattr(runs, "resolve_rom", lambda: rom)
    with pytest.raises(ValueError, match=r"is for Squall .*, the environment plays tempest \(0+\)"):
        run_track("tiny", Player.of("tiny", policy="random"), (0,), tmp_path)


def test_a_player_needs_a_name_and_a_command_that_can_be_filled_in(tmp_path):
    with pytest.raises(ValueError, match="needs a --name"):
        Player.of("core-hour", train="train.sh")
    with pytest.raises(ValueError, match=r"--name must be usable as a file name, got 'a/b'"):
        Player.of("core-hour", "a/b", policy="random")
    with pytest.raises(ValueError, match="--name expert is kept for --policy expert"):
        Player.of("core-hour", "expert", policy="random")
    assert Player.of("core-hour", policy="my/player.py:load").name == "my-player-py-load"
    with pytest.raises(ValueError, match="'pixels': give --train"):
        Player.of("pixels")
    with pytest.raises(ValueError, match=r"'steps'.*knows \{folder\}, \{seed\}, \{minutes\}$"):
        fill_in("train {steps}", TRACKS["core-hour"], tmp_path, 0)
    template = "train {levels} {minutes} {folder}"
    assert fill_in(template, TRACKS["generalisation"], Path("a b"), 0) == "train 1 5 9 13 60 'a b'"


def test_what_would_be_lost_after_the_training_is_refused_before(tmp_path, tiny):
    trains = command(tmp_path, "(folder / 'trained').touch()")
    with pytest.raises(ValueError, match=r"missing\.py:load: there is no file"):
        run_track("tiny", Player("mine", trains, "missing.py:load"), (0,), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be written"):
        run_track("tiny", Player("mine", trains, "random"), (0,), tmp_path / "file")
    (tmp_path / "work" / "tiny").mkdir(parents=True)
    with (
        FileLock(tmp_path / "work" / "tiny" / "mine-0.lock"),
        pytest.raises(RuntimeError, match="another process is at work"),
    ):
        run_track("tiny", Player("mine", trains, "random"), (0,), tmp_path)
    assert not list(tmp_path.rglob("trained"))


def test_a_result_that_other_commands_made_is_noted(tmp_path, tiny, caplog):
    run_track("tiny", Player("mine", None, "random"), (0,), tmp_path)
    for policy, noted in (("random", False), ("expert", True)):
        caplog.clear()
        run_track("tiny", Player("mine", None, policy), (0,), tmp_path)
        assert ("made by other commands" in caplog.text) == noted
    (tmp_path / "tiny" / "mine-0.json").write_text('{"format": 1, "tra')
    with pytest.raises(ValueError, match=r"mine-0\.json is not a whole result"):
        run_track("tiny", Player("mine", None, "random"), (0,), tmp_path)


@pytest.mark.parametrize("policy", ["missing.py:load", "missing.module:load", f"{Path(__file__)}:missing"])
def test_a_policy_that_does_not_exist_is_named(policy, tmp_path):
    with pytest.raises(ValueError, match=r"--policy .*missing"):
        loaded(policy, tmp_path)


@pytest.mark.parametrize("policy", ["player_here:load", "{folder}/player_here.py:load"])
def test_a_player_of_ones_own_is_found(policy, tmp_path, monkeypatch):
    (tmp_path / "player_here.py").write_text(
        "class Policy:\n    act = print\n    def __init__(self, folder):\n        self.folder = folder\nload = Policy\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert loaded(policy, tmp_path).folder == tmp_path


def test_a_function_that_returns_no_player_is_named(tmp_path):
    (tmp_path / "mine.py").write_text("def load(folder):\n    pass\n")
    with pytest.raises(
        ValueError, match=r"load must return an object with act\(observations, info\), got None"
    ):
        loaded(f"{tmp_path / 'mine.py'}:load", tmp_path)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def load(folder):\n    return 1 / 0\n", "mine.py:load failed: ZeroDivisionError"),
        (
            "class load:\n    def __init__(self, folder): pass\n    def act(self, rows, info): return info[1]\n",
            "act of load failed: KeyError: 1",
        ),
    ],
)
def test_an_error_in_a_players_code_is_one_sentence_with_its_traceback_logged(
    code, message, tmp_path, tiny, caplog
):
    file = tmp_path / "mine.py"
    file.write_text(code)
    with pytest.raises(RuntimeError, match=message):
        run_track("tiny", Player("mine", None, f"{file}:load"), (0,), tmp_path)
    assert f'File "{file}", line' in caplog.text


def test_a_result_names_the_processor_and_the_code_that_made_it(tmp_path, tiny):
    trains, file = command(tmp_path, "folder.joinpath('trained').touch()"), tmp_path / "train.py"
    [result] = run_track("tiny", Player("mine", trains, "random"), (0,), tmp_path)
    made = json.loads(result.read_text())
    assert made["scripts"] == {"train.py": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert platform.system() in made["machine"]


@pytest.mark.parametrize("name", OURS)
def test_the_default_trainer_keeps_to_the_track(name, tmp_path):
    track = TRACKS[name]
    player = Player.of(name)
    config = resolve(shlex.split(fill_in(player.train, track, tmp_path, 3))[2:])
    assert (config.seed, config.minutes, config.frames) == (3, track.minutes, track.steps)
    if track.minutes is not None:
        assert (config.clock, config.threads, config.env_threads) == ("processor", 1, 1)
    if not track.teacher:
        assert (config.expert.start, config.expert.end, config.learner.imitation) == (0, 0, "none")


def test_a_policy_sees_its_observations_and_nothing_of_the_teacher(tmp_path, tiny, monkeypatch):
    environment = {"obs_type": "grayscale", "screen_size": (24, 32), "time_limit": 0.5}
    monkeypatch.setitem(TRACKS, "tiny", replace(tiny, environment=environment))
    (tmp_path / "looks.py").write_text(
        "class Policy:\n"
        "    def act(self, observations, info):\n"
        "        assert observations.shape[1:] == (24, 32) and observations.dtype == 'uint8'\n"
        "        assert list(info) == ['episode_frames']\n"
        "        return observations[:, 0, 0] * 0\n"
        "def load(folder):\n"
        "    return Policy()\n"
    )
    player = Player.of("tiny", "looks", "true", f"{tmp_path / 'looks.py'}:load")
    (path,) = run_track("tiny", player, (0,), tmp_path)
    assert json.loads(path.read_text())["tasks"]["1"]["truncated"] == 2


def test_levels_of_the_generalisation_are_shares_cleared(tmp_path, monkeypatch):
    monkeypatch.setitem(TRACKS, "generalisation", replace(TRACKS["generalisation"], games=4))
    (path,) = run_track("generalisation", Player.of("generalisation", policy="expert"), (0,), tmp_path)
    for level, task in json.loads(path.read_text())["tasks"].items():
        assert task["result"] == np.mean([reached > int(level) for reached in task["levels"]])
    assert not set(TRACKS["generalisation"].levels) & {
        task.start_level for task in TRACKS["generalisation"].tasks
    }


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_the_iqm_is_that_of_evaluations(scores):
    assert report.iqm(np.array(scores)[:, None]) == pytest.approx(interquartile_mean(scores), abs=1e-6)


def test_the_interval_is_a_bootstrap_over_runs_for_each_task_apart():
    scores = np.random.default_rng(1).normal([[1.0, 5.0, 9.0]], [[0.1, 1.0, 3.0]], (4, 3))
    generator = np.random.default_rng(2)
    draws = [
        interquartile_mean([column[generator.integers(4, size=4)] for column in scores.T])
        for _ in range(20_000)
    ]
    assert report.interval(scores, report.iqm) == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=0.1)
    assert report.interval(scores[:1], report.iqm) is None


def written(folder, player, seed, result, **more):
    """Write a result of the track ``tiny``."""
    task = {"result": result, "scores": [result] * 2, "truncated": 1, "deaths_per_level": 0.5}
    content = {"track": "tiny", "player": player, "seed": seed, "train": "x", "game": runs.SQUALL_SHA1}
    content |= {"settings": asdict(TRACKS["tiny"]), "processor_minutes": 0.5}
    content |= {"curve": [[0.5, None, result]], "tasks": {"1": task}, **more}
    (folder / "tiny").mkdir(exist_ok=True)
    (folder / "tiny" / f"{player}-{seed}.json").write_text(json.dumps(content))


def test_the_report_counts_runs_not_games(tmp_path, tiny):
    for seed, result in enumerate((50.0, 150.0, 100.0)):
        written(tmp_path, "mine", seed, result)
    written(tmp_path, "expert", 0, 100.0, train=None, processor_minutes=None, curve=[])
    written(tmp_path, "other", 0, 20.0)
    text = report.write_report(tmp_path, "tiny")
    assert (tmp_path / "tiny" / "report.md").read_text() == text
    rows = [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]
    assert rows == [
        ["expert", "reference", "1.00", "100", "0.50", "50%", "-"],
        ["mine", "3", "1.00 (0.50-1.50)", "50, 150, 100", "0.50", "50%", "0.5"],
        ["other", "1 of 3", "0.20", "20", "0.50", "50%", "0.5"],
    ]
    ElementTree.parse(tmp_path / "tiny" / "report.svg")
    picture = (tmp_path / "tiny" / "report.svg").read_text()
    assert report.write_report(tmp_path, "tiny") == text
    assert (tmp_path / "tiny" / "report.svg").read_text() == picture


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"track": "pixels"}, "of track 'pixels'"),
        ({"tasks": {}}, "with tasks"),
        ({"game": "0" * 40}, "its game is 0+"),
        ({"processor_minutes": 9.0}, "took 9 minutes"),
        ({"settings": {"games": 2}}, "environment None, expected {'time_limit': 1.0}"),
    ],
)
def test_a_result_of_another_track_is_refused(tmp_path, tiny, wrong, said):
    written(tmp_path, "mine", 0, 1.0, **wrong)
    with pytest.raises(ValueError, match=rf"mine-0\.json cannot be used.*{said}"):
        report.read_results(tmp_path, "tiny")


def test_the_references_are_those_that_were_measured():
    for name, track in TRACKS.items():
        if track.measure == "score" and (RESULTS / name / "expert-0.json").exists():
            players = report.read_results(RESULTS, name)
            for task in track.tasks:
                for player, expected in (("random", task.random), ("expert", task.teacher)):
                    measured = players[player][0]["tasks"][str(task.start_level)]["result"]
                    assert measured == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in RESULTS.glob("*/report.md")))
def test_the_published_table_is_that_of_the_results(folder):
    assert (RESULTS / folder / "report.md").read_text() == report.table(
        folder, report.read_results(RESULTS, folder)
    )
