"""A person plays: events become turns and buttons, the game runs at its own speed, and it can be recorded."""

import os
import threading
from functools import partial

import numpy as np
import pytest

from tempest_gym.actions import CONTROLS, advised_action
from tempest_gym.commands.human import HumanPlay, Opponent, PlayerInput
from tempest_gym.commands.recording import Recorder, unpack_controls
from tempest_gym.commands.replay import replay_game
from tempest_gym.display.projection import lane_positions
from tempest_gym.display.sound import Speaker, open_speaker
from tempest_gym.display.window import Window
from tempest_gym.env import TempestEnv
from tempest_gym.frame import FRAMES_PER_SECOND
from tempest_gym.machines.board import BoardMachine
from tempest_gym.players import make_player
from tempest_gym.roms import squall_rom

os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
import pygame

FRAME = 1 / FRAMES_PER_SECOND
COUNTDOWN = 2.1
"""Seconds from the start of a game until the person plays."""

BLACK = np.zeros((40, 30, 3), np.uint8)


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    monkeypatch.setattr("tempest_gym.display.window._FIRST_HEIGHT", 64)
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


def pad(number, down=True):
    return pygame.event.Event(
        pygame.JOYBUTTONDOWN if down else pygame.JOYBUTTONUP, button=number, joy=0, instance_id=0
    )


def stick(value, axis=0):
    return pygame.event.Event(pygame.JOYAXISMOTION, axis=axis, value=value, joy=0, instance_id=0)


def after(*events, seconds=0.0, player=None):
    player = player or PlayerInput()
    for event in events:
        player.handle(event)
    player.pass_time(seconds)
    return player.take()


def test_without_input_nothing_happens():
    assert after(seconds=1.0) == (False, False, 0)


@pytest.mark.parametrize(("name", "sign"), [("LEFT", 1), ("RIGHT", -1)])
def test_an_arrow_key_turns_while_it_is_held_and_faster_with_time(name, sign):
    player = PlayerInput()
    player.handle(key(name))
    turns = []
    for _ in range(20):
        player.pass_time(FRAME)
        turns.append(sign * player.take()[2])
    assert turns[0] > 0
    assert turns[-1] > 2 * turns[0]
    assert max(turns) <= 31
    player.handle(key(name, down=False))
    player.pass_time(FRAME)
    assert abs(player.take()[2]) <= 1


def test_both_arrow_keys_stand_still():
    assert after(key("LEFT"), key("RIGHT"), seconds=0.2)[2] == 0


def test_the_mouse_turns_finely_and_no_motion_is_lost():
    player = PlayerInput()
    total = 0
    for _ in range(100):
        player.handle(mouse(3))
        total += player.take()[2]
    assert total == pytest.approx(-180, abs=1)
    assert {after(mouse(x))[2] for x in range(-40, 41)} >= set(range(-20, 21))


def test_a_fling_turns_at_most_two_frames_long():
    player = PlayerInput()
    player.handle(mouse(5000))
    assert [player.take()[2] for _ in range(3)] == [-31, -31, 0]


@pytest.mark.parametrize(
    ("down", "up", "index"),
    [
        (key("SPACE"), key("SPACE", False), 0),
        (key("x"), key("x", False), 1),
        (button(1), button(1, False), 0),
        (button(3), button(3, False), 1),
        (pad(0), pad(0, False), 0),
        (pad(1), pad(1, False), 1),
    ],
)
def test_a_button_counts_while_held_and_once_if_only_touched(down, up, index):
    player = PlayerInput()
    assert after(down, player=player)[index]
    assert after(player=player)[index]
    assert not after(up, player=player)[index]
    assert after(down, up, player=player)[index]
    assert not after(player=player)[index]


def test_one_of_two_fire_buttons_let_go_still_fires():
    assert after(key("SPACE"), button(1), button(1, False), player=(player := PlayerInput()))[0]
    assert after(player=player)[0]


def test_the_stick_turns_as_far_as_it_is_pushed_beyond_its_rest():
    full, half = after(stick(1.0), seconds=0.05)[2], after(stick(0.5), seconds=0.05)[2]
    assert full == 2 * half < 0
    assert after(stick(-1.0), seconds=0.05)[2] == -full
    assert after(stick(0.1), seconds=1.0)[2] == 0
    assert after(stick(1.0, axis=1), seconds=1.0)[2] == 0
    assert after(stick(1.0), stick(0.0), seconds=1.0)[2] == 0


@pytest.mark.parametrize("event", [key("p"), key("h"), key("f"), key("F11"), pad(6), pad(7)])
def test_keys_and_buttons_that_pause(event):
    player = PlayerInput()
    player.handle(event)
    assert player.paused


def test_p_pauses_and_another_window_does_too():
    player = PlayerInput()
    player.handle(key("p"))
    assert player.paused
    player.handle(mouse(50))
    player.handle(key("p"))
    assert not player.paused
    player.handle(key("SPACE"))
    player.handle(pygame.event.Event(pygame.WINDOWFOCUSLOST))
    assert player.paused
    player.take()
    assert player.take() == (False, False, 0)


class ScriptedClock:
    """Time that passes in sleep alone; events of the script are posted at their seconds."""

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


def play(rom, script, machine=None, seed=1, start_level=1, sound=None, **options):
    machine = machine or BoardMachine(rom)
    window = Window()
    clock = ScriptedClock([(second + COUNTDOWN, event) for second, event in script])
    try:
        game = HumanPlay(window, rom.memory[0x3000:0x4000], clock=clock, **options)
        return game.play(machine, seed, start_level, sound), clock, window
    finally:
        window.close()


def frames_before_play(rom, seed=1, start_level=1):
    machine = BoardMachine(rom)
    frame, frames = machine.reset(seed, start_level), 0
    while not frame.decision:
        frame, frames = machine.step(False, False, 0), frames + 1
    return frames


def test_the_game_runs_at_its_own_speed_after_a_countdown_and_escape_ends_it(rom):
    result, clock, window = play(rom, [(10.0, key("ESCAPE"))])
    assert window.closed
    frames = result["frames"] - frames_before_play(rom)
    assert frames == pytest.approx(10.0 * FRAMES_PER_SECOND, abs=3)
    assert max(clock.sleeps) <= 1 / 60 + 1e-9


def test_a_pause_stops_the_game(rom):
    script = [(2.0, key("p")), (7.0, key("p")), (10.0, pygame.event.Event(pygame.QUIT))]
    result, _, _ = play(rom, script)
    frames = result["frames"] - frames_before_play(rom)
    assert frames == pytest.approx(5.0 * FRAMES_PER_SECOND, abs=3)


def test_a_screen_that_is_slow_to_draw_does_not_slow_the_game(rom, monkeypatch):
    slow = ScriptedClock([(10.0 + COUNTDOWN, key("ESCAPE"))])
    draw = Window.draw

    def draw_slowly(*arguments):
        draw(*arguments)
        slow.sleep(0.06)

    monkeypatch.setattr(Window, "draw", draw_slowly)
    window, machine = Window(), BoardMachine(rom)
    game = HumanPlay(window, rom.memory[0x3000:0x4000], clock=slow)
    result = game.play(machine, 1, 1)
    frames = result["frames"] - frames_before_play(rom)
    assert frames == pytest.approx(10.0 * FRAMES_PER_SECOND, rel=0.03)


@pytest.mark.parametrize("smooth", [True, False])
def test_smooth_motion_shows_60_pictures_a_second_and_changes_nothing_else(rom, monkeypatch, smooth):
    shown = []
    monkeypatch.setattr(
        "tempest_gym.commands.human.draw_lines", lambda lines, size, glow: shown.append(lines) or BLACK
    )
    machine = BoardMachine(rom)
    script = [(0.5, key("SPACE")), (1.0, key("LEFT")), (4.0, key("ESCAPE"))]
    play(rom, script, machine, smooth=smooth)
    pictures = len(shown) - round(60 * COUNTDOWN)
    rate = 60 if smooth else FRAMES_PER_SECOND
    assert pictures == pytest.approx(4.0 * rate, abs=6)
    other = BoardMachine(rom)
    play(rom, script, other, smooth=not smooth)
    assert machine.ram().tobytes() == other.ram().tobytes()


def test_the_start_screen_offers_the_levels_of_the_game_and_shows_their_tubes(rom):
    texts, machine, window = [], BoardMachine(rom), Window()
    script = [
        (1.0, key("UP")),
        (1.1, key("PAGEUP")),
        (1.2, key("DOWN")),
        (1.3, key("PAGEDOWN")),
        (2.0, key("SPACE")),
    ]
    draw = window.draw
    window.draw = lambda picture, text=(), captions=(): (texts.append(text), draw(picture, text, captions))
    game = HumanPlay(window, rom.memory[0x3000:0x4000], clock=ScriptedClock(script))
    assert game.choose_level(machine, 1, 1, ["1,234 points"]) == 1
    levels = [next(int(line[12:]) for line in text if line[:12] == "Start level ") for text in texts]
    assert list(dict.fromkeys(levels)) == [1, 3, 11, 9]
    assert all(text[0] == "SQUALL" and text[-1] == "1,234 points" for text in texts)
    tube = BoardMachine(rom)
    tube.reset(1, 1)
    tube.advance(False, False, 0)
    assert machine.ram()[0x03CE:0x03EE].tobytes() == tube.ram()[0x03CE:0x03EE].tobytes()
    window.close()


@pytest.mark.parametrize("start", [key("SPACE"), key("RETURN"), button(1), pad(0)])
def test_keys_and_buttons_that_start_a_game(rom, start):
    window = Window()
    game = HumanPlay(window, rom.memory[0x3000:0x4000], clock=ScriptedClock([(1.0, start)]))
    assert game.choose_level(BoardMachine(rom), 1, 10) == 9  # the last entry of the menu that is not above 10
    assert not window.closed
    window.close()


def test_an_opponent_plays_the_same_game_frame_by_frame(rom, monkeypatch):
    captions = []
    draw = Window.draw

    def noted(window, picture, text=(), names=()):
        captions.append(names)
        assert picture.shape[1] == 2 * (picture.shape[0] * 3 // 4)
        draw(window, picture, text, names)

    monkeypatch.setattr(Window, "draw", noted)
    monkeypatch.setattr("tempest_gym.commands.human._OPPONENT_SECONDS", 60.0)
    opponent = Opponent("expert", TempestEnv(rom=rom), partial(make_player, "expert"))
    machine = BoardMachine(rom)
    result, _, _ = play(rom, [(20.0, key("ESCAPE"))], machine, seed=5, opponent=opponent)
    alone = BoardMachine(rom)
    frame = alone.reset(5, 1)
    for _ in range(result["frames"]):
        frame = alone.step(*CONTROLS[advised_action(frame)])
    assert opponent.frame.features.tobytes() == frame.features.tobytes()
    assert opponent.frame.score == frame.score > 0
    assert set(captions) == {("you", "expert")}


def test_an_opponent_that_searches_for_long_holds_up_neither_the_game_nor_the_window(rom):
    thought, frames = threading.Event(), 0

    def make_slow(env, seed):
        def choose(observation, info):
            assert thought.wait(60), "the game waited for the search"
            return info["expert_action"]

        return choose

    opponent = Opponent("slow", TempestEnv(rom=rom), make_slow)

    def count():
        nonlocal frames
        frames += 1
        if frames == 50:
            thought.set()

    _, clock, _ = play(rom, [(10.0, key("ESCAPE"))], seed=5, sound=count, opponent=opponent)
    assert frames == pytest.approx(10.0 * FRAMES_PER_SECOND, abs=3)
    assert max(clock.sleeps) <= 1 / 60 + 1e-9


def test_the_glow_of_the_lines_can_be_chosen(rom, monkeypatch):
    monkeypatch.setattr("tempest_gym.display.window._FIRST_HEIGHT", 640)
    pictures = []
    monkeypatch.setattr(Window, "draw", lambda window, picture, *_: pictures.append(picture))
    window, machine = Window(), BoardMachine(rom)
    for glow in (0.0, 1.0, 4.0):
        game = HumanPlay(window, rom.memory[0x3000:0x4000], glow=glow, clock=ScriptedClock([]))
        window.closed = False
        monkeypatch.setattr(window, "events", lambda: setattr(window, "closed", True) or [])
        game.choose_level(machine, 1, 1)
    lit = [np.count_nonzero(picture) for picture in pictures]
    assert lit[0] < lit[1] < lit[2]


def test_an_error_of_the_opponent_ends_the_game(rom):
    def make_broken(env, seed):
        return lambda observation, info: int("x7")

    opponent = Opponent("broken", TempestEnv(rom=rom), make_broken)
    with pytest.raises(ValueError, match="x7"):
        play(rom, [(1000.0, key("ESCAPE"))], opponent=opponent)


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
    assert clock.time < 299.0 + COUNTDOWN
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
    assert len(heard) == result["frames"] - frames_before_play(rom)
    assert np.any(np.array(heard)[:, 0, 1] & 15)


def test_without_a_sound_device_a_warning_is_logged(monkeypatch, caplog):
    monkeypatch.setenv("SDL_AUDIODRIVER", "no-such-driver")
    assert open_speaker() is None
    assert "no sound" in caplog.text


def test_without_a_library_of_the_mixer_a_warning_is_logged(monkeypatch, caplog):
    def init(*_, **__):
        """Fail as pygame's stand-in for a mixer that cannot be loaded."""
        raise NotImplementedError("mixer module not available")

    monkeypatch.setattr(pygame.mixer, "init", init)
    assert open_speaker() is None
    assert "no sound: mixer module not available" in caplog.text


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


def test_text_fits_into_a_window_of_any_size():
    window = Window(rate=0)
    lines = ["GAME OVER", *[("a long line of text on the left", "and another one on the right")] * 30]
    for size in ((600, 800), (120, 160), (400, 100), (3, 4)):
        window.draw(np.full((size[1], size[0], 3), 100, np.uint8), lines, ("you", "expert"))
        screen = pygame.surfarray.array3d(pygame.display.get_surface()).max(axis=2)
        assert screen.shape == size
        if min(size) >= 100:
            margins = np.concatenate([screen[:2].ravel(), screen[-2:].ravel()])
            assert margins.max() < 200 < screen.max()
        window.close()


def test_captions_stand_below_the_pictures_side_by_side():
    window = Window(rate=0)
    window.draw(np.zeros((400, 600, 3), np.uint8), captions=("you", "expert"))
    bright = pygame.surfarray.array3d(pygame.display.get_surface()).max(axis=2) > 100
    columns = np.flatnonzero(bright.any(axis=1))
    assert np.abs(columns[columns < 300] - 150).max() < 30
    assert np.abs(columns[columns >= 300] - 450).max() < 60
    assert not bright[:, :360].any()
    window.close()


def test_f_fills_the_screen_and_back():
    window = Window(rate=0)
    picture = np.zeros((60, 80, 3), np.uint8)
    window.draw(picture)
    for full in (True, False):
        pygame.event.post(key("f"))
        window.events()
        assert bool(pygame.display.get_surface().get_flags() & pygame.FULLSCREEN) == full
        window.draw(picture)
    window.close()


def test_a_gamepad_that_is_plugged_in_later_plays(monkeypatch):
    opened = []
    monkeypatch.setattr("pygame.joystick.Joystick", lambda index: opened.append(index) or object())
    window = Window(rate=0)
    window.draw(np.zeros((60, 80, 3), np.uint8))
    window.open_gamepads()
    pygame.event.post(pygame.event.Event(pygame.JOYDEVICEADDED, device_index=2))
    window.events()
    assert opened == [2]
    window.close()


@pytest.mark.parametrize(
    ("window_size", "columns", "height"),
    [((600, 900), 1, 800), ((900, 400), 1, 400), ((900, 900), 2, 600), ((4000, 4000), 1, 1440)],
)
def test_a_picture_is_drawn_as_large_as_the_window_holds(window_size, columns, height):
    window = Window(rate=0)
    window.draw(np.zeros((window_size[1], window_size[0], 3), np.uint8))
    assert window.picture_size(columns) == (height, height * 3 // 4)
    window.close()


def test_a_window_that_nobody_would_see_is_refused(monkeypatch, caplog):
    """Without a display SDL draws into memory and reports nothing."""
    monkeypatch.delenv("SDL_VIDEODRIVER")
    monkeypatch.setattr("pygame.display.get_driver", lambda: "offscreen")
    picture = np.zeros((20, 10, 3), np.uint8)
    monkeypatch.setattr("pygame.display.init", lambda: None)
    monkeypatch.setenv("DISPLAY", ":5")
    with pytest.raises(RuntimeError, match=r"cannot use the display :5; .* libx11-6"):
        Window().draw(picture)
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(RuntimeError, match="there is no display here"):
        Window().draw(picture)
    monkeypatch.undo()
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    Window(unseen=True).draw(picture)
    assert "no display" not in caplog.text, "somebody asked for this driver"
