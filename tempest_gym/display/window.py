"""A window that shows the game (extra ``human``)."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from tempest_gym.extras import missing_extra
from tempest_gym.frame import FRAMES_PER_SECOND

__all__ = ["Text", "Window", "import_pygame"]

_log = logging.getLogger(__name__)

Text = Sequence["str | tuple[str, str]"]
"""Lines of text; a pair is two columns."""

_TEXT_COLOUR = (255, 255, 255)
_DIMMED = 90
_TEXT_SHARE = 0.036
"""Height of a line of text as a share of the window's; a text of one line is larger, a long one smaller."""

_MARGIN = 0.94
"""Share of the window that text may fill."""

_FIRST_HEIGHT, _FIRST_SHARE = 800, 0.8
"""Height of the picture that a window opens with: in pixels, and at most this share of the screen."""

_HEIGHT_MAX = 1440
"""Pictures are drawn no higher than this, which takes 7 ms; the window scales them up."""


def import_pygame() -> Any:
    """Return pygame.

    Raises:
        gymnasium.error.DependencyNotInstalled: it is missing.
    """
    try:
        import pygame
    except ImportError as error:
        raise DependencyNotInstalled(missing_extra("a window", "human")) from error
    return pygame


class Window:
    """Opens with the first picture; its size can be changed, the picture keeps its shape. F or F11 fills the screen.

    Args:
        rate: pictures a second that `show` waits for; None: one per game frame.
        unseen: a window on a computer without a display is fine, as in tests and notebooks; it is logged.

    Attributes:
        closed: the user closed the window, or pressed Escape.

    Raises:
        gymnasium.error.DependencyNotInstalled: pygame is missing.
    """

    def __init__(self, rate: float | None = None, *, unseen: bool = False) -> None:
        """Import pygame; the window itself opens later."""
        self._pygame: Any = import_pygame()
        self._screen: Any = None
        self._size = (0, 0)
        self._fonts: dict[int, Any] = {}
        self._gamepads: list[Any] = []
        self._unseen = unseen
        self._rate = FRAMES_PER_SECOND if rate is None else rate
        self._clock = self._pygame.time.Clock()
        self.closed = False

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture of shape ``(height, width, 3)`` and wait until its time is over."""
        self.draw(picture)
        self.events()
        self._clock.tick(self._rate)

    def draw(self, picture: NDArray[np.uint8], text: Text = (), captions: Sequence[str] = ()) -> None:
        """Show a picture of shape ``(height, width, 3)`` at once.

        Args:
            picture: what to show.
            text: lines in the middle of the window, over the dimmed picture.
            captions: for pictures side by side, a line below each.

        Raises:
            RuntimeError: there is no display to open the window on.
        """
        pygame = self._pygame
        size = picture.shape[1], picture.shape[0]
        if self._screen is None:
            self._open(size)
        screen = self._screen
        shown = pygame.image.frombuffer(np.ascontiguousarray(picture), size, "RGB")
        fitted = shown.get_rect().fit(screen.get_rect())
        if fitted.size != screen.get_size():
            screen.fill(0)
        # Scaled by hand: pygame.SCALED crashes the process under SDL's offscreen driver.
        screen.blit(
            shown if fitted.size == size else pygame.transform.smoothscale(shown, fitted.size), fitted
        )
        for number, caption in enumerate(captions):
            column = fitted.width // len(captions)
            area = pygame.Rect(fitted.left + number * column, fitted.top, column, fitted.height)
            self._write([caption], area, at_bottom=True)
        if text:
            screen.fill((_DIMMED,) * 3, special_flags=pygame.BLEND_MULT)
            self._write(text, screen.get_rect())
        pygame.display.flip()

    def _open(self, size: tuple[int, int]) -> None:
        self._pygame.display.init()
        self._check_display()
        self._pygame.display.set_caption("Tempest")
        self._size = size
        self._screen = self._pygame.display.set_mode(size, self._pygame.RESIZABLE)

    def picture_size(self, columns: int = 1) -> tuple[int, int]:
        """Return the height and width of the largest picture of the monitor's shape that the window holds.

        Args:
            columns: number of pictures side by side.
        """
        if self._screen is None:
            self._pygame.display.init()
            screen = self._pygame.display.Info()  # Sizes are -1 where SDL does not know them.
            width, height = int(_FIRST_SHARE * screen.current_w), int(_FIRST_SHARE * screen.current_h)
            height = min(height, _FIRST_HEIGHT) if height > 0 else _FIRST_HEIGHT
        else:
            width, height = self._screen.get_size()
        if width > 0:
            height = min(height, width * 4 // (3 * columns))
        height = min(max(height, 64), _HEIGHT_MAX)
        return height, height * 3 // 4

    def toggle_full_screen(self) -> None:
        """Fill the whole screen, or return to a window of the size before."""
        pygame = self._pygame
        if self._screen.get_flags() & pygame.FULLSCREEN:
            self._screen = pygame.display.set_mode(self._size, pygame.RESIZABLE)
        else:
            self._size = self._screen.get_size()
            self._screen = pygame.display.set_mode((0, 0), pygame.FULLSCREEN)

    def open_gamepads(self) -> None:
        """Let gamepads send events, also those that are plugged in later."""
        self._pygame.joystick.init()

    def _check_display(self) -> None:
        """SDL draws into memory where it finds no display, and reports nothing; that may be what was asked for."""
        driver = self._pygame.display.get_driver()
        if driver not in ("offscreen", "dummy") or "SDL_VIDEODRIVER" in os.environ:
            return
        if not self._unseen:
            self._pygame.display.quit()
            named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
            if named:
                raise RuntimeError(
                    f"SDL cannot use the display {named}; on Debian try apt-get install libx11-6 libxext6"
                )
            raise RuntimeError(
                "there is no display here to open a window on (a video file needs none: --output game.mp4)"
            )
        _log.warning("there is no display here: the window will not be visible")

    def _write(self, lines: Text, area: Any, *, at_bottom: bool = False) -> None:
        """Write lines into the middle of an area of the window, or one at its bottom."""
        size = int(area.height * _TEXT_SHARE * (1 if at_bottom or len(lines) > 1 else 4))
        columns = [(line, "") if isinstance(line, str) else line for line in lines]
        while True:
            font = self._font(max(size, 1))
            gap, step = font.get_linesize(), font.get_linesize()
            # Pairs are two columns that meet at one line; everything else stands in the middle.
            left = max((font.size(first)[0] for first, second in columns if second), default=0)
            right = max((font.size(second)[0] for _, second in columns if second), default=0)
            width = max(
                left + gap + right, *(font.size(first)[0] for first, second in columns if not second), 1
            )
            share = min(_MARGIN * area.width / width, _MARGIN * area.height / (step * len(columns)))
            if share >= 1.0 or size <= 1:
                break
            size = min(int(size * share), size - 1)
        top = area.bottom - step if at_bottom else area.centery - step * len(columns) // 2
        start = area.centerx - (left + gap + right) // 2
        for row, (first, second) in enumerate(columns):
            y = top + row * step
            drawn = font.render(first, True, _TEXT_COLOUR)
            self._screen.blit(drawn, (start if second else area.centerx - drawn.get_width() // 2, y))
            if second:
                self._screen.blit(font.render(second, True, _TEXT_COLOUR), (start + left + gap, y))

    def _font(self, size: int) -> Any:
        """Return pygame's own font at a size in pixels."""
        if size not in self._fonts:
            self._pygame.font.init()
            self._fonts[size] = self._pygame.font.Font(None, size)
        return self._fonts[size]

    def events(self) -> list[Any]:
        """Return pygame's events since the last call; none while the window is not open."""
        if self._screen is None:
            return []
        pygame = self._pygame
        events: list[Any] = pygame.event.get()
        for event in events:
            key = event.key if event.type == pygame.KEYDOWN else None
            self.closed = self.closed or key == pygame.K_ESCAPE or event.type == pygame.QUIT
            if key in (pygame.K_f, pygame.K_F11):
                self.toggle_full_screen()
            elif event.type == pygame.JOYDEVICEADDED:
                self._gamepads.append(pygame.joystick.Joystick(event.device_index))
        return events

    def hold_mouse(self, held: bool) -> None:
        """Keep the mouse in the window, unseen, so that it can turn without limit; or release it."""
        if self._screen is not None:
            self._pygame.event.set_grab(held)
            self._pygame.mouse.set_visible(not held)

    def close(self) -> None:
        """Close the window; another picture opens it again."""
        if self._screen is not None:
            self._pygame.display.quit()
            self._screen = None
            self._fonts.clear()
