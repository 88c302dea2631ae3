"""Watching a policy play, in a window or as a video file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.collect.environments import Task, make_single
from tempest_rainbow.collect.sources import check_spaces
from tempest_rainbow.policy import Policy, load_policy

__all__ = ["open_video", "watch"]

_log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]


def watch(
    task: Task, policy: str, *, output: Path | None, games: int, seed: int, seconds: float | None = None
) -> list[tuple[int, float]]:
    """Let a policy play and return seed and score of each game (an unfinished last game included).

    Args:
        task: which environment.
        policy: expert, random, bundled or a path.
        output: video file to write, .mp4 or .gif; None opens a window.
        games: number of games.
        seed: of the first game.
        seconds: of play after which to stop; None plays to the end.

    Raises:
        ValueError: the file's ending is none of a video.
        ModuleNotFoundError: what draws the window or writes the video is not installed.
    """
    env = make_single(task, render_mode="human" if output is None else "rgb_array")
    try:
        _, action_count = check_spaces(env.observation_space, env.action_space)
        player = load_policy(policy, action_count, seed)
        rate = float(env.metadata.get("render_fps", 30))
        limit = None if seconds is None else int(seconds * rate)
        if output is None:
            return _play(env, player, games, seed, limit, lambda: None)
        with open_video(output, rate) as show:
            return _play(env, player, games, seed, limit, lambda: show(_picture(env)))
    finally:
        env.close()


def _play(
    env: gym.Env[Any, Any],
    policy: Policy,
    games: int,
    seed: int,
    limit: int | None,
    show: Callable[[], None],
) -> list[tuple[int, float]]:
    results: list[tuple[int, float]] = []
    shown = 0
    for game in range(games):
        observation, info = env.reset(seed=seed + game)
        total, ended = 0.0, False
        show()
        while not ended and (limit is None or shown < limit):
            flat = np.asarray(observation, np.float32).reshape(1, -1)
            advice = {key: np.array([value]) for key, value in info.items() if key == "expert_action"}
            action = int(policy.act(flat, advice)[0])
            observation, reward, terminated, truncated, info = env.step(action)
            total += float(reward)
            ended = terminated or truncated
            shown += 1
            show()
        results.append((seed + game, float(info.get("score", total))))
        if limit is not None and shown >= limit:
            break
    return results


def _picture(env: gym.Env[Any, Any]) -> Picture:
    picture = env.render()
    if not isinstance(picture, np.ndarray):
        raise ValueError(f"{env} renders no pictures")
    return picture


@contextmanager
def open_video(path: Path, rate: float) -> Iterator[Callable[[Picture], None]]:
    """Give a function that appends a picture, uint8 ``(height, width, 3)``, to a video file.

    Args:
        path: .mp4 (H.264) or .gif.
        rate: pictures a second.

    Raises:
        ValueError: the file has another ending.
        ModuleNotFoundError: imageio-ffmpeg (.mp4) or Pillow (.gif) is not installed.
    """
    if path.suffix == ".mp4":
        writer = _mp4(path, rate)
    elif path.suffix == ".gif":
        writer = _gif(path, rate)
    else:
        raise ValueError(f"a video file ends in .mp4 or .gif, got {path}")
    next(writer)
    try:
        yield writer.send
    finally:
        writer.close()


def _mp4(path: Path, rate: float) -> Generator[None, Picture, None]:
    import imageio_ffmpeg

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
    from PIL import Image

    pictures: list[Any] = []
    try:
        while True:
            pictures.append(Image.fromarray((yield)).quantize(64))
    finally:
        if pictures:
            pictures[0].save(
                path, save_all=True, append_images=pictures[1:], duration=round(1000 / rate), loop=0
            )
