"""The interface of a head for the network, the loss and the policies. `categorical.CategoricalHead` is one.

Another distribution of returns, such as IQN's, is another class of this interface, which `RainbowNetwork` builds.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

__all__ = ["Head"]


class Head(Protocol):
    """Predicts the distribution of every action's return from the trunk's features (B, W).

    A prediction has P numbers for each action, a target K for each sample; only the head knows what they mean.

    A head that draws random numbers takes them from a generator of its own, kept in a buffer that is saved with the
    weights: a resumed run continues exactly. Only parameters are passed on to the network that acts. Gradients are on
    where a head learns, off where it acts or makes targets. The export to ONNX traces ``mean(head(features))``.

    Attributes:
        target_size: K of targets.
    """

    target_size: int

    def __call__(self, features: Tensor) -> Tensor:
        """Return predictions (B, A, P) of every action."""

    def of_action(self, features: Tensor, actions: Tensor) -> Tensor:
        """Return predictions (B, P) of one action (B,) each."""

    def q_of(self, features: Tensor) -> Tensor:
        """Return the expected return (B, A) of every action; it may have no gradient."""

    def mean(self, prediction: Tensor) -> Tensor:
        """Return the expected returns (...) of predictions (..., P)."""

    def distribution(self, prediction: Tensor) -> Tensor:
        """Return distributions (..., K), which can be averaged, of predictions (..., P)."""

    def project(self, distribution_t: Tensor, r_t: Tensor, discount_t: Tensor) -> Tensor:
        """Return targets (B, K): distributions of r + discount x the returns with ``distribution_t`` (B, K)."""

    def loss(self, prediction_tm1: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses (B,) of predictions (B, P) against targets (B, K), and the transitions' priorities (B,)."""

    def at_ends(self, target: Tensor) -> Tensor:
        """Return which share () of targets lies at the ends of what the head can express."""
