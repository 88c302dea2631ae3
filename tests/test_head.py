"""A head of another distribution works by the interface alone: quantiles (QR-DQN, https://arxiv.org/abs/1710.10044)."""

import numpy as np
import torch
from torch import nn

from tempest_rainbow.config.settings import LearnerConfig, NetworkConfig
from tempest_rainbow.learner.learner import Learner
from tempest_rainbow.networks.head import Head
from tempest_rainbow.replay.batch import Batch


class QuantileHead(nn.Module):
    """Maps features to K quantiles of every action's return."""

    def __init__(self, config, width, action_count):
        super().__init__()
        self.target_size, self.action_count = config.atoms, action_count
        self.out = nn.Linear(width, action_count * config.atoms)
        self.register_buffer("fractions", (torch.arange(config.atoms) + 0.5) / config.atoms, persistent=False)

    def forward(self, features):
        return self.out(features).reshape(-1, self.action_count, self.target_size)

    def of_action(self, features, actions):
        return self(features)[torch.arange(len(actions)), actions]

    def q_of(self, features):
        return self.mean(self(features))

    def mean(self, prediction):
        return prediction.mean(dim=-1)

    def distribution(self, prediction):
        return prediction

    def project(self, distribution_t, r_t, discount_t):
        return r_t.unsqueeze(1) + discount_t.unsqueeze(1) * distribution_t

    def loss(self, prediction_tm1, target):
        error = target.unsqueeze(1) - prediction_tm1.unsqueeze(2)
        huber = torch.where(error.abs() < 1.0, 0.5 * error**2, error.abs() - 0.5)
        weight = (self.fractions.unsqueeze(1) - (error < 0).float()).abs()
        loss = (weight * huber).mean(dim=2).sum(dim=1)
        return loss, loss.detach()

    def at_ends(self, target):
        return torch.zeros(())


OBSERVATIONS = np.eye(2, dtype=np.float32)


def batch(generator):
    """Two states, each leading to the other; action 1 pays 1 in state 0."""
    states, actions = generator.integers(0, 2, (2, 64))
    return Batch(
        observations=OBSERVATIONS[states],
        actions=actions,
        returns=((states == 0) & (actions == 1)).astype(np.float32),
        discounts=np.full(64, 0.5, np.float32),
        next_observations=OBSERVATIONS[1 - states],
        expert_actions=np.full(64, -1),
        actors=np.zeros(64, np.uint8),
        weights=np.ones(64, np.float32),
        imitation_weights=np.zeros(64, np.float32),
        indices=np.arange(64),
        stamps=np.arange(64),
    )


def test_a_head_of_quantiles_learns_the_optimal_returns_and_its_weights_are_restored(monkeypatch):
    monkeypatch.setattr("tempest_rainbow.networks.rainbow.CategoricalHead", QuantileHead)
    network = NetworkConfig(encoder="none", trunk=(32,), atoms=16, policy_head=False)
    config = LearnerConfig(imitation="none", learning_rate=3e-3, target_update_steps=20, publish_steps=1)
    learner = Learner(network, config, 2, 2, deterministic=True)
    head: Head = learner.network.head
    assert isinstance(head, QuantileHead)
    generator = np.random.default_rng(0)
    for _ in range(400):
        learner.step(batch(generator))
    _, q = learner.act(OBSERVATIONS)
    np.testing.assert_allclose(q, [[1 / 3, 4 / 3], [2 / 3, 2 / 3]], atol=0.05)  # by hand
    other = Learner(network, config, 2, 2, seed=5)
    other.set_state(learner.get_state())
    np.testing.assert_array_equal(other.act(OBSERVATIONS)[1], q)
