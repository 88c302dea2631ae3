"""A person plays: keyboard and mouse are the spinner and the buttons, the board runs at its true speed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.commands.games import GameResult
from tempest_gym.commands.recording import SPINNER_REACH, Controls
from tempest_gym.display.sound import SAMPLE_RATE, Synthesizer
from tempest_gym.display.window import Window, import_pygame
from tempest_gym.frame import FRAMES_PER_SECOND
from tempest_gym.machines.machine import Advance, Machine
from tempest_gym.settings import Settings

__all__ = ["Clock", "Hands", "Speaker", "play_by_hand"]

_POLL_SECONDS = 1 / 60
_FRAME_SECONDS = 1 / FRAMES_PER_SECOND
_FRAMES_BEHIND = 3
"""Game frames that are caught up after a hitch, unseen; the rest of a longer one is let go."""

_KEY_SPEED, _KEY_SPEED_MAX, _KEY_RAMP = 130.0, 400.0, 900.0
"""Turn of a held arrow key, in units a second (16 are a lane): at first, at most, and gain per second."""

_MOUSE_SPEED = 0.6
"""Turn of the mouse, in units per pixel."""

_LAST_PICTURE_SECONDS = 6.0
_LEAD_SECONDS = 0.04
"""Silence ahead of the sound, so that a frame a little late leaves no gap."""

_RIGHT, _LEFT = -1, 1
"""A negative turn leads to higher lanes: to the right, where the tube is open or the claw at its bottom."""


class Clock:
    """Time, and waiting for it."""

    def now(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Hands:
    """What the player's hands do, told by pygame's events.

    Arrow keys and mouse turn; space or the left button fires; x or the right button zaps; p pauses.

    Args:
        mouse: factor of the mouse's turn.

    Attributes:
        paused: the player wants a pause, or went to another window.
    """

    def __init__(self, mouse: float = 1.0) -> None:
        """Begin with nothing held."""
        self._pygame: Any = import_pygame()
        self._mouse = mouse * _MOUSE_SPEED
        self._held: set[str] = set()
        self._pressed: set[str] = set()
        self._turn = 0.0
        self._key_seconds = 0.0
        self.paused = False

    def handle(self, event: Any) -> None:
        """Take in an event."""
        pygame = self._pygame
        if event.type in (pygame.KEYDOWN, pygame.KEYUP):
            names = {
                pygame.K_LEFT: "left",
                pygame.K_RIGHT: "right",
                pygame.K_SPACE: "fire key",
                pygame.K_x: "zap key",
            }
            if event.type == pygame.KEYDOWN and event.key == pygame.K_p:
                self.paused = not self.paused
            self._switch(names.get(event.key), event.type == pygame.KEYDOWN)
        elif event.type in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
            buttons = {1: "fire button", 3: "zap button"}
            self._switch(buttons.get(event.button), event.type == pygame.MOUSEBUTTONDOWN)
        elif event.type == pygame.MOUSEMOTION and not self.paused:
            self._turn += _RIGHT * self._mouse * event.rel[0]
        elif event.type == pygame.WINDOWFOCUSLOST:
            self._held.clear()
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
        """Turn by the arrow keys for that long; the longer one is held, the faster."""
        direction = _RIGHT * ("right" in self._held) + _LEFT * ("left" in self._held)
        self._key_seconds = self._key_seconds + seconds if direction else 0.0
        speed = min(_KEY_SPEED + _KEY_RAMP * self._key_seconds, _KEY_SPEED_MAX)
        self._turn += direction * speed * seconds

    def take(self) -> Controls:
        """Return what to do in this game frame: whatever is held, or was pressed since the last one."""
        active = self._held | self._pressed
        turn = max(-SPINNER_REACH, min(SPINNER_REACH, round(self._turn)))
        # What one frame cannot take stays for the next, but a spinner does not spin on for long.
        self._turn = max(-SPINNER_REACH, min(SPINNER_REACH, self._turn - turn))
        self._pressed.clear()
        return bool(active & {"fire key", "fire button"}), bool(active & {"zap key", "zap button"}), turn

    def rest(self) -> None:
        """Forget what was done while nobody could play."""
        self._turn = 0.0
        self._pressed.clear()


class Speaker:
    """Plays the game's sound, a game frame at a time.

    Raises:
        pygame.error: there is nothing to play it on.
    """

    def __init__(self) -> None:
        """Open the sound device."""
        self._pygame: Any = import_pygame()
        self._pygame.mixer.init(SAMPLE_RATE, -16, 1, 512, allowedchanges=0)
        self._channel = self._pygame.mixer.Channel(0)
        self._synthesizer = Synthesizer()

    def play(self, registers: NDArray[np.uint8]) -> None:
        """Play a game frame's sound, see `Synthesizer.stretch`, after what is playing."""
        samples = self._synthesizer.stretch(registers, _FRAME_SECONDS)
        if not self._channel.get_busy():
            lead = np.zeros(int(_LEAD_SECONDS * SAMPLE_RATE), np.int16)
            self._channel.play(self._pygame.mixer.Sound(buffer=lead.tobytes()))
        if self._channel.get_queue() is None:
            self._channel.queue(self._pygame.mixer.Sound(buffer=samples.tobytes()))

    def close(self) -> None:
        """Give the device back."""
        self._pygame.mixer.quit()


def open_speaker() -> Speaker | None:
    """Return a speaker, or None with a word in the log where there is nothing to play sound on."""
    try:
        return Speaker()
    except import_pygame().error as error:
        logging.getLogger(__name__).warning("no sound: %s", error)
        return None


def play_by_hand(
    machine: Machine,
    window: Window,
    seed: int,
    start_level: int,
    *,
    sound: Callable[[], None] | None = None,
    mouse: float = 1.0,
    clock: Clock | None = None,
) -> GameResult:
    """Let a person play one game, to its end or until the window is closed.

    Args:
        machine: what to play on.
        window: shows the game and hears the player; ``window.closed`` tells whether it was closed.
        seed: of the game.
        start_level: 1-81.
        sound: called after each game frame, to play its sound.
        mouse: factor of the mouse's turn.
        clock: what to take time from.
    """
    game = _HandGame(machine, window, Hands(mouse), clock or Clock(), sound)
    try:
        return game.play(seed, start_level)
    finally:
        window.hold_mouse(False)


class _HandGame:
    """One game played by hand."""

    def __init__(
        self, machine: Machine, window: Window, hands: Hands, clock: Clock, sound: Callable[[], None] | None
    ) -> None:
        self._machine, self._window, self._hands = machine, window, hands
        self._clock, self._sound = clock, sound
        self._settings = Settings()

    def play(self, seed: int, start_level: int) -> GameResult:
        machine, window, hands, clock = self._machine, self._window, self._hands, self._clock
        frame = machine.reset(seed, start_level)
        window.draw(machine.picture())
        frames, reward, advance = 0, 0.0, Advance()
        polled = due = clock.now()
        while not (window.closed or frame.over):
            if self._pause():
                polled = due = clock.now()
            now = clock.now()
            hands.pass_time(now - polled)
            polled = now
            if now < due:
                clock.sleep(min(_POLL_SECONDS, due - now))
                continue
            if not frame.decision:
                hands.rest()
            frame = machine.step(*hands.take() if frame.decision else (False, False, 0))
            frames += 1
            whole = advance.add(frame)
            if whole is not None:
                reward += self._settings.reward(whole.objective, whole.subjective)
                advance = Advance()
            due = max(due + _FRAME_SECONDS, now - _FRAMES_BEHIND * _FRAME_SECONDS)
            if self._sound is not None:
                self._sound()
            if due > now or frame.over:
                window.draw(machine.picture())
        if frame.over:
            self._show_end(frame.score)
        return GameResult(seed=seed, score=frame.score, level=frame.level + 1, frames=frames, reward=reward)

    def _pause(self) -> bool:
        """Hear the player; while the pause lasts, wait. Returns whether there was one."""
        window, hands = self._window, self._hands
        self._hear()
        if not hands.paused:
            window.hold_mouse(True)
            return False
        window.hold_mouse(False)
        window.draw(self._machine.picture(), ("PAUSE", "p goes on, Esc ends"))
        while hands.paused and not window.closed:
            self._clock.sleep(_POLL_SECONDS)
            self._hear()
        hands.rest()
        return True

    def _hear(self) -> list[Any]:
        events = self._window.events()
        for event in events:
            self._hands.handle(event)
        return events

    def _show_end(self, score: int) -> None:
        """Leave the end on the screen for a moment, or until a key is pressed."""
        self._window.draw(self._machine.picture(), ("GAME OVER", f"{score:,} points"))
        pygame = import_pygame()
        end = self._clock.now() + _LAST_PICTURE_SECONDS
        ripe = self._clock.now() + 1.0  # nobody means the shots of the last second
        while self._clock.now() < end and not self._window.closed:
            pressed = any(event.type == pygame.KEYDOWN for event in self._hear())
            if pressed and self._clock.now() > ripe:
                return
            self._clock.sleep(_POLL_SECONDS)
