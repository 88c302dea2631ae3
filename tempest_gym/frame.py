"""One game frame as the Lua bridge delivers it (27.34 a second)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["DESCENT", "FEATURE_COUNT", "FRAMES_PER_SECOND", "FRAME_DTYPE", "FRAME_KINDS", "PLAY", "Frame"]

FEATURE_COUNT = 195

PLAY, DESCENT = 0x04, 0x20
"""Game states (RAM $00) in which a player can act."""

FRAME_KINDS: dict[str, type] = {
    **dict.fromkeys(("subjective", "objective"), float),
    **dict.fromkeys(("life_lost", "over", "save", "fire", "zap", "open"), bool),
    **dict.fromkeys(("expert_fire", "expert_zap", "alive", "decision"), bool),
    **dict.fromkeys(("expert_target", "score", "lives", "level", "game_state", "player_lane"), int),
    **dict.fromkeys(("frames", "frame", "spinner", "game_mode"), int),
}
"""What each field of a frame but its features is; the two fractional numbers are first."""

FRAME_DTYPE = np.dtype([(name, np.float64) for name in FRAME_KINDS])
"""The fields of a frame but its features, as the in-process Lua host writes them: all of them the doubles that Lua has,
so that a fleet's frames are a matrix too.

The wire packet (``protocol.py``) carries all of them but ``lives``, ``alive``, ``decision``, ``over`` and ``frames``:
the first three follow from the features and the game state and mode; ``over`` is 1 in the frame that ends a
real game; ``frames`` is the number of game frames that one call of the host advanced, over which it sums
``objective`` and ``subjective`` and ors ``life_lost``."""


@dataclass(slots=True)
class Frame:
    """One game frame at the bridge point.

    Attributes:
        features: float32 array of shape ``(195,)``, each within [-1, 1].
        subjective: lane-shaping reward of this frame, within [-5, 5].
        objective: score change and penalties of this frame, in points.
        score: player 1's score in points; it keeps counting where the game's six digits wrap.
        frame: number of processed frames, modulo 65,536.
        game_state: RAM $00.
        game_mode: RAM $05 (bit 7: a real game is on).
        life_lost: the player died in this frame.
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
        frames: game frames since the previous delivered frame.
    """

    features: np.ndarray
    subjective: float
    objective: float
    score: int
    frame: int
    game_state: int
    game_mode: int
    life_lost: bool
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


FRAMES_PER_SECOND = 12_096_000 / 4096 / 12 / 9
"""Game frames per second of game time: 9 interrupts each, 27.34 (ARCADE B.2)."""
