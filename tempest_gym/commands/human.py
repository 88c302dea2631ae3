"""Human play: keyboard, mouse and gamepad act as spinner and buttons; the board runs at its true speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Semaphore
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import CONTROLS, advised_action
from tempest_gym.commands.games import GameResult
from tempest_gym.commands.recording import SPINNER_REACH, Controls
from tempest_gym.display.motion import Motion
from tempest_gym.display.render import display_list, draw_lines
from tempest_gym.display.window import Text, Window, import_pygame
from tempest_gym.env import TempestEnv
from tempest_gym.frame import FRAMES_PER_SECOND, Frame
from tempest_gym.info import TempestInfo, step_info
from tempest_gym.machines.machine import Advance, Machine
from tempest_gym.players import Player
from tempest_gym.settings import LAST_START_LEVEL, Settings

__all__ = ["HELP", "Clock", "HumanPlay", "MakePlayer", "Opponent", "PlayerInput"]

_PICTURE_SECONDS = 1 / 60
_FRAME_SECONDS = 1 / FRAMES_PER_SECOND
_FRAMES_BEHIND = 3
"""Game frames that are played unseen to catch up after a delay; the rest of a longer delay is skipped."""

_FRAMES_AHEAD = 27
"""Game frames, a second, that an opponent may be ahead of what is shown."""

_OPPONENT_SECONDS = 0.002
"""How long a picture waits for the opponent's next frame; then the opponent's side stands still."""

_KEY_SPEED, _KEY_SPEED_MAX, _KEY_RAMP = 130.0, 400.0, 900.0
"""Turn of a held arrow key, in units a second (16 are a lane): at first, at most, and gain per second."""

_MOUSE_SPEED = 0.6
"""Turn of the mouse, in units per pixel."""

_STICK_REST = 0.15
"""Deflection of a gamepad's stick up to which it counts as at rest."""

_PAD_FIRE, _PAD_ZAP, _PAD_PAUSE = 0, 1, (6, 7)
"""Numbers of a gamepad's buttons: A, B, and Start, which is 7 on some and 6 on others."""

_RIGHT, _LEFT = -1, 1
"""A negative turn leads to higher lanes: to the right, where the tube is open or the claw at its bottom."""

_COUNT_SECONDS = 0.7
"""Length of each number of the countdown."""

_END_SECONDS = 6.0
"""How long the last picture stays if no other game follows."""

_DEAF_SECONDS = 1.0
"""Time after the end in which keys do nothing: they were meant for the game."""

HELP = (
    ("Arrow keys, mouse or stick", "turn"),
    ("Space, left button or A", "fire"),
    ("X, right button or B", "superzapper"),
    ("P or Start", "pause"),
    ("F", "full screen"),
    ("H", "these keys"),
    ("Esc", "quit"),
)
"""The keys and buttons, each with what it does."""


class Clock:
    """Time, and waiting for it."""

    def now(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class PlayerInput:
    """Turns pygame's events into the controls of each game frame.

    Arrow keys, mouse and a gamepad's stick turn; space, the left button or A fires; x, the right button or B zaps;
    p, h or Start pauses, and so does f, which fills the screen.

    Args:
        mouse: factor of the mouse's turn.

    Attributes:
        paused: the player paused the game, or switched to another window.
    """

    def __init__(self, mouse: float = 1.0) -> None:
        """Start with nothing held."""
        self._pygame: Any = import_pygame()
        self._mouse = mouse * _MOUSE_SPEED
        self._held: set[str] = set()
        self._pressed: set[str] = set()
        self._turn = self._stick = self._key_seconds = 0.0
        self.paused = False

    def handle(self, event: Any) -> None:
        """Process an event."""
        pygame = self._pygame
        if event.type in (pygame.KEYDOWN, pygame.KEYUP):
            names = {
                pygame.K_LEFT: "left",
                pygame.K_RIGHT: "right",
                pygame.K_SPACE: "fire key",
                pygame.K_x: "zap key",
            }
            if event.type == pygame.KEYDOWN:
                if event.key in (pygame.K_p, pygame.K_h):
                    self.paused = not self.paused
                elif event.key in (pygame.K_f, pygame.K_F11):  # The screen takes a moment to change.
                    self.paused = True
            self._switch(names.get(event.key), event.type == pygame.KEYDOWN)
        elif event.type in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
            buttons = {1: "fire button", 3: "zap button"}
            self._switch(buttons.get(event.button), event.type == pygame.MOUSEBUTTONDOWN)
        elif event.type == pygame.MOUSEMOTION and not self.paused:
            self._turn += _RIGHT * self._mouse * event.rel[0]
        elif event.type in (pygame.JOYBUTTONDOWN, pygame.JOYBUTTONUP):
            down = event.type == pygame.JOYBUTTONDOWN
            if down and event.button in _PAD_PAUSE:
                self.paused = not self.paused
            self._switch({_PAD_FIRE: "fire pad", _PAD_ZAP: "zap pad"}.get(event.button), down)
        elif event.type == pygame.JOYAXISMOTION and event.axis == 0:
            self._stick = event.value if abs(event.value) > _STICK_REST else 0.0
        elif event.type == pygame.WINDOWFOCUSLOST:
            self._held.clear()
            self._stick = 0.0
            self.paused = True

    def _switch(self, name: str | None, down: bool) -> None:
        if name is None:
            return
        if down:
            self._held.add(name)
            self._pressed.add(name)
        else:
            self._held.discard(name)

    def pass_time(self, seconds: float) -> None:
        """Turn by arrow keys and stick for that long; the longer a key is held, the faster."""
        direction = _RIGHT * ("right" in self._held) + _LEFT * ("left" in self._held)
        self._key_seconds = self._key_seconds + seconds if direction else 0.0
        speed = min(_KEY_SPEED + _KEY_RAMP * self._key_seconds, _KEY_SPEED_MAX)
        self._turn += (direction * speed + _RIGHT * self._stick * _KEY_SPEED_MAX) * seconds

    def take(self) -> Controls:
        """Return what to do in this game frame: whatever is held, or was pressed since the last one."""
        active = self._held | self._pressed
        turn = max(-SPINNER_REACH, min(SPINNER_REACH, round(self._turn)))
        # What one frame cannot take stays for the next, but a spinner does not spin for long.
        self._turn = max(-SPINNER_REACH, min(SPINNER_REACH, self._turn - turn))
        self._pressed.clear()
        fire, zap = (any(name.startswith(button) for name in active) for button in ("fire", "zap"))
        return fire, zap, turn

    def rest(self) -> None:
        """Forget what was done while the player could not act."""
        self._turn = 0.0
        self._pressed.clear()


MakePlayer = Callable[[TempestEnv, int], Player]
"""Makes a player from an environment and a seed."""


class Opponent:
    """A player of the same game beside the person's, frame by frame.

    Args:
        name: of the player.
        env: the environment whose machine it plays on.
        make: makes the player of each game.

    Attributes:
        frame: the last frame, None before `reset`.
    """

    def __init__(self, name: str, env: TempestEnv, make: MakePlayer) -> None:
        """Wait for `reset`."""
        self.name, self.env, self._make = name, env, make
        self.frame: Frame | None = None
        self._frames = 0

    def reset(self, seed: int, start_level: int) -> None:
        """Start a game and run to the first frame in which a player can act."""
        self._player, self._frames = self._make(self.env, seed), 0
        # A player that plans copies the environment, which has to know that a game is under way.
        self.env.reset(seed=seed, options={"start_level": start_level})
        self.frame = _first_decision(self.env.machine, seed, start_level)

    def step(self) -> None:
        """Play one game frame; after the end of the game nothing happens."""
        frame = self.frame
        if frame is None or frame.over:
            return
        controls = False, False, 0
        if frame.decision:
            info: TempestInfo = step_info(frame, advised_action(frame), self._frames)
            controls = CONTROLS[self._player(frame.features, info)]
        self.frame = self.env.machine.step(*controls)
        self._frames += 1


class _Ahead:
    """Plays an opponent's game in a thread, ahead of what is shown, so that a long search delays no picture.

    Args:
        opponent: after `Opponent.reset`.
        lines: returns the lines that a machine draws.

    Attributes:
        frame: the frame that is shown.
    """

    def __init__(self, opponent: Opponent, lines: Callable[[Machine], NDArray[np.float32]]) -> None:
        """Start the thread."""
        self.frame, self._shown = opponent.frame, lines(opponent.env.machine)
        self._opponent, self._lines = opponent, lines
        self._frames: SimpleQueue[tuple[Frame | None, NDArray[np.float32]]] = SimpleQueue()
        self._frames.put((self.frame, self._shown))
        self._room, self._closed = Semaphore(_FRAMES_AHEAD - 1), False
        self._pool = ThreadPoolExecutor(1)
        self._playing = self._pool.submit(self._play)

    def _play(self) -> None:
        opponent = self._opponent
        while opponent.frame is not None and not opponent.frame.over:
            self._room.acquire()
            if self._closed:
                return
            opponent.step()
            self._frames.put((opponent.frame, self._lines(opponent.env.machine)))

    def next(self) -> NDArray[np.float32]:
        """Return the lines of the next frame; those of the last one again while the opponent is not ready."""
        over = self._playing.done()
        if over:
            self._playing.result()
        with suppress(Empty):
            self.frame, self._shown = self._frames.get(timeout=0.0 if over else _OPPONENT_SECONDS)
            self._room.release()
        return self._shown

    def close(self) -> None:
        """End the thread, after a search that is under way, and leave the opponent at the frame that is shown."""
        self._closed = True
        self._room.release()
        self._pool.shutdown()
        self._opponent.frame = self.frame


def _first_decision(machine: Machine, seed: int, start_level: int) -> Frame:
    frame = machine.reset(seed, start_level)
    while not frame.decision:
        frame = machine.step(False, False, 0)
    return frame


def _next_level(machine: Machine, seed: int, level: int, step: int) -> int:
    """Return the start level some steps further that the game's start menu has, and show its tube."""
    wanted = level
    while 1 <= wanted + step <= LAST_START_LEVEL:
        wanted += step
        found = _first_decision(machine, seed, wanted).level + 1
        if found != level:
            return found
        step = 1 if step > 0 else -1
    return _first_decision(machine, seed, 1 if step < 0 else LAST_START_LEVEL).level + 1


class HumanPlay:
    """Games that a person plays in a window, alone or beside an opponent.

    Args:
        window: shows the games; ``window.closed`` is set once the player quits.
        vector_rom: uint8 (4096,), $3000-$3FFF, with subroutines of the display lists.
        mouse: factor of the mouse's turn.
        smooth: show 60 pictures a second, with lines between their last two places; False: each game frame as it is,
            a frame (37 ms) earlier.
        glow: width of the glow around the lines, times the monitor's.
        opponent: plays beside the person.
        clock: what to take time from.
    """

    def __init__(
        self,
        window: Window,
        vector_rom: NDArray[np.uint8],
        *,
        mouse: float = 1.0,
        smooth: bool = True,
        glow: float = 1.0,
        opponent: Opponent | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Open the gamepads."""
        self._window, self._vector_rom, self._smooth = window, vector_rom, smooth
        self._glow = glow
        self._opponent, self._clock = opponent, clock or Clock()
        self._mouse, self._input = mouse, PlayerInput(mouse)
        self._motions: list[tuple[Callable[[], NDArray[np.float32]], Motion]] = []
        self._next_picture = 0.0
        window.open_gamepads()

    def choose_level(self, machine: Machine, seed: int, start_level: int, text: Text = ()) -> int:
        """Show the keys and the tube of the start level until the player starts; return the level chosen.

        Up and Down change it to the next that the game offers, Page Up and Page Down by eight or more. Space, Enter,
        or a button of mouse or gamepad starts.

        Args:
            machine: draws the tubes.
            seed: of the game.
            start_level: 1-81, offered first.
            text: lines to add, such as best scores.
        """
        pygame = import_pygame()
        steps = {pygame.K_UP: 1, pygame.K_DOWN: -1, pygame.K_PAGEUP: 8, pygame.K_PAGEDOWN: -8}
        tubes = [partial(self._lines, machine)] * (1 if self._opponent is None else 2)
        level = _first_decision(machine, seed, start_level).level + 1
        self._show(*tubes)
        while not self._window.closed:
            choice = (f"Start level {level}", "Up, Down: another level     Space: start")
            self._draw(text=(machine.game.upper(), "", *HELP, "", *choice, *text))
            self._wait()
            for event in self._window.events():
                if self._starts(event):
                    return level
                if event.type == pygame.KEYDOWN and event.key in steps:
                    level = _next_level(machine, seed, level, steps[event.key])
                    self._show(*tubes)
        return level

    def _starts(self, event: Any) -> bool:
        pygame = import_pygame()
        if event.type == pygame.KEYDOWN:
            return event.key in (pygame.K_SPACE, pygame.K_RETURN)
        return event.type in (pygame.MOUSEBUTTONDOWN, pygame.JOYBUTTONDOWN)

    def play(
        self, machine: Machine, seed: int, start_level: int, sound: Callable[[], None] | None = None
    ) -> GameResult:
        """Count down and let the person play one game, to its end or until the window is closed.

        Args:
            machine: what to play on.
            seed: of the game.
            start_level: 1-81.
            sound: called after each game frame, to play its sound.
        """
        window, clock = self._window, self._clock
        self._input = player = PlayerInput(self._mouse)
        frame = machine.reset(seed, start_level)
        frames, reward, advance, settings = 0, 0.0, Advance(), Settings()

        def step() -> None:
            nonlocal frame, frames, reward, advance
            if not frame.decision:
                player.rest()
            frame = machine.step(*player.take() if frame.decision else (False, False, 0))
            frames += 1
            whole = advance.add(frame)
            if whole is not None:
                reward += settings.reward(whole.objective, whole.subjective)
                advance = Advance()

        while not frame.decision:  # Coin, start and level select are the pilot's.
            step()
        ahead = None
        if self._opponent is not None:
            self._opponent.reset(seed, start_level)
            ahead = _Ahead(self._opponent, self._lines)
        self._show(partial(self._lines, machine), *([ahead.next] if ahead else []))
        try:
            self._count_down()
            polled = due = clock.now()
            while not (window.closed or frame.over):
                if self._pause():
                    polled = due = clock.now()
                now = clock.now()
                player.pass_time(now - polled)
                polled = now
                stepped = now >= due
                if stepped:
                    step()
                    if sound is not None:
                        sound()
                    self._add_lines()
                    due = max(due + _FRAME_SECONDS, now - _FRAMES_BEHIND * _FRAME_SECONDS)
                    if due <= now and not frame.over:
                        continue
                if self._smooth or stepped:
                    self._draw(1.0 - (due - now) / _FRAME_SECONDS if self._smooth else 1.0)
                self._wait()
        finally:
            window.hold_mouse(False)
            if ahead is not None:
                ahead.close()
        return GameResult(seed=seed, score=frame.score, level=frame.level + 1, frames=frames, reward=reward)

    def _count_down(self) -> None:
        for count in (3, 2, 1):
            end = self._clock.now() + _COUNT_SECONDS
            while self._clock.now() < end and not self._window.closed:
                self._draw(text=(str(count),))
                self._wait()
                self._events()
        self._input.rest()

    def show_end(self, result: GameResult, text: Text, *, again: bool) -> bool:
        """Show how a game ended; return whether the player wants another.

        Args:
            result: of the game.
            text: lines to add, such as best scores.
            again: offer another game and wait for the answer; False: continue after a moment or at a key.
        """
        offer = ("", "Space: play again     Esc: quit") if again else ()
        lines = ("GAME OVER", f"{result['score']:,} points, level {result['level']}", *text, *offer)
        now = self._clock.now()
        deaf, end = now + _DEAF_SECONDS, now + _END_SECONDS
        while not self._window.closed and (again or self._clock.now() < end):
            self._draw(text=lines)
            self._wait()
            pressed = any(self._starts(event) for event in self._window.events())
            if pressed and self._clock.now() > deaf:
                return True
        return False

    def _lines(self, machine: Machine) -> NDArray[np.float32]:
        return display_list(machine.vector_ram(), self._vector_rom, machine.colour_ram())

    def _show(self, *sources: Callable[[], NDArray[np.float32]]) -> None:
        """Show side by side the lines that these return for each game frame."""
        self._motions = [(lines, Motion()) for lines in sources]
        self._add_lines()

    def _add_lines(self) -> None:
        for lines, motion in self._motions:
            motion.add(lines())

    def _draw(self, share: float = 1.0, text: Text = ()) -> None:
        """Draw the pictures at a moment between the last two game frames, see `Motion.at`."""
        size = self._window.picture_size(len(self._motions))
        pictures = [draw_lines(motion.at(share), size, self._glow) for _, motion in self._motions]
        captions = () if self._opponent is None else ("you", self._opponent.name)
        self._window.draw(np.concatenate(pictures, axis=1), text, captions)

    def _wait(self) -> None:
        """Wait until the next picture is due."""
        now = self._clock.now()
        self._next_picture = max(self._next_picture + _PICTURE_SECONDS, now)
        self._clock.sleep(self._next_picture - now)

    def _pause(self) -> bool:
        """Process events and wait while the game is paused; return whether it was."""
        self._events()
        if not self._input.paused:
            self._window.hold_mouse(True)
            return False
        self._window.hold_mouse(False)
        while self._input.paused and not self._window.closed:
            self._draw(text=("PAUSE", "", *HELP))
            self._wait()
            self._events()
        self._input.rest()
        return True

    def _events(self) -> list[Any]:
        events = self._window.events()
        for event in events:
            self._input.handle(event)
        return events
