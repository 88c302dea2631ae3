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

__all__ = ["Window", "import_pygame"]

_log = logging.getLogger(__name__)

_TEXT_SIZE = 34
_TEXT_COLOUR = (255, 255, 255)
_DIMMED = 90


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
    """Opens with the first picture; its size can be changed, the picture keeps its shape.

    Args:
        rate: pictures a second that `show` waits for; None: one per game frame.
        unseen: a window on a computer without a display is fine, as in tests and notebooks; it is logged.

    Attributes:
        closed: the user closed the window, or pressed Escape.

    Raises:
        gymnasium.error.DependencyNotInstalled: pygame is missing.
    """

    def __init__(self, rate: float | None = None, *, unseen: bool = False) -> None:
        """Look for pygame; the window itself opens later."""
        self._pygame: Any = import_pygame()
        self._screen: Any = None
        self._canvas: Any = None
        self._font: Any = None
        self._unseen = unseen
        self._rate = FRAMES_PER_SECOND if rate is None else rate
        self._clock = self._pygame.time.Clock()
        self.closed = False

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture of shape ``(height, width, 3)`` and wait until its time is over."""
        self.draw(picture)
        self.events()
        self._clock.tick(self._rate)

    def draw(self, picture: NDArray[np.uint8], text: Sequence[str] = ()) -> None:
        """Show a picture of shape ``(height, width, 3)`` at once, dimmed with lines of text in its middle if given.

        Raises:
            RuntimeError: there is no display to open the window on.
        """
        pygame = self._pygame
        if self._screen is None:
            pygame.display.init()
            self._check_display()
            pygame.display.set_caption("Tempest")
            size = picture.shape[1], picture.shape[0]
            # Scaled by hand: pygame.SCALED crashes the process under SDL's offscreen driver.
            self._screen = pygame.display.set_mode(size, pygame.RESIZABLE)
            self._canvas = pygame.Surface(size)
        pygame.surfarray.blit_array(self._canvas, picture.swapaxes(0, 1))
        if text:
            self._write(text)
        fitted = self._canvas.get_rect().fit(self._screen.get_rect())
        if fitted.size != self._screen.get_size():
            self._screen.fill(0)
        self._screen.blit(pygame.transform.smoothscale(self._canvas, fitted.size), fitted)
        pygame.display.flip()

    def _check_display(self) -> None:
        """SDL draws into memory where it finds no display, and says nothing; somebody may have asked for that."""
        driver = self._pygame.display.get_driver()
        if driver not in ("offscreen", "dummy") or "SDL_VIDEODRIVER" in os.environ:
            return
        if not self._unseen:
            self._pygame.display.quit()
            raise RuntimeError(
                "there is no display here to open a window on (a video file needs none: --output game.mp4)"
            )
        _log.warning("there is no display here: nobody will see the window")

    def _write(self, lines: Sequence[str]) -> None:
        pygame = self._pygame
        if self._font is None:
            pygame.font.init()
            self._font = pygame.font.Font(None, _TEXT_SIZE)
        canvas, font = self._canvas, self._font
        canvas.fill((_DIMMED,) * 3, special_flags=pygame.BLEND_MULT)
        top = (canvas.get_height() - len(lines) * font.get_linesize()) // 2
        for index, line in enumerate(lines):
            drawn = font.render(line, True, _TEXT_COLOUR)
            canvas.blit(
                drawn, ((canvas.get_width() - drawn.get_width()) // 2, top + index * font.get_linesize())
            )

    def events(self) -> list[Any]:
        """Return pygame's events since the last call; none while the window is not open."""
        if self._screen is None:
            return []
        pygame = self._pygame
        events: list[Any] = pygame.event.get()
        for event in events:
            escape = event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
            self.closed = self.closed or escape or event.type == pygame.QUIT
        return events

    def hold_mouse(self, held: bool) -> None:
        """Keep the mouse in the window, unseen, so that it can turn for ever; or let it go."""
        if self._screen is not None:
            self._pygame.event.set_grab(held)
            self._pygame.mouse.set_visible(not held)

    def close(self) -> None:
        """Close the window; another picture opens it again."""
        if self._screen is not None:
            self._pygame.display.quit()
            self._screen = None
