"""The loss of one batch: categorical double Q-learning plus imitation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tempest_rainbow.config.settings import LearnerConfig
from tempest_rainbow.learner import categorical
from tempest_rainbow.networks.rainbow import RainbowNetwork

__all__ = ["Losses", "goals", "rainbow_loss"]


class Losses(NamedTuple):
    """What a batch costs, and what that says.

    Attributes:
        total: () to be minimised.
        priorities: (B,) KL divergence of the prediction from the target.
        value: () mean cross-entropy, importance-weighted.
        imitation: () mean imitation loss, weighted.
        q: (B,) expected return of the taken actions.
        at_ends: () mean probability of the two ends of the support in what the returns are to become.
        agreement: () share of advised samples where the imitating part prefers the advice.
    """

    total: Tensor
    priorities: Tensor
    value: Tensor
    imitation: Tensor
    q: Tensor
    at_ends: Tensor
    agreement: Tensor


def rainbow_loss(
    online: RainbowNetwork,
    target: RainbowNetwork,
    config: LearnerConfig,
    s_tm1: Tensor,
    a_tm1: Tensor,
    r_t: Tensor,
    discount_t: Tensor,
    s_t: Tensor,
    expert_a_tm1: Tensor,
    weights: Tensor,
    imitation_weights: Tensor,
    imitation_weight: Tensor,
    prior_weight: Tensor | None = None,
    goal: Tensor | None = None,
) -> Losses:
    """Return the losses of one batch.

    Args:
        online: the network that learns.
        target: the network that estimates what follows.
        config: the learner's settings.
        s_tm1: (B, D) observations.
        a_tm1: (B,) int64 actions.
        r_t: (B,) n-step returns.
        discount_t: (B,) discounts, 0 where terminated.
        s_t: (B, D) observations n steps later.
        expert_a_tm1: (B,) int64 advice, -1 for none.
        weights: (B,) importance weights.
        imitation_weights: (B,) weight of each sample in the imitation loss.
        imitation_weight: () weight of the imitation loss against the value loss.
        prior_weight: () how far the imitated policy guides the choice of the action that follows, as it
            guides who plays: the returns learnt are then those of that policy, and actions nobody took
            are not overrated. None, or a network without a policy head: not at all.
        goal: (B, K) what `goals` returned for this batch; None: compute it here.
    """
    support = online.support
    if goal is None:
        goal = goals(online, target, config, s_tm1, a_tm1, r_t, discount_t, s_t, prior_weight)

    features_tm1 = online.features(s_tm1)
    needs_all = config.imitation in ("margin", "softmax")
    if needs_all:
        logits_tm1 = online.logits(features_tm1)
        q_tm1 = categorical.expectation(logits_tm1, support)
        taken = logits_tm1.gather(1, a_tm1.reshape(-1, 1, 1).expand(-1, 1, support.shape[0])).squeeze(1)
    else:
        taken = online.logits_of(features_tm1, a_tm1)
    cross_entropy, priorities = categorical.categorical_loss(taken, goal)
    value = (weights * cross_entropy).mean()

    if config.imitation == "none":
        imitation = agreement = torch.zeros_like(value)
    else:
        if config.imitation == "policy":
            preferences = online.policy_logits(features_tm1).float()
        elif config.imitation == "softmax":
            preferences = q_tm1 / config.imitation_temperature
        else:
            preferences = q_tm1
        if config.imitation == "margin":
            each = categorical.margin_loss(preferences, expert_a_tm1, config.imitation_margin)
        else:
            each = categorical.imitation_loss(preferences, expert_a_tm1)
        imitation = (imitation_weights * each).mean()
        known = (expert_a_tm1 >= 0).float()
        agreement = (
            (preferences.argmax(dim=1) == expert_a_tm1).float() * known
        ).sum() / known.sum().clamp_min(1)

    improvement = torch.zeros_like(value)
    if config.improvement > 0.0 and online.config.policy_head:
        with torch.no_grad():
            prior = target.policy_logits(target.features(s_tm1))
            recommended = categorical.improved_policy(
                prior, online.q_of(features_tm1.detach()), config.improvement_temperature
            )
        log_policy = torch.log_softmax(online.policy_logits(features_tm1).float(), dim=-1)
        share = config.improvement * (1.0 - imitation_weight).clamp_min(0.0)
        improvement = share * -(recommended * log_policy).sum(dim=-1).mean()

    return Losses(
        total=value + imitation_weight * imitation + improvement,
        priorities=priorities,
        value=value.detach(),
        imitation=imitation.detach(),
        q=categorical.expectation(taken.detach(), support),
        at_ends=(goal[:, 0] + goal[:, -1]).mean(),
        agreement=agreement,
    )


@torch.no_grad()
def goals(
    online: RainbowNetwork,
    target: RainbowNetwork,
    config: LearnerConfig,
    s_tm1: Tensor,
    a_tm1: Tensor,
    r_t: Tensor,
    discount_t: Tensor,
    s_t: Tensor,
    prior_weight: Tensor | None,
) -> Tensor:
    """Return the distributions (B, K) that the returns of the taken actions are to become; arguments as above."""
    probabilities_t, bonus_t = _following(online, target, config, s_tm1, a_tm1, discount_t, s_t, prior_weight)
    return categorical.project(probabilities_t, r_t + bonus_t, discount_t, online.support)


def _following(
    online: RainbowNetwork,
    target: RainbowNetwork,
    config: LearnerConfig,
    s_tm1: Tensor,
    a_tm1: Tensor,
    discount_t: Tensor,
    s_t: Tensor,
    prior_weight: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return the distribution (B, K) expected to follow, and what is added to the return (B,)."""
    support = online.support
    if config.munchausen:
        temperature = config.munchausen_temperature
        logits_t = target(s_t)
        q_t = categorical.expectation(logits_t, support)
        probabilities_t, soft_bonus = categorical.soft_value(logits_t, q_t, temperature)
        bonus = categorical.munchausen_bonus(
            categorical.expectation(target(s_tm1), support),
            a_tm1,
            config.munchausen_alpha,
            temperature,
            config.munchausen_clip,
        )
        return probabilities_t, bonus + discount_t * soft_bonus
    chooser = online if config.double else target
    features_t = chooser.features(s_t)
    weight = 0.0 if prior_weight is None else prior_weight
    best_a_t = chooser.preferences(features_t, chooser.q_of(features_t), weight).argmax(dim=1)
    logits_t = target.logits_of(target.features(s_t), best_a_t)
    return torch.softmax(logits_t.float(), dim=-1), torch.zeros_like(discount_t)
