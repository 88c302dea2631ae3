"""Watching a policy play: the game beside what the network decides."""

from tempest_rainbow.watch.watch import watch

__all__ = ["watch"]
