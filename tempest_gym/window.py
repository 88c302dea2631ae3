"""A window that shows the game at its true speed (extra ``human``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from tempest_gym.settings import FRAMES_PER_SECOND

__all__ = ["Window"]


class Window:
    """Opens with the first picture and shows one picture per game frame.

    Raises:
        gymnasium.error.DependencyNotInstalled: pygame is missing.
    """

    def __init__(self) -> None:
        """Look for pygame; the window itself opens later."""
        try:
            import pygame
        except ImportError as error:
            raise DependencyNotInstalled(
                'a window needs pygame: run `pip install "tempest-gym[human]"`'
            ) from error
        self._pygame: Any = pygame
        self._screen: Any = None
        self._clock = pygame.time.Clock()

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture of shape ``(height, width, 3)`` and wait until the game frame is over."""
        pygame = self._pygame
        if self._screen is None:
            pygame.display.init()
            pygame.display.set_caption("Tempest")
            self._screen = pygame.display.set_mode((picture.shape[1], picture.shape[0]))
        pygame.event.pump()
        pygame.surfarray.blit_array(self._screen, picture.swapaxes(0, 1))
        pygame.display.flip()
        self._clock.tick(FRAMES_PER_SECOND)

    def close(self) -> None:
        """Close the window; another picture opens it again."""
        if self._screen is not None:
            self._pygame.display.quit()
            self._screen = None
