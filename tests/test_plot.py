"""`tempest-rainbow plot` draws every run's curve at its place, with units, names and intervals."""

import json
from xml.etree import ElementTree

import pytest

from tempest_rainbow.cli import main
from tempest_rainbow.monitor.compare import differing_settings, read_run

SVG = "{http://www.w3.org/2000/svg}"


def make_run(folder, scores, rate):
    folder.mkdir()
    rows = [
        {"kind": "row", "frames": frames, "values": {"episodes/agent_score": score, "learner/q": score - 150}}
        for frames, score in scores
    ]
    result = {"mean": 300.0, "median": 300.0, "iqm": 300.0, "ci95": {"mean": [280.0, 310.0]}}
    rows += [
        {"kind": "event", "frames": 150, "text": "saved"},
        {"kind": "evaluation", "frames": 200, "result": result},
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "config.toml").write_text(f"envs = 4\n[learner]\nlearning_rate = {rate}\n")
    return folder


@pytest.fixture
def folders(tmp_path):
    return [
        make_run(tmp_path / "one", [(100, 100.0), (200, 200.0)], 0.1),
        make_run(tmp_path / "two", [(100, 50.0), (200, 250.0)], 0.2),
    ]


def test_runs_are_drawn_beside_each_other(folders, tmp_path):
    picture = tmp_path / "score.svg"
    assert main(["plot", *map(str, folders), "--output", str(picture)]) == 0
    drawn = ElementTree.parse(picture).getroot()
    names = [element.text for element in drawn.iter(f"{SVG}text")]
    assert {"one", "two", "score (points)", "frames"} <= set(names)
    assert len(list(drawn.iter(f"{SVG}circle"))) == 2
    curves = [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in drawn.iter(f"{SVG}polyline")
        if line.get("stroke-width") == "1.5"
    ]
    assert len(curves) == 2
    (_, one_start), (_, one_end) = curves[0]
    (_, two_start), (_, two_end) = curves[1]
    assert two_end < one_end < one_start < two_start, "higher scores are drawn higher"


def test_negative_values_stay_within_the_picture(folders, tmp_path):
    picture = tmp_path / "q.svg"
    assert main(["plot", str(folders[0]), "--metric", "learner/q", "--output", str(picture)]) == 0
    drawn = ElementTree.parse(picture).getroot()
    heights = [
        float(point.split(",")[1])
        for line in drawn.iter(f"{SVG}polyline")
        for point in line.get("points").split()
    ]
    assert 0 <= min(heights) <= max(heights) <= 420
    assert not list(drawn.iter(f"{SVG}circle")), "evaluations are scores"


def test_an_unknown_metric_is_answered_by_those_of_the_run(folders, capsys):
    assert main(["plot", str(folders[0]), "--metric", "no/such"]) == 1
    assert "one has no no/such; it has episodes/agent_score" in capsys.readouterr().err


def test_only_settings_that_differ_are_listed(folders):
    runs = [read_run(folder) for folder in folders]
    assert differing_settings(runs) == [("learner.learning_rate", ["0.1", "0.2"])]
