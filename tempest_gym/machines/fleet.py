"""Many boards in one process, stepped together by worker threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board import STATE_DTYPE, Boards
from tempest_gym.display.projection import PICTURE_SIZE
from tempest_gym.frame import FEATURE_COUNT, FRAME_DTYPE, FRAME_KINDS, Frame
from tempest_gym.machines.lua_host import FleetArrays, LuaHost
from tempest_gym.machines.seeding import PHASE_COUNT, expert_random, fork_phases, phase_of
from tempest_gym.machines.setup import DEFAULT_SETUP, Setup
from tempest_gym.machines.worker_threads import Crew, Job
from tempest_gym.paths import lua_directory
from tempest_gym.roms import RomImage, sha1


class BoardError(RuntimeError):
    """The program on a board did something invalid."""


START_BRIDGE = 4
"""The bridge point after power-on at which the seed takes effect and the first frame is delivered."""


_CHUNKS_PER_THREAD = 4
"""Slices of rows per thread where rows cannot be claimed one by one, so that a long step leaves no thread idle."""


class BoardFleet:
    """N boards with one ROM set, and one Lua per thread.

    Args:
        rom: the ROM set.
        count: number of boards.
        threads: number of threads that share the work.
        setup: the operator's switches, what the Lua computes, and the boards' model.

    Attributes:
        features: float32 ``(count, 195)``, what was observed last.
        frames: ``FRAME_DTYPE (count,)``, likewise; rewards are sums over the last advance.
        controls: int32 ``(3, count)``, the actions of the next advance; its rows are ``fire``, ``zap`` and ``spinner``.
        hosts: the Luas, one per thread.
    """

    def __init__(
        self,
        rom: RomImage,
        count: int,
        threads: int = 1,
        setup: Setup = DEFAULT_SETUP,
    ) -> None:
        """Power every board on and start the Luas."""
        self.game = rom.name
        self.boards = Boards(rom, count, translate=True, model=setup.board_model)
        self.hosts = [LuaHost(features=setup.features, teacher=setup.teacher) for _ in range(threads)]
        self._memory = np.zeros((count, self.hosts[0].memory_size), np.float64)
        self.features = np.zeros((count, FEATURE_COUNT), np.float32)
        self.frames = np.zeros(count, FRAME_DTYPE)
        self._frame_rows = self.frames.view(np.float64).reshape(count, -1)
        self._errors = self.boards.fields["error"]
        self.controls = np.zeros((3, count), np.int32)
        self.fire, self.zap, self.spinner = self.controls
        self.threads = threads
        self._shares = threads > 1 and self.hosts[0].can_share
        boards, actions = self.boards, (self.fire, self.zap, self.spinner)
        self._arrays = FleetArrays(
            boards.state, self._memory, boards.rom, *actions, self.features, self.frames
        )
        self._crew = Crew(self.hosts, self._arrays if self._shares else None)
        self._start = self._state_at_start(setup)
        self._origin = _origin(rom)

    def _state_at_start(self, setup: Setup) -> bytes:
        """Run board 0 from power-on to where the seed takes effect."""
        boards = self.boards
        boards.power_on(0)
        boards.fields["dip2"][0], boards.fields["in2"][0] = setup.dip2, setup.difficulty_bits
        for _ in range(START_BRIDGE):
            boards.run(0, 1)
        self.check(0)
        return boards.snapshot(0)

    def run(self, jobs: Sequence[Job]) -> None:
        """Do all jobs, the first ones first, on as many threads as there are.

        Raises:
            BoardError: a board ran into an error.
        """
        self._crew.run(jobs)
        self._check_all()

    def step(
        self, rows: NDArray[np.int32], jobs: Sequence[Job] = (), *, stop_at_death: bool = False, skip: int = 1
    ) -> None:
        """Do ``jobs`` and `advance` other rows, on as many threads as there are.

        Args:
            rows: those to advance.
            jobs: work on other rows.
            stop_at_death, skip: as of `advance`.

        Raises:
            BoardError: a board ran into an error.
        """
        if self._shares:
            self._crew.share(rows, jobs, stop_at_death=stop_at_death, skip=skip)
        else:
            pieces = min(len(rows), self.threads * _CHUNKS_PER_THREAD) if self.threads > 1 else 1
            chunks = np.array_split(rows, pieces) if pieces > 1 else [rows]
            advance = partial(self.advance, stop_at_death=stop_at_death, skip=skip)
            self._crew.run([*jobs, *(partial(advance, rows=chunk) for chunk in chunks)])
        self._check_all()

    def _check_all(self) -> None:
        if self._errors.any():
            self.check(int(np.flatnonzero(self._errors)[0]))

    def reset(self, host: LuaHost, row: int, seed: int, start_level: int) -> None:
        """Power one board on, seed it and observe its first frame."""
        self.boards.restore(row, self._start)
        self.boards.fields["phase"][row] = phase_of(seed)
        host.init(self._memory[row], seed, start_level, self.game)
        host.observe(self._arrays, self._row(row))
        self.frames["frames"][row] = 1

    def fork(self, sources: NDArray[np.int32], targets: NDArray[np.int32], origin: BoardFleet) -> None:
        """Copy boards of ``origin``, with their Lua's memory and what was observed last, onto boards of this fleet.

        Raises:
            ValueError: the origin plays another ROM set.
        """
        if origin._origin != self._origin:
            raise ValueError(
                f"the games to copy are of {origin.game}, or other bytes of it; these of {self.game}"
            )
        for mine, theirs in zip(self._rows_of_parts(), origin._rows_of_parts(), strict=True):
            mine[targets] = theirs[sources]

    def reseed(self, rows: NDArray[np.int32], seeds: NDArray[np.int64]) -> None:
        """Take later random numbers, the game's and the expert's, from other seeds below 2^31."""
        self.boards.fields["phase"][rows] = fork_phases(seeds)
        self._memory[rows, self.hosts[0].random_slot] = expert_random(seeds)

    def random_state(self, row: int) -> tuple[int, float]:
        """Return where a board's random numbers are in their sequence, and the expert's."""
        phase = self._released(row) + int(self.boards.fields["phase"][row])
        return phase % PHASE_COUNT, float(self._memory[row, self.hosts[0].random_slot])

    def set_random_state(self, row: int, state: tuple[int, float]) -> None:
        """Let a board's random numbers continue from a `random_state`."""
        self.boards.fields["phase"][row] = (state[0] - self._released(row)) % PHASE_COUNT
        self._memory[row, self.hosts[0].random_slot] = state[1]

    def _released(self, row: int) -> int:
        """Return the CPU cycles since the first POKEY's release."""
        return int(self.boards.fields["cycles"][row] - self.boards.fields["release1"][row])

    def set_start_level(self, host: LuaHost, row: int, level: int) -> None:
        """Set the start level of later games on one board."""
        host.set_start_level(self._memory[row], level)

    def advance(
        self,
        host: LuaHost,
        rows: NDArray[np.int32],
        *,
        stop_at_death: bool = False,
        skip: int = 1,
        limit: int | None = None,
    ) -> None:
        """Play the actions on some boards and run each as `Machine.advance` does, or for ``limit`` frames."""
        host.advance(self._arrays, rows, stop_at_death=stop_at_death, skip=skip, limit=limit)

    def idle(self, host: LuaHost, row: int) -> None:
        """Run one board to its next decision frame or the end of the game, with no action."""
        self.fire[row] = self.zap[row] = self.spinner[row] = 0
        self.advance(host, self._row(row))

    def frame(self, row: int) -> Frame:
        """Return what was observed last on one board, with an array of its own."""
        values = self.frames.item(row)
        fields = {name: kind(value) for (name, kind), value in zip(FRAME_KINDS.items(), values, strict=True)}
        return Frame(self.features[row].copy(), **fields)

    def picture(self, row: int, size: tuple[int, int] = PICTURE_SIZE, glow: float = 1.0) -> NDArray[np.uint8]:
        """Draw what the screen of one board shows, shape ``(*size, 3)``."""
        return self.drawing(row, size, glow)()

    def drawing(
        self, row: int, size: tuple[int, int] = PICTURE_SIZE, glow: float = 1.0
    ) -> Callable[[], NDArray[np.uint8]]:
        """Return a function that draws what one board's screen shows now, even after the board has moved on."""
        from tempest_gym.display.render import render_vectors  # Brings in numba, which play does not need.

        boards = self.boards
        flips = int(boards.fields["output_4000"][row])
        return partial(
            render_vectors,
            boards.vram[row].copy(),
            boards.rom[0x3000:0x4000],
            boards.colour[row].copy(),
            width=size[1],
            height=size[0],
            glow=glow,
            flip_x=bool(flips & 0x08),
            flip_y=bool(flips & 0x10),
        )

    def save_state(self) -> bytes:
        """Return the state of every board, after a line that identifies ROM set, layout and Lua."""
        line = " ".join(self._origin.values()).encode() + b"\n"
        return line + b"".join(part.tobytes() for part in self._parts())

    def load_state(self, state: bytes) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it is not one of as many boards of this version, with this ROM set and this Lua.
        """
        line, _, state = state.partition(b"\n")
        found = line.decode("ascii", "replace").split(" ")
        if [len(part) for part in found] != [len(part) for part in self._origin.values()]:
            raise ValueError("this is not a state of boards, or it is of an older version")
        others = [
            name for (name, mine), part in zip(self._origin.items(), found, strict=True) if mine != part
        ]
        if others:
            raise ValueError(f"the state was made with another {' and another '.join(others)}")
        parts = self._parts()
        size = sum(part.nbytes for part in parts)
        if len(state) != size:
            raise ValueError(f"the state of {len(self.frames)} boards has {size} bytes, got {len(state)}")
        start = 0
        for part in parts:
            end = start + part.nbytes
            part.view(np.uint8).reshape(-1)[:] = np.frombuffer(state, np.uint8, part.nbytes, start)
            start = end

    def close(self) -> None:
        """End the threads."""
        self._crew.close()

    def _parts(self) -> tuple[NDArray[Any], ...]:
        return self.boards.state, self._memory, self.features, self.frames

    def _rows_of_parts(self) -> tuple[NDArray[Any], ...]:
        """Return the same as matrices of plain numbers, a board a row."""
        return self.boards.state, self._memory, self.features, self._frame_rows

    @staticmethod
    def _row(row: int) -> NDArray[np.int32]:
        return np.array([row], np.int32)

    def check(self, row: int) -> None:
        """Check that a board met no error.

        Raises:
            BoardError: it did; the message gives place and reason.
        """
        if self._errors[row]:
            raise BoardError(f"board {row}: {self.boards.error_text(row)}")


def _origin(rom: RomImage) -> dict[str, str]:
    """Return short hashes of what gives a state its meaning, by name."""
    fields = repr([STATE_DTYPE.descr, FRAME_DTYPE.descr, FEATURE_COUNT])
    programs = b"".join(path.read_bytes() for path in sorted(lua_directory().glob("*.lua")))
    contents = {"ROM set": rom.sha1.encode(), "layout of the board": fields.encode(), "Lua": programs}
    return {name: sha1(content)[:12] for name, content in contents.items()}
