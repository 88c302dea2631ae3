"""N Tempest boards in one array."""

from __future__ import annotations

import ctypes
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board import native, translation
from tempest_gym.board.layout import (
    BRIDGE_REACHED,
    CPU_HZ,
    CYCLES_EXHAUSTED,
    DEFAULT_MODEL,
    LINK,
    ROM_BYTES,
    STATE_BYTES,
    STATE_DTYPE,
    UNDOCUMENTED_OPCODE,
    power_on_state,
)

MAX_CYCLES = 3 * CPU_HZ
"""A run fails when the game has not changed its frame counter for this long."""


class HasMemory(Protocol):
    """What a ROM image must offer: see tempest_gym.roms.RomImage."""

    @property
    def memory(self) -> NDArray[np.uint8]: ...


class Boards:
    """N boards with one ROM, all their state in ``state``.

    Args:
        rom: the ROM image; a copy is made.
        n: number of boards.
        translate: run the program translated into machine code where possible: the same results, faster. A
            ROM's first translation takes some seconds.
        model: one of `tempest_gym.board.layout.MODELS`.

    Attributes:
        rom: the 64 KiB image the boards run, uint8.
        state: shape (n, STATE_BYTES), uint8, C-contiguous. A row is the whole machine.
        fields: the same memory with names, shape (n,), dtype STATE_DTYPE.
        ram: view, shape (n, 2048). vram: (n, 4096). colour: (n, 16).
    """

    def __init__(
        self, rom: HasMemory, n: int, *, translate: bool = False, model: str = DEFAULT_MODEL
    ) -> None:
        if n < 1:
            raise ValueError(f"need at least one board, got n={n}")
        memory = np.array(rom.memory, np.uint8)
        if memory.shape != (ROM_BYTES,):
            raise ValueError(f"a ROM image has shape ({ROM_BYTES},), got {memory.shape}")
        memory[LINK : LINK + 8] = 0
        self.rom = memory
        self._table: translation.Table | None = None
        if translate:
            self.use_translation(translation.table_for(memory))
        self._native = native.load()
        self._initial = power_on_state(memory, model)
        self.state = np.tile(self._initial, (n, 1))
        self.fields = self.state.view(STATE_DTYPE)[:, 0]
        self.ram: NDArray[np.uint8] = self.fields["ram"]
        self.vram: NDArray[np.uint8] = self.fields["vram"]
        self.colour: NDArray[np.uint8] = self.fields["colour"]

    def __len__(self) -> int:
        return len(self.state)

    def use_translation(self, table: translation.Table | None) -> None:
        """Run the program's translation from now on, or interpret it all."""
        self._table = table
        address = 0 if table is None else table.ctypes.data
        self.rom[LINK : LINK + 8] = np.array([address], np.int64).view(np.uint8)

    def power_on(self, i: int) -> None:
        """Switch board i off and on again: memories cleared, EAROM fresh."""
        self.state[i] = self._initial

    def run(self, lo: int = 0, hi: int | None = None, max_cycles: int = MAX_CYCLES) -> None:
        """Run boards lo to hi-1 each to its next bridge point, without the interpreter lock.

        A board that does not get there keeps the reason in its ``error`` field; see `error_text`.
        """
        hi = len(self) if hi is None else hi
        if not 0 <= lo <= hi <= len(self):
            raise IndexError(f"rows {lo}:{hi} of {len(self)} boards")
        if lo < hi:
            self._native.run_rows(self._row(lo), self.rom.ctypes.data, hi - lo, max_cycles)

    def run_one(self, i: int, max_cycles: int = MAX_CYCLES) -> int:
        """Run board i; returns BRIDGE_REACHED, CYCLES_EXHAUSTED or UNDOCUMENTED_OPCODE."""
        return int(self._native.run(self._row(i), self.rom.ctypes.data, max_cycles))

    def snapshot(self, i: int) -> bytes:
        """Board i, whole."""
        return self.state[i].tobytes()

    def restore(self, i: int, snapshot: bytes) -> None:
        """Make board i what `snapshot` held."""
        if len(snapshot) != STATE_BYTES:
            raise ValueError(f"a snapshot has {STATE_BYTES} bytes, got {len(snapshot)}")
        self.state[i] = np.frombuffer(snapshot, np.uint8)

    def error_text(self, i: int) -> str | None:
        """Why the last run of board i did not reach a bridge point, in words; None if it did."""
        fields = self.fields[i]
        if fields["error"] == BRIDGE_REACHED:
            return None
        if fields["error"] == UNDOCUMENTED_OPCODE:
            return (
                f"the program at ${int(fields['error_pc']):04X} is the undocumented opcode "
                f"${int(fields['error_opcode']):02X}, which this board does not run"
            )
        assert fields["error"] == CYCLES_EXHAUSTED
        return (
            f"the program did not change its frame counter $03 for too long (now at ${int(fields['pc']):04X})"
        )

    def _row(self, i: int) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.state.ctypes.data + i * STATE_BYTES)
