"""Two products too small and irregular for the stock matrix routines, as compiled CPU kernels with gradients.

`attend` is the core of the lane encoder, `select_rows` one row of an output layer per sample. Elsewhere than
on a CPU, and inside torch.compile, the network takes the equivalent stock operations instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["attend", "select_rows", "usable"]

_FAST = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy", "boundscheck": False}


def usable(tensor: Tensor) -> bool:
    """Return whether the kernels take this tensor: on the CPU, outside torch.compile."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


@njit(**_FAST)
def _attend(
    asked: NDArray[np.float32],
    codes: NDArray[np.float32],
    used: NDArray[np.float32],
    weights: NDArray[np.float32],
    gathered: NDArray[np.float32],
) -> None:
    batch, lanes, heads, terms = asked.shape
    slots = codes.shape[1]
    scores = np.empty(slots, np.float32)
    for b in range(batch):
        for i in range(lanes):
            for h in range(heads):
                highest = np.float32(-np.inf)
                for e in range(slots):
                    if used[b, e] > 0.0:
                        score = np.float32(0.0)
                        for k in range(terms):
                            score += asked[b, i, h, k] * codes[b, e, k]
                        scores[e] = score
                        highest = max(highest, score)
                total = np.float32(0.0)
                for e in range(slots):
                    if used[b, e] > 0.0:
                        scores[e] = np.exp(scores[e] - highest)
                        total += scores[e]
                for k in range(terms):
                    gathered[b, i, h, k] = 0.0
                for e in range(slots):
                    weight = np.float32(0.0)
                    if used[b, e] > 0.0:
                        weight = scores[e] / total
                        for k in range(terms):
                            gathered[b, i, h, k] += weight * codes[b, e, k]
                    weights[b, i, h, e] = weight


@njit(**_FAST)
def _attend_backward(
    grad: NDArray[np.float32],
    asked: NDArray[np.float32],
    codes: NDArray[np.float32],
    used: NDArray[np.float32],
    weights: NDArray[np.float32],
    grad_asked: NDArray[np.float32],
    grad_codes: NDArray[np.float32],
) -> None:
    batch, lanes, heads, terms = asked.shape
    slots = codes.shape[1]
    slopes = np.empty(slots, np.float32)
    grad_codes[:] = 0.0
    for b in range(batch):
        for i in range(lanes):
            for h in range(heads):
                mean = np.float32(0.0)
                for e in range(slots):
                    if used[b, e] > 0.0:
                        slope = np.float32(0.0)
                        for k in range(terms):
                            slope += grad[b, i, h, k] * codes[b, e, k]
                        slopes[e] = slope
                        mean += weights[b, i, h, e] * slope
                for k in range(terms):
                    grad_asked[b, i, h, k] = 0.0
                for e in range(slots):
                    if used[b, e] > 0.0:
                        weight = weights[b, i, h, e]
                        grad_score = weight * (slopes[e] - mean)
                        for k in range(terms):
                            grad_asked[b, i, h, k] += grad_score * codes[b, e, k]
                            grad_codes[b, e, k] += grad_score * asked[b, i, h, k] + weight * grad[b, i, h, k]


@njit(**_FAST)
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


@njit(**_FAST)
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


class _Attend(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, asked: Tensor, codes: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
        batch, lanes, heads, _ = asked.shape
        gathered = torch.empty_like(asked, memory_format=torch.contiguous_format)
        weights = asked.new_empty(batch, lanes, heads, codes.shape[1])
        _attend(_array(asked), _array(codes), _array(used), weights.numpy(), gathered.numpy())
        ctx.save_for_backward(asked, codes, used, weights)
        ctx.mark_non_differentiable(weights)
        return gathered, weights

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        asked, codes, used, weights = ctx.saved_tensors
        grad_asked = torch.empty_like(asked, memory_format=torch.contiguous_format)
        grad_codes = torch.empty_like(codes, memory_format=torch.contiguous_format)
        arrays = [_array(tensor) for tensor in (grads[0], asked, codes, used, weights)]
        _attend_backward(*arrays, grad_asked.numpy(), grad_codes.numpy())
        return grad_asked, grad_codes, None


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
        arrays = [_array(tensor) for tensor in (grads[0], weight, rows, hidden)]
        _select_rows_backward(*arrays, grad_weight.numpy(), grad_bias.numpy(), grad_hidden.numpy())
        return grad_weight, grad_bias, None, grad_hidden


def attend(asked: Tensor, codes: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax attention of every (lane, head) over the used slots.

    Args:
        asked: (B, L, H, n) float32, what each lane and head looks for.
        codes: (B, E, n) float32, both keys and values.
        used: (B, E) float32, 1 where a slot may be looked at.

    Returns:
        what was gathered (B, L, H, n), differentiable, and the weights (B, L, H, E), not differentiable;
        both are 0 where no slot is used.
    """
    if usable(asked):
        gathered, weights = _Attend.apply(asked, codes, used)
        return gathered, weights
    batch, lanes, heads, terms = asked.shape
    scores = torch.bmm(asked.reshape(batch, lanes * heads, terms), codes.transpose(1, 2)).float()
    mask = used.unsqueeze(1)
    scores = scores - (1.0 - mask) * 1e9
    weights = torch.exp(scores - scores.amax(dim=2, keepdim=True).detach()) * mask
    weights = weights / weights.sum(dim=2, keepdim=True).clamp_min(1e-9)
    gathered = torch.bmm(weights, codes.float())
    return gathered.reshape(asked.shape), weights.detach().reshape(batch, lanes, heads, -1)


def select_rows(weight: Tensor, bias: Tensor, rows: Tensor, hidden: Tensor) -> Tensor:
    """Return ``weight[rows] @ hidden + bias[rows]``: (B, K) from (R, K, H), (R, K), (B,) int64 and (B, H)."""
    if usable(hidden):
        selected: Tensor = _SelectRows.apply(weight, bias, rows, hidden)
        return selected
    return torch.bmm(weight[rows], hidden.unsqueeze(2)).squeeze(2) + bias[rows]
