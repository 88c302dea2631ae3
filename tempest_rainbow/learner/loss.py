"""The loss of one batch: categorical double Q-learning plus imitation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tempest_rainbow.config.settings import LearnerConfig
from tempest_rainbow.learner import categorical
from tempest_rainbow.networks.rainbow import RainbowNetwork

__all__ = ["Losses", "Transitions", "rainbow_loss", "target_distribution"]


class Losses(NamedTuple):
    """Losses of a batch, and what is worth a curve.

    Attributes:
        total: () to be minimised.
        priorities: (B,) KL divergence of the prediction from the target.
        value: () mean cross-entropy, importance-weighted.
        imitation: () mean imitation loss, weighted.
        q: (B,) expected return of the taken actions.
        at_ends: () mean probability of the two ends of the support in the target distributions.
        agreement: () share of advised samples where the imitating part prefers the advice.
    """

    total: Tensor
    priorities: Tensor
    value: Tensor
    imitation: Tensor
    q: Tensor
    at_ends: Tensor
    agreement: Tensor


class Transitions(NamedTuple):
    """B transitions on the learner's device, and how to learn from them. Time is in the names as in dqn_zoo.

    Attributes:
        s_tm1: (B, D) observations.
        a_tm1: (B,) int64 actions.
        r_t: (B,) n-step returns.
        discount_t: (B,) discounts, 0 where terminated.
        s_t: (B, D) observations n steps later.
        expert_a_tm1: (B,) int64 advice, -1 for none.
        weights: (B,) importance weights.
        imitation_weights: (B,) weight of each sample in the imitation loss.
        imitation_weight: () weight of the imitation loss against the value loss.
        prior_weight: () weight of the imitated policy in the choice of the next action, as in the choice of those
            that are played: the returns learnt are then that policy's, and actions nobody took are not overrated.
        target: (B, K) what `target_distribution` returned for these transitions; None: not computed yet.
    """

    s_tm1: Tensor
    a_tm1: Tensor
    r_t: Tensor
    discount_t: Tensor
    s_t: Tensor
    expert_a_tm1: Tensor
    weights: Tensor
    imitation_weights: Tensor
    imitation_weight: Tensor
    prior_weight: Tensor
    target: Tensor | None = None


def rainbow_loss(
    online: RainbowNetwork, target: RainbowNetwork, config: LearnerConfig, batch: Transitions
) -> Losses:
    """Return the losses of one batch.

    Args:
        online: the network that learns.
        target: the network that estimates the rest of the returns.
        config: the learner's settings.
        batch: the transitions.
    """
    support = online.support
    target_t = target_distribution(online, target, config, batch) if batch.target is None else batch.target

    features_tm1 = online.features(batch.s_tm1)
    needs_all = config.imitation in ("margin", "softmax")
    if needs_all:
        logits_tm1 = online.logits(features_tm1)
        q_tm1 = categorical.expectation(logits_tm1, support)
        taken = logits_tm1.gather(1, batch.a_tm1.reshape(-1, 1, 1).expand(-1, 1, support.shape[0])).squeeze(1)
    else:
        taken = online.logits_of(features_tm1, batch.a_tm1)
    cross_entropy, priorities = categorical.categorical_loss(taken, target_t)
    value = (batch.weights * cross_entropy).mean()

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
            each = categorical.margin_loss(preferences, batch.expert_a_tm1, config.imitation_margin)
        else:
            each = categorical.imitation_loss(preferences, batch.expert_a_tm1)
        imitation = (batch.imitation_weights * each).mean()
        known = (batch.expert_a_tm1 >= 0).float()
        agreement = (
            (preferences.argmax(dim=1) == batch.expert_a_tm1).float() * known
        ).sum() / known.sum().clamp_min(1)

    improvement = torch.zeros_like(value)
    if config.improvement > 0.0 and online.config.policy_head:
        with torch.no_grad():
            prior = target.policy_logits(target.features(batch.s_tm1))
            improved = categorical.improved_policy(
                prior, online.q_of(features_tm1.detach()), config.improvement_temperature
            )
        log_policy = torch.log_softmax(online.policy_logits(features_tm1).float(), dim=-1)
        share = config.improvement * (1.0 - batch.imitation_weight).clamp_min(0.0)
        improvement = share * -(improved * log_policy).sum(dim=-1).mean()

    return Losses(
        total=value + batch.imitation_weight * imitation + improvement,
        priorities=priorities,
        value=value.detach(),
        imitation=imitation.detach(),
        q=categorical.expectation(taken.detach(), support),
        at_ends=(target_t[:, 0] + target_t[:, -1]).mean(),
        agreement=agreement,
    )


@torch.no_grad()
def target_distribution(
    online: RainbowNetwork, target: RainbowNetwork, config: LearnerConfig, batch: Transitions
) -> Tensor:
    """Return the distributions (B, K) that those of the taken actions' returns are fitted to; arguments as above."""
    probabilities_t, bonus_t = _bootstrapped(online, target, config, batch)
    return categorical.project(probabilities_t, batch.r_t + bonus_t, batch.discount_t, online.support)


def _bootstrapped(
    online: RainbowNetwork, target: RainbowNetwork, config: LearnerConfig, batch: Transitions
) -> tuple[Tensor, Tensor]:
    """Return the distribution (B, K) of the rest of the return, and what is added to the return (B,)."""
    support = online.support
    if config.munchausen:
        temperature = config.munchausen_temperature
        logits_t = target(batch.s_t)
        q_t = categorical.expectation(logits_t, support)
        probabilities_t, soft_bonus = categorical.soft_value(logits_t, q_t, temperature)
        bonus = categorical.munchausen_bonus(
            categorical.expectation(target(batch.s_tm1), support),
            batch.a_tm1,
            config.munchausen_alpha,
            temperature,
            config.munchausen_clip,
        )
        return probabilities_t, bonus + batch.discount_t * soft_bonus
    chooser = online if config.double else target
    features_t = chooser.features(batch.s_t)
    best_a_t = chooser.preferences(features_t, chooser.q_of(features_t), batch.prior_weight).argmax(dim=1)
    logits_t = target.logits_of(target.features(batch.s_t), best_a_t)
    return torch.softmax(logits_t.float(), dim=-1), torch.zeros_like(batch.discount_t)
