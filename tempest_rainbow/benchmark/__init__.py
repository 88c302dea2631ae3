"""The benchmark: tracks, the runs of a player in a track, and the report over many runs."""

from tempest_rainbow.benchmark.tracks import TRACKS, LevelTask, Track

__all__ = ["TRACKS", "LevelTask", "Track"]
