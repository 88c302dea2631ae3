"""Categorical double Q-learning as pure functions of tensors.

Names carry the time: ``_tm1`` is the transition's start, ``_t`` its end, m steps later. Shapes: B samples, A
actions, K atoms. Sources: C51 (https://arxiv.org/abs/1707.06887, algorithm 1), double Q
(https://arxiv.org/abs/1509.06461), Munchausen (https://arxiv.org/abs/2007.14430), DQfD's margin
(https://arxiv.org/abs/1704.03732, equation 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "categorical_loss",
    "entropy",
    "expectation",
    "imitation_loss",
    "improved_policy",
    "margin_loss",
    "munchausen_bonus",
    "project",
    "soft_value",
]


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


def imitation_loss(policy_logits_tm1: Tensor, expert_a_tm1: Tensor) -> Tensor:
    """Return the negative log-likelihoods (B,) of the teacher's actions (B,) under policy logits (B, A).

    Where no advice is known (-1) the loss is 0.
    """
    known = expert_a_tm1 >= 0
    log_policy = torch.log_softmax(policy_logits_tm1.float(), dim=-1)
    chosen = log_policy.gather(1, expert_a_tm1.clamp_min(0).unsqueeze(1)).squeeze(1)
    return torch.where(known, -chosen, torch.zeros_like(chosen))


def margin_loss(q_tm1: Tensor, expert_a_tm1: Tensor, margin: float) -> Tensor:
    """Return max over a of (Q(a) + margin where not the teacher's) - Q(teacher's), (B,); 0 without advice."""
    known = expert_a_tm1 >= 0
    advice = expert_a_tm1.clamp_min(0).unsqueeze(1)
    raised = (q_tm1 + margin).scatter(1, advice, q_tm1.gather(1, advice))
    loss = raised.amax(dim=1) - q_tm1.gather(1, advice).squeeze(1)
    return torch.where(known, loss, torch.zeros_like(loss))


def improved_policy(policy_logits: Tensor, q: Tensor, temperature: float) -> Tensor:
    """Return the clipped MPO policy (B, A): the prior times exp(advantage / temperature) clipped to [1/e, e].

    The advantage is that over the prior's own expected return (Muesli, https://arxiv.org/abs/2104.06159).

    Args:
        policy_logits: (B, A) of the prior.
        q: (B, A) expected returns.
        temperature: in units of return.
    """
    prior = torch.softmax(policy_logits.float(), dim=-1)
    advantage = q - (prior * q).sum(dim=-1, keepdim=True)
    tilted = prior * torch.exp((advantage / temperature).clamp(-1.0, 1.0))
    return tilted / tilted.sum(dim=-1, keepdim=True)


def munchausen_bonus(q_tm1: Tensor, a_tm1: Tensor, alpha: float, temperature: float, clip: float) -> Tensor:
    """Return alpha times the scaled log-policy of the taken action, clipped to [clip, 0], (B,)."""
    log_policy = temperature * torch.log_softmax(q_tm1 / temperature, dim=-1)
    return alpha * log_policy.gather(1, a_tm1.unsqueeze(1)).squeeze(1).clamp(clip, 0.0)


def soft_value(logits_t: Tensor, q_t: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the mixture (B, K) of distributions under the softmax policy, and its entropy bonus (B,).

    The bonus is the temperature times the policy's entropy; Munchausen subtracts each action's scaled
    log-policy from its own distribution, here all are shifted by the mean of that, which has the same
    expectation.
    """
    policy = torch.softmax(q_t / temperature, dim=-1)
    mixture = (policy.unsqueeze(2) * torch.softmax(logits_t.float(), dim=-1)).sum(dim=1)
    return mixture, temperature * entropy(policy)
