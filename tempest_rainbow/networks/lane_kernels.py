"""The lane encoder's core in compiled code: 16 lanes fill a vector register, so inner loops run over lanes.

Arrays have the lane last; constant bounds let the compiler unroll the loop inside the one over lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tempest_gym.code_cache import compiled

__all__ = [
    "ENEMY_TERMS",
    "ENEMY_WIDTH",
    "LANES",
    "LANE_TERMS",
    "SLOTS",
    "gather_codes",
    "gather_codes_backward",
]

LANES = 16
SLOTS = 7
LANE_TERMS = 8
"""Values of a lane, a 1 last."""

ENEMY_TERMS = 13
"""Values of an enemy, a 1 last."""

ENEMY_WIDTH = ENEMY_TERMS + 1
"""Values of an enemy's code: the terms divided by the token's deviation, and a 1."""

_SINES = np.sin(np.arange(16) * np.pi / 8).astype(np.float32)
_COSINES = np.cos(np.arange(16) * np.pi / 8).astype(np.float32)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)
_LOWEST = np.float32(-1e9)


@compiled(nogil=True, fastmath=True, error_model="numpy", boundscheck=False)
def cut_tokens(
    observations: NDArray[np.float32],
    starts: NDArray[np.int64],
    lanes: NDArray[np.float32],
    enemies: NDArray[np.float32],
    exists: NDArray[np.float32],
    used: NDArray[np.float32],
) -> None:
    """Cut observations (B, D) into tokens, see `lane_encoder.lane_and_enemy_values`.

    ``starts`` (11,) are the starts of the parts of `lane_encoder.LAYOUT`; the other arrays are filled.
    """
    for b in range(observations.shape[0]):
        row = observations[b]
        player = np.rint(np.float32(15.0) * row[starts[0]])
        is_open = row[starts[1]]
        for lane in range(LANES):
            distance = np.float32(lane) - player
            if is_open <= np.float32(0.5):
                distance -= np.float32(16.0) * np.floor((distance + np.float32(8.0)) / np.float32(16.0))
            turn = int(np.rint(np.float32(15.0) * row[starts[3] + lane])) & 15
            lanes[b, 0, lane] = row[starts[2] + lane]
            lanes[b, 1, lane] = _SINES[turn]
            lanes[b, 2, lane] = _COSINES[turn]
            lanes[b, 3, lane] = distance / np.float32(8.0)
            lanes[b, 4, lane] = abs(distance) / np.float32(8.0)
            lanes[b, 5, lane] = _ONE if distance == _ZERO else _ZERO
            lanes[b, 6, lane] = is_open
            lanes[b, 7, lane] = _ONE
            exists[b, lane] = _ONE
        exists[b, LANES - 1] = _ONE - is_open
        for e in range(SLOTS):
            for i in range(6):
                enemies[b, e, i] = row[starts[4] + 6 * e + i]
            for i in range(6):
                enemies[b, e, 6 + i] = row[starts[5 + i] + e]
            enemies[b, e, 12] = _ONE
            used[b, e] = _ONE if row[starts[6] + e] > _ZERO else _ZERO


@compiled(nogil=True, fastmath=True, error_model="numpy", boundscheck=False)
def gather_codes(
    lanes: NDArray[np.float32],
    enemies: NDArray[np.float32],
    used: NDArray[np.float32],
    lane_spread: NDArray[np.float32],
    enemy_spread: NDArray[np.float32],
    agreement: NDArray[np.float32],
    epsilon: float,
    joint: NDArray[np.float32],
    weights: NDArray[np.float32],
    asked: NDArray[np.float32],
    lane_scales: NDArray[np.float32],
    enemy_codes: NDArray[np.float32],
    enemy_scales: NDArray[np.float32],
) -> None:
    """Compute joint codes and attention.

    Args:
        lanes: (B, 8, 16).
        enemies: (B, 7, 13).
        used: (B, 7), 1 or 0.
        lane_spread: (8, 8) quadratic form that gives the variance of a lane's token.
        enemy_spread: (13, 13) the same for enemies.
        agreement: (H, 9, 14) bilinear forms of lane code and enemy code.
        epsilon: added to the variances.
        joint: (9 + 14 H, B, 16), filled: the lane's code, then by head the weighted mean of enemies' codes.
        weights: (B, H, 7, 16), filled: attention.
        asked: (B, H, 14, 16), filled: the lane's code mapped by the agreement.
        lane_scales: (B, 16), filled: 1 / deviation of the token.
        enemy_codes: (B, 7, 14), filled.
        enemy_scales: (B, 7), filled: 1 / deviation of the token.
    """
    heads = agreement.shape[0]
    code = np.empty((LANE_TERMS, LANES), np.float32)
    query = np.empty((ENEMY_WIDTH, LANES), np.float32)
    scores = np.empty((SLOTS, LANES), np.float32)
    highest = np.empty(LANES, np.float32)
    total = np.empty(LANES, np.float32)
    for b in range(lanes.shape[0]):
        some = _ZERO
        for e in range(SLOTS):
            some = max(some, used[b, e])
            scale = _ZERO
            if used[b, e] > _ZERO:
                variance = np.float32(epsilon)
                for i in range(ENEMY_TERMS):
                    inner = _ZERO
                    for j in range(ENEMY_TERMS):
                        inner += enemy_spread[i, j] * enemies[b, e, j]
                    variance += inner * enemies[b, e, i]
                scale = _ONE / np.sqrt(variance)
            enemy_scales[b, e] = scale
            for i in range(ENEMY_TERMS):
                enemy_codes[b, e, i] = scale * enemies[b, e, i]
            enemy_codes[b, e, ENEMY_TERMS] = _ONE
        for lane in range(LANES):
            total[lane] = np.float32(epsilon)
        for i in range(LANE_TERMS):
            for lane in range(LANES):
                inner = _ZERO
                for j in range(LANE_TERMS):
                    inner += lane_spread[i, j] * lanes[b, j, lane]
                total[lane] += inner * lanes[b, i, lane]
        for lane in range(LANES):
            lane_scales[b, lane] = _ONE / np.sqrt(total[lane])
        for i in range(LANE_TERMS):
            for lane in range(LANES):
                value = lane_scales[b, lane] * lanes[b, i, lane]
                code[i, lane] = value
                joint[i, b, lane] = value
        for lane in range(LANES):
            joint[LANE_TERMS, b, lane] = _ONE
        for h in range(heads):
            for k in range(ENEMY_WIDTH):
                for lane in range(LANES):
                    value = agreement[h, LANE_TERMS, k]
                    for i in range(LANE_TERMS):
                        value += agreement[h, i, k] * code[i, lane]
                    query[k, lane] = value
                    asked[b, h, k, lane] = value
            for lane in range(LANES):
                highest[lane] = _LOWEST
                total[lane] = _ZERO
            for e in range(SLOTS):
                masked = _LOWEST * (_ONE - used[b, e])
                for lane in range(LANES):
                    score = masked
                    for k in range(ENEMY_WIDTH):
                        score += query[k, lane] * enemy_codes[b, e, k]
                    scores[e, lane] = score
                    highest[lane] = max(highest[lane], score)
            for e in range(SLOTS):
                for lane in range(LANES):
                    # exp(x) as the 32nd power of a polynomial in x / 32 has no branches: all lanes at once.
                    x = max(scores[e, lane] - highest[lane], np.float32(-80.0)) * np.float32(1.0 / 32.0)
                    y = np.float32(1.0 / 5040.0) * x + np.float32(1.0 / 720.0)
                    y = y * x + np.float32(1.0 / 120.0)
                    y = y * x + np.float32(1.0 / 24.0)
                    y = y * x + np.float32(1.0 / 6.0)
                    y = y * x + np.float32(0.5)
                    y = y * x + _ONE
                    y = y * x + _ONE
                    y *= y
                    y *= y
                    y *= y
                    y *= y
                    y *= y
                    y *= used[b, e]
                    scores[e, lane] = y
                    total[lane] += y
            for lane in range(LANES):
                total[lane] = some / max(total[lane], np.float32(1e-30))
            for e in range(SLOTS):
                for lane in range(LANES):
                    scores[e, lane] *= total[lane]
                    weights[b, h, e, lane] = scores[e, lane]
            for k in range(ENEMY_WIDTH):
                for lane in range(LANES):
                    value = _ZERO
                    for e in range(SLOTS):
                        value += scores[e, lane] * enemy_codes[b, e, k]
                    joint[LANE_TERMS + 1 + h * ENEMY_WIDTH + k, b, lane] = value


@compiled(nogil=True, fastmath=True, error_model="numpy", boundscheck=False)
def gather_codes_backward(
    grad: NDArray[np.float32],
    lanes: NDArray[np.float32],
    enemies: NDArray[np.float32],
    agreement: NDArray[np.float32],
    weights: NDArray[np.float32],
    asked: NDArray[np.float32],
    lane_scales: NDArray[np.float32],
    enemy_codes: NDArray[np.float32],
    enemy_scales: NDArray[np.float32],
    grad_lane_spread: NDArray[np.float32],
    grad_enemy_spread: NDArray[np.float32],
    grad_agreement: NDArray[np.float32],
) -> None:
    """Compute the gradients of spreads and agreement from ``grad`` (9 + 14 H, B, 16), of the joint codes.

    The other arguments are those of `gather_codes`; the last three are filled. Codes are values times a
    scale, so the slope of a scale is the product of the code and its gradient, divided by the scale.
    """
    batch, heads = lanes.shape[0], agreement.shape[0]
    agreement_sums = np.zeros((LANE_TERMS + 1, ENEMY_WIDTH, LANES), np.float32)
    spread_sums = np.zeros((LANE_TERMS, LANE_TERMS, LANES), np.float32)
    lane_slopes = np.zeros((batch, LANES), np.float32)
    enemy_slopes = np.zeros((batch, SLOTS), np.float32)
    slopes = np.empty((SLOTS, LANES), np.float32)
    mean = np.empty(LANES, np.float32)
    code = np.empty((LANE_TERMS, LANES), np.float32)
    incoming = np.empty((ENEMY_WIDTH, LANES), np.float32)
    query = np.empty((ENEMY_WIDTH, LANES), np.float32)
    for h in range(heads):
        start = LANE_TERMS + 1 + h * ENEMY_WIDTH
        agreement_sums[:] = _ZERO
        for b in range(batch):
            for i in range(LANE_TERMS):
                for lane in range(LANES):
                    code[i, lane] = lane_scales[b, lane] * lanes[b, i, lane]
            for k in range(ENEMY_WIDTH):
                for lane in range(LANES):
                    incoming[k, lane] = grad[start + k, b, lane]
                    query[k, lane] = asked[b, h, k, lane]
            for lane in range(LANES):
                mean[lane] = _ZERO
            for e in range(SLOTS):
                for lane in range(LANES):
                    slope = _ZERO
                    for k in range(ENEMY_WIDTH):
                        slope += incoming[k, lane] * enemy_codes[b, e, k]
                    slopes[e, lane] = slope
                    mean[lane] += weights[b, h, e, lane] * slope
            for e in range(SLOTS):
                through = _ZERO
                for lane in range(LANES):
                    weight = weights[b, h, e, lane]
                    slope = slopes[e, lane]
                    grad_score = weight * (slope - mean[lane])
                    score = _ZERO
                    for k in range(ENEMY_TERMS):
                        score += query[k, lane] * enemy_codes[b, e, k]
                    through += grad_score * score + weight * (slope - incoming[ENEMY_TERMS, lane])
                    slopes[e, lane] = grad_score
                enemy_slopes[b, e] += through
            for k in range(ENEMY_WIDTH):
                constant = agreement[h, LANE_TERMS, k]
                for lane in range(LANES):
                    value = _ZERO
                    for e in range(SLOTS):
                        value += slopes[e, lane] * enemy_codes[b, e, k]
                    lane_slopes[b, lane] += value * (query[k, lane] - constant)
                    agreement_sums[LANE_TERMS, k, lane] += value
                    for i in range(LANE_TERMS):
                        agreement_sums[i, k, lane] += code[i, lane] * value
        for i in range(LANE_TERMS + 1):
            for k in range(ENEMY_WIDTH):
                value = _ZERO
                for lane in range(LANES):
                    value += agreement_sums[i, k, lane]
                grad_agreement[h, i, k] = value
    grad_enemy_spread[:] = _ZERO
    for b in range(batch):
        for i in range(LANE_TERMS):
            for lane in range(LANES):
                lane_slopes[b, lane] += grad[i, b, lane] * lane_scales[b, lane] * lanes[b, i, lane]
        for lane in range(LANES):
            scale = lane_scales[b, lane]
            lane_slopes[b, lane] *= np.float32(-0.5) * scale * scale
        for i in range(LANE_TERMS):
            for j in range(LANE_TERMS):
                for lane in range(LANES):
                    spread_sums[i, j, lane] += lane_slopes[b, lane] * lanes[b, i, lane] * lanes[b, j, lane]
        for e in range(SLOTS):
            slope = np.float32(-0.5) * enemy_slopes[b, e] * enemy_scales[b, e] * enemy_scales[b, e]
            if slope != _ZERO:
                for i in range(ENEMY_TERMS):
                    for j in range(ENEMY_TERMS):
                        grad_enemy_spread[i, j] += slope * enemies[b, e, i] * enemies[b, e, j]
    for i in range(LANE_TERMS):
        for j in range(LANE_TERMS):
            value = _ZERO
            for lane in range(LANES):
                value += spread_sums[i, j, lane]
            grad_lane_spread[i, j] = value
