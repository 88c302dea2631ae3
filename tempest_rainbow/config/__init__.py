"""Settings of a training run."""

from tempest_rainbow.config.settings import (
    TEMPEST,
    CheckpointConfig,
    ConfigError,
    EvaluationConfig,
    MonitorConfig,
    TrainConfig,
)
from tempest_rainbow.config.toml import from_toml, overlay, to_toml

__all__ = [
    "TEMPEST",
    "CheckpointConfig",
    "ConfigError",
    "EvaluationConfig",
    "MonitorConfig",
    "TrainConfig",
    "from_toml",
    "overlay",
    "to_toml",
]
