"""Tables about a run that a person asks for: where the network looks, what the replay holds."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tempest_rainbow.network import RainbowNetwork
from tempest_rainbow.replay import Replay

__all__ = ["attention_report", "replay_report"]

_SHADES = " .:-=+*#%@"


def attention_report(network: RainbowNetwork, observations: NDArray[np.float32]) -> str:
    """Return which lanes look at which enemy slots, averaged over heads and observations, as a heat table."""
    if network.encoder is None:
        return "this network has no attention"
    if not len(observations):
        return "nothing was observed yet"
    device = next(network.parameters()).device
    with torch.no_grad():
        weights = network.attention(torch.from_numpy(observations).to(device)).float().mean(dim=(0, 1)).cpu()
    table = weights.numpy()
    scale = max(float(table.max()), 1e-9)
    lines = [
        f"attention of lanes to enemy slots, mean of {len(observations)} observations (@ is {scale:.2f})"
    ]
    lines.append("lane  " + " ".join(f"   {slot}   " for slot in range(table.shape[1])))
    for lane, row in enumerate(table):
        shown = " ".join(
            f"{_SHADES[int(value / scale * (len(_SHADES) - 1))] * 3} {value:.2f}"[:8] for value in row
        )
        lines.append(f"{lane:4}  {shown}")
    return "\n".join(lines)


def replay_report(replay: Replay) -> str:
    """Return the replay's figures as lines."""
    figures = replay.statistics()
    width = max(map(len, figures))
    return "\n".join(f"{name:{width}}  {value:,.4g}" for name, value in figures.items())
