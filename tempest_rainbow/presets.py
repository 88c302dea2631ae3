"""Named starting points for settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tempest_rainbow.config.schedules import (
    BetaSchedule,
    EpsilonSchedule,
    ExpertSchedule,
    ImitationSchedule,
    LearningRateSchedule,
)
from tempest_rainbow.config.settings import (
    NETWORK_PRESETS,
    ConfigError,
    EvaluationConfig,
    LearnerConfig,
    NetworkConfig,
    TrainConfig,
)
from tempest_rainbow.replay.replay import ReplayConfig

__all__ = ["PRESETS", "preset", "preset_for"]


def default() -> TrainConfig:
    """Settings that learn most of Tempest in an hour on two CPU cores."""
    return TrainConfig(
        start_levels=(1, 1, 5, 9, 11, 15, 17, 20),
        envs=64,
        frames=None,
        minutes=60.0,
        batch_size=512,
        samples_per_insert=2.0,
        learn_start=20_000,
        network=replace(NETWORK_PRESETS["fast"], value_min=-20.0, value_max=40.0, atoms=61),
        learner=LearnerConfig(learning_rate=3e-4, target_update_steps=500, imitation="policy"),
        replay=ReplayConfig(capacity=2_000_000, n_step=12, gamma=0.99, priority_exponent=0.5),
        epsilon=EpsilonSchedule(start=0.1, end=0.005, frames=2_000_000),
        expert=ExpertSchedule(start=0.5, end=0.05, frames=5_000_000, unit="episode"),
        imitation=ImitationSchedule(
            start=1.0, end=0.25, frames=100_000_000, mode="behind", prior=1.0, prior_end=0.15
        ),
        learning_rate=LearningRateSchedule(warmup_steps=500, over_run=True),
        beta=BetaSchedule(start=0.4, end=1.0, frames=20_000_000),
    )


def original() -> TrainConfig:
    """Settings of the original trainer: 934,071 parameters, batch 256, learning rate 5e-5, replay of 15
    million."""
    return TrainConfig(
        envs=16,
        frames=None,
        minutes=None,
        batch_size=256,
        samples_per_insert=8.0,
        learn_start=20_000,
        network=NETWORK_PRESETS["original"],
        learner=LearnerConfig(
            learning_rate=5e-5, target_update_steps=2500, gradient_clip=5.0, imitation="softmax"
        ),
        replay=ReplayConfig(capacity=15_000_000, n_step=12, gamma=0.99),
        epsilon=EpsilonSchedule(start=1.0, end=0.01, frames=500_000),
        expert=ExpertSchedule(start=0.5, end=0.02, frames=5_000_000, unit="frame"),
        imitation=ImitationSchedule(start=1.0, end=0.0, frames=5_000_000, mode="frames"),
        beta=BetaSchedule(start=0.4, end=1.0, frames=5_000_000),
    )


def fast_check() -> TrainConfig:
    """A run of a minute that goes through everything once: learning, evaluation, checkpoints."""
    base = default()
    return TrainConfig(
        envs=8,
        frames=20_000,
        minutes=None,
        batch_size=64,
        samples_per_insert=0.5,
        learn_start=2_000,
        network=NetworkConfig(
            encoder_size=32,
            encoder_heads=2,
            trunk=(64, 64),
            head=32,
            action_factors=(4, 11),
            policy_head=True,
        ),
        learner=LearnerConfig(
            learning_rate=1e-3, target_update_steps=100, compile="off", precision="float32"
        ),
        replay=ReplayConfig(capacity=50_000),
        epsilon=EpsilonSchedule(start=0.5, end=0.05, frames=10_000),
        expert=base.expert,
        imitation=base.imitation,
        evaluation=EvaluationConfig(games=4),
    )


def classic() -> TrainConfig:
    """Small tasks with a handful of observed values, no teacher, and discounted returns from -100 to 100 (for
    others set network.value_min and value_max)."""
    return TrainConfig(
        env="CartPole-v1",
        envs=8,
        frames=200_000,
        minutes=None,
        batch_size=128,
        samples_per_insert=8.0,
        learn_start=2_000,
        network=NetworkConfig(
            encoder="none", trunk=(128, 128), head=128, atoms=101, value_min=-100.0, value_max=100.0
        ),
        learner=LearnerConfig(learning_rate=5e-4, target_update_steps=250, imitation="none", compile="off"),
        replay=ReplayConfig(capacity=100_000, n_step=5, gamma=0.99, dtype="float32"),
        epsilon=EpsilonSchedule(start=1.0, end=0.02, frames=20_000),
        expert=ExpertSchedule(start=0.0, end=0.0),
        imitation=ImitationSchedule(start=0.0),
        beta=BetaSchedule(frames=200_000),
        evaluation=EvaluationConfig(every_minutes=0.0, every_frames=20_000),
    )


def cartpole() -> TrainConfig:
    """CartPole-v1 until it is solved: a mean of 475 over 100 games; returns of up to 100, a learning rate that
    falls."""
    base = classic()
    return replace(
        base,
        network=replace(base.network, atoms=51, value_min=0.0),
        learning_rate=LearningRateSchedule(decay_steps=12_000),
        evaluation=replace(base.evaluation, games=100, envs=100, solved_at=475.0),
    )


def preset_for(env: str) -> str:
    """Return the name of the preset that an environment is trained with unless another is named."""
    name = env.split(":")[-1]
    if name.startswith("Tempest-"):
        return "default"
    return "cartpole" if name == "CartPole-v1" else "classic"


PRESETS: dict[str, Callable[[], TrainConfig]] = {
    "default": default,
    "original": original,
    "fast-check": fast_check,
    "cartpole": cartpole,
    "classic": classic,
}
"""The presets by name."""


def preset(name: str) -> TrainConfig:
    """Return the settings called ``name``.

    Raises:
        ConfigError: the preset is unknown.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return replace(PRESETS[name](), preset=name)
