"""The categorical head: the distribution of every action's return as probabilities of fixed returns, the atoms.

Names carry the time: ``_tm1`` is the transition's start, ``_t`` its end, m steps later. Shapes: B samples, A actions, K
atoms. C51: Bellemare et al. 2017 (https://arxiv.org/abs/1707.06887), algorithm 1; dueling heads: Wang et al. 2016
(https://arxiv.org/abs/1511.06581), applied to logits as in Rainbow (https://arxiv.org/abs/1710.02298).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tempest_rainbow.config.settings import NetworkConfig
from tempest_rainbow.networks import kernels as cpu_kernels

__all__ = ["CategoricalHead", "categorical_loss", "entropy", "expectation", "project"]


def expectation(logits: Tensor, support: Tensor) -> Tensor:
    """Return the means (...) of the distributions with logits (..., K) over the atoms ``support`` (K,)."""
    return torch.matmul(torch.softmax(logits.float(), dim=-1), support)


def project(probabilities_t: Tensor, r_t: Tensor, discount_t: Tensor, support: Tensor) -> Tensor:
    """Shift and shrink distributions by r + discount z and share them out among the atoms.

    Every atom's image, clipped to the support, gives its probability to its two neighbours by nearness.

    Args:
        probabilities_t: (B, K).
        r_t: (B,) returns.
        discount_t: (B,) discounts, 0 where terminated.
        support: (K,) equally spaced atoms.

    Returns:
        (B, K), rows summing to what they summed to.
    """
    atoms = support.shape[0]
    spacing = (support[-1] - support[0]) / (atoms - 1)
    image = r_t.unsqueeze(1) + discount_t.unsqueeze(1) * support
    position = (image.clamp(support[0], support[-1]) - support[0]) / spacing
    lower = position.floor().clamp(0, atoms - 2)
    upper_share = position - lower
    index = lower.long()
    projected = torch.zeros_like(probabilities_t)
    projected = projected.scatter_add(1, index, probabilities_t * (1.0 - upper_share))
    return projected.scatter_add(1, index + 1, probabilities_t * upper_share)


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropies (...) in nats of distributions (..., K)."""
    return torch.special.entr(probabilities).sum(dim=-1)


def categorical_loss(logits_tm1: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross-entropies (B,) of logits (B, K) to targets (B, K), and their KL part (B,).

    No learning reduces the target's own entropy, so the KL part alone is what a sample still teaches: its
    priority.
    """
    cross_entropy = -(target * torch.log_softmax(logits_tm1.float(), dim=-1)).sum(dim=-1)
    return cross_entropy, (cross_entropy.detach() - entropy(target)).clamp_min(0.0)


class CategoricalHead(nn.Module):
    """Maps the trunk's features to predictions: here logits of the atoms. See `head.Head` for the interface."""

    support: Tensor
    choices: Tensor

    def __init__(self, config: NetworkConfig, width: int, action_count: int) -> None:
        """Build the head for ``width`` features.

        Raises:
            ValueError: a setting is out of range.
        """
        super().__init__()
        if config.atoms < 2 or not config.value_min < config.value_max:
            raise ValueError("expected at least 2 atoms and value_min below value_max")
        self.action_count = action_count
        self.target_size = config.atoms
        self.factors = config.action_factors or (action_count,)
        self.value_hidden = nn.Linear(width, config.head)
        self.value_out = nn.Linear(config.head, config.atoms)
        self.advantage_hidden = nn.Linear(width, config.head)
        self.advantage_out = nn.Linear(config.head, sum(self.factors) * config.atoms)
        self.register_buffer(
            "support", torch.linspace(config.value_min, config.value_max, config.atoms), persistent=False
        )
        self.register_buffer("choices", _choices(self.factors), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, A, K) of every action."""
        batch, atoms = features.shape[0], self.target_size
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

    def of_action(self, features: Tensor, actions: Tensor) -> Tensor:
        """Return logits (B, K) of one action (B,) each, without computing those of the others."""
        hidden = torch.relu(self.advantage_hidden(features))
        weight = self.advantage_out.weight.reshape(-1, self.target_size, self.advantage_out.in_features)
        bias = self.advantage_out.bias.reshape(-1, self.target_size)
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

    def q_of(self, features: Tensor) -> Tensor:
        """Return the expected return (B, A) of every action from the trunk's output; without gradient on a CPU.

        With two factors an atom's probability is a product of two numbers, so that the sums over the atoms are two
        matrix products: 15 rows of exponentials instead of 44.
        """
        if len(self.factors) != 2 or torch.is_grad_enabled() or not cpu_kernels.usable(features):
            return self.mean(self(features))
        flat = self.advantage_out(torch.relu(self.advantage_hidden(features))).float()
        first, second = flat.reshape(len(features), -1, self.target_size).split(self.factors, dim=1)
        shared = self._value(features).float() - first.mean(dim=1) - second.mean(dim=1)
        left, right = _peaks_at_one(first + shared.unsqueeze(1)), _peaks_at_one(second).transpose(1, 2)
        with torch.autocast("cpu", enabled=False):
            total = torch.bmm(left, right)
            if total.amin() < 1e-20:  # Two peaks lie so far apart that float32 loses their product.
                return self.mean(self(features))
            return (torch.bmm(left * self.support, right) / total).flatten(1)

    def mean(self, prediction: Tensor) -> Tensor:
        """Return the expected returns (...) of predictions (..., K)."""
        return expectation(prediction, self.support)

    def distribution(self, prediction: Tensor) -> Tensor:
        """Return the distributions (..., K) that predictions (..., K) stand for: probabilities of the atoms."""
        return torch.softmax(prediction.float(), dim=-1)

    def project(self, distribution_t: Tensor, r_t: Tensor, discount_t: Tensor) -> Tensor:
        """Return the distributions (B, K) of r + discount x the returns with ``distribution_t``: targets."""
        return project(distribution_t, r_t, discount_t, self.support)

    def loss(self, prediction_tm1: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses (B,) of predictions (B, K) against targets (B, K), and the priorities (B,)."""
        return categorical_loss(prediction_tm1, target)

    def at_ends(self, target: Tensor) -> Tensor:
        """Return the mean probability () that targets (B, K) give to the two ends of the support."""
        return (target[:, 0] + target[:, -1]).mean()

    def _value(self, features: Tensor) -> Tensor:
        value: Tensor = self.value_out(torch.relu(self.value_hidden(features)))
        return value


def _peaks_at_one(logits: Tensor) -> Tensor:
    """Return exponentials (..., K) of logits (..., K), scaled so that the largest is 1."""
    return (logits - logits.amax(dim=-1, keepdim=True)).exp()


def _choices(factors: tuple[int, ...]) -> Tensor:
    """Return (factors, actions): which of each factor's choices an action makes."""
    grid = torch.meshgrid(*[torch.arange(size) for size in factors], indexing="ij")
    return torch.stack([axis.reshape(-1) for axis in grid])
