"""``tempest-gym play --record`` and ``replay``: from the command line to the file and back."""

import json
import os

import numpy as np
import pytest

from tempest_gym import cli
from tempest_gym.commands.recording import read_recording
from tempest_gym.display.window import Window
from tempest_gym.frame import FRAMES_PER_SECOND

os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
import pygame


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch, tmp_path):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    monkeypatch.setattr("tempest_gym.display.window._FIRST_HEIGHT", 64)
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_, **__: str(tmp_path / "data"))


def run(capsys, *arguments, code=0):
    assert cli.main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    file = tmp_path_factory.mktemp("recorded") / "game"
    assert cli.main(["play", "--policy", "random", "--seed", "8", "--record", str(file)]) == 0
    return file


def test_a_recorded_game_is_replayed_and_checked(recorded, capsys):
    header = read_recording(recorded).header
    result = run(capsys, "replay", recorded, "--check")
    assert result["equal"] is True
    assert (result["policy"], result["seed"], result["score"]) == ("random", 8, header.score)
    assert result["frames"] == header.frames


def test_a_game_by_the_expert_is_recorded_with_a_window_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempest_gym.display.window.FRAMES_PER_SECOND", 0)  # As fast as it goes.
    monkeypatch.setattr("tempest_gym.machines.fleet.BoardFleet.picture", _black)
    file = tmp_path / "game"
    arguments = ("play", "--policy", "random", "--seed", "8", "--record", file, "--render")
    assert run(capsys, *arguments)["games"][0]["seed"] == 8
    assert run(capsys, "replay", file, "--check")["equal"] is True


def test_closing_the_window_ends_the_games_of_a_policy(tmp_path, capsys, monkeypatch):
    shown = []

    def show(window, picture):
        shown.append(picture)
        window.closed = len(shown) == 500

    monkeypatch.setattr("tempest_gym.display.window.Window.show", show)
    monkeypatch.setattr("tempest_gym.machines.fleet.BoardFleet.picture", _black)
    result = run(capsys, "play", "--policy", "expert", "--render", "--games", "3")
    assert [game["seed"] for game in result["games"]] == [0]
    assert len(shown) == 500
    file = tmp_path / "game"
    shown.clear()
    run(capsys, "play", "--policy", "expert", "--render", "--record", file)
    assert run(capsys, "replay", file, "--check")["equal"] is True


def _black(self, row):
    return np.zeros((64, 48, 3), np.uint8)


@pytest.mark.parametrize("name", ["game.mp4", "game.gif"])
def test_a_video_holds_the_part_asked_for(recorded, tmp_path, capsys, name):
    video = tmp_path / name
    result = run(
        capsys, "replay", recorded, "--output", video, "--start", "3", "--seconds", "4", "--speed", "2.5"
    )
    assert result["equal"] is None
    if name == "game.gif":
        from PIL import Image

        with Image.open(video) as gif:
            assert gif.size == (480, 640)
            pictures, milliseconds = 0, 0
            for index in range(gif.n_frames):
                gif.seek(index)
                pictures += 1
                milliseconds += gif.info["duration"]
        assert pictures <= 55
    else:
        import imageio_ffmpeg

        reader = imageio_ffmpeg.read_frames(str(video))
        milliseconds = 1000 * next(reader)["duration"]
        reader.close()
    assert milliseconds == pytest.approx(4000 / 2.5, abs=60)


def test_the_window_of_a_replay_can_be_closed(recorded, capsys, monkeypatch):
    monkeypatch.setattr(
        "tempest_gym.display.window.Window.show", lambda self, picture: setattr(self, "closed", True)
    )
    result = run(capsys, "replay", recorded)
    assert (result["frames"], result["equal"]) == (1, None)


def test_a_replay_that_ends_otherwise_is_reported(recorded, tmp_path, capsys):
    line, _, controls = recorded.read_bytes().partition(b"\n")
    header = json.loads(line)
    header["score"] += 1000
    (tmp_path / "game").write_bytes(json.dumps(header).encode() + b"\n" + controls)
    assert cli.main(["replay", str(tmp_path / "game"), "--check"]) == 1
    assert f"NOT as recorded ({header['score']} points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["play", "--record", "{tmp}/game", "--games", "2"], "one game"),
        (["play", "--policy", "random", "--record", "{tmp}/none/game"], "does not exist"),
        (["play", "--machine", "mame"], "on the board"),
        (["play", "--policy", "random", "--against", "expert"], "--against"),
        (["replay", "{tmp}/none"], "none"),
        (["replay", "{tmp}"], "{tmp}"),
        (["replay", "/dev/null"], "not a regular file"),
        (["replay", "{recorded}", "--output", "{tmp}/game.avi"], ".mp4 or .gif"),
        (["replay", "{recorded}", "--rom", "/nonexistent"], "/nonexistent"),
    ],
)
def test_wrong_arguments_give_one_sentence(arguments, words, recorded, tmp_path, capsys):
    places = {"tmp": tmp_path, "recorded": recorded}
    result = run(capsys, *[argument.format(**places) for argument in arguments], code=1)
    assert words.format(**places) in result["error"]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments", [["--speed", "0"], ["--speed", "nan"], ["--seconds", "-1"], ["--start", "inf"]]
)
def test_a_number_out_of_range_is_an_error_of_the_command_line(arguments, recorded):
    with pytest.raises(SystemExit) as ended:
        cli.main(["replay", str(recorded), *arguments])
    assert ended.value.code == 2


class Hurried:
    """A clock whose time passes in sleep alone: Space after a second, later the window's close or Ctrl-C."""

    started = False

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += seconds
        if self.time > 1.0 and not self.started:
            self.started = True
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_SPACE))
            pygame.event.post(pygame.event.Event(pygame.KEYUP, key=pygame.K_SPACE))
        if self.time > 11.0:
            self.end()

    def end(self):
        pygame.event.post(pygame.event.Event(pygame.QUIT))


class Interrupted(Hurried):
    def end(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize(("clock", "code"), [(Hurried, 0), (Interrupted, 130)])
def test_a_game_by_hand_is_kept_however_it_ends(tmp_path, capsys, monkeypatch, clock, code):
    monkeypatch.setattr("tempest_gym.commands.human.Clock", clock)
    file = tmp_path / "game"
    assert cli.main(["play", "--seed", "5", "--record", str(file)]) == code
    shown = capsys.readouterr().out
    header = read_recording(file).header
    assert (header.policy, header.seed, header.over) == ("human", 5, False)
    assert header.frames == pytest.approx(8 * FRAMES_PER_SECOND + 25, abs=8)
    assert ("score 0" in shown) == (code == 0)
    assert run(capsys, "replay", file, "--check")["equal"] is True
    assert os.listdir(tmp_path) == ["game"]


class Quitting(Hurried):
    """The window is closed on the start screen."""

    started = True


def test_a_window_closed_on_the_start_screen_played_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempest_gym.commands.human.Clock", Quitting)
    result = run(capsys, "play", "--record", tmp_path / "game")
    assert (result["games"], result["mean_score"]) == ([], None)
    assert os.listdir(tmp_path) == []
    assert cli.main(["play"]) == 0
    assert capsys.readouterr().out == "no game was played\n"


class Player(Hurried):
    """Starts, lets the game end, and starts another, until the window is closed in the third."""

    def sleep(self, seconds):
        self.time += seconds
        if int(self.time) > int(self.time - seconds):  # Once a second.
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_SPACE))
        if self.time > 150.0:
            self.end()


def test_the_games_of_a_person_are_ranked_beside_the_opponents(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempest_gym.commands.human.Clock", Player)
    texts = []
    draw = Window.draw

    def noted(window, picture, text=(), captions=()):
        texts.append(text)
        draw(window, picture, text, captions)

    monkeypatch.setattr(Window, "draw", noted)
    result = run(capsys, "play", "--seed", "3", "--start-level", "65", "--mute", "--against", "random")
    assert [game["seed"] for game in result["games"]][:2] == [3, 4]
    ends = list(dict.fromkeys(tuple(text) for text in texts if "GAME OVER" in text))
    assert len(ends) == len(result["games"]) - 1
    kept = json.loads((tmp_path / "data" / "best_scores.json").read_text())["squall"]
    finished = [game["score"] for game in result["games"][:-1]]
    assert [each["score"] for each in kept] == sorted((each for each in finished if each), reverse=True)
    for game, text in zip(result["games"], ends, strict=False):
        assert f"{game['score']:,} points, level {game['level']}" in text
        assert any(str(line).startswith("random: ") for line in text)
        assert "Space: play again     Esc: quit" in text


def test_games_by_hand_have_other_seeds_each_time(capsys, monkeypatch):
    monkeypatch.setattr("tempest_gym.commands.human.Clock", Hurried)
    first, second = (run(capsys, "play", "--mute", "--games", "3") for _ in range(2))
    assert len(first["games"]) == 1  # closing the window ends the rest too
    assert first["games"][0]["seed"] != second["games"][0]["seed"]
    assert (first["policy"], first["machine"]) == ("human", "board")
