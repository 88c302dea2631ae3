"""The loss functions against naive float64 arithmetic, atom by atom."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tempest_rainbow.learner import loss as losses
from tempest_rainbow.networks import categorical


def naive_projection(probabilities, r, discount, support):
    """Algorithm 1 of C51, one atom at a time."""
    out = np.zeros(len(support))
    spacing = support[1] - support[0]
    for probability, atom in zip(probabilities, support, strict=True):
        image = min(max(r + discount * atom, support[0]), support[-1])
        position = min((image - support[0]) / spacing, len(support) - 1)
        lower, upper = math.floor(position), math.ceil(position)
        if lower == upper:
            out[lower] += probability
        else:
            out[lower] += probability * (upper - position)
            out[upper] += probability * (position - lower)
    return out


@settings(deadline=None, max_examples=100)
@given(
    st.integers(2, 51),
    st.floats(-150, 150),
    st.sampled_from([0.0, 0.3, 0.886, 0.99, 1.0]),
    st.integers(0, 2**31),
)
def test_projection_equals_the_naive_one(atoms, r, discount, seed):
    rng = np.random.default_rng(seed)
    support = np.linspace(-100, 100, atoms)
    probabilities = rng.dirichlet(np.full(atoms, 0.3), size=3)
    rewards = np.array([r, 0.0, -r])
    mine = categorical.project(
        torch.tensor(probabilities),
        torch.tensor(rewards),
        torch.full((3,), discount, dtype=torch.float64),
        torch.tensor(support),
    )
    naive = [naive_projection(p, x, discount, support) for p, x in zip(probabilities, rewards, strict=True)]
    np.testing.assert_allclose(mine.numpy(), naive, atol=1e-12)


def test_projection_keeps_mass_and_inner_means_in_single_precision():
    rng = np.random.default_rng(0)
    support = torch.linspace(-100, 100, 51)
    probabilities = torch.tensor(rng.dirichlet(np.ones(51), size=200), dtype=torch.float32)
    r = torch.tensor(rng.uniform(-9, 9, 200), dtype=torch.float32)
    discount = torch.tensor(rng.uniform(0, 0.9, 200), dtype=torch.float32)
    projected = categorical.project(probabilities, r, discount, support)
    torch.testing.assert_close(projected.sum(1), torch.ones(200))
    torch.testing.assert_close(
        projected @ support, r + discount * (probabilities @ support), atol=2e-3, rtol=0
    )
    assert (projected >= 0).all()


def test_a_terminal_return_on_an_atom_is_certain():
    support = torch.linspace(-2, 2, 5)
    for value, atom in ((-2.0, 0), (1.0, 3), (2.0, 4), (7.0, 4), (-9.0, 0)):
        projected = categorical.project(
            torch.full((1, 5), 0.2), torch.tensor([value]), torch.zeros(1), support
        )
        torch.testing.assert_close(projected, torch.nn.functional.one_hot(torch.tensor([atom]), 5).float())


def test_priorities_are_the_kl_divergence():
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((6, 9))
    target = rng.dirichlet(np.full(9, 0.5), size=6)
    target[0] = np.eye(9)[2]
    predicted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loss, priorities = categorical.categorical_loss(torch.tensor(logits), torch.tensor(target))
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.nansum(target * (np.log(target) - np.log(predicted)), axis=1)
    # Logits are taken to single precision on purpose.
    np.testing.assert_allclose(loss.numpy(), -(target * np.log(predicted)).sum(1), rtol=1e-5)
    np.testing.assert_allclose(priorities.numpy(), divergence, atol=1e-5)


def test_a_perfect_prediction_has_no_priority_and_no_gradient():
    target = torch.tensor([[0.1, 0.2, 0.7]])
    logits = target.log().requires_grad_()
    loss, priorities = categorical.categorical_loss(logits, target)
    loss.sum().backward()
    assert float(priorities) == pytest.approx(0.0, abs=1e-6)
    assert logits.grad.abs().max() < 1e-6
    assert float(loss.detach()) > 0.8


def test_imitation_counts_known_advice_only():
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 0.0], [3.0, 1.0, 1.0]], requires_grad=True)
    loss = losses.imitation_loss(logits, torch.tensor([1, 2, -1]))
    first = math.log(math.exp(1) + math.exp(2) + math.exp(0.5)) - 2.0
    torch.testing.assert_close(loss, torch.tensor([first, math.log(3), 0.0]))
    loss.sum().backward()
    assert logits.grad[2].abs().sum() == 0


def test_margin_is_zero_only_when_the_advice_leads_by_it():
    q = torch.tensor([[1.0, 2.0, 0.5], [1.0, 2.0, 0.5], [1.0, 2.0, 0.5], [1.0, 2.0, 0.5]])
    loss = losses.margin_loss(q, torch.tensor([1, 0, 1, -1]), 0.8)
    # Action 1 leads by 1.0; for action 0 the rival is 2.0 + 0.8.
    torch.testing.assert_close(loss, torch.tensor([0.0, 1.8, 0.0, 0.0]))
    assert float(losses.margin_loss(q[:1], torch.tensor([1]), 1.5)) == pytest.approx(0.5)


def test_improved_policy_tilts_the_prior_by_clipped_advantages():
    prior = torch.tensor([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]])
    q = torch.tensor([[1.0, 1.2, 0.6], [0.0, 90.0, 0.0]])
    improved = losses.improved_policy(prior.log(), q, 0.5)
    # Expected return of the first prior: 0.95. In the second row all advantages are clipped.
    tilts = torch.tensor([[0.1, 0.5, -0.7], [-1.0, 1.0, -1.0]]).exp()
    expected = prior * tilts / (prior * tilts).sum(1, keepdim=True)
    torch.testing.assert_close(improved, expected)


def test_munchausen_bonus_is_the_scaled_and_clipped_log_policy():
    q = torch.tensor([[0.0, 0.03, 0.06], [0.0, 5.0, 0.0]])
    bonus = losses.munchausen_bonus(q, torch.tensor([0, 0]), 0.9, 0.03, -1.0)
    log_policy = 0.03 * (0.0 - math.log(1 + math.e + math.e**2))
    torch.testing.assert_close(bonus, torch.tensor([0.9 * log_policy, -0.9]))


def test_soft_value_has_the_soft_expectation():
    rng = np.random.default_rng(3)
    support = torch.linspace(-10, 10, 21)
    logits = torch.tensor(rng.standard_normal((4, 5, 21)), dtype=torch.float32)
    q = categorical.expectation(logits, support)
    mixture, bonus = losses.soft_value(torch.softmax(logits, dim=-1), q, 0.5)
    policy = torch.softmax(q / 0.5, dim=1)
    expected = (policy * (q - 0.5 * policy.log())).sum(1)
    torch.testing.assert_close(mixture @ support + bonus, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mixture.sum(1), torch.ones(4))
