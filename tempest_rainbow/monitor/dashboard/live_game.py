"""A picture of one of the games being collected, with the attention of the network."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.collect.collector import Collector
from tempest_rainbow.networks.rainbow import RainbowNetwork, attention_of

__all__ = ["live_view"]

_QUALITY = 70


def live_view(
    collector: Collector, network: RainbowNetwork, between_steps: threading.Lock
) -> Callable[[], Mapping[str, Any]] | None:
    """Return a function that gives the present picture of the first game, None if games cannot be drawn.

    The picture is a mapping fit for JSON: ``jpeg`` (base64), ``lanes`` (16 points), ``enemies`` (7 points or
    None) in shares of the picture, and ``attention`` (16 x 7, mean over heads) or None.

    Args:
        collector: what plays; only a vector environment with ``drawing``, ``lane_positions`` and
            ``enemy_positions`` can be drawn.
        network: whose attention is shown.
        between_steps: held while environments step.
    """
    drawable = collector.drawable()
    if drawable is None:
        return None
    envs, last_observation = drawable[0].unwrapped, drawable[1]

    def take() -> dict[str, Any]:
        with between_steps:
            draw = envs.drawing(0)
            lanes, enemies = envs.lane_positions(0), envs.enemy_positions(0)
            observation = last_observation(0)
        attention = attention_of(network, observation)
        return {
            "jpeg": _jpeg(draw()),
            "lanes": _points(lanes),
            "enemies": _points(enemies),
            "attention": None if attention is None else attention.astype(float).round(3).tolist(),
        }

    return take


def _jpeg(picture: NDArray[np.uint8]) -> str:
    from PIL import Image  # in the extra that shows pictures

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "jpeg", quality=_QUALITY)
    return base64.b64encode(file.getvalue()).decode()


def _points(points: NDArray[np.float64]) -> list[list[float] | None]:
    return [
        None if np.isnan(point).any() else [round(float(value), 4) for value in point] for point in points
    ]
