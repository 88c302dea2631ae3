"""The Lua of the project in this process: the same modules that MAME runs, over rows of NumPy arrays.

LuaJIT with its FFI works on the arrays in place: one call runs a whole slice of boards, without Python
and without the GIL. Lua 5.4 (for platforms whose lupa has no LuaJIT) gives the same results, slower.
A host belongs to one thread at a time.
"""

from __future__ import annotations

import importlib
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tempest_gym.frame import FEATURE_COUNT, FRAME_DTYPE
from tempest_gym.machines.lua_engines import (
    FleetArrays,
    NativeEngine,
    PortableEngine,
    address_of,
    check_array,
)
from tempest_gym.paths import lua_directory

__all__ = ["FleetArrays", "LuaHost", "LuaRuntimeName", "NoDecisionError"]

LuaRuntimeName = Literal["auto", "luajit", "lua54", "lua53"]

_MODULES = {"luajit": "lupa.luajit21", "lua54": "lupa.lua54", "lua53": "lupa.lua53"}

ALL_WELL = -1
"""Result if all rows found a decision frame."""


class NoDecisionError(RuntimeError):
    """The program never reached a frame where a player acts; `row` is the board."""

    def __init__(self, row: int) -> None:
        """Name the board."""
        super().__init__(
            f"board {row} ran 12 minutes of game time without reaching play: "
            "the pilot cannot start this program; is it a game for the Tempest board?"
        )
        self.row = row


class LuaHost:
    """One Lua runtime that observes and advances boards.

    Args:
        runtime: ``"luajit"``, ``"lua54"``, ``"lua53"``, or ``"auto"`` for LuaJIT where lupa has it, else 5.4.
        features: compute the features.
        teacher: compute the teacher's advice and the lane-shaping reward.
        run_address: address of ``int32_t run(uint8_t *state, const uint8_t *rom, int64_t max_cycles)``,
            which runs one board to its next bridge point and returns 0; by default the board's own.
        buttons_offset: where a row of state holds the buttons; goes with `run_address`.

    Attributes:
        runtime: the name of the runtime in use.
        version: the Lua's own name and version.
        memory_size: float64 values of Lua memory per board.
        random_slot: which of them is the state of the expert's random generator.
        signals: addresses of the functions by which threads signal each other, by name.

    Raises:
        ValueError: the runtime is unknown.
        ImportError: lupa was built without it.
    """

    def __init__(
        self,
        runtime: LuaRuntimeName = "auto",
        *,
        features: bool = True,
        teacher: bool = True,
        run_address: int | None = None,
        buttons_offset: int | None = None,
    ) -> None:
        """Start the runtime and load the modules."""
        if runtime not in get_args(LuaRuntimeName):
            raise ValueError(f"runtime must be one of {get_args(LuaRuntimeName)}, got {runtime!r}")
        self.signals: dict[str, int] = {}
        self._state_bytes: int | None = None
        self._rom_bytes: int | None = None
        if run_address is None or buttons_offset is None:
            from tempest_gym.board import layout, native

            board = native.load()
            run_address, buttons_offset, self.signals = board.run_address, layout.BUTTONS, board.signals
            self._state_bytes, self._rom_bytes = layout.STATE_BYTES, layout.ROM_BYTES
        self.runtime, lupa_module = _find_runtime(runtime)
        self._lua = lupa_module.LuaRuntime(
            encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
        module = self._load()
        self.version: str = self._lua.eval(b"jit and jit.version or _VERSION").decode()
        self.memory_size = int(module[b"MEMORY"])
        self.random_slot = int(module[b"RANDOM"])
        self._fleet: FleetArrays | None = None
        self._rows: NDArray[np.int32] | None = None
        self._plan: Any = None
        self._lead: Any = None
        self._serve: Any = None
        self._bad_row = int(module[b"BAD_ROW"])
        self._longest_way = int(module[b"LONGEST_WAY"])
        self._engine: NativeEngine | PortableEngine
        observe = module[b"observer"](features, teacher)
        if self.runtime == "luajit":
            self._engine = NativeEngine(module, observe, run_address, buttons_offset)
        else:
            self._engine = PortableEngine(self._lua, module, observe, run_address, buttons_offset)

    def init(self, memory: NDArray[np.float64], seed: int, start_level: int, game: str = "squall") -> None:
        """Initialise a board's Lua memory at power-on.

        Args:
            memory: float64 ``(memory_size,)``, C-contiguous; overwritten.
            seed: whole number from 0 to 2^53; chooses the expert's randomness.
            start_level: the level to choose in the start menu, 1-81 (or the next lower one of the menu).
            game: name of the ROM set, which decides on the game's start menu.
        """
        if not 0 <= seed <= 2**53:
            raise ValueError(f"seed must be from 0 to 2**53, got {seed}")
        check_array(memory, np.float64, (self.memory_size,), "memory")
        self._engine.init(memory, int(seed), int(start_level), game.encode())

    def set_start_level(self, memory: NDArray[np.float64], start_level: int) -> None:
        """Set the start level of later games."""
        check_array(memory, np.float64, (self.memory_size,), "memory")
        self._engine.set_start_level(memory, int(start_level))

    def observe(self, fleet: FleetArrays, rows: NDArray[np.int32]) -> None:
        """Observe boards where they are, at a bridge point; arguments as of `advance`."""
        self._check(fleet, rows)
        self._check_result(
            self._engine.observe(fleet, self._addresses, rows, self._rows_address), fleet, rows
        )

    def advance(
        self,
        fleet: FleetArrays,
        rows: NDArray[np.int32],
        *,
        stop_at_death: bool = False,
        skip: int = 1,
        limit: int | None = None,
    ) -> None:
        """Play an action on each of some boards and run each to the next frame an agent must look at.

        That is a decision frame, the end of the game or, if wanted, a death. Where no player can act the
        pilot does. A board that stops on an error is left as it is; its state holds the error.

        Args:
            fleet: the boards and their actions; state, memory, features and frames are changed in place. In frames,
                ``objective`` and ``subjective`` are sums and ``life_lost`` reports a death over the ``frames`` game
                frames passed.
            rows: int32, C-contiguous, the boards to advance, each once.
            stop_at_death: stop in the frame in which the player dies, too.
            skip: play the action in that many decision frames, unless the player dies.
            limit: stop after that many game frames anyway; 1 makes it a single game frame.

        Raises:
            ValueError: an array has the wrong dtype, shape or memory order, or a row is out of range.
            NoDecisionError: a program never reached play.
        """
        self._check(fleet, rows)
        how = int(stop_at_death), skip, self._longest_way if limit is None else limit
        result = self._engine.advance(fleet, self._addresses, rows, self._rows_address, how)
        self._check_result(result, fleet, rows)

    @property
    def can_share(self) -> bool:
        """Whether threads with hosts of this kind can share steps: LuaJIT on boards."""
        return isinstance(self._engine, NativeEngine) and bool(self.signals)

    def join(self, words: NDArray[np.int64], fleet: FleetArrays) -> None:
        """Prepare to `lead` or `serve`.

        Args:
            words: shared words that `machines.worker_threads` explains; they and the arrays must stay alive.
            fleet: the boards, as of `advance`.
        """
        self._check_fleet(fleet)
        assert isinstance(self._engine, NativeEngine)
        crew = self._engine.crew(address_of(words), self.signals, fleet, self._addresses)
        self._plan, self._lead, self._serve = crew[b"plan"], crew[b"lead"], crew[b"serve"]

    def plan(self, rows: NDArray[np.int32], stop_at_death: bool, skip: int, helpers: int) -> int:
        """Publish a plan, to advance ``rows``, and signal it to the first ``helpers``.

        Returns:
            How many of these are asleep and have to be woken.
        """
        self._check_rows(rows)
        return int(self._plan(self._rows_address, len(rows), int(stop_at_death), skip, helpers))

    def lead(self, helpers: int, looks: int) -> int:
        """Advance rows of the published plan until none is left; then poll each of the first ``helpers`` up to
        ``looks`` times for its end.

        Returns:
            The first row found that reached no decision frame, or -1.
        """
        return int(self._lead(helpers, looks))

    def serve(self, helper: int, looks: int) -> bool:
        """Work as helper number ``helper`` (from 1 on) until the leader waits for a wake-up (True) or no plan
        arrived in this many polls (False)."""
        return bool(self._serve(helper, looks))

    def _check_result(self, result: int, fleet: FleetArrays, rows: NDArray[np.int32]) -> None:
        if result == self._bad_row:
            raise ValueError(f"rows must be from 0 to {len(fleet.state) - 1}, got {rows}")
        if result >= 0:
            raise NoDecisionError(result)

    def _check(self, fleet: FleetArrays, rows: NDArray[np.int32]) -> None:
        """Check arrays and find their addresses; those of the last call are remembered, as NumPy takes microseconds."""
        if fleet is not self._fleet:
            self._check_fleet(fleet)
        if rows is not self._rows:
            self._check_rows(rows)

    def _check_fleet(self, fleet: FleetArrays) -> None:
        boards = len(fleet.state)
        shapes: dict[str, tuple[Any, tuple[int | None, ...]]] = {
            "state": (np.uint8, (boards, self._state_bytes)),
            "memory": (np.float64, (boards, self.memory_size)),
            "rom": (np.uint8, (self._rom_bytes,)),
            **dict.fromkeys(("fire", "zap", "spinner"), (np.int32, (boards,))),
            "features": (np.float32, (boards, FEATURE_COUNT)),
            "frames": (FRAME_DTYPE, (boards,)),
        }
        for name, (dtype, shape) in shapes.items():
            check_array(getattr(fleet, name), dtype, shape, name)
        self._fleet, self._addresses = fleet, [address_of(array) for array in fleet]

    def _check_rows(self, rows: NDArray[np.int32]) -> None:
        check_array(rows, np.int32, (None,), "rows")
        self._rows, self._rows_address = rows, address_of(rows)

    def _load(self) -> Any:
        folder = str(lua_directory()).encode()
        load = self._lua.eval(
            b"function(path) package.path = path; local host = require('host'); return host end"
        )
        return load(folder + b"/?.lua")


def _find_runtime(name: str) -> tuple[str, Any]:
    """Return the name and lupa's module of a runtime."""
    candidates = ("luajit", "lua54") if name == "auto" else (name,)
    for candidate in candidates:
        try:
            return candidate, importlib.import_module(_MODULES[candidate])
        except ImportError:
            continue
    wanted = " or ".join(_MODULES[candidate] for candidate in candidates)
    raise ImportError(f"this build of lupa has no {wanted}; `pip install --upgrade lupa` gets one that has")
