"""The lane encoder: 16 lane tokens attend to 7 enemy tokens (one pre-norm cross-attention block).

As a textbook block it reads::

    lanes   = LayerNorm(W_lane f_lane + b_lane)              (16, C)     f_lane: 7 values of each lane
    enemies = LayerNorm(W_enemy f_enemy + b_enemy)           (7, C)      f_enemy: 12 values of each slot
    Q, K, V = W_q lanes + b_q, W_k enemies + b_k, W_v enemies + b_v      split into H heads
    out     = LayerNorm(mean over lanes of relu(lanes + W_o softmax(Q K^T / sqrt(C/H)) V + b_o))

Every map before the softmax and between softmax and relu is affine in the few values of a token but for one
scalar, the token's standard deviation s; and s^2 is a quadratic form in those values. So
`LaneEncoder.forward` multiplies the weight matrices with each other once per batch (`_folded`), and the
samples only with the products, which are an order of magnitude smaller. It is the same function of the same
parameters; `forward_textbook` is the block as written above.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from tempest_rainbow.networks import kernels as cpu_kernels
from tempest_rainbow.networks.lane_kernels import (
    ENEMY_TERMS,
    ENEMY_WIDTH,
    LANE_TERMS,
    LANES,
    SLOTS,
    cut_tokens,
)

__all__ = ["LAYOUT", "OBSERVATION_SIZE", "LaneEncoder", "lane_and_enemy_values"]

LAYOUT: dict[str, slice] = {
    "player_lane": slice(5, 6),
    "open": slice(29, 30),
    "spike_height": slice(31, 47),
    "lane_angle": slice(47, 63),
    "enemy_info": slice(86, 128),
    "enemy_lane": slice(128, 135),
    "enemy_depth": slice(135, 142),
    "rim_lane": slice(142, 149),
    "top_lane": slice(171, 178),
    "lane_change": slice(181, 188),
    "depth_change": slice(188, 195),
}
"""Where the encoder finds its inputs among the 195 values (ARCADE F.2)."""

OBSERVATION_SIZE = 195
"""Values per observation of Tempest."""


_STARTS = np.array([where.start for where in LAYOUT.values()])


def lane_and_enemy_values(observations: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cut observations into tokens.

    Args:
        observations: (B, 195).

    Returns:
        lanes (B, 8, 16): spike height, sine and cosine of the tube's angle, signed and absolute distance from
        the player in eighths of 16 lanes (the shorter way if the tube is closed), whether it is the player's,
        open flag, 1; enemies (B, 7, 13): type, direction, between lanes, moving away, may shoot, cargo, lane,
        depth, rim lane, top lane, lane change, depth change, 1; which lanes exist (B, 16) and which slots are
        used (B, 7), as 0.0 or 1.0.
    """
    batch = observations.shape[0]
    if cpu_kernels.usable(observations):
        lanes, enemies = torch.empty(batch, LANE_TERMS, LANES), torch.empty(batch, SLOTS, ENEMY_TERMS)
        exists, used = torch.empty(batch, LANES), torch.empty(batch, SLOTS)
        rows = observations.detach().float().contiguous().numpy()
        cut_tokens(rows, _STARTS, lanes.numpy(), enemies.numpy(), exists.numpy(), used.numpy())
        return lanes, enemies, exists, used
    part = {name: observations[:, where] for name, where in LAYOUT.items()}
    lane = torch.arange(LANES, dtype=observations.dtype, device=observations.device)
    offset = lane - torch.round(15.0 * part["player_lane"])
    wrapped = torch.remainder(offset + 8.0, 16.0) - 8.0
    distance = torch.where(part["open"] > 0.5, offset, wrapped)
    angle = torch.round(15.0 * part["lane_angle"]) * (math.pi / 8.0)
    lanes = torch.stack(
        [
            part["spike_height"],
            torch.sin(angle),
            torch.cos(angle),
            distance / 8.0,
            distance.abs() / 8.0,
            (distance == 0.0).to(observations.dtype),
            part["open"].expand(batch, LANES),
            torch.ones_like(distance),
        ],
        dim=1,
    )
    names = ("enemy_lane", "enemy_depth", "rim_lane", "top_lane", "lane_change", "depth_change")
    enemies = torch.cat(
        [
            part["enemy_info"].reshape(batch, SLOTS, 6),
            torch.stack([*(part[name] for name in names), torch.ones_like(part["enemy_lane"])], dim=2),
        ],
        dim=2,
    )
    exists = 1.0 - part["open"] * (lane == LANES - 1).to(observations.dtype)
    used = (part["enemy_depth"] > 0.0).to(observations.dtype)
    return lanes, enemies, exists, used


class LaneEncoder(nn.Module):
    """(B, 195) observations to (B, size) codes by cross-attention from lanes to enemies."""

    def __init__(self, size: int = 128, heads: int = 4) -> None:
        super().__init__()
        if size % heads:
            raise ValueError(f"the encoder's size {size} must be a multiple of its {heads} heads")
        self.size = size
        self.heads = heads
        self.lane_embedding = nn.Linear(LANE_TERMS - 1, size)
        self.lane_norm = nn.LayerNorm(size)
        self.enemy_embedding = nn.Linear(ENEMY_TERMS - 1, size)
        self.enemy_norm = nn.LayerNorm(size)
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.mix = nn.Linear(size, size)
        self.out_norm = nn.LayerNorm(size)
        self._frozen: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    @torch.no_grad()
    def freeze(self) -> None:
        """Multiply the weight matrices with each other once, which saves half of the time of a small batch.

        Later changes of the weights have no effect.
        """
        self._frozen = self._products()

    def forward(self, observations: Tensor) -> Tensor:
        """Return codes (B, size)."""
        joint, _, shares, maps = self._gather(observations)
        tokens = torch.matmul(joint.reshape(joint.shape[0], -1).T, maps).reshape(-1, LANES, self.size)
        code: Tensor = self.out_norm(torch.bmm(shares.unsqueeze(1), torch.relu(tokens)).squeeze(1))
        return code

    def attention(self, observations: Tensor) -> Tensor:
        """Return the attention weights (B, heads, 16, 7); 0 for unused slots, all 0 where no slot is used."""
        return self._gather(observations)[1].transpose(2, 3)

    def forward_textbook(self, observations: Tensor) -> Tensor:
        """Return what `forward` returns, computed as in the module's docstring."""
        lanes, enemies, exists, used = lane_and_enemy_values(observations)
        lanes = self.lane_norm(self.lane_embedding(lanes[:, :-1].transpose(1, 2)))
        enemies = self.enemy_norm(self.enemy_embedding(enemies[:, :, :-1]))
        batch, width = lanes.shape[0], self.size // self.heads

        def split(tokens: Tensor) -> Tensor:
            return tokens.reshape(batch, -1, self.heads, width).transpose(1, 2)

        queries, keys, values = split(self.query(lanes)), split(self.key(enemies)), split(self.value(enemies))
        weights = _masked_softmax(queries @ keys.transpose(2, 3) / math.sqrt(width), used)
        attended = (weights @ values).transpose(1, 2).reshape(batch, LANES, self.size)
        shares = exists / exists.sum(dim=1, keepdim=True)
        code: Tensor = self.out_norm(
            (torch.relu(lanes + self.mix(attended)) * shares.unsqueeze(2)).sum(dim=1)
        )
        return code

    def _gather(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return joint codes (n, B, 16), attention (B, H, 7, 16), shares (B, 16), map to tokens (n, C).

        The products of weights are small: on a CPU, casting them to a shorter format takes longer than it saves.
        """
        with torch.autocast(
            "cpu", enabled=torch.is_autocast_enabled("cpu") and not cpu_kernels.usable(observations)
        ):
            return self._gather_codes(observations)

    def _gather_codes(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        lanes, enemies, exists, used = lane_and_enemy_values(observations)
        lane_spread, enemy_spread, agreement, maps = self._frozen or self._products()
        joint, weights = cpu_kernels.lane_codes(
            lanes, enemies, used, lane_spread, enemy_spread, agreement, self.lane_norm.eps
        )
        return joint, weights, exists / exists.sum(dim=1, keepdim=True), maps

    def _products(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return both quadratic forms, the bilinear forms (H, 9, 14), and the map from joint codes to tokens."""
        heads, width = self.heads, self.size // self.heads
        lane_tokens, lane_spread = _folded(self.lane_embedding, self.lane_norm)
        enemy_tokens, enemy_spread = _folded(self.enemy_embedding, self.enemy_norm)
        queries = _then(lane_tokens, self.query).reshape(-1, heads, width).transpose(0, 1)
        keys = _then(enemy_tokens, self.key).reshape(-1, heads, width).permute(1, 2, 0)
        agreement = torch.matmul(queries, keys) / math.sqrt(width)
        values = _then(enemy_tokens, self.value).reshape(-1, heads, width).transpose(0, 1)
        mix = self.mix.weight.reshape(self.size, heads, width).permute(1, 2, 0)
        enemy_map = torch.matmul(values, mix).reshape(heads * ENEMY_WIDTH, self.size)
        lane_map = torch.cat([lane_tokens[:-1], (lane_tokens[-1] + self.mix.bias).unsqueeze(0)])
        return lane_spread, enemy_spread, agreement, torch.cat([lane_map, enemy_map])


def _folded(embedding: nn.Linear, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    """Fold an embedding of n values and its norm.

    Returns:
        the tokens' map (n + 2, C): rows for the values and their 1, both divided by the token's deviation,
        and for a 1 of its own; and the quadratic form (n + 1, n + 1) of values and 1 that is the variance.
    """
    columns = torch.cat([embedding.weight.T, embedding.bias.unsqueeze(0)])
    centred = columns - columns.mean(dim=1, keepdim=True)
    spread = torch.matmul(centred, centred.T) / columns.shape[1]
    return torch.cat([centred * norm.weight, norm.bias.unsqueeze(0)]), spread


def _then(tokens: Tensor, linear: nn.Linear) -> Tensor:
    """Return the tokens' map (n + 2, C) followed by ``linear``; the last row is the constant term."""
    mapped = torch.matmul(tokens, linear.weight.T)
    return torch.cat([mapped[:-1], (mapped[-1] + linear.bias).unsqueeze(0)])


def _masked_softmax(scores: Tensor, used: Tensor) -> Tensor:
    """Softmax over the last axis of (B, H, 16, 7) over the used slots; all 0 where none is."""
    mask = used[:, None, None, :]
    scores = scores - (1.0 - mask) * 1e9
    weights = torch.exp(scores - scores.amax(dim=3, keepdim=True).detach()) * mask
    return weights / weights.sum(dim=3, keepdim=True).clamp_min(1e-9)
