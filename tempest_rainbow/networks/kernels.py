"""Products too small and irregular for the stock matrix routines, as compiled CPU kernels with gradients.

`lane_codes` is the core of the lane encoder; `select_rows` computes one row of an output layer per sample. On other
devices, and inside torch.compile, the equivalent stock operations are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempest_gym.code_cache import compiled
from tempest_rainbow.networks.lane_kernels import (
    ENEMY_TERMS,
    ENEMY_WIDTH,
    LANE_TERMS,
    LANES,
    SLOTS,
    gather_codes,
    gather_codes_backward,
)

__all__ = ["lane_codes", "select_rows", "usable"]


def usable(tensor: Tensor) -> bool:
    """Return whether the kernels apply to a tensor: on the CPU, outside compilers and exporters."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return tensor.device.type == "cpu"


@compiled(nogil=True, fastmath=True, error_model="numpy", boundscheck=False)
def _select_rows(
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    rows: NDArray[np.int64],
    hidden: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    for b in range(rows.shape[0]):
        row = rows[b]
        for k in range(out.shape[1]):
            total = bias[row, k]
            for i in range(hidden.shape[1]):
                total += weight[row, k, i] * hidden[b, i]
            out[b, k] = total


@compiled(nogil=True, fastmath=True, error_model="numpy", boundscheck=False)
def _select_rows_backward(
    grad: NDArray[np.float32],
    weight: NDArray[np.float32],
    rows: NDArray[np.int64],
    hidden: NDArray[np.float32],
    grad_weight: NDArray[np.float32],
    grad_bias: NDArray[np.float32],
    grad_hidden: NDArray[np.float32],
) -> None:
    grad_weight[:] = 0.0
    grad_bias[:] = 0.0
    grad_hidden[:] = 0.0
    for b in range(rows.shape[0]):
        row = rows[b]
        for k in range(grad.shape[1]):
            slope = grad[b, k]
            grad_bias[row, k] += slope
            for i in range(hidden.shape[1]):
                grad_weight[row, k, i] += slope * hidden[b, i]
                grad_hidden[b, i] += slope * weight[row, k, i]


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().contiguous().numpy()
    return array


class _LaneCodes(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        *tensors, epsilon = inputs
        lanes, enemies, used, lane_spread, enemy_spread, agreement = map(_array, tensors)
        batch, heads = lanes.shape[0], agreement.shape[0]
        joint = torch.empty(LANE_TERMS + 1 + heads * ENEMY_WIDTH, batch, LANES)
        weights = torch.empty(batch, heads, SLOTS, LANES)
        asked = np.empty((batch, heads, ENEMY_WIDTH, LANES), np.float32)
        lane_scales = np.empty((batch, LANES), np.float32)
        enemy_codes = np.empty((batch, SLOTS, ENEMY_WIDTH), np.float32)
        enemy_scales = np.empty((batch, SLOTS), np.float32)
        made = (weights.numpy(), asked, lane_scales, enemy_codes, enemy_scales)
        gather: Any = gather_codes
        gather(lanes, enemies, used, lane_spread, enemy_spread, agreement, epsilon, joint.numpy(), *made)
        ctx.arrays = (lanes, enemies, agreement, *made)
        ctx.mark_non_differentiable(weights)
        return joint, weights

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        agreement = ctx.arrays[2]
        lane_spread, enemy_spread = torch.empty(LANE_TERMS, LANE_TERMS), torch.empty(ENEMY_TERMS, ENEMY_TERMS)
        bilinear = torch.empty(agreement.shape)
        results = (lane_spread.numpy(), enemy_spread.numpy(), bilinear.numpy())
        gather: Any = gather_codes_backward
        gather(_array(grads[0]), *ctx.arrays, *results)
        return None, None, None, lane_spread, enemy_spread, bilinear, None


class _SelectRows(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, weight: Tensor, bias: Tensor, rows: Tensor, hidden: Tensor) -> Tensor:
        out = hidden.new_empty(rows.shape[0], weight.shape[1])
        _select_rows(_array(weight), _array(bias), _array(rows), _array(hidden), out.numpy())
        ctx.save_for_backward(weight, rows, hidden)
        return out

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, Tensor]:
        weight, rows, hidden = ctx.saved_tensors
        grad_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
        grad_bias = weight.new_empty(weight.shape[:2])
        grad_hidden = torch.empty_like(hidden, memory_format=torch.contiguous_format)
        made = (grad_weight.numpy(), grad_bias.numpy(), grad_hidden.numpy())
        _select_rows_backward(_array(grads[0]), _array(weight), _array(rows), _array(hidden), *made)
        return grad_weight, grad_bias, None, grad_hidden


def lane_codes(
    lanes: Tensor,
    enemies: Tensor,
    used: Tensor,
    lane_spread: Tensor,
    enemy_spread: Tensor,
    agreement: Tensor,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    """Scale tokens to unit deviation and gather, for every lane and head, codes of enemies by attention.

    Args:
        lanes: (B, 8, 16) float32, values of the lanes, a 1 last.
        enemies: (B, 7, 13) float32, values of each enemy, a 1 last.
        used: (B, 7) float32, 1 where a slot may be attended to, else 0.
        lane_spread: (8, 8) quadratic form whose value is the variance of a lane's token.
        enemy_spread: (13, 13) the same for enemies.
        agreement: (H, 9, 14) bilinear forms of a lane's code and an enemy's. A code is the values divided by
            the token's deviation, and a 1.
        epsilon: added to the variances.

    Returns:
        (9 + 14 H, B, 16): the lane's code, then for each head the enemies' codes averaged by attention; and
        the attention (B, H, 7, 16), not differentiable. Both are 0 where no slot is used. Gradients flow to
        ``lane_spread``, ``enemy_spread`` and ``agreement`` only.
    """
    if usable(lanes):
        joint, weights = _LaneCodes.apply(lanes, enemies, used, lane_spread, enemy_spread, agreement, epsilon)
        return joint, weights
    batch, heads = lanes.shape[0], agreement.shape[0]
    lane_code = _scaled(lanes.transpose(1, 2), lane_spread, epsilon)
    enemy_code = _scaled(enemies, enemy_spread, epsilon)
    asked = torch.matmul(lane_code, agreement.permute(1, 0, 2).reshape(-1, heads * ENEMY_WIDTH))
    scores = torch.bmm(asked.reshape(batch, LANES * heads, ENEMY_WIDTH), enemy_code.transpose(1, 2)).float()
    mask = used.unsqueeze(1)
    scores = scores - (1.0 - mask) * 1e9
    weights = torch.exp(scores - scores.amax(dim=2, keepdim=True).detach()) * mask
    weights = weights / weights.sum(dim=2, keepdim=True).clamp_min(1e-9)
    gathered = torch.bmm(weights, enemy_code.float()).reshape(batch, LANES, heads * ENEMY_WIDTH)
    joint = torch.cat([lane_code, gathered], dim=2).permute(2, 0, 1)
    return joint, weights.detach().reshape(batch, LANES, heads, SLOTS).permute(0, 2, 3, 1)


def _scaled(values: Tensor, spread: Tensor, epsilon: float) -> Tensor:
    """Return values (B, T, n) divided by the deviation that ``spread`` gives them, and a 1: (B, T, n + 1)."""
    variance = (torch.matmul(values, spread) * values).sum(dim=2, keepdim=True)
    return torch.cat([values * torch.rsqrt(variance + epsilon), torch.ones_like(values[:, :, :1])], dim=2)


def select_rows(weight: Tensor, bias: Tensor, rows: Tensor, hidden: Tensor) -> Tensor:
    """Return ``weight[rows] @ hidden + bias[rows]``: (B, K) from (R, K, H), (R, K), (B,) int64 and (B, H)."""
    if usable(hidden):
        selected: Tensor = _SelectRows.apply(weight, bias, rows, hidden)
        return selected
    return torch.bmm(weight[rows], hidden.unsqueeze(2)).squeeze(2) + bias[rows]
