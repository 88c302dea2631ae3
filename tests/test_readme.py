"""README and pages: their commands run, their Python prints what they show, their links lead somewhere."""

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path

import pytest

from tempest_gym.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md"]
    + [
        page
        for folder in ("tempest_gym", "tempest_rainbow", "lua", "examples", "tests")
        for page in (ROOT / folder).rglob("*.md")
    ]
)

# Commands that need other machines, a person, a screen or hours, and the test that runs what they would.
ELSEWHERE = {
    "bash examples/start.sh": "tests/test_start_script.py",
    "bash tests/run.sh": "is this run",
    "python3 -m venv .venv && source .venv/bin/activate": "tests/test_package.py makes such an environment",
    'pip install ".[rainbow,dashboard,human,video]"': "tests/test_package.py installs a wheel",
    'pip install "tempest-gym[rainbow,minari]"': "tests/test_package.py installs a wheel",
    "python examples/behaviour_cloning.py --dataset tempest/mixed-v0": "tests/test_dataset.py",
    "tempest-rainbow train": "an hour; tests/test_run.py",
    "tempest-gym play": "a person; tests/test_human.py",
    "tempest-gym play --start-level 9": "a person; tests/test_human.py",
    "tempest-gym play --policy planner --render": "a whole game; tests/test_players.py",
    "tempest-gym play --against bundled": "a person; tests/test_sessions.py",
    "tempest-rainbow watch --policy bundled --play": "a person; tests/test_watch.py",
    "export TEMPEST_ROM=~/roms/tempest.zip": "a ROM set of the reader's; tests/test_roms.py",
    "tempest-gym mame": "a person and a screen; tests/test_mame_window.py",
    "tempest-rainbow train --listen 0.0.0.0:9999 --listen-token-file token": "tests/test_client.py",
    "tempest-gym client --connect trainer.example:9999 --instances 4 --token-file token": "tests/test_client.py",
    "TEMPEST_CONNECT=trainer.example:9999 TEMPEST_TOKEN_FILE=token "
    "mame tempest1 -rompath ROMS -autoboot_script lua/main.lua": "tests/test_mame.py",
    "tempest-rainbow train --ray local --runners 2": "tests/test_cluster.py",
    "export RAY_worker_niceness=0": "several machines; tests/test_cluster.py",
    "export RAY_AUTH_MODE=token": "several machines; tests/test_cluster.py",
    "ray start --head --num-cpus 0": "several machines; tests/test_cluster.py",
    "ray start --address LEARNER:6379": "several machines; tests/test_cluster.py",
    "tempest-rainbow train --ray auto --runners 160 --envs-per-runner 32": "several machines; tests/test_cluster.py",
    "TEMPEST_DASHBOARD_TOKEN=$(cat token) tempest-rainbow train --dashboard.host 0.0.0.0": "tests/test_dashboard.py",
    'pip install "tempest-gym[rainbow,benchmark]"': "tests/test_package.py installs a wheel",
    ".test-env/bin/python -m pytest tests/test_env.py": "is part of this run",
    ".test-env/bin/python -m pytest -m slow": "minutes",
    ".test-env/bin/python -m pytest -m soak": "hours",
}

# What makes a long command short.
SHORTER = {
    "tempest-gym dataset --policy mixed --episodes 150 --seed 1000": "--episodes 1 --steps 100",
    "tempest-rainbow watch --policy bundled": "--output watch.gif --seconds 1",
    "tempest-rainbow evaluate --policy bundled --games 100": "--games 2 --start-level 33",
    "tempest-rainbow evaluate --policy bundled --planner --games 10": "--games 1 --time-limit 2",
    "tempest-rainbow evaluate --policy bundled --planner --games 10 --time-limit none": "--games 1 --time-limit 2",
    "tempest-rainbow watch --planner --start-level 60": "--output plans.gif --seconds 1",
    "python examples/sb3_ppo.py --steps 1000000": "--steps 500 --envs 2 --games 1",
    "tempest-rainbow train --preset fast-check": "--frames 2000 --dashboard.no-on --run run",
    "tempest-gym verify --frames 2000 --seed 5": "--frames 200",
}

_FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of every fenced block of a page."""
    return _FENCE.findall(page.read_text(encoding="utf-8"))


def commands() -> list[str]:
    """Return every command line of all pages, without comments, each once, in order of appearance."""
    lines = [
        line
        for page in PAGES
        for language, text in blocks(page)
        if language == "bash"
        for line in text.splitlines()
    ]
    return list(dict.fromkeys(command for line in lines if (command := re.sub(r"\s+# .*", "", line).strip())))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder where the commands of the pages run one after the other, with the examples in it."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("examples", "lua"):
        (folder / name).symlink_to(ROOT / name)
    page = ROOT / "tempest_rainbow" / "docs" / "benchmark.md"
    (folder / "mine.py").write_text(next(text for language, text in blocks(page) if language == "python"))
    return folder


@pytest.fixture(autouse=True)
def datasets(place, monkeypatch):
    """A folder for data sets that is not the reader's."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(place / "minari"))


@pytest.mark.xdist_group("readme")
@pytest.mark.parametrize("command", [command for command in commands() if command not in ELSEWHERE])
def test_a_command_of_the_pages_runs(command, place):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/games"}
    if command.startswith("tempest-gym replay") and not (place / "game.tpr").exists():
        record = "tempest-gym play --policy expert --games 1 --seed 0 --record game.tpr"
        subprocess.run(record, shell=True, cwd=place, env=environment, check=True, capture_output=True)
    line = f"{command} {SHORTER.get(command, '')}"
    done = subprocess.run(
        line, shell=True, cwd=place, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_what_runs_elsewhere_is_still_on_a_page():
    assert set(ELSEWHERE) | set(SHORTER) <= set(commands())


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(language == "python" for language, _ in blocks(page))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_python_of_a_page_prints_what_it_says(page):
    found = blocks(page)
    names: dict[str, object] = {}
    for place, (language, text) in enumerate(found):
        if language != "python":
            continue
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(text, str(page), "exec"), names)
        expected = found[place + 1][1] if place + 1 < len(found) and found[place + 1][0] == "" else ""
        assert printed.getvalue().strip() == expected.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_within_the_project_lead_somewhere(page):
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text) + re.findall(r'src="([^"]+)"', text)
    missing = [
        target for target in targets if not re.match(r"\w+:", target) and not (page.parent / target).exists()
    ]
    assert missing == []


def test_the_readme_is_short_enough_to_read():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 170


def test_the_page_of_the_environment_names_every_keyword():
    page = (ROOT / "tempest_gym/docs/environment.md").read_text()
    missing = [field.name for field in fields(Settings) if f"`{field.name}`" not in page]
    assert not missing
