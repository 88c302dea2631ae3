"""The names of the 195 numbers of an observation (ARCADE F.2).

Example:
    >>> FEATURES["enemy_depth"]
    slice(135, 142, None)
"""

from __future__ import annotations

__all__ = ["FEATURES", "FEATURE_COUNT", "FEATURE_NAMES"]

ENEMY_TYPES = ("flipper", "pulsar", "tanker", "spiker", "fuseball")
"""Enemy types by their number in the game's RAM."""

_ENEMY_INFO = ("type", "direction", "between_lanes", "moving_away", "may_shoot", "cargo")


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{index}" for index in range(count))


def _by_type(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{kind}" for kind in ENEMY_TYPES)


_GROUPS: dict[str, tuple[str, ...]] = {
    # The game.
    "game_state": ("game_state",),
    "game_mode": ("game_mode",),
    "countdown": ("countdown",),
    "lives": ("lives",),
    "player_level": ("player_level",),
    # The player and the player's eight shots.
    "player_lane": ("player_lane",),
    "player_alive": ("player_alive",),
    "player_edge": ("player_edge",),
    "player_depth": ("player_depth",),
    "zapper_uses": ("zapper_uses",),
    "zapper_clock": ("zapper_clock",),
    "shots_left": ("shots_left",),
    "shot_depth": _numbered("shot_depth", 8),
    "shot_lane": _numbered("shot_lane", 8),
    # The level and its tube, by absolute lane.
    "level": ("level",),
    "open": ("open",),
    "level_place": ("level_place",),
    "spike_height": _numbered("spike_height", 16),
    "lane_angle": _numbered("lane_angle", 16),
    # Enemies as a whole.
    "enemy_count": _by_type("enemy_count"),
    "enemy_room": _by_type("enemy_room"),
    "in_tube": ("in_tube",),
    "on_rim": ("on_rim",),
    "pending": ("pending",),
    "pulsar_flip_wait": ("pulsar_flip_wait",),
    "pulse_step": ("pulse_step",),
    "pulse_phase": ("pulse_phase",),
    "flipper_program": ("flipper_program",),
    "hop_threshold": ("hop_threshold",),
    "enemy_speed": _by_type("enemy_speed"),
    # The seven enemy slots and the four enemy shots; lanes are relative to the player's.
    "enemy_info": tuple(f"enemy_{slot}_{what}" for slot in range(7) for what in _ENEMY_INFO),
    "enemy_lane": _numbered("enemy_lane", 7),
    "enemy_depth": _numbered("enemy_depth", 7),
    "rim_lane": _numbered("rim_lane", 7),
    "enemy_shot_depth": _numbered("enemy_shot_depth", 4),
    "enemy_shot_lane": _numbered("enemy_shot_lane", 4),
    "pulsar_depth": _numbered("pulsar_depth", 7),
    "pulsar_lane": _numbered("pulsar_lane", 7),
    "top_lane": _numbered("top_lane", 7),
    "threat_depth": ("threat_depth_own", "threat_depth_lower", "threat_depth_higher"),
    # Changes since the frame before.
    "lane_change": _numbered("lane_change", 7),
    "depth_change": _numbered("depth_change", 7),
}

FEATURE_NAMES: tuple[str, ...] = tuple(name for group in _GROUPS.values() for name in group)
"""A name for each of the 195 numbers, in order."""

FEATURE_COUNT = len(FEATURE_NAMES)


def _slices() -> dict[str, slice]:
    slices, start = {}, 0
    for name, members in _GROUPS.items():
        slices[name] = slice(start, start + len(members))
        start += len(members)
    return slices


FEATURES: dict[str, slice] = _slices()
"""Where each group of features is in an observation, in the order of ``lua/features.lua``."""
