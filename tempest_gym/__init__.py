"""Atari's Tempest (1981) as a Gymnasium environment."""
