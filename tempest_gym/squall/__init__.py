"""Squall, a free game for the Tempest board."""
