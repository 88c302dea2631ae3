"""The distribution: the wheel alone, in an empty virtual environment, is the whole product."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROMS = "tempest_gym/squall/roms"

PLAY_A_LITTLE = """
import sys, gymnasium
env = gymnasium.make("tempest_gym:Tempest-v0")
_, info = env.reset(seed=0)
frames = 0
for _ in range(200):
    _, _, over, _, info = env.step(info["expert_action"])
    frames += info["frames"]
    if over:
        break
import tempest_gym
assert tempest_gym.__file__.startswith(sys.prefix), tempest_gym.__file__
print(frames, info["score"])
"""


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = run(command)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_carries_both_packages_lua_and_squall(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in ("tempest_gym/py.typed", "tempest_rainbow/py.typed", "tempest_gym/env.py"):
        assert name in names
    for folder, inside in (
        ("lua", "tempest_gym/lua"),
        ("tempest_gym/squall/roms", "tempest_gym/squall/roms"),
    ):
        files = [file.relative_to(ROOT / folder) for file in (ROOT / folder).rglob("*") if file.is_file()]
        assert files
        assert {f"{inside}/{file.as_posix()}" for file in files} <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tempest_gym", "tempest_rainbow"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".o")]


def test_the_wheel_works_in_an_empty_environment_outside_the_checkout(wheel, tmp_path):
    """Base dependencies only: the environment plays, and the trainer reports what it lacks."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    made = run([sys.executable, "-m", "venv", str(tmp_path / "venv")])
    assert made.returncode == 0, made.stderr
    bin_folder = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    installed = run(
        [str(bin_folder / "python"), "-m", "pip", "install", "--quiet", str(wheel)],
        env=environment,
        cwd=tmp_path,
    )
    assert installed.returncode == 0, installed.stderr

    played = run([str(bin_folder / "python"), "-c", PLAY_A_LITTLE], env=environment, cwd=tmp_path)
    assert played.returncode == 0, played.stderr
    frames, _ = map(int, played.stdout.split())
    assert frames >= 200

    doctor = run([str(bin_folder / "tempest-gym"), "doctor", "--json"], env=environment, cwd=tmp_path)
    assert json.loads(doctor.stdout)["rom"]["name"] == "squall"

    trainer = run([str(bin_folder / "tempest-rainbow"), "train"], env=environment, cwd=tmp_path)
    assert trainer.returncode != 0
    assert re.search(r"""pip install ["']tempest-gym\[rainbow\]["']""", trainer.stderr), trainer.stderr
    assert len(trainer.stderr.strip().splitlines()) == 1
    assert "Traceback" not in trainer.stderr


def test_tempest_gym_never_imports_torch():
    program = (
        "import sys, tempest_gym.env, tempest_gym.vector, tempest_gym.cli; print('torch' in sys.modules)"
    )
    assert run([sys.executable, "-c", program]).stdout.strip() == "False"


# The files of the trainer that may use the game's package, and what of it: the server's side of the wire, which it
# offers as a pool of environments, and its rules of who may connect; windows and video files for any pictures; clients
# to measure the server with.
SHARED = {
    "players.py": {"env", "players"},
    "cli.py": {"commands.play"},
    "benchmark/runs.py": {"roms", "settings"},
    "collect/sources.py": {"server.arrivals"},
    "collect/client_source.py": {"server.admission", "server.pool", "settings"},
    "monitor/dashboard/access.py": {"server.admission"},
    "monitor/dashboard/client.py": {"server"},
    "watch/watch.py": {"display.video"},
    "bench/clients.py": {
        "machines.mame_process",
        "roms",
        "server.board_clients",
        "server.mame_clients",
        "server.pool",
    },
}

# Modules that know nothing of the game: one cache of compiled code, one count of cores and so on serve both packages.
TOOLS = {"code_cache", "cores", "extras", "files", "signals"}

# The table of the actions of Tempest-v0, which Tempest's own policies and pictures need as well.
TABLES = {"actions"}


def test_tools_import_nothing_of_ours():
    for name in TOOLS:
        assert "import tempest" not in (ROOT / "tempest_gym" / f"{name}.py").read_text()
        assert "from tempest" not in (ROOT / "tempest_gym" / f"{name}.py").read_text()


def test_nothing_of_the_trainer_reaches_into_the_game():
    """All but a few modules know the environment by its registered name only (tests may compare tables)."""
    reached = {}
    for file in (ROOT / "tempest_rainbow").rglob("*.py"):
        for line in file.read_text().splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]) and words[1].split(".")[0] == "tempest_gym":
                place = file.relative_to(ROOT / "tempest_rainbow").as_posix()
                module = words[1].removeprefix("tempest_gym.")
                if module not in TOOLS | TABLES:
                    reached.setdefault(place, set()).add(module)
    assert reached == SHARED


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "-p", "tempest_gym", "-p", "tempest_rainbow"],
    ],
    ids=" ".join,
)
def test_the_code_is_clean(command):
    done = run([sys.executable, "-m", *command], cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


OBSERVATION = ROOT / "tempest_gym" / "docs" / "observation.md"


def test_the_page_lists_every_feature_where_it_is():
    from tempest_gym.features import FEATURES

    rows = re.findall(r"^\| (\d+)(?:-(\d+))? \| (\d+) \| `(\w+)` \|", OBSERVATION.read_text(), re.MULTILINE)
    listed = {name: slice(int(first), int(last or first) + 1) for first, last, _, name in rows}
    assert listed == FEATURES
    assert [int(count) for _, _, count, _ in rows] == [part.stop - part.start for part in FEATURES.values()]


def test_the_page_names_every_command_that_exists():
    text = (ROOT / "tempest_gym" / "docs" / "commands.md").read_text()
    listed = set(re.findall(r"`tempest-gym (\w+)", text))
    done = run([sys.executable, "-c", "from tempest_gym.cli import main; main(['--help'])"])
    offered = set(re.findall(r"^    (\w+)", done.stdout, re.MULTILINE))
    assert listed == offered
