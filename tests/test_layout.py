"""The layout: which room may import which, and no circle anywhere."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Rooms of each package from the ground floor up; those of one floor do not import each other. A room may import only
# what lies below it.
FLOORS = {
    "tempest_gym": [
        [
            "code_cache",
            "cores",
            "extras",
            "files",
            "paths",
            "features",
            "frame",
            "rom_sets",
            "registration",
            "signals",
        ],
        ["actions", "info", "roms", "protocol", "board", "squall"],
        ["display"],
        ["machines"],
        ["settings"],
        ["observation"],
        ["env", "server"],
        ["episode_table"],
        ["vector", "players"],
        ["commands"],
        ["cli"],
    ],
    "tempest_rainbow": [
        ["config", "device", "episode_sums", "sb3"],
        ["networks", "replay", "checkpoint"],
        ["learner", "policy"],
        ["planner", "saved_evaluation"],
        ["evaluate", "export", "collect"],
        ["players", "spread"],
        ["monitor", "watch"],
        ["training"],
        ["run", "presets"],
        ["bench", "benchmark"],
        ["cli"],
    ],
}


def modules() -> dict[str, Path]:
    """Return every module of both packages by its dotted name."""
    found = {}
    for package in FLOORS:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> dict[str, set[str]]:
    """Return for every module those of ours that it imports, anywhere in its text."""
    known = modules()
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        reached = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0, f"{path} imports relatively"
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                reached |= {each if each in known else node.module for each in inner}
            elif isinstance(node, ast.Import):
                reached |= {alias.name for alias in node.names}
        graph[name] = (reached & set(known)) - {name}
    return graph


def room(module: str) -> tuple[str, str]:
    """Return package and room of a module; the package itself is the room ''."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return a circle of the graph, or nothing."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            if found := visit(target, [*way, name]):
                return found
        done.add(name)
        return []

    for name in sorted(graph):
        if found := visit(name, []):
            return found
    return []


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_circle_of_modules():
    assert circle(imports()) == []


def test_no_circle_of_rooms():
    rooms: dict[str, set[str]] = {}
    for name, targets in imports().items():
        mine = ".".join(room(name))
        rooms.setdefault(mine, set()).update(".".join(room(target)) for target in targets)
        rooms[mine].discard(mine)
    assert circle(rooms) == []


def test_no_import_runs_upward():
    floor = {
        (package, name): height
        for package, floors in FLOORS.items()
        for height, names in enumerate(floors)
        for name in names
    }
    upward = []
    for name, targets in imports().items():
        package, mine = room(name)
        if mine in ("", "__main__"):
            continue
        assert (package, mine) in floor, f"{name} is in no room that the test knows"
        for target in targets:
            other, theirs = room(target)
            if other == package and theirs not in ("", mine) and floor[other, theirs] >= floor[package, mine]:
                upward.append(f"{name} -> {target}")
    assert sorted(upward) == []


def test_settings_import_nothing_of_ours():
    graph = imports()
    for name in ("tempest_rainbow.config.settings", "tempest_rainbow.config.schedules"):
        assert {target for target in graph[name] if not target.startswith("tempest_rainbow.config")} == set()


def test_the_game_knows_nothing_of_the_trainer():
    assert [
        name
        for name, targets in imports().items()
        if name.startswith("tempest_gym") and any(target.startswith("tempest_rainbow") for target in targets)
    ] == []


def mentioned() -> list[str]:
    """Return every dotted name of ours that README, pages and the notebook mention."""
    pages = [ROOT / "README.md", *(ROOT / "examples").glob("*.ipynb")]
    for folder in ("tempest_gym", "tempest_rainbow", "lua", "examples", "tests"):
        pages += (ROOT / folder).rglob("*.md")
    names: set[str] = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        names.update(re.findall(r"(?<![\w/.-])tempest_(?:gym|rainbow)(?:\.[A-Za-z_]\w*)+", text))
        for module, listed in re.findall(r"from (tempest_[\w.]+) import ([\w, ]+)", text):
            names.update(f"{module}.{each.strip()}" for each in listed.split(",") if each.strip())
    return sorted(names)


# What version 0.1 documented: these paths stay.
DOCUMENTED_IN_0_1 = [
    "tempest_gym.actions.decode_action",
    "tempest_gym.actions.encode_action",
    "tempest_gym.env.TempestEnv",
    "tempest_gym.features.FEATURES",
    "tempest_gym.server.Arrivals",
    "tempest_gym.server.ClientPool",
    "tempest_gym.vector.TempestVectorEnv",
    "tempest_rainbow.bench.bench",
    "tempest_rainbow.checkpoint.Checkpoints",
    "tempest_rainbow.collect.environments.make_vector",
    "tempest_rainbow.config.TrainConfig",
    "tempest_rainbow.evaluate.evaluate",
    "tempest_rainbow.learner.Learner",
    "tempest_rainbow.monitor.dashboard.DashboardConfig",
    "tempest_rainbow.policy.load_policy",
    "tempest_rainbow.presets.preset",
    "tempest_rainbow.replay.Replay",
    "tempest_rainbow.replay.ReplayConfig",
    "tempest_rainbow.run.train",
    "tempest_rainbow.sb3.GymnasiumVecEnv",
    "tempest_rainbow.watch.watch",
]


@pytest.mark.parametrize("name", sorted({*DOCUMENTED_IN_0_1, *mentioned()}))
def test_every_name_that_is_mentioned_can_be_imported(name):
    from pkgutil import resolve_name

    if name.endswith(".__main__"):
        return
    assert resolve_name(name) is not None


@pytest.mark.parametrize("module", ["tempest_gym.squall.build", "tempest_rainbow.bench"])
def test_modules_that_are_commands_show_help(module):
    shown = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("usage:")
