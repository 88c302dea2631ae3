"""Video files of games (extra ``video``)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from tempest_gym.display.window import Window
from tempest_gym.extras import missing_extra

__all__ = ["GIF_PICTURES_MAX", "Picture", "check_video_name", "open_screen", "open_video"]

_log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]

GIF_PICTURES_MAX = 2000
"""Pictures a .gif may have: they are all in memory until it is written."""

_GIF_COLOURS = 64


def check_video_name(path: Path) -> None:
    """Check that a file name ends in .mp4 or .gif.

    Raises:
        ValueError: it is neither .mp4 nor .gif.
    """
    if path.suffix not in (".mp4", ".gif"):
        raise ValueError(f"a video file ends in .mp4 or .gif, got {path}")


@contextmanager
def open_video(path: Path, rate: float) -> Iterator[Callable[[Picture], None]]:
    """Yield a function that appends a picture, uint8 ``(height, width, 3)``, to a video file.

    Args:
        path: .mp4 (H.264) or .gif (at most `GIF_PICTURES_MAX` pictures).
        rate: pictures a second.

    Raises:
        ValueError: the file has another ending; or, when appending, a .gif grows too long.
        gymnasium.error.DependencyNotInstalled: imageio-ffmpeg (.mp4) or Pillow (.gif) is missing.
    """
    check_video_name(path)
    writer = _mp4(path, rate) if path.suffix == ".mp4" else _gif(path, rate)
    next(writer)
    try:
        yield writer.send
    finally:
        writer.close()


@contextmanager
def open_screen(path: Path | None, rate: float) -> Iterator[tuple[Callable[[Picture], bool], Window | None]]:
    """Yield a function that shows a picture and returns whether to continue, and the window that it shows it in.

    Args:
        path: video file to write instead, as for `open_video`; None opens a window.
        rate: pictures a second.

    Raises:
        ValueError, gymnasium.error.DependencyNotInstalled: as `open_video` and `Window`.
    """
    if path is None:
        with closing(Window(rate)) as window:

            def show(picture: Picture) -> bool:
                window.show(picture)
                return not window.closed

            yield show, window
        return
    with open_video(path, rate) as append:
        yield lambda picture: append(picture) is None, None
    _log.info("%s written", path)


def _mp4(path: Path, rate: float) -> Generator[None, Picture, None]:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise DependencyNotInstalled(missing_extra("an .mp4 file", "video")) from error

    first = yield
    height, width = first.shape[0] & ~1, first.shape[1] & ~1  # H.264 with 4:2:0 colours needs even sizes
    encoder = imageio_ffmpeg.write_frames(str(path), (width, height), fps=rate, macro_block_size=1)
    encoder.send(None)
    try:
        picture = first
        while True:
            encoder.send(np.ascontiguousarray(picture[:height, :width]))
            picture = yield
    finally:
        encoder.close()


def _gif(path: Path, rate: float) -> Generator[None, Picture, None]:
    try:
        from PIL import Image
    except ImportError as error:
        raise DependencyNotInstalled(missing_extra("a .gif file", "video")) from error

    pictures: list[Any] = []
    try:
        while True:
            picture = yield
            if len(pictures) == GIF_PICTURES_MAX:
                raise ValueError(f"a .gif holds {GIF_PICTURES_MAX} pictures at most: write an .mp4")
            pictures.append(Image.fromarray(picture).quantize(_GIF_COLOURS))
    finally:
        if pictures:
            pictures[0].save(
                path,
                save_all=True,
                append_images=pictures[1:],
                duration=gif_durations(len(pictures), rate),
                loop=0,
            )


def gif_durations(count: int, rate: float) -> list[int]:
    """Return how long each picture stays, in milliseconds: multiples of 10, the resolution of a .gif, without drift."""
    ends = [round(100 * (index + 1) / rate) for index in range(count)]
    return [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
