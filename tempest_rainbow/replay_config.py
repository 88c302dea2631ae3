"""Settings of the replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["ReplayConfig", "check_settings"]


@dataclass(frozen=True)
class ReplayConfig:
    """Settings of the replay."""

    capacity: int = 1_000_000
    """Transitions kept, over all environments."""

    memory_gb: float | None = None
    """Take this much memory (10^9 bytes) instead of a fixed number of transitions."""

    n_step: int = 12
    """Steps summed up before the network's estimate takes over."""

    gamma: float = 0.99
    """Discount of one step."""

    dtype: Literal["float16", "float32"] = "float16"
    """How observations are stored; float16 halves the memory and is exact to three digits."""

    path: Path | None = None
    """Keep the observations in this file instead of in memory."""

    priority_exponent: float = 0.5
    """How strongly priorities skew the draw; 0 draws uniformly."""

    minimum_priority: float = 1e-3
    """Added to every priority, so that none is forgotten."""

    new_priority: Literal["max", "mean"] = "max"
    """New transitions enter at the largest priority seen, or at the mean of the present ones."""


def check_settings(config: ReplayConfig, environment_count: int, observation_size: int) -> None:
    """Raise ValueError naming the first setting that is out of range."""
    if environment_count < 1 or observation_size < 1:
        raise ValueError(
            f"expected at least one environment and one value, got {environment_count} and {observation_size}"
        )
    if config.n_step < 1:
        raise ValueError(f"n_step must be at least 1, got {config.n_step}")
    if not 0.0 <= config.gamma <= 1.0:
        raise ValueError(f"gamma must lie within 0-1, got {config.gamma}")
    if not 0.0 <= config.priority_exponent <= 2.0 or config.minimum_priority <= 0.0:
        raise ValueError("priority_exponent must lie within 0-2 and minimum_priority above 0")
    if config.dtype not in ("float16", "float32"):
        raise ValueError(f"observations can be stored as float16 or float32, got {config.dtype!r}")
    if config.new_priority not in ("max", "mean"):
        raise ValueError(f"new_priority must be 'max' or 'mean', got {config.new_priority!r}")
