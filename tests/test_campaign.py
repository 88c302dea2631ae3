"""The campaign: runs pinned to cores, finished ones kept and others restarted, and a report of the evaluations."""

import json
import os
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from tempest_rainbow.cli import resolve
from tempest_rainbow.evaluate import Game, summary

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import campaign
import campaign_report

SVG = "{http://www.w3.org/2000/svg}"
PLAN = ["--minutes", "8", "--games", "3", "--cores", "1", "--seeds", "2"]
# Stands for a training: says where it ran and leaves three checkpoints and a curve.
TRAINING = """
import json, os, sys
from pathlib import Path
folder, name, broken = Path(sys.argv[1]), sys.argv[2], len(sys.argv) > 3
(folder.parent / "log").open("a").write(f"{name} {sorted(os.sched_getaffinity(0))}\\n")
if broken:
    sys.exit(3)
for frames, seconds in ((100, 121.0), (200, 239.5), (350, 400.0), (400, 480.2)):
    (folder / f"checkpoints/{frames:012d}").mkdir(parents=True)
    (folder / f"checkpoints/{frames:012d}/state.json").write_text(json.dumps({"seconds": seconds}))
row = {"kind": "row", "seconds": 60.0, "values": {"episodes/agent_score": 500.0}}
(folder / "history.jsonl").write_text(json.dumps(row) + "\\n")
"""


def judged(name, minutes, mean):
    games = [Game(seed, mean + 10 * seed, 0.0, 3.0, 100, False) for seed in range(3)]
    return {**summary(name, games), "minutes": minutes}


@pytest.fixture
def played(tmp_path, monkeypatch):
    """A campaign whose trainings and games cost nothing; gives what was judged."""
    asked = []

    def command(name, folder, options):
        broken = ["broken"] if (options.folder / "broken").exists() and name == "ours-1" else []
        return [sys.executable, "-c", TRAINING, str(folder), name, *broken]

    def evaluate(make_envs, policy, games, seed):
        asked.append((policy, games, seed))
        return judged(*policy, 1000.0 * (1 + policy[1]))

    monkeypatch.setattr(campaign, "command", command)
    monkeypatch.setattr(campaign, "evaluate", evaluate)
    monkeypatch.setattr(campaign, "policy_of", lambda name, minutes, options: (name, minutes))
    monkeypatch.setattr(sys, "argv", ["campaign.py", "--folder", str(tmp_path), *PLAN])
    return asked


def test_a_campaign_that_failed_goes_on_with_what_is_missing(tmp_path, played):
    (tmp_path / "broken").touch()
    with pytest.raises(SystemExit, match="not trained: ours-1"):
        campaign.main()
    assert not played
    (tmp_path / "broken").unlink()
    campaign.main()
    log = [line.split(maxsplit=1) for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(name for name, _ in log) == ["ours-0", "ours-1", "ours-1", "sb3-dqn", "sb3-ppo"]
    allowed = os.sched_getaffinity(0)
    assert all(len(json.loads(cores)) == 1 and set(json.loads(cores)) <= allowed for _, cores in log)
    runs = {("random", 0.0), ("expert", 0.0)}
    runs |= {(name, mark) for name in ("sb3-dqn", "sb3-ppo", "ours-0", "ours-1") for mark in (2.0, 4.0, 8.0)}
    assert {policy for policy, games, seed in played if (games, seed) == (3, 10_000)} == runs

    played.clear()
    for name in ("sb3-dqn", "ours-0", "ours-1"):  # Their games tell enough.
        shutil.rmtree(tmp_path / name)
    campaign.main()  # nothing is trained or judged twice
    assert not played
    assert len((tmp_path / "log").read_text().splitlines()) == len(log)
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["judged"]) == 14
    assert results["above"]["ours-1"] == {"random": True, "expert": True, "sb3-dqn": False, "sb3-ppo": False}
    assert results["curves"]["ours-0"] == [[1.0, 500.0]]


def test_another_campaign_takes_another_folder(tmp_path, played, monkeypatch):
    campaign.main()
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--minutes", "9"])
    with pytest.raises(SystemExit, match="another --folder"):
        campaign.main()


def test_the_commands_are_ones_that_exist(tmp_path):
    options = campaign.parse(["--folder", str(tmp_path), *PLAN])
    ours = campaign.command("ours-1", tmp_path / "run", options)
    config = resolve(ours[ours.index("train") + 1 :])
    assert (config.seed, config.minutes, config.threads, config.env_threads) == (1, 8.0, 1, 1)
    assert (config.checkpoint.every_minutes, config.evaluation.at_end) == (2.0, False)
    theirs = campaign.command("sb3-ppo", tmp_path, options)
    assert theirs[theirs.index("--marks") + 1 :][:3] == ["2", "4", "8"]


def test_a_mark_takes_the_nearest_checkpoint(tmp_path):
    for frames, seconds in ((10, 119.0), (20, 241.0), (30, 355.0)):
        (tmp_path / f"checkpoints/{frames:012d}").mkdir(parents=True)
        (tmp_path / f"checkpoints/{frames:012d}/state.json").write_text(json.dumps({"seconds": seconds}))
    assert campaign.checkpoint_at(tmp_path, 4.0).name == f"{20:012d}"
    assert campaign.checkpoint_at(tmp_path, 60.0).name == f"{30:012d}"


def test_the_report_shows_every_run(tmp_path):
    rows = [judged("expert", 0.0, 100), judged("ours-0", 4.0, 90), judged("ours-0", 8.0, 200)]
    results = {"minutes": 8.0, "judged": rows, "curves": {"ours-0": [[1.0, 10.0], [8.0, 150.0]]}}
    said = campaign_report.write_report(tmp_path, results)
    assert (tmp_path / "results.md").read_text() == said
    assert "| ours-0 | 8 | 210 (200-220) | 210 | 210 (200-220) | 3.0 (3) |" in said.splitlines()
    picture = ElementTree.parse(tmp_path / "results.svg").getroot()
    names = [element.text for element in picture.iter(f"{SVG}text")]
    assert names.count("ours-0") == names.count("expert") == 1
    heights = [float(circle.get("cy")) for circle in picture.iter(f"{SVG}circle")]
    assert len(heights) == 2
    assert heights[1] < heights[0]  # the better one is drawn higher
    assert np.all(np.array(heights) > 0)
