"""Registers ``Tempest-v0`` with Gymnasium."""

from __future__ import annotations

import gymnasium

__all__ = ["ENV_ID", "register"]

ENV_ID = "Tempest-v0"


def register() -> None:
    """Let ``gymnasium.make`` and ``gymnasium.make_vec`` know the environment; a second call does nothing."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(
            id=ENV_ID,
            entry_point="tempest_gym.env:TempestEnv",
            vector_entry_point="tempest_gym.vector:TempestVectorEnv",
        )
