"""Tempest's board in process: 6502, POKEYs, mathbox, EAROM and vector generator, compiled at first use."""

from tempest_gym.board.boards import Boards
from tempest_gym.board.layout import STATE_BYTES, STATE_DTYPE
from tempest_gym.board.native import precompile

__all__ = ["STATE_BYTES", "STATE_DTYPE", "Boards", "precompile"]
