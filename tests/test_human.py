"""A person plays: events become turns and buttons, time passes truly, and the game can be recorded."""

import os

import numpy as np
import pytest

from tempest_gym.commands.human import Hands, Speaker, open_speaker, play_by_hand
from tempest_gym.commands.recording import Recorder, unpack_controls
from tempest_gym.commands.replay import replay_game
from tempest_gym.display.window import Window
from tempest_gym.frame import FRAMES_PER_SECOND
from tempest_gym.machines.board import BoardMachine
from tempest_gym.roms import squall_rom

os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
import pygame

FRAME = 1 / FRAMES_PER_SECOND


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    yield
    pygame.quit()


@pytest.fixture(scope="module")
def rom():
    return squall_rom()


def key(name, down=True):
    return pygame.event.Event(
        pygame.KEYDOWN if down else pygame.KEYUP, key=getattr(pygame, f"K_{name}"), mod=0, unicode=""
    )


def mouse(x):
    return pygame.event.Event(pygame.MOUSEMOTION, rel=(x, 0), pos=(0, 0), buttons=(0, 0, 0))


def button(number, down=True):
    return pygame.event.Event(
        pygame.MOUSEBUTTONDOWN if down else pygame.MOUSEBUTTONUP, button=number, pos=(0, 0)
    )


def after(*events, seconds=0.0, hands=None):
    hands = hands or Hands()
    for event in events:
        hands.handle(event)
    hands.pass_time(seconds)
    return hands.take()


def test_nothing_done_is_nothing():
    assert after(seconds=1.0) == (False, False, 0)


@pytest.mark.parametrize(("name", "sign"), [("LEFT", 1), ("RIGHT", -1)])
def test_an_arrow_key_turns_while_it_is_held_and_faster_with_time(name, sign):
    hands = Hands()
    hands.handle(key(name))
    turns = []
    for _ in range(20):
        hands.pass_time(FRAME)
        turns.append(sign * hands.take()[2])
    assert turns[0] > 0
    assert turns[-1] > 2 * turns[0]
    assert max(turns) <= 31
    hands.handle(key(name, down=False))
    hands.pass_time(FRAME)
    assert abs(hands.take()[2]) <= 1


def test_both_arrow_keys_stand_still():
    assert after(key("LEFT"), key("RIGHT"), seconds=0.2)[2] == 0


def test_the_mouse_turns_finely_and_no_motion_is_lost():
    hands = Hands()
    total = 0
    for _ in range(100):
        hands.handle(mouse(3))
        total += hands.take()[2]
    assert total == pytest.approx(-180, abs=1)
    assert {after(mouse(x))[2] for x in range(-40, 41)} >= set(range(-20, 21))


def test_a_fling_turns_at_most_two_frames_long():
    hands = Hands()
    hands.handle(mouse(5000))
    assert [hands.take()[2] for _ in range(3)] == [-31, -31, 0]


@pytest.mark.parametrize(
    ("down", "up", "index"),
    [
        (key("SPACE"), key("SPACE", False), 0),
        (key("x"), key("x", False), 1),
        (button(1), button(1, False), 0),
        (button(3), button(3, False), 1),
    ],
)
def test_a_button_counts_while_held_and_once_if_only_touched(down, up, index):
    hands = Hands()
    assert after(down, hands=hands)[index]
    assert after(hands=hands)[index]
    assert not after(up, hands=hands)[index]
    assert after(down, up, hands=hands)[index]
    assert not after(hands=hands)[index]


def test_one_of_two_fire_buttons_let_go_still_fires():
    assert after(key("SPACE"), button(1), button(1, False), hands=(hands := Hands()))[0]
    assert after(hands=hands)[0]


def test_p_pauses_and_another_window_does_too():
    hands = Hands()
    hands.handle(key("p"))
    assert hands.paused
    hands.handle(mouse(50))
    hands.handle(key("p"))
    assert not hands.paused
    hands.handle(key("SPACE"))
    hands.handle(pygame.event.Event(pygame.WINDOWFOCUSLOST))
    assert hands.paused
    hands.take()
    assert hands.take() == (False, False, 0)


class ScriptedClock:
    """Time that passes in sleep alone; events of the script come at their seconds."""

    def __init__(self, script):
        self.time = 0.0
        self.sleeps = []
        self._script = sorted(script, key=lambda item: item[0])

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.time += seconds
        while self._script and self._script[0][0] <= self.time:
            pygame.event.post(self._script.pop(0)[1])


def play(rom, script, machine=None, seed=1, start_level=1, **more):
    machine = machine or BoardMachine(rom)
    window = Window()
    clock = ScriptedClock(script)
    try:
        return play_by_hand(machine, window, seed, start_level, clock=clock, **more), clock, window
    finally:
        window.close()


def test_the_game_runs_at_its_own_speed_and_escape_ends_it(rom):
    result, clock, window = play(rom, [(10.0, key("ESCAPE"))])
    assert window.closed
    assert result["frames"] == pytest.approx(10.0 * FRAMES_PER_SECOND, abs=2)
    assert max(clock.sleeps) <= 1 / 60


def test_a_pause_stops_the_game(rom):
    script = [(2.0, key("p")), (7.0, key("p")), (10.0, pygame.event.Event(pygame.QUIT))]
    result, _, _ = play(rom, script)
    assert result["frames"] == pytest.approx(5.0 * FRAMES_PER_SECOND, abs=3)


def test_a_game_by_hand_is_recorded_as_it_was_played(rom):
    rng = np.random.default_rng(0)
    script = [(2.0, key("SPACE")), (300.0, key("ESCAPE"))]
    for second in np.arange(2.0, 290.0, 0.1):
        script.append((second, mouse(int(rng.integers(-30, 31)))))
        if rng.random() < 0.02:
            script += [(second, key("x")), (second + 0.05, key("x", False))]
    recorder = Recorder(BoardMachine(rom))
    result, clock, _ = play(rom, script, recorder)
    game = recorder.recording("human", rom.sha1)
    assert game.header.over
    assert clock.time < 299.0
    assert (game.header.score, game.header.frames) == (result["score"], result["frames"])
    assert result["score"] > 0
    turns = {unpack_controls(byte)[2] for byte in game.controls}
    assert len(turns) > 25  # finer than the agent's eleven
    again = BoardMachine(rom)
    assert replay_game(game, again)["equal"] is True
    assert again.ram().tobytes() == recorder.ram().tobytes()


def test_right_is_right_at_the_bottom_of_the_tube(rom):
    machine = BoardMachine(rom)
    play(rom, [(1.5, key("RIGHT")), (1.9, key("RIGHT", False)), (2.4, key("ESCAPE"))], machine)
    frame_lane = machine.ram()[0x0200]
    right = BoardMachine(rom)
    play(rom, [(2.4, key("ESCAPE"))], right)
    from tempest_gym.display.projection import lane_positions

    x = lane_positions(machine.ram())[:, 0]
    assert x[frame_lane] > x[right.ram()[0x0200]]


def test_the_sound_of_every_frame_is_played(rom):
    machine = BoardMachine(rom)
    speaker = open_speaker()
    assert isinstance(speaker, Speaker)
    heard = []

    def sound():
        heard.append(machine.sound_registers())
        speaker.play(heard[-1])

    result, _, _ = play(rom, [(1.0, key("SPACE")), (5.0, key("ESCAPE"))], machine, sound=sound)
    speaker.close()
    assert len(heard) == result["frames"]
    assert np.any(np.array(heard)[:, 0, 1] & 15)


def test_without_a_sound_device_the_game_goes_on(monkeypatch, caplog):
    monkeypatch.setenv("SDL_AUDIODRIVER", "there-is-none")
    assert open_speaker() is None
    assert "no sound" in caplog.text


def test_the_window_shows_the_picture_and_text_on_it():
    window = Window(rate=0)
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[10, 20] = 255, 128, 0
    window.show(picture)
    screen = pygame.display.get_surface()
    assert screen.get_size() == (80, 60)
    assert screen.get_at((20, 10))[:3] == (255, 128, 0)
    window.draw(picture, ("PAUSE",))
    assert screen.get_at((20, 10))[:3] < (255, 128, 0)
    assert pygame.surfarray.array3d(screen).max() > 200
    window.close()
    assert window.events() == []


def test_the_picture_keeps_its_shape_in_a_window_of_another():
    window = Window(rate=0)
    window.show(np.full((60, 80, 3), 200, np.uint8))
    pygame.display.set_mode((300, 120), pygame.RESIZABLE)
    window.show(np.full((60, 80, 3), 200, np.uint8))
    bright = pygame.surfarray.array2d(pygame.display.get_surface()) != 0
    assert bright[70:230].all()
    assert not bright[:70].any()
    assert not bright[230:].any()
    window.close()


def test_a_window_that_nobody_would_see_is_refused(monkeypatch, caplog):
    """SDL says nothing where it finds no display and draws into memory instead."""
    monkeypatch.delenv("SDL_VIDEODRIVER")
    monkeypatch.setattr("pygame.display.get_driver", lambda: "offscreen")
    picture = np.zeros((20, 10, 3), np.uint8)
    monkeypatch.setattr("pygame.display.init", lambda: None)
    with pytest.raises(RuntimeError, match="there is no display here"):
        Window().draw(picture)
    monkeypatch.undo()
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    Window(unseen=True).draw(picture)
    assert "no display" not in caplog.text, "somebody asked for this driver"
