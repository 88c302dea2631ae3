"""The reference implementation of network and learner, as in a textbook: for `bench`, and as an oracle in tests.

Every layer is a stock module (attention included), every forward pass computes every action, the optimiser
is stock Adam; nothing is compiled, folded or fused.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from tempest_rainbow.networks.categorical import CategoricalHead, project
from tempest_rainbow.networks.lane_encoder import LaneEncoder, lane_and_enemy_values
from tempest_rainbow.networks.rainbow import RainbowNetwork

__all__ = ["PlainLearner", "PlainNetwork"]


class PlainNetwork(nn.Module):
    """The function of a `RainbowNetwork` with the same weights, written with stock modules only."""

    support: Tensor

    def __init__(self, network: RainbowNetwork) -> None:
        """Copy the weights of ``network``.

        Raises:
            ValueError: the network factors its actions, which has no textbook form.
        """
        super().__init__()
        if network.config.action_factors:
            raise ValueError("only networks with one advantage per action have a plain form")
        network = copy.deepcopy(network)
        self.action_count = network.action_count
        self.encoder = None if network.encoder is None else _PlainEncoder(network.encoder)
        self.trunk = network.trunk
        head = network.head
        assert isinstance(head, CategoricalHead)
        self.value = nn.Sequential(head.value_hidden, nn.ReLU(), head.value_out)
        self.advantage = nn.Sequential(head.advantage_hidden, nn.ReLU(), head.advantage_out)
        self.register_buffer("support", head.support)

    def forward(self, observations: Tensor) -> Tensor:
        """Return logits (B, A, K)."""
        if self.encoder is not None:
            observations = torch.cat([observations, self.encoder(observations)], dim=1)
        features = self.trunk(observations)
        value = self.value(features).unsqueeze(1)
        advantage = self.advantage(features).reshape(len(observations), self.action_count, -1)
        return value + advantage - advantage.mean(dim=1, keepdim=True)


class _PlainEncoder(nn.Module):
    def __init__(self, encoder: LaneEncoder) -> None:
        super().__init__()
        self.lane_embedding = nn.Sequential(encoder.lane_embedding, encoder.lane_norm)
        self.enemy_embedding = nn.Sequential(encoder.enemy_embedding, encoder.enemy_norm)
        self.attention = nn.MultiheadAttention(encoder.size, encoder.heads, batch_first=True)
        self.out_norm = encoder.out_norm
        projections = (encoder.query, encoder.key, encoder.value)
        with torch.no_grad():
            self.attention.in_proj_weight.copy_(torch.cat([part.weight for part in projections]))
            self.attention.in_proj_bias.copy_(torch.cat([part.bias for part in projections]))
        self.attention.out_proj.load_state_dict(encoder.mix.state_dict())

    def forward(self, observations: Tensor) -> Tensor:
        lanes, enemies, exists, used = lane_and_enemy_values(observations)
        lanes = self.lane_embedding(lanes[:, :-1].transpose(1, 2))
        enemies = self.enemy_embedding(enemies[:, :, :-1])
        # A sample without enemies would attend to nothing and give NaN: let it attend to all slots, then drop
        # the result.
        empty = used.sum(dim=1) == 0
        hidden = (used == 0) & ~empty.unsqueeze(1)
        mixed, _ = self.attention(lanes, enemies, enemies, key_padding_mask=hidden, need_weights=False)
        mixed = torch.where(empty[:, None, None], self.attention.out_proj.bias, mixed)
        lanes = torch.relu(lanes + mixed) * exists.unsqueeze(2)
        return self.out_norm(lanes.sum(dim=1) / exists.sum(dim=1, keepdim=True))


class PlainLearner:
    """Categorical double Q-learning without imitation, step by step as in a textbook."""

    def __init__(
        self, network: RainbowNetwork, learning_rate: float, adam_epsilon: float, gradient_clip: float
    ) -> None:
        self.online = PlainNetwork(network)
        self.target = copy.deepcopy(self.online)
        self.optimiser = torch.optim.AdamW(
            self.online.parameters(), lr=learning_rate, eps=adam_epsilon, weight_decay=0.0
        )
        self.gradient_clip = gradient_clip

    def step(
        self, s_tm1: Tensor, a_tm1: Tensor, r_t: Tensor, discount_t: Tensor, s_t: Tensor, weights: Tensor
    ) -> Tensor:
        """Make one step and return the cross-entropies (B,); arguments as in `loss.rainbow_loss`."""
        rows = torch.arange(len(a_tm1), device=a_tm1.device)
        support = self.online.support
        with torch.no_grad():
            best_a_t = (torch.softmax(self.online(s_t), dim=2) * support).sum(dim=2).argmax(dim=1)
            probabilities_t = torch.softmax(self.target(s_t), dim=2)[rows, best_a_t]
            goal = project(probabilities_t, r_t, discount_t, support)
        log_probabilities = torch.log_softmax(self.online(s_tm1), dim=2)[rows, a_tm1]
        cross_entropy = -(goal * log_probabilities).sum(dim=1)
        self.optimiser.zero_grad()
        (weights * cross_entropy).mean().backward()
        nn.utils.clip_grad_norm_(self.online.parameters(), self.gradient_clip)
        self.optimiser.step()
        return cross_entropy.detach()
