"""A short film of one evaluation game: few pictures, evenly spaced however long the game lasts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Film"]

_log = logging.getLogger(__name__)

_MOST = 64
_FIRST_SPACING = 8
_SHOWN_MS = 150
_COLOURS = 32


class Film:
    """Pictures of environment 0 of a vector environment that has ``picture``; others leave it empty."""

    def __init__(self) -> None:
        """Begin without pictures."""
        self.pictures: list[NDArray[np.uint8]] = []
        self._spacing = _FIRST_SPACING
        self._steps = 0

    def take(self, envs: Any) -> None:
        """Look at the environments once a step; where the film grows too long, every other picture goes."""
        if self._steps % self._spacing == 0 and hasattr(envs.unwrapped, "picture"):
            self.pictures.append(_half(envs.unwrapped.picture(0)))
            if len(self.pictures) > _MOST:
                self.pictures = self.pictures[::2]
                self._spacing *= 2
        self._steps += 1

    def save(self, path: Path) -> bool:
        """Write an animated GIF and return whether there was something to write."""
        if not self.pictures:
            return False
        try:
            from PIL import Image  # comes with TensorBoard, but a run needs neither
        except ModuleNotFoundError:
            _log.info("no film of the evaluation is kept: pip install pillow")
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = [Image.fromarray(picture).quantize(_COLOURS) for picture in self.pictures]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=_SHOWN_MS, loop=0)
        return True


def _half(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture of half the size; the brightest of four pixels stays, so that thin lines do."""
    height, width, _ = picture.shape
    even = picture[: height // 2 * 2, : width // 2 * 2]
    rows = np.maximum(even[::2], even[1::2])
    halved: NDArray[np.uint8] = np.maximum(rows[:, ::2], rows[:, 1::2])
    return halved
