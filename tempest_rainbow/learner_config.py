"""Settings of the learner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LearnerConfig"]


@dataclass(frozen=True)
class LearnerConfig:
    """Settings of the learner."""

    learning_rate: float = 5e-5
    """Step size, unless a schedule gives another."""

    adam_epsilon: float = 1.5e-4
    """Added to Adam's denominator; larger values damp steps on rare gradients."""

    weight_decay: float = 0.0
    """Decoupled decay of all weights, per step and unit of learning rate."""

    gradient_clip: float = 5.0
    """Largest norm of the gradient of all weights together."""

    target_update_steps: int = 2500
    """Steps between copies of the weights to the target network; unused with target_polyak."""

    target_polyak: float = 0.0
    """Share of the weights that flows to the target network at every step; 0: hard copies instead."""

    double: bool = True
    """Choose the action that follows by the online network, and only judge it by the target network."""

    imitation: Literal["none", "policy", "margin", "softmax"] = "policy"
    """How to learn from advice: a policy head's log-likelihood, a large margin on Q, or softmax over Q."""

    imitation_margin: float = 0.8
    """By how much the advised action's Q should exceed the others' (imitation margin)."""

    imitation_temperature: float = 1.0
    """Divides Q before the softmax (imitation softmax)."""

    improvement: float = 0.0
    """Weight of the policy head's pull towards what the expected returns recommend (clipped MPO); it grows as the
    imitation weight falls below 1. 0: the head only imitates."""

    improvement_temperature: float = 0.3
    """Advantage, in units of return, that makes an action e times as likely in that recommendation."""

    munchausen: bool = False
    """Soft values and the scaled log-policy added to the reward, instead of double Q."""

    munchausen_alpha: float = 0.9
    """Share of the log-policy added to the reward."""

    munchausen_temperature: float = 0.03
    """Temperature of the softmax policy, in units of return."""

    munchausen_clip: float = -1.0
    """Lower bound of the scaled log-policy."""

    publish_steps: int = 25
    """Steps between copies of the weights to the network that acts."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the matrix products; auto measures both at the start and takes the faster."""

    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the loss with torch.compile; auto: on CUDA devices. Falls back where that fails."""

    cuda_graphs: Literal["auto", "off"] = "auto"
    """Replay the whole step as one CUDA graph where there is a CUDA device."""
