"""The loss of one batch: distributional double Q-learning plus imitation, as pure functions of tensors.

Sources: double Q (https://arxiv.org/abs/1509.06461), Munchausen (https://arxiv.org/abs/2007.14430), DQfD's margin
(https://arxiv.org/abs/1704.03732, equation 2).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tempest_rainbow.config.settings import LearnerConfig
from tempest_rainbow.networks.rainbow import RainbowNetwork

__all__ = ["Losses", "Transitions", "rainbow_loss", "target_distribution"]


class Losses(NamedTuple):
    """Losses of a batch, and what is worth a curve.

    Attributes:
        total: () to be minimised.
        priorities: (B,) of the transitions, as the head measures them.
        value: () mean loss of the head, importance-weighted.
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
    target_t = target_distribution(online, target, config, batch) if batch.target is None else batch.target

    features_tm1 = online.features(batch.s_tm1)
    needs_all = config.imitation in ("margin", "softmax")
    if needs_all:
        prediction_tm1 = online.head(features_tm1)
        q_tm1 = online.head.mean(prediction_tm1)
        taken = prediction_tm1[torch.arange(len(batch.a_tm1)), batch.a_tm1]
    else:
        taken = online.head.of_action(features_tm1, batch.a_tm1)
    value_losses, priorities = online.head.loss(taken, target_t)
    value = (batch.weights * value_losses).mean()

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
            each = margin_loss(preferences, batch.expert_a_tm1, config.imitation_margin)
        else:
            each = imitation_loss(preferences, batch.expert_a_tm1)
        imitation = (batch.imitation_weights * each).mean()
        known = (batch.expert_a_tm1 >= 0).float()
        agreement = (
            (preferences.argmax(dim=1) == batch.expert_a_tm1).float() * known
        ).sum() / known.sum().clamp_min(1)

    improvement = torch.zeros_like(value)
    if config.improvement > 0.0 and online.config.policy_head:
        with torch.no_grad():
            prior = target.policy_logits(target.features(batch.s_tm1))
            improved = improved_policy(
                prior, online.head.q_of(features_tm1.detach()), config.improvement_temperature
            )
        log_policy = torch.log_softmax(online.policy_logits(features_tm1).float(), dim=-1)
        share = config.improvement * (1.0 - batch.imitation_weight).clamp_min(0.0)
        improvement = share * -(improved * log_policy).sum(dim=-1).mean()

    return Losses(
        total=value + batch.imitation_weight * imitation + improvement,
        priorities=priorities,
        value=value.detach(),
        imitation=imitation.detach(),
        q=online.head.mean(taken.detach()),
        at_ends=online.head.at_ends(target_t),
        agreement=agreement,
    )


@torch.no_grad()
def target_distribution(
    online: RainbowNetwork, target: RainbowNetwork, config: LearnerConfig, batch: Transitions
) -> Tensor:
    """Return the distributions (B, K) that those of the taken actions' returns are fitted to; arguments as above."""
    distribution_t, bonus_t = _bootstrapped(online, target, config, batch)
    return online.head.project(distribution_t, batch.r_t + bonus_t, batch.discount_t)


def _bootstrapped(
    online: RainbowNetwork, target: RainbowNetwork, config: LearnerConfig, batch: Transitions
) -> tuple[Tensor, Tensor]:
    """Return the distribution (B, K) of the rest of the return, and what is added to the return (B,)."""
    if config.munchausen:
        temperature = config.munchausen_temperature
        prediction_t = target(batch.s_t)
        distributions_t, q_t = target.head.distribution(prediction_t), target.head.mean(prediction_t)
        distribution_t, soft_bonus = soft_value(distributions_t, q_t, temperature)
        bonus = munchausen_bonus(
            target.head.mean(target(batch.s_tm1)),
            batch.a_tm1,
            config.munchausen_alpha,
            temperature,
            config.munchausen_clip,
        )
        return distribution_t, bonus + batch.discount_t * soft_bonus
    chooser = online if config.double else target
    features_t = chooser.features(batch.s_t)
    best_a_t = chooser.preferences(features_t, chooser.head.q_of(features_t), batch.prior_weight).argmax(
        dim=1
    )
    prediction_t = target.head.of_action(target.features(batch.s_t), best_a_t)
    return target.head.distribution(prediction_t), torch.zeros_like(batch.discount_t)


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


def soft_value(distributions_t: Tensor, q_t: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the mixture (B, K) of distributions under the softmax policy, and its entropy bonus (B,).

    The bonus is the temperature times the policy's entropy; Munchausen subtracts each action's scaled
    log-policy from its own distribution, here all are shifted by the mean of that, which has the same
    expectation.
    """
    policy = torch.softmax(q_t / temperature, dim=-1)
    mixture = (policy.unsqueeze(2) * distributions_t).sum(dim=1)
    return mixture, temperature * torch.special.entr(policy).sum(dim=-1)
