"""Tempest as a Gymnasium environment."""

from __future__ import annotations

import json
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from numpy.typing import NDArray

from tempest_gym.actions import CONTROLS, MEANINGS, advised_action, checked_action
from tempest_gym.display.projection import PICTURE_SIZE, enemy_positions, lane_positions
from tempest_gym.display.window import Window
from tempest_gym.frame import FRAMES_PER_SECOND, Frame
from tempest_gym.info import TempestInfo, step_info
from tempest_gym.machines import make_machine
from tempest_gym.machines.machine import Machine, MachineName, Randomness, advance_by_frames
from tempest_gym.machines.seeding import SEED_COUNT
from tempest_gym.observation import Observations, draw_machine
from tempest_gym.roms import RomImage, resolve_rom
from tempest_gym.settings import (
    Settings,
    SettingsArguments,
    action_space,
    checked_levels,
    draw_game,
    observation_space,
    start_levels_of,
    with_settings,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["RenderMode", "TempestEnv", "TempestInfo", "frames_per_second", "split_state"]

RenderMode = Literal["rgb_array", "human"]


@with_settings
class TempestEnv(gym.Env[NDArray[Any], Any]):
    """One game of Tempest on one machine.

    An observation is 195 numbers within [-1, 1] (`tempest_gym.features`), or RAM or a picture; an action one of 44
    (`tempest_gym.actions`). The agent acts where a player could: in play and in the descent. The pilot plays
    everything else (coin, start, level select, death, initials); rewards on the way belong to the step.

    Environments can be pickled and deep-copied; the copy continues exactly where the original is.

    Args:
        machine: as in `tempest_gym.settings.Settings`.
        rom: a folder or zip with a Tempest ROM set, a set's name, or a loaded image. By default the path in the
            variable ``TEMPEST_ROM``, or else Squall, the bundled free game.
        render_mode: None, ``"rgb_array"`` (`render` returns a picture) or ``"human"`` (a window at true
            speed).
        randomness: ``"seed"``: the seed decides the game's random numbers, on both machines; ``"mame"``:
            MAME draws its own, so a seed does not fix the whole game.
        settings: start level, episode, frame skip, rewards and time limit: the fields of
            `tempest_gym.settings.Settings`.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names the value and what was expected.
        tempest_gym.roms.RomError: the ROM set is incomplete or wrong.

    Example:
        >>> env = TempestEnv(start_level=9, episode="life")
        >>> observation, info = env.reset(seed=7)
        >>> observation.shape, info["level"], info["lives"]
        ((195,), 9, 3)
        >>> observation, reward, terminated, truncated, info = env.step(info["expert_action"])
        >>> terminated, truncated, info["frames"]
        (False, False, 1)
        >>> env.close()
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": round(FRAMES_PER_SECOND)}  # noqa: RUF012

    def __init__(
        self,
        machine: MachineName = "board",
        rom: str | PathLike[str] | RomImage | None = None,
        *,
        render_mode: RenderMode | None = None,
        randomness: Randomness = "seed",
        **settings: Unpack[SettingsArguments],
    ) -> None:
        """Check the arguments and set the machine up."""
        self.settings = Settings.of({"machine": machine, **settings})
        self.metadata = {**self.metadata, "render_fps": frames_per_second(self.settings)}
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode must be None, 'rgb_array' or 'human', got {render_mode!r}")
        self._start_levels = self.settings.start_levels
        self.render_mode = render_mode
        self.observation_space = cast("spaces.Space[NDArray[Any]]", observation_space(self.settings))
        self.action_space = action_space()
        self.rom, self._randomness = resolve_rom(rom), randomness
        self._observations = Observations(self.settings, self.rom)
        self._open()
        self._seed = 0
        self._episode_frames = self._episode_level = self._last_action = 0
        self._playing = False
        self._game_continues = False

    def _open(self) -> None:
        self.machine: Machine = make_machine(
            self.settings.machine, self.rom, self._randomness, setup=self.settings.setup
        )
        self._window = Window(unseen=True) if self.render_mode == "human" else None

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, with the machine's state in place of the machine."""
        kept = {name: value for name, value in vars(self).items() if name not in ("machine", "_window")}
        return {**kept, "machine_state": self.machine.save_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set up another machine in that state."""
        machine_state = state.pop("machine_state")
        vars(self).update(state)
        self._open()
        self.machine.load_state(machine_state)

    def reset(  # type: ignore[override]
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], TempestInfo]:
        """Run to the first frame of an episode in which the agent acts.

        After a life lost with ``episode="life"`` the game continues, unless a seed or a start level is given.

        Args:
            seed: fixes the whole game and, as usual, the games drawn after it.
            options: ``{"start_level": n}`` starts this game at another level. Other keys, such as those of
                wrappers and collectors, are ignored.

        Returns:
            The observation and a `TempestInfo`.
        """
        super().reset(seed=seed)
        start_levels = start_levels_of(options, self._start_levels)
        frame = None
        if self._game_continues and seed is None and "start_level" not in (options or {}):
            frame = self._advance(False, False, 0, False, 1)
        if frame is None or frame.over:
            self._seed, level = draw_game(seed, start_levels, self.np_random)
            self._show(self.machine.reset(self._seed, level))
            frame = self._advance(False, False, 0, False, 1)
        self._episode_frames, self._episode_level, self._last_action = frame.frames, frame.level, 0
        self._playing, self._game_continues = True, False
        frame.objective = frame.subjective = 0.0
        frame.life_lost = False
        return self._observations.of_machine(self.machine, frame.features), self._info(frame)

    def step(  # type: ignore[override]
        self, action: Any
    ) -> tuple[NDArray[Any], float, bool, bool, TempestInfo]:
        """Take a joint action and run to the next frame in which the agent acts, or to the episode's end.

        Args:
            action: 0-43, see `tempest_gym.actions`.

        Returns:
            The observation; the reward, clip(objective_scale * objective + subjective_scale * subjective);
            terminated (game over, or what else ends an episode); truncated (the time limit);
            a `TempestInfo`.

        Raises:
            gymnasium.error.ResetNeeded: the episode has ended, or none has started.
            ValueError: the action is not a whole number within 0-43.
        """
        if not self._playing:
            raise gym.error.ResetNeeded(
                "the episode has ended or none has started: call reset() before step()"
            )
        index = checked_action(action)
        settings = self.settings
        if (
            settings.repeat_action_probability
            and self.np_random.random() < settings.repeat_action_probability
        ):
            index = self._last_action
        self._last_action = index
        frame = self._advance(*CONTROLS[index], settings.ends_at_death, settings.frame_skip)
        self._episode_frames += frame.frames
        terminated, truncated = settings.ends(
            frame.over, frame.life_lost, frame.level > self._episode_level, self._episode_frames
        )
        if terminated or truncated:
            self._playing = False
            self._game_continues = terminated and not frame.over and settings.episode == "life"
        reward = settings.reward(frame.objective, frame.subjective)
        observation = self._observations.of_machine(self.machine, frame.features)
        return observation, reward, terminated, truncated, self._info(frame)

    def _advance(self, fire: bool, zap: bool, spinner: int, stop_at_death: bool, skip: int) -> Frame:
        if self._window is None:
            return self.machine.advance(fire, zap, spinner, stop_at_death=stop_at_death, skip=skip)
        return advance_by_frames(
            self._step_and_show, fire, zap, spinner, stop_at_death=stop_at_death, skip=skip
        )

    def _step_and_show(self, fire: bool, zap: bool, spinner: int) -> Frame:
        frame = self.machine.step(fire, zap, spinner)
        self._show(frame)
        return frame

    def _show(self, _: Frame) -> None:
        if self._window is not None:
            self._window.show(self.picture(self._window.picture_size()))

    def _info(self, frame: Frame) -> TempestInfo:
        info: TempestInfo = step_info(
            frame,
            advised_action(frame) if self.settings.teacher else None,
            self._episode_frames,
            seed=self._seed,
            mame_version=self.machine.mame_version,
        )
        return info

    def get_action_meanings(self) -> list[str]:
        """Return what every action does, in words as ``"FIRE TURN -3"``; negative turns lead to higher lanes."""
        return list(MEANINGS)

    def render(self, size: tuple[int, int] | None = None) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Return the picture on the screen, shape ``(height, width, 3)``, with ``render_mode="rgb_array"``.

        With ``"human"`` the window already shows it, and None is returned.

        Args:
            size: height and width at which to draw the lines; None for the machine's own picture, 640 x 480.
        """
        if self.render_mode is None:
            gym.logger.warn(
                "render() draws nothing: make the environment with render_mode='rgb_array' or 'human'"
            )
            return None
        return self.picture(size) if self.render_mode == "rgb_array" else None

    @property
    def window_closed(self) -> bool:
        """Whether the window of ``render_mode="human"`` was closed, or Esc pressed in it; the game can continue."""
        return self._window is not None and self._window.closed

    def picture(self, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Return the picture on the screen as `render` does, in any render mode."""
        glow = self.settings.glow
        if size is None and glow == 1.0:
            return self.machine.picture()
        return draw_machine(self.machine, self.rom.memory[0x3000:0x4000], size or PICTURE_SIZE, glow=glow)[0]

    def lane_positions(self) -> NDArray[np.float64]:
        """Return where the lanes are in the picture, see `tempest_gym.display.projection.lane_positions`."""
        return lane_positions(self.machine.ram())

    def enemy_positions(self) -> NDArray[np.float64]:
        """Return where the enemies are in the picture, see `tempest_gym.display.projection.enemy_positions`."""
        return enemy_positions(self.machine.ram())

    def set_start_level(self, *levels: int) -> None:
        """Choose the start level of later games, 1-81; among several each game draws one.

        Raises:
            TypeError, ValueError: a level is not within 1-81, or none was given.
        """
        self._start_levels = checked_levels(levels)

    def clone_state(self, *, include_random: bool = True) -> bytes:
        """Return the whole state: machine, Lua's memory, counters, random generator.

        The bytes can be restored in any process with the same kind of machine and ROM set.

        Args:
            include_random: False leaves the random numbers out: after `restore_state` the environment continues with
                its own, so each restore has another future.
        """
        header = {
            "identity": self._identity(),
            "include_random": include_random,
            "seed": self._seed,
            "episode_frames": self._episode_frames,
            "episode_level": self._episode_level,
            "last_action": self._last_action,
            "playing": self._playing,
            "game_continues": self._game_continues,
            "np_random": self.np_random.bit_generator.state,
        }
        return json.dumps(header).encode() + b"\n" + self.machine.save_state()

    def restore_state(self, state: bytes, *, seed: int | None = None) -> None:
        """Return to a state of `clone_state`; what follows is bit for bit what followed then.

        Args:
            state: the state.
            seed: seeds the random numbers of the game, the expert and later games, in place of the state's.

        Raises:
            ValueError: the bytes are not a state of `clone_state`, or are of another kind of machine or ROM set; or
                MAME was given a seed.
        """
        header, machine_state = split_state(state, self._identity())
        kept = None if header.get("include_random", True) or seed is not None else self.machine.random_state()
        self.machine.load_state(machine_state)
        self._seed = header["seed"]
        self._episode_frames = header["episode_frames"]
        self._episode_level, self._last_action = header.get("episode_level", 0), header.get("last_action", 0)
        self._playing = header["playing"]
        self._game_continues = header["game_continues"]
        if seed is not None:
            self._seed = seed % SEED_COUNT
            self.machine.reseed(self._seed)
            self.np_random, _ = seeding.np_random(self._seed)
        elif kept is not None:
            self.machine.set_random_state(kept)
        else:
            self.np_random.bit_generator.state = header["np_random"]

    def _identity(self) -> dict[str, str]:
        return {"machine": self.machine.name, "game": self.machine.game}

    def close(self) -> None:
        """Close the machine and the window."""
        self.machine.close()
        if self._window is not None:
            self._window.close()


def frames_per_second(settings: Settings) -> int:
    """Return the steps per second of game time: the rate at which a film with a picture per step plays."""
    return max(1, round(FRAMES_PER_SECOND / settings.frame_skip))


def split_state(state: bytes, identity: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Split what ``clone_state`` returned into its header and the state of the machine.

    Raises:
        ValueError: the bytes are not a state, or belong to another kind of environment.
    """
    text, _, rest = bytes(state).partition(b"\n")
    try:
        header = json.loads(text)
        found = header["identity"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"state must come from clone_state(), got {len(state)} bytes that do not") from error
    if found != identity:
        raise ValueError(f"the state is of {found}, this environment of {identity}")
    return header, rest
