"""Many games of Tempest on boards in one process, as a Gymnasium vector environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from tempest_gym.actions import ACTION_COUNT, CONTROLS, MEANINGS, expert_actions
from tempest_gym.board.layout import VERSIONS
from tempest_gym.cores import usable_cores
from tempest_gym.display.projection import PICTURE_SIZE, enemy_positions, lane_positions
from tempest_gym.env import TempestEnv, frames_per_second, split_state
from tempest_gym.episode_table import EpisodeTable
from tempest_gym.frame import FRAME_KINDS
from tempest_gym.info import step_info
from tempest_gym.machines.board import BoardMachine, Job
from tempest_gym.machines.fleet import BoardFleet
from tempest_gym.machines.lua_host import LuaHost
from tempest_gym.machines.machine import MachineName
from tempest_gym.machines.seeding import SEED_COUNT
from tempest_gym.observation import Observations
from tempest_gym.roms import RomImage, resolve_rom
from tempest_gym.settings import (
    Settings,
    SettingsArguments,
    action_space,
    checked_levels,
    draw_game,
    observation_space,
    start_levels_of,
    whole_number,
    with_settings,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TempestVectorEnv"]

_CONTROLS = np.array(CONTROLS, np.int32).T
"""Fire, zap and spinner of every joint action, shape ``(3, 44)``."""

_REALS = list(FRAME_KINDS.values()).count(float)
_FIELD = {name: place for place, name in enumerate(FRAME_KINDS)}

_Flags = NDArray[np.bool_]
_Result = tuple[NDArray[Any], NDArray[np.float64], _Flags, _Flags, dict[str, Any]]


@with_settings
class TempestVectorEnv(VectorEnv[NDArray[Any], NDArray[np.int64], NDArray[Any]]):
    """N independent games on N boards, equal step by step to N single environments.

    Every array returned is new. ``info`` follows Gymnasium's convention: a key holds an array over the
    environments, and ``_key`` is True where it is set. Keys with equal masks share one array.

    Vector environments can be pickled and deep-copied; the copy continues exactly where the original is.

    Args:
        num_envs: number of games.
        threads: threads that share the work; None takes one per core that this process may use, but at least 8
            games for each.
        autoreset_mode: ``"NextStep"``, ``"SameStep"`` or ``"Disabled"``, as Gymnasium defines them.
        max_episode_steps: steps after which an episode is truncated, as for `gymnasium.make`; None for no limit.
        machine: must be ``"board"``.
        rom: as for `TempestEnv`.
        render_mode: None or ``"rgb_array"``.
        settings: the fields of `tempest_gym.settings.Settings`.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names the value and what was expected.
        tempest_gym.roms.RomError: the ROM set is incomplete or wrong.

    Example:
        >>> envs = TempestVectorEnv(num_envs=3, frame_skip=2)
        >>> observations, infos = envs.reset(seed=7)
        >>> observations.shape, infos["level"].tolist()
        ((3, 195), [1, 1, 1])
        >>> observations, rewards, terminations, truncations, infos = envs.step(infos["expert_action"])
        >>> rewards.shape, infos["frames"].tolist()
        ((3,), [2, 2, 2])
        >>> envs.close()
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        threads: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        machine: MachineName = "board",
        rom: str | PathLike[str] | RomImage | None = None,
        render_mode: str | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> None:
        """Check the arguments and set the boards up."""
        self.settings = Settings.of({"machine": machine, **settings})
        if machine != "board":
            raise ValueError(
                f"machine must be 'board' here, got {machine!r}: for many of those use "
                'gymnasium.make_vec(..., vectorization_mode="async")'
            )
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.num_envs = whole_number("num_envs", num_envs, 1, 1_000_000)
        if threads is None:
            threads = min(usable_cores(), (self.num_envs + 7) // 8)
        self.threads = min(whole_number("threads", threads, 1, 1024), self.num_envs)
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError:
            known = ", ".join(repr(mode.value) for mode in AutoresetMode)
            raise ValueError(f"autoreset_mode must be one of {known}, got {autoreset_mode!r}") from None
        self.max_episode_steps = (
            None
            if max_episode_steps is None
            else whole_number("max_episode_steps", max_episode_steps, 1, 2**62)
        )
        self.metadata = {
            **TempestEnv.metadata,
            "render_fps": frames_per_second(self.settings),
            "autoreset_mode": self.autoreset_mode,
        }
        self._start_levels = self.settings.start_levels
        self.render_mode = render_mode
        self.single_observation_space = observation_space(self.settings)
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

        self.rom = resolve_rom(rom)
        self._observations = Observations(self.settings, self.rom)
        self._open()
        self._rows = np.arange(self.num_envs, dtype=np.int32)
        self._games = EpisodeTable(self.num_envs)
        self._all_play = False

    def _open(self) -> None:
        self.fleet = BoardFleet(self.rom, self.num_envs, self.threads, setup=self.settings.setup)
        self._columns = self.fleet.frames.view(np.float64).reshape(self.num_envs, -1).T

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, with the boards' state in place of the boards."""
        kept = {name: value for name, value in vars(self).items() if name not in ("fleet", "_columns")}
        return {**kept, "fleet_state": self.fleet.save_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set up other boards in that state."""
        fleet_state = state.pop("fleet_state")
        vars(self).update(state)
        self._open()
        self.fleet.load_state(fleet_state)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: environment i gets ``seed + i``, or the i-th of a sequence.
            options: ``{"start_level": n}`` starts these games at another level; ``{"reset_mask": mask}``
                (bool array of shape ``(num_envs,)``) resets only some. Other keys are ignored.

        Returns:
            Observations, by default float32 of shape ``(num_envs, 195)``, and infos.
        """
        if seed is None or isinstance(seed, (int, np.integer)):
            seeds = [None if seed is None else int(seed) + i for i in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed must be one whole number or {self.num_envs} of them, got {len(seeds)}")
        options = dict(options or {})
        mask = _reset_mask(options.pop("reset_mask", None), self.num_envs)
        start_levels = start_levels_of(options, self._start_levels)
        rows = np.flatnonzero(mask)
        for row in rows:
            self._games.seed(int(row), seeds[row])
            if seeds[row] is not None or "start_level" in options:
                self._games.game_continues[row] = False
        self.fleet.run([partial(self._restart, int(row), seeds[row], start_levels) for row in rows])
        self._all_play = bool(self._games.playing.all())
        return self._observations.of_fleet(self.fleet), _with_masks(_within(self._values(), mask), mask)

    def step(self, actions: NDArray[np.int64]) -> _Result:
        """Take one joint action per environment.

        Args:
            actions: whole numbers 0-43 of shape ``(num_envs,)``; with ``"NextStep"`` the one for an
                environment whose episode has ended is ignored, and its next episode starts instead.

        Returns:
            Observations ``(num_envs, 195)``, rewards, terminations, truncations ``(num_envs,)``, infos.

        Raises:
            gymnasium.error.ResetNeeded: an episode has ended, and the mode does not start another.
            ValueError: the actions have a wrong shape or value.
        """
        fleet, games, settings = self.fleet, self._games, self.settings
        _CONTROLS.take(self._played(self._rows, actions), 1, out=fleet.controls)
        rows, restarts = self._rows, []
        stepped: Any = True
        if not self._all_play:
            stepped = games.playing.copy()
            self._check_autoreset(~stepped)
            rows, restarts = self._rows[stepped], self._restarts(~stepped)
        fleet.step(rows, restarts, stop_at_death=settings.ends_at_death, skip=settings.frame_skip)

        values, rewards, terminations, truncations = self._count(None, stepped)
        final: dict[str, Any] = {}
        if self.autoreset_mode == AutoresetMode.SAME_STEP and not self._all_play:
            finished = terminations | truncations
            final = {"final_obs": self._final_observations(finished), "_final_obs": finished.copy()}
            last = _with_masks(_within(values, finished), finished)
            final |= {"final_info": last, "_final_info": finished.copy()}
            self._all_play = True
            fleet.run(self._restarts(finished))
            values = self._values()
        infos = _with_masks(values, np.ones(self.num_envs, np.bool_)) | final
        return self._observations.of_fleet(fleet), rewards, terminations, truncations, infos

    def step_rows(self, rows: Sequence[int] | NDArray[np.integer], actions: NDArray[np.int64]) -> _Result:
        """Take one joint action in some environments; the others stay where they are and cost nothing.

        Nothing is reset: an episode that ends here stays ended until `reset` or `fork` starts another.

        Args:
            rows: the environments' numbers, each once, shape ``(k,)``.
            actions: whole numbers 0-43 of shape ``(k,)``.

        Returns:
            What `step` returns, of these environments alone: observations ``(k, 195)``, rewards, terminations,
            truncations ``(k,)`` and infos with arrays ``(k,)``.

        Raises:
            gymnasium.error.ResetNeeded: an episode among them has ended.
            ValueError: rows or actions have a wrong shape or value.
        """
        fleet, games, settings = self.fleet, self._games, self.settings
        chosen_rows = self._checked_rows("rows", rows, self.num_envs, once=True)
        if not games.playing[chosen_rows].all():
            self._raise_reset_needed(chosen_rows[~games.playing[chosen_rows]])
        fleet.controls[:, chosen_rows] = _CONTROLS[:, self._played(chosen_rows, actions)]
        fleet.step(chosen_rows, stop_at_death=settings.ends_at_death, skip=settings.frame_skip)

        values, rewards, terminations, truncations = self._count(chosen_rows, True)
        infos = _with_masks(values, np.ones(len(chosen_rows), np.bool_))
        return self._observations.of_fleet(fleet, chosen_rows), rewards, terminations, truncations, infos

    def fork(
        self,
        sources: int | Sequence[int] | NDArray[np.integer],
        targets: int | Sequence[int] | NDArray[np.integer],
        seeds: Sequence[int] | NDArray[np.integer] | None = None,
        *,
        origin: TempestVectorEnv | TempestEnv | None = None,
    ) -> None:
        """Copy games onto other environments within the process.

        A copy equals its source in every respect and has the same future. With ``seeds`` only the later random numbers
        differ: the game's, the expert's, and those from which later games draw their seeds.

        Args:
            sources: environments to copy, shape ``(k,)``, or one for all targets.
            targets: environments to overwrite, each once, shape ``(k,)``.
            seeds: whole numbers of 0 or more, shape ``(k,)``.
            origin: what the sources belong to, with the same ROM set: another vector environment, or a single
                `TempestEnv`, whose only source is 0. By default this environment.

        Raises:
            ValueError: a number is out of range or given twice, or the origin plays on MAME or another ROM set.
        """
        rows = self._checked_rows("targets", np.atleast_1d(targets), self.num_envs, once=True)
        fleet, games = (self.fleet, self._games) if origin is None else _games_of(origin)
        from_rows = self._checked_rows("sources", np.atleast_1d(sources), len(games))
        if len(from_rows) not in (1, len(rows)):
            raise ValueError(
                f"there are {len(from_rows)} sources for {len(rows)} targets; expected 1 or as many"
            )
        new = None if seeds is None else _checked_seeds(seeds, len(rows))
        self.fleet.fork(from_rows, rows, fleet)
        self._games.copy(rows, games, from_rows, new)
        if new is not None:
            self.fleet.reseed(rows, new)
        self._all_play = bool(self._games.playing.all())

    def _count(
        self, rows: NDArray[np.int32] | None, stepped: _Flags | bool
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64], _Flags, _Flags]:
        """Count a step of some rows, or of all, where ``stepped``; return infos, rewards, terminations, truncations."""
        games, settings = self._games, self.settings
        chosen: Any = slice(None) if rows is None else rows
        games.frames[chosen] += self._columns[_FIELD["frames"], chosen].astype(np.int64) * stepped
        games.steps[chosen] += stepped
        values = self._values(rows)
        over = self._columns[_FIELD["over"], chosen] != 0
        cleared = values["level"] - 1 > games.levels[chosen]
        terminations, truncations = settings.ends(over, values["life_lost"], cleared, games.frames[chosen])
        if self.max_episode_steps is not None:
            truncations |= (games.steps[chosen] >= self.max_episode_steps) & ~terminations
        games.playing[chosen] = ~(terminations | truncations)
        games.game_continues[chosen] = terminations & ~over & (settings.episode == "life")
        self._all_play = bool(games.playing.all())
        rewards = settings.reward(values["objective_reward"], values.get("subjective_reward"))
        return values, rewards, terminations, truncations

    @staticmethod
    def _checked_rows(name: str, rows: Any, count: int, *, once: bool = False) -> NDArray[np.int32]:
        chosen = np.asarray(rows)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise ValueError(f"{name} must be whole numbers of shape (k,), got {rows!r}")
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < count:
            raise ValueError(f"{name} must be from 0 to {count - 1}, got {chosen.min()} to {chosen.max()}")
        if once and len(np.unique(chosen)) != len(chosen):
            raise ValueError(f"{name} must name each environment once, got {chosen.tolist()}")
        return chosen.astype(np.int32)

    def _checked(self, actions: Any, count: int) -> NDArray[np.int64]:
        chosen = np.asarray(actions)
        if chosen.shape != (count,):
            raise ValueError(f"actions must have the shape ({count},), got {chosen.shape}")
        if chosen.dtype.kind not in "iu":
            raise ValueError(f"actions must be whole numbers, got an array of {chosen.dtype}")
        if count and chosen.astype(np.uint64).max() >= ACTION_COUNT:
            raise ValueError(
                f"actions must be from 0 to {ACTION_COUNT - 1}, got {chosen.min()} to {chosen.max()}"
            )
        return chosen

    def _played(self, rows: NDArray[np.int32], actions: Any) -> NDArray[np.int64]:
        """Return the actions that some rows play, checked, some repeated by chance as in `TempestEnv.step`."""
        chosen, probability = self._checked(actions, len(rows)), self.settings.repeat_action_probability
        if probability:
            repeats = [
                bool(self._games.playing[row]) and self._games.generator(row).random() < probability
                for row in rows
            ]
            chosen = np.where(repeats, self._games.last_actions[rows], chosen)
            self._games.last_actions[rows] = chosen
        return chosen

    def _check_autoreset(self, ended: _Flags) -> None:
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and self._games.all_seeded:
            return
        self._raise_reset_needed(np.flatnonzero(ended))

    @staticmethod
    def _raise_reset_needed(rows: NDArray[np.integer]) -> None:
        raise gym.error.ResetNeeded(f"call reset() first: no episode is under way in {rows.tolist()}")

    def _restarts(self, mask: _Flags) -> list[Job]:
        return [partial(self._restart, int(row), None, self._start_levels) for row in np.flatnonzero(mask)]

    def _restart(self, row: int, seed: int | None, start_levels: tuple[int, ...], host: LuaHost) -> None:
        """Run one row to the first decision of its next episode, as `TempestEnv.reset` does."""
        fleet = self.fleet
        continues = bool(self._games.game_continues[row])
        if continues:
            fleet.idle(host, row)
        if not continues or fleet.frames["over"][row]:
            game_seed, level = draw_game(seed, start_levels, self._games.generator(row))
            self._games.seeds[row] = game_seed
            fleet.reset(host, row, game_seed, level)
            fleet.idle(host, row)
        frame = fleet.frames[row]
        frame["objective"] = frame["subjective"] = 0.0
        frame["life_lost"] = 0
        self._games.frames[row] = frame["frames"]
        self._games.steps[row] = self._games.last_actions[row] = 0
        self._games.levels[row] = frame["level"]
        self._games.playing[row], self._games.game_continues[row] = True, False

    def _values(self, rows: NDArray[np.int32] | None = None) -> dict[str, NDArray[Any]]:
        """Return the info of a step, of some rows or all, as new arrays."""
        columns = self._columns if rows is None else self._columns[:, rows]
        reals, whole = columns[:_REALS].copy(), columns[_REALS:].astype(np.int64, order="C")
        frame = SimpleNamespace(**dict(zip(FRAME_KINDS, (*reals, *whole), strict=True)))
        frame.life_lost = frame.life_lost != 0
        advice = None
        if self.settings.teacher:
            advice = expert_actions(
                frame.expert_target, frame.player_lane, frame.open, frame.expert_fire, frame.expert_zap
            )
        chosen = self._rows if rows is None else rows
        models = self.fleet.boards.fields["model"]
        values: dict[str, NDArray[Any]] = step_info(
            frame,
            advice,
            self._games.frames[chosen],
            seed=self._games.seeds[chosen],
            mame_version=VERSIONS.take(models if rows is None else models[rows]),
        )
        return values

    def _final_observations(self, mask: _Flags) -> NDArray[np.object_]:
        rows = np.full(self.num_envs, None, object)
        for row in np.flatnonzero(mask):
            rows[row] = self._observations.of_fleet(self.fleet, np.array([row], np.int32))[0]
        return rows

    def render(self, size: tuple[int, int] | None = None) -> tuple[NDArray[np.uint8], ...] | None:  # type: ignore[override]
        """Return every board's picture, each ``(height, width, 3)``, with ``render_mode="rgb_array"``.

        Args:
            size: height and width at which to draw the lines; None for 640 x 480.
        """
        if self.render_mode is None:
            gym.logger.warn("render() without a render_mode: choose 'rgb_array' when making it")
            return None
        return tuple(self.picture(row, size) for row in range(self.num_envs))

    def picture(self, index: int, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Return the picture of one board as `render` does, in any render mode."""
        return self.fleet.picture(index, size or PICTURE_SIZE, self.settings.glow)

    def drawing(self, index: int) -> Callable[[], NDArray[np.uint8]]:
        """Return a function that draws the present picture of one board, even after the board has moved on."""
        return self.fleet.drawing(index, glow=self.settings.glow)

    def lane_positions(self, index: int) -> NDArray[np.float64]:
        """Return where the lanes of one board are, see `tempest_gym.display.projection.lane_positions`."""
        return lane_positions(self.fleet.boards.ram[index])

    def enemy_positions(self, index: int) -> NDArray[np.float64]:
        """Return where the enemies of one board are, see `tempest_gym.display.projection.enemy_positions`."""
        return enemy_positions(self.fleet.boards.ram[index])

    def get_action_meanings(self) -> list[str]:
        """Return what every action does, in words, see `TempestEnv.get_action_meanings`."""
        return list(MEANINGS)

    def set_start_level(self, *levels: int) -> None:
        """Choose the start level of later games, 1-81; among several each game draws one.

        Raises:
            TypeError, ValueError: a level is not within 1-81, or none was given.
        """
        self._start_levels = checked_levels(levels)

    def clone_state(self, *, include_random: bool = True) -> bytes:
        """Return the whole state of all environments: boards, Lua's memory, counters, random generators.

        Args:
            include_random: as for `TempestEnv.clone_state`.
        """
        header = {
            "identity": self._identity(),
            "include_random": include_random,
            **self._games.state(),
        }
        return json.dumps(header).encode() + b"\n" + self.fleet.save_state()

    def restore_state(self, state: bytes, *, seed: int | Sequence[int] | None = None) -> None:
        """Return to a state of `clone_state`; what follows is bit for bit what followed then.

        Args:
            state: the state.
            seed: as for `TempestEnv.restore_state`; environment i gets ``seed + i``, or the i-th of a sequence.

        Raises:
            ValueError: the bytes are not a state of `clone_state`, or are of another number of environments or ROM
                set.
        """
        header, rest = split_state(state, self._identity())
        seeds = None
        if seed is not None:
            wanted = seed + self._rows.astype(np.int64) if isinstance(seed, (int, np.integer)) else seed
            seeds = _checked_seeds(wanted, self.num_envs)
        kept = None
        if seeds is None and not header.get("include_random", True):
            kept = [self.fleet.random_state(row) for row in range(self.num_envs)]
        self.fleet.load_state(rest)
        self._games.load_state(header, with_generators=seeds is None and kept is None)
        self._all_play = bool(self._games.playing.all())
        if seeds is not None:
            self.fleet.reseed(self._rows, seeds)
            self._games.reseed(self._rows, seeds)
        elif kept is not None:
            for row, random_state in enumerate(kept):
                self.fleet.set_random_state(row, random_state)

    def _identity(self) -> dict[str, Any]:
        return {"machine": "board", "game": self.fleet.game, "num_envs": self.num_envs}

    def close_extras(self, **kwargs: Any) -> None:
        """End the threads."""
        self.fleet.close()


def _within(values: dict[str, NDArray[Any]], mask: _Flags) -> dict[str, NDArray[Any]]:
    """Return numbers with 0 outside of the mask."""
    return {key: np.where(mask, value, value.dtype.type(0)) for key, value in values.items()}


def _with_masks(values: dict[str, Any], mask: _Flags) -> dict[str, Any]:
    """Return values and, after Gymnasium's convention, for which environments each is set."""
    return values | {f"_{key}": mask for key in values}


def _reset_mask(mask: Any, count: int) -> _Flags:
    if mask is None:
        return np.ones(count, np.bool_)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (count,) or not mask.any():
        raise ValueError(
            f"options['reset_mask'] must be a bool array of shape ({count},) with a True, got {mask!r}"
        )
    return mask.copy()


def _checked_seeds(seeds: Any, count: int) -> NDArray[np.int64]:
    chosen = np.asarray(seeds)
    if chosen.shape != (count,) or chosen.dtype.kind not in "iu" or (count and chosen.min() < 0):
        raise ValueError(f"seeds must be {count} whole numbers of 0 or more, got {seeds!r}")
    return chosen.astype(np.int64) % SEED_COUNT


def _games_of(origin: TempestVectorEnv | TempestEnv) -> tuple[BoardFleet, EpisodeTable]:
    """Return the boards of another environment and where their games are."""
    if isinstance(origin, TempestVectorEnv):
        return origin.fleet, origin._games
    if not isinstance(origin, TempestEnv):
        raise ValueError(
            f"origin must be a TempestEnv or a TempestVectorEnv (use .unwrapped), got {origin!r}"
        )
    machine = getattr(origin.machine, "machine", origin.machine)  # what a recorder records
    if not isinstance(machine, BoardMachine):
        raise ValueError("games on MAME cannot be forked: play with machine='board'")
    return machine.fleet, EpisodeTable.of_env(origin)
