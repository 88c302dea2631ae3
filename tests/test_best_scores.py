"""Best scores: ranked, kept by game, and never in the way of a game."""

import json
import os

import pytest

from tempest_gym.commands.best_scores import BestScores, Score


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "best_scores.json"


def score(points, **changes):
    return Score(points, 3, start_level=1, seed=7, **changes)


def test_scores_are_ranked_and_the_ten_best_are_kept(file):
    scores = BestScores(file)
    assert scores.add("squall", score(500)) == 1
    assert scores.add("squall", score(900)) == 1
    assert scores.add("squall", score(700)) == 2
    for points in range(1000, 1008):
        scores.add("squall", score(points))
    assert [each.score for each in scores.of("squall")] == [*range(1007, 999, -1), 900, 700]
    assert scores.add("squall", score(600)) is None
    assert scores.add("tempest", score(1)) == 1
    again = BestScores(file)
    assert (again.of("squall"), again.of("tempest")) == (scores.of("squall"), scores.of("tempest"))
    assert os.listdir(file.parent) == [file.name]


def test_of_equal_scores_the_earlier_stays_ahead(file):
    scores = BestScores(file)
    scores.add("squall", score(500, day="2026-01-01"))
    assert scores.add("squall", score(500, day="2026-01-02")) == 2


def test_no_points_have_no_rank(file):
    assert BestScores(file).add("squall", score(0)) is None
    assert not file.exists()


def test_two_windows_keep_the_scores_of_both(file):
    one, other = BestScores(file), BestScores(file)
    one.add("squall", score(500))
    assert other.add("squall", score(400)) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"squall": 1}',
        b'{"squall": [{"score": 1}]}',
        b"[" * 100_000,
        b" " * (2 << 20),
    ]
    + [
        json.dumps({"squall": [{**vars(score(5)), name: value}]}).encode()
        for name, value in [("score", "5"), ("day", 5), ("level", None), ("start_level", 1.5), ("more", 1)]
    ],
)
def test_a_file_of_something_else_is_reported_and_left_as_it_is(file, caplog, content):
    file.parent.mkdir()
    file.write_bytes(content)
    scores = BestScores(file)
    assert scores.of("squall") == []
    assert scores.add("squall", score(5)) == 1
    assert file.read_bytes() == content
    assert f"best scores are not kept: {file}" in caplog.text


def test_without_a_place_to_write_the_scores_last_as_long_as_the_program(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    scores = BestScores(tmp_path / "file" / "best_scores.json")
    assert scores.add("squall", score(5)) == 1
    assert scores.add("squall", score(6)) == 1
    assert len(scores.of("squall")) == 2
    assert caplog.text.count("best scores are not kept") == 1


def test_without_a_home_the_scores_last_as_long_as_the_program(monkeypatch, tmp_path):
    for name in ("XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_, **__: "~/.local/share/tempest-gym")
    monkeypatch.chdir(tmp_path)
    assert BestScores().add("squall", score(5)) == 1
    assert os.listdir(tmp_path) == []


def test_the_file_is_in_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_, **__: str(tmp_path / "data"))
    BestScores().add("squall", score(5))
    assert BestScores().of("squall") == [score(5)]
    assert os.listdir(tmp_path / "data") == ["best_scores.json"]
