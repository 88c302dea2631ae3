"""The Rainbow network: optional lane encoder, trunk, a head for the distribution of returns, perhaps a policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempest_rainbow.config.settings import NetworkConfig
from tempest_rainbow.networks import lane_encoder
from tempest_rainbow.networks.categorical import CategoricalHead
from tempest_rainbow.networks.head import Head

__all__ = ["RainbowNetwork", "attention_of"]


class RainbowNetwork(nn.Module):
    """Maps observations (B, D) to predictions (B, A, K) of the return distribution of every action."""

    def __init__(self, config: NetworkConfig, observation_size: int, action_count: int) -> None:
        """Build the network with freshly drawn weights.

        Raises:
            ValueError: a setting is out of range, the factors do not multiply to ``action_count``, or the
                lane encoder is required for observations that are not Tempest's.
        """
        super().__init__()
        _check_settings(config, observation_size, action_count)
        self.config = config
        self.observation_size = observation_size
        self.action_count = action_count
        self.encoder: lane_encoder.LaneEncoder | None = None
        width = observation_size
        if config.encoder == "lanes" or (
            config.encoder == "auto" and observation_size == lane_encoder.OBSERVATION_SIZE
        ):
            self.encoder = lane_encoder.LaneEncoder(config.encoder_size, config.encoder_heads)
            width += config.encoder_size
        layers: list[nn.Module] = []
        for size in config.trunk:
            layers += [nn.Linear(width, size), nn.LayerNorm(size), nn.ReLU()]
            width = size
        self.trunk = nn.Sequential(*layers)
        self.head: Head = CategoricalHead(config, width, action_count)
        self.policy_out = nn.Linear(width, action_count) if config.policy_head else None

    def forward(self, observations: Tensor) -> Tensor:
        """Return predictions (B, A, K)."""
        return self.head(self.features(observations))

    def features(self, observations: Tensor) -> Tensor:
        """Return the trunk's output (B, W), which all heads share."""
        if self.encoder is not None:
            observations = torch.cat([observations, self.encoder(observations)], dim=1)
        features: Tensor = self.trunk(observations)
        return features

    def q_values(self, observations: Tensor) -> Tensor:
        """Return the expected return (B, A) of every action."""
        return self.head.q_of(self.features(observations))

    def policy_logits(self, features: Tensor) -> Tensor:
        """Return logits (B, A) of the imitated policy.

        Raises:
            ValueError: the network has no policy head.
        """
        if self.policy_out is None:
            raise ValueError("the network has no policy head; set policy_head in its configuration")
        logits: Tensor = self.policy_out(features)
        return logits

    def preferences(self, features: Tensor, q: Tensor, prior_weight: float | Tensor) -> Tensor:
        """Return the preferences by which actions are chosen (B, A): expected returns ``q``, guided by the
        imitated policy.

        ``prior_weight`` times its log-probabilities is added, nothing without a policy head or at a weight of 0.0.
        """
        if self.policy_out is None or (isinstance(prior_weight, float) and prior_weight == 0.0):
            return q
        return q + prior_weight * torch.log_softmax(self.policy_logits(features).float(), dim=-1)

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Return the weights by name, those of the head without ``head.`` before them."""
        return {
            name.removeprefix("head."): value
            for name, value in super().state_dict(*arguments, **options).items()
        }

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Take weights that `state_dict` returned."""
        names = {name.removeprefix("head."): name for name in super().state_dict()}
        renamed = {names.get(name, name): value for name, value in state_dict.items()}
        return super().load_state_dict(renamed, strict, assign)

    def attention(self, observations: Tensor) -> Tensor:
        """Return the lane encoder's attention weights (B, heads, 16 lanes, 7 enemy slots).

        Raises:
            ValueError: the network has no lane encoder.
        """
        if self.encoder is None:
            raise ValueError("the network has no lane encoder, so it has no attention")
        return self.encoder.attention(observations)


def _check_settings(config: NetworkConfig, observation_size: int, action_count: int) -> None:
    if observation_size < 1 or action_count < 1:
        raise ValueError(
            f"expected at least one value and one action, got {observation_size}, {action_count}"
        )
    if config.encoder == "lanes" and observation_size != lane_encoder.OBSERVATION_SIZE:
        raise ValueError(
            f"the lane encoder reads {lane_encoder.OBSERVATION_SIZE} values, "
            f"the observations have {observation_size}"
        )
    product = 1
    for size in config.action_factors:
        product *= size
    if config.action_factors and product != action_count:
        raise ValueError(
            f"the factors {config.action_factors} make {product} actions, there are {action_count}"
        )


def attention_of(network: RainbowNetwork, observation: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return a network's attention ``(16, 7)`` in one observation, mean over heads; None if it has no lane encoder."""
    if network.encoder is None:
        return None
    device = next(network.parameters()).device
    with torch.no_grad():
        weights = network.attention(torch.from_numpy(observation[None]).to(device)).float()
    mean: NDArray[np.float32] = weights.mean(dim=(0, 1)).cpu().numpy()
    return mean
