"""Reports on request: the attention of the network, the contents of the replay."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tempest_rainbow.networks.lane_encoder import LAYOUT, lane_and_enemy_values
from tempest_rainbow.networks.lane_kernels import LANES
from tempest_rainbow.networks.rainbow import RainbowNetwork, attention_of
from tempest_rainbow.replay.replay import Replay

__all__ = ["attention_report", "replay_report"]

_SHADES = " .:-=+*#%@"
_ENEMIES = "FPTSB"
"""Flipper, pulsar, tanker, spiker, fuseball (a ball), by type."""
_MOST_LANE = 15


def attention_report(network: RainbowNetwork, observations: NDArray[np.float32]) -> str:
    """Return which lanes attend to which enemies, mean over heads, as a heat map of the game with most enemies.

    Args:
        network: whose attention it is.
        observations: (games, size), what was seen last in each game.
    """
    if network.encoder is None:
        return "this network has no attention"
    if not len(observations):
        return "nothing was observed yet"
    seen = torch.from_numpy(observations)
    _, enemies, exists, used = lane_and_enemy_values(seen)
    game = int(used.sum(dim=1).argmax())
    slots = np.flatnonzero(used[game].numpy())
    if not len(slots):
        return "no enemies at present"
    weights = attention_of(network, observations[game])
    assert weights is not None
    own = round(_MOST_LANE * float(seen[game, LAYOUT["player_lane"]]))
    scale = max(float(weights[:, slots].max()), 1e-9)
    lines = [f"attention of lanes to enemies (type lane/depth); @ is {scale:.2f}, > the player's lane"]
    names = (_name(enemies[game, slot], own) for slot in slots)
    lines.append("lane  " + " ".join(f"{name:9}" for name in names))
    for lane in np.flatnonzero(exists[game].numpy()):
        shares = weights[lane, slots]
        shown = " ".join(f"{_SHADES[int(v / scale * (len(_SHADES) - 1))] * 4} {v:.2f}" for v in shares)
        lines.append(f"{'>' if lane == own else ' '}{lane:3}  {shown}")
    return "\n".join(lines)


def _name(enemy: torch.Tensor, own: int) -> str:
    """An enemy's type, lane and depth, such as ``F 12/208``."""
    kind, lane, depth = (float(enemy[place]) for place in (0, 6, 7))
    letter = _ENEMIES[min(round(7 * kind), len(_ENEMIES) - 1)]
    return f"{letter} {(own + round(_MOST_LANE * lane)) % LANES}/{round(255 * depth)}"


def replay_report(replay: Replay) -> str:
    """Return the replay's values as lines."""
    values = replay.statistics()
    width = max(map(len, values))
    return "\n".join(
        f"{name:{width}}  {f'{value:,.0f}' if value.is_integer() else f'{value:.4g}'}"
        for name, value in values.items()
    )
