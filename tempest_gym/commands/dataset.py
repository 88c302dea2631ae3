"""Records games as a Minari data set, with the expert's advice for every observation (extra ``minari``)."""

from __future__ import annotations

import logging
from statistics import fmean
from typing import Any, TypedDict

import gymnasium as gym
import numpy as np
from gymnasium.error import DependencyNotInstalled

import tempest_gym
from tempest_gym.actions import CONTROLS
from tempest_gym.commands.progress import with_progress
from tempest_gym.extras import missing_extra
from tempest_gym.players import OWN_PLAYERS, Player, make_player
from tempest_gym.settings import SettingsArguments
from tempest_gym.signals import termination_as_interrupt

__all__ = ["KEPT_INFO", "DatasetResult", "mixed_player", "record_dataset"]

_log = logging.getLogger(__name__)

KEPT_INFO = ("expert_action", "score", "level", "lives", "life_lost", "seed")
"""What a data set keeps of ``info``."""

_EXPERT_STRETCH, _RANDOM_STRETCH = 40, 4
"""Mean lengths, in steps, of the stretches in which each of two players of mixed games acts."""

_WITHOUT_ZAP = [action for action, (_, zap, _) in enumerate(CONTROLS) if not zap]


class DatasetResult(TypedDict):
    """A data set: its name, size and place, and the mean score of its games."""

    dataset: str
    policy: str
    game: str
    episodes: int
    steps: int
    mean_score: float
    path: str


def record_dataset(
    policy: str,
    episodes: int,
    *,
    name: str | None = None,
    rom: str | None = None,
    seed: int = 0,
    steps: int | None = None,
    settings: SettingsArguments | None = None,
) -> DatasetResult:
    """Play games and store them as a data set of Minari. Ctrl-C keeps the games that are over.

    Observations and ``infos`` have the same index: ``infos["expert_action"][t]`` is the advice for observation t. The
    game's seed is in ``infos["seed"]``.

    Args:
        policy: a name of `tempest_gym.players.player_names`, or ``"mixed"`` for `mixed_player`.
        episodes: number of games.
        name: of the data set; by default ``"tempest/expert-v0"`` for the expert, and so on.
        rom: as for `TempestEnv`.
        seed: of the first game; later ones count up.
        steps: ends each game after this number of steps; None plays whole games.
        settings: of the environment.

    Raises:
        gymnasium.error.DependencyNotInstalled: Minari, or what the player needs, is not installed.
        KeyboardInterrupt: interrupted before the first game was over.
        ValueError: the data set exists already, or an argument is wrong.
    """
    if episodes < 1:
        raise ValueError(f"a data set needs at least 1 game, got {episodes}")
    try:
        import minari
        from minari.dataset.minari_dataset import parse_dataset_id
    except ImportError as error:
        raise DependencyNotInstalled(missing_extra("a data set", "minari")) from error

    class KeepInfo(minari.StepDataCallback):
        def __call__(self, env: gym.Env[Any, Any], **step: Any) -> Any:
            data = super().__call__(env, **step)
            data["info"] = {key: np.asarray(step["info"][key]) for key in KEPT_INFO}
            return data

    name = name or f"tempest/{policy}-v0"
    parse_dataset_id(name)  # Otherwise an error of Minari's, after the last game.
    if name in minari.list_local_datasets():
        raise ValueError(
            f"the data set {name} exists already: choose another name, or `minari delete {name}`"
        )
    if policy not in ("mixed", *OWN_PLAYERS) and (settings or {}).get("obs_type", "features") != "features":
        raise ValueError(f"{policy} plays from features: choose another policy for other observations")
    game = gym.make(
        "Tempest-v0", rom=rom, max_episode_steps=steps, disable_env_checker=True, **(settings or {})
    )
    env = minari.DataCollector(game, step_data_callback=KeepInfo, record_infos=True)
    scores: list[int] = []
    interrupts: list[int] = []
    try:
        tempest: Any = env.unwrapped
        with termination_as_interrupt(lambda number, _: interrupts.append(number)):
            for game_seed in with_progress(range(seed, seed + episodes), episodes, "games recorded"):
                if interrupts:
                    break
                player = (
                    mixed_player(game_seed) if policy == "mixed" else make_player(policy, tempest, game_seed)
                )
                observation, info = env.reset(seed=game_seed)
                over = False
                while not over and not interrupts:
                    observation, _, terminated, truncated, info = env.step(player(observation, info))
                    over = terminated or truncated
                if over:
                    scores.append(info["score"])
        if len(scores) < episodes:
            if not scores:
                raise KeyboardInterrupt
            _log.warning("interrupted: the data set holds the %d games that are over", len(scores))
            env._buffer = None  # The game that is not over: Minari would store it as a truncated one.
        dataset = env.create_dataset(
            dataset_id=name,
            eval_env=game.spec,
            algorithm_name=policy,
            author="tempest-gym",
            author_email="nobody@example.org",
            code_permalink=f"tempest-gym {tempest_gym.__version__}: tempest-gym dataset --policy {policy}",
            description=f"{len(scores)} games of {tempest.machine.game} by the policy {policy}, seeds from {seed} on.",
        )
        return DatasetResult(
            dataset=name,
            policy=policy,
            game=tempest.machine.game,
            episodes=int(dataset.total_episodes),
            steps=int(dataset.total_steps),
            mean_score=fmean(scores),
            path=str(dataset.storage.data_path),
        )
    finally:
        env.close()


def mixed_player(seed: int) -> Player:
    """Return a player in which the expert and random actions alternate in stretches, 40 and 4 steps on average.

    Its games leave the expert's own paths, and the advice shows how the expert returns to them. The random actions
    leave out the superzapper: its two uses would be spent before the expert could advise one.
    """
    generator = np.random.default_rng(seed)
    expert, left = False, 0

    def choose(_: Any, info: Any) -> int:
        nonlocal expert, left
        if left == 0:
            expert = not expert
            left = int(generator.geometric(1 / (_EXPERT_STRETCH if expert else _RANDOM_STRETCH)))
        left -= 1
        return int(info["expert_action"]) if expert else int(generator.choice(_WITHOUT_ZAP))

    return choose
