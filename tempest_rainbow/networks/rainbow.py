"""The Rainbow network: optional lane encoder, trunk, dueling heads over the atoms of a return distribution.

Categorical distributions: Bellemare et al. 2017 (https://arxiv.org/abs/1707.06887); dueling heads: Wang et
al. 2016 (https://arxiv.org/abs/1511.06581), applied to logits as in Rainbow
(https://arxiv.org/abs/1710.02298).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempest_rainbow.config.settings import NetworkConfig
from tempest_rainbow.networks import kernels as cpu_kernels
from tempest_rainbow.networks import lane_encoder

__all__ = ["RainbowNetwork", "attention_of"]


class RainbowNetwork(nn.Module):
    """Maps observations (B, D) to logits (B, A, K) of the return distribution of every action."""

    support: Tensor
    choices: Tensor

    def __init__(self, config: NetworkConfig, observation_size: int, action_count: int) -> None:
        """Build the network with freshly drawn weights.

        Raises:
            ValueError: a setting is out of range, the factors do not multiply to ``action_count``, or the
                lane encoder is demanded for observations that are not Tempest's.
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
        self.factors = config.action_factors or (action_count,)
        self.value_hidden = nn.Linear(width, config.head)
        self.value_out = nn.Linear(config.head, config.atoms)
        self.advantage_hidden = nn.Linear(width, config.head)
        self.advantage_out = nn.Linear(config.head, sum(self.factors) * config.atoms)
        self.policy_out = nn.Linear(width, action_count) if config.policy_head else None
        self.register_buffer(
            "support", torch.linspace(config.value_min, config.value_max, config.atoms), persistent=False
        )
        self.register_buffer("choices", _choices(self.factors), persistent=False)

    def forward(self, observations: Tensor) -> Tensor:
        """Return logits (B, A, K)."""
        return self.logits(self.features(observations))

    def features(self, observations: Tensor) -> Tensor:
        """Return the trunk's output (B, W), which all heads share."""
        if self.encoder is not None:
            observations = torch.cat([observations, self.encoder(observations)], dim=1)
        features: Tensor = self.trunk(observations)
        return features

    def logits(self, features: Tensor) -> Tensor:
        """Return logits (B, A, K) of every action."""
        batch, atoms = features.shape[0], self.config.atoms
        value = self._value(features)
        flat: Tensor = self.advantage_out(torch.relu(self.advantage_hidden(features)))
        advantage = flat.reshape(batch, -1, atoms)
        total = value.reshape(batch, *[1] * len(self.factors), atoms)
        start = 0
        for i, size in enumerate(self.factors):
            part = advantage[:, start : start + size]
            part = part - part.mean(dim=1, keepdim=True)
            shape = [1] * len(self.factors)
            shape[i] = size
            total = total + part.reshape(batch, *shape, atoms)
            start += size
        return total.reshape(batch, self.action_count, atoms)

    def logits_of(self, features: Tensor, actions: Tensor) -> Tensor:
        """Return logits (B, K) of one action (B,) each, without computing those of the others."""
        hidden = torch.relu(self.advantage_hidden(features))
        weight = self.advantage_out.weight.reshape(-1, self.config.atoms, self.config.head)
        bias = self.advantage_out.bias.reshape(-1, self.config.atoms)
        total = self._value(features)
        start = 0
        for i, size in enumerate(self.factors):
            part_weight, part_bias = weight[start : start + size], bias[start : start + size]
            # The mean advantage is a linear map of its own, so it needs no advantage of every action either.
            mean = nn.functional.linear(hidden, part_weight.mean(dim=0), part_bias.mean(dim=0))
            chosen = cpu_kernels.select_rows(part_weight, part_bias, self.choices[i][actions], hidden)
            total = total + chosen - mean
            start += size
        return total

    def q_values(self, observations: Tensor) -> Tensor:
        """Return the expected return (B, A) of every action."""
        return self.q_of(self.features(observations))

    def q_of(self, features: Tensor) -> Tensor:
        """Return the expected return (B, A) of every action from the trunk's output; without gradient on a CPU."""
        if len(self.factors) > 2 or torch.is_grad_enabled() or not cpu_kernels.usable(features):
            return self.expectation(self.logits(features))
        advantage = self.advantage_out(torch.relu(self.advantage_hidden(features)))
        return cpu_kernels.expected_returns(
            self._value(features),
            advantage.reshape(features.shape[0], -1, self.config.atoms),
            self.factors[0],
            self.support,
        )

    def expectation(self, logits: Tensor) -> Tensor:
        """Return the mean (...,) of the distributions with these logits (..., K)."""
        return torch.matmul(torch.softmax(logits.float(), dim=-1), self.support)

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
        """Return what actions are chosen by (B, A): expected returns ``q``, guided by the imitated policy.

        That adds ``prior_weight`` times its log-probabilities; nothing without a policy head or at a weight of 0.0.
        """
        if self.policy_out is None or (isinstance(prior_weight, float) and prior_weight == 0.0):
            return q
        return q + prior_weight * torch.log_softmax(self.policy_logits(features).float(), dim=-1)

    def attention(self, observations: Tensor) -> Tensor:
        """Return the lane encoder's attention weights (B, heads, 16 lanes, 7 enemy slots).

        Raises:
            ValueError: the network has no lane encoder.
        """
        if self.encoder is None:
            raise ValueError("the network has no lane encoder, so it has no attention")
        return self.encoder.attention(observations)

    def _value(self, features: Tensor) -> Tensor:
        value: Tensor = self.value_out(torch.relu(self.value_hidden(features)))
        return value


def _choices(factors: tuple[int, ...]) -> Tensor:
    """Return (factors, actions): which of each factor's choices an action makes."""
    grid = torch.meshgrid(*[torch.arange(size) for size in factors], indexing="ij")
    return torch.stack([axis.reshape(-1) for axis in grid])


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
    if config.atoms < 2 or not config.value_min < config.value_max:
        raise ValueError("expected at least 2 atoms and value_min below value_max")
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
