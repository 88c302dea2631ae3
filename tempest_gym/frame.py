"""One game frame as the Lua bridge hands it over (27.34 a second)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["FEATURE_COUNT", "FRAME_DTYPE", "Frame"]

FEATURE_COUNT = 195

FRAME_DTYPE = np.dtype(
    [
        ("subjective", np.float64),
        ("objective", np.float64),
        ("score", np.uint32),
        ("frame", np.uint16),
        ("spinner", np.int16),
        ("expert_target", np.int16),
        ("game_state", np.uint8),
        ("game_mode", np.uint8),
        ("done", np.uint8),
        ("save", np.uint8),
        ("fire", np.uint8),
        ("zap", np.uint8),
        ("player_lane", np.uint8),
        ("open", np.uint8),
        ("expert_fire", np.uint8),
        ("expert_zap", np.uint8),
        ("level", np.uint8),
        ("lives", np.uint8),
        ("alive", np.uint8),
        ("decision", np.uint8),
        ("over", np.uint8),
        ("frames", np.uint32),
    ],
    align=True,
)
"""The scalar fields of a frame, in the memory layout the in-process Lua host writes.

The wire packet (``protocol.py``) carries all of them but the last five. ``lives``, ``alive`` and
``decision`` follow from the features and the game state and mode; ``over`` is 1 in the frame that ends a
real game; ``frames`` is the number of game frames that one call of the host advanced, over which it sums
``objective`` and ``subjective`` and ors ``done``."""


@dataclass(slots=True)
class Frame:
    """One game frame at the bridge point.

    Attributes:
        features: float32 array of shape ``(195,)``, each within [-1, 1].
        subjective: lane-shaping reward of this frame, within [-5, 5].
        objective: score change and penalties of this frame, in points.
        score: player 1's score in points.
        frame: number of processed frames, modulo 65,536.
        game_state: RAM $00.
        game_mode: RAM $05 (bit 7: a real game is on).
        done: the player died in this frame.
        save: the client asks the server to save.
        fire: fire commanded last.
        zap: superzapper commanded last.
        spinner: spinner commanded last, -32..31; negative turns to higher lanes.
        expert_target: lane the expert steers for, -1 for none.
        expert_fire: the expert would fire.
        expert_zap: the expert would zap.
        player_lane: 0-15.
        open: the tube is open (15 lanes, no wrap).
        level: level - 1 of the player now up.
        lives: lives including the one in play.
        alive: the player is not dying.
        decision: the agent may act: a real game, play or descent, alive.
        over: this frame ends a real game.
        frames: game frames passed since the frame handed over before.
    """

    features: np.ndarray
    subjective: float
    objective: float
    score: int
    frame: int
    game_state: int
    game_mode: int
    done: bool
    save: bool
    fire: bool
    zap: bool
    spinner: int
    expert_target: int
    expert_fire: bool
    expert_zap: bool
    player_lane: int
    open: bool
    level: int
    lives: int
    alive: bool
    decision: bool
    over: bool
    frames: int = 1
