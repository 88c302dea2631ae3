"""Evaluation: greedy, whole games on held-out seeds, with the statistics that make results comparable.

Interquartile mean and bootstrap intervals as in Agarwal et al. 2021, "Deep Reinforcement
Learning at the Edge of the Statistical Precipice".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tempest_rainbow.episode_sums import RunningEpisodes, deaths_by_level
from tempest_rainbow.planner import Planner
from tempest_rainbow.policy import Policy
from tempest_rainbow.saved_evaluation import SavedEvaluation

__all__ = [
    "Game",
    "Share",
    "bootstrap_interval",
    "evaluate",
    "interquartile_mean",
    "play_games",
    "play_share",
    "report",
    "summary",
]

_log = logging.getLogger(__name__)

_RESAMPLES = 10_000

_BLOCK = 1_000_000
"""Scores drawn at once for the resamples, which limits memory; every size gives the same intervals."""

_PROGRESS_SECONDS = 3.0
"""Time until the first line of progress; each later line waits as long again as the evaluation has taken, at most
30 s."""

_LONGEST_WAIT = 30.0


def interquartile_mean(scores: ArrayLike) -> float:
    """Return the mean of the middle half: the lowest and highest quarter (rounded down) are left out.

    Raises:
        ValueError: there are no scores.
    """
    values = np.asarray(scores, np.float64).ravel()
    if not len(values):
        raise ValueError("the interquartile mean of no scores is not defined")
    return float(_row_iqm(values[None])[0])


def bootstrap_interval(
    scores: ArrayLike, statistic: Literal["mean", "iqm"], seed: int = 0
) -> tuple[float, float]:
    """Return the 95% percentile bootstrap interval of ``statistic`` over ``scores`` (10,000 resamples)."""
    values = np.asarray(scores, np.float64).ravel()
    generator = np.random.default_rng(seed)
    block = max(_BLOCK // len(values), 1)
    results: list[float] = []
    while rows := min(block, _RESAMPLES - len(results)):
        draws = values[generator.integers(len(values), size=(rows, len(values)))]
        results.extend(draws.mean(axis=1) if statistic == "mean" else _row_iqm(draws))
    low, high = np.percentile(results, [2.5, 97.5])
    return float(low), float(high)


def _row_iqm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    cut = values.shape[1] // 4
    return np.sort(values, axis=1)[:, cut : values.shape[1] - cut].mean(axis=1)


@dataclass(frozen=True)
class Game:
    """A finished evaluation episode.

    Attributes:
        seed: it was reset with.
        score: the game's score, the sum of rewards where the environment shows none.
        reward: sum of rewards.
        level: highest level seen, NaN where the environment shows none.
        steps: agent's decisions.
        truncated: the time limit ended it.
        first_level: level at which it started, NaN where the environment shows none.
        deaths: levels at which a life was lost, in the order of the deaths.
    """

    seed: int
    score: float
    reward: float
    level: float
    steps: int
    truncated: bool
    first_level: float = float("nan")
    deaths: tuple[float, ...] = ()


class _Progress:
    """Logs the progress of an evaluation: games that are over and under way, and the time left."""

    def __init__(self, games: int) -> None:
        self.finished: dict[int, Game] = {}
        self._games = games
        self._steps = 0
        self._start = time.monotonic()
        self._next = self._start + _PROGRESS_SECONDS

    def finish(self, game: Game) -> None:
        """Record a game that is over."""
        self.finished[game.seed] = game

    def step(
        self,
        playing: NDArray[np.bool_],
        steps: NDArray[np.int64],
        levels: NDArray[np.float64],
        scores: Any,
    ) -> None:
        """Count a step of the games under way, and log a line when it is time."""
        self._steps += int(playing.sum())
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + min(max(now - self._start, _PROGRESS_SECONDS), _LONGEST_WAIT)
        text = f"{len(self.finished)} of {self._games} games over, {playing.sum()} under way"
        if playing.any():
            text += f", mean step {steps[playing].mean():,.0f}"
            if not np.isnan(levels[playing]).any():
                text += f", mean level {levels[playing].mean():.1f}"
            text += f", mean score {np.asarray(scores)[playing].mean():,.0f}"
        if self.finished and self._steps:  # None were counted if every game ended with its first step.
            usual = float(np.mean([game.steps for game in self.finished.values()]))
            waiting = self._games - len(self.finished) - int(playing.sum())
            expected = waiting * usual + float(np.maximum(usual - steps[playing], 0.0).sum())
            left = (now - self._start) * expected / self._steps
            if left >= 1.0:
                text += f", about {timedelta(seconds=round(left))} left"
        _log.info("%s", text)


def play_games(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    policy: Policy | Planner,
    games: int,
    seed: int,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[gym.vector.VectorEnv[Any, Any, Any]], None] | None = None,
    saved: SavedEvaluation | None = None,
) -> list[Game]:
    """Play episodes with seeds ``seed`` ... ``seed`` + ``games`` - 1 and return them in that order.

    Every environment plays the first episode after a reset with its seed, in as many rounds as
    needed, so that short games are not counted more often than long ones.

    Args:
        envs: as many environments as are to play at once.
        policy: who plays; a planner plays on copies of these environments' games.
        games: number of episodes.
        seed: of the first episode.
        stop: asked at every step; True stops the evaluation, which returns the finished games.
        watch: called before every step of the first game, which environment 0 plays.
        saved: where to save every few minutes and at the end, and what to continue from if it holds anything.
    """
    progress = _Progress(games)
    state = None if saved is None else saved.load()
    first = 0
    if state is not None:
        first = state["offset"]
        for values in state["finished"]:
            progress.finish(Game(**{**values, "deaths": tuple(values["deaths"])}))
    for offset in range(first, games, envs.num_envs):
        if stop():
            break
        playing = _Round(envs, policy, min(envs.num_envs, games - offset), seed + offset)
        if state is not None:
            playing.set_state(state["round"])
            state = None
        while playing.under_way.any() and not stop():
            if watch is not None and offset == 0 and playing.under_way[0]:
                watch(envs)
            playing.step(progress)
            if saved is not None and (saved.due() or len(progress.finished) == games):
                finished = [asdict(game) for game in progress.finished.values()]
                saved.save({"offset": offset, "finished": finished, "round": playing.get_state()})
    return [progress.finished[key] for key in sorted(progress.finished)]


class _Round:
    """Environments of which each plays one episode.

    Attributes:
        under_way: which of the episodes have not ended.
    """

    def __init__(
        self, envs: gym.vector.VectorEnv[Any, Any, Any], policy: Policy | Planner, wanted: int, seed: int
    ) -> None:
        """Start the first ``wanted`` environments' episodes, with seeds from ``seed`` on."""
        count = envs.num_envs
        self._envs, self._policy, self._seed = envs, policy, seed
        seeds: Any = [
            seed + index for index in range(count)
        ]  # the base class is annotated for one number only
        self._observations, self._info = envs.reset(seed=seeds)
        self._running, everything = RunningEpisodes(count), np.arange(count)
        self._running.start(everything, everything, self._info)
        self.under_way = np.arange(count) < wanted
        if isinstance(policy, Planner):
            policy.forget(everything)

    def step(self, progress: _Progress) -> None:
        """Play a step, and add the episodes that it ends to ``progress``."""
        playing, info = self.under_way, self._info
        flat = np.asarray(self._observations, np.float32).reshape(len(playing), -1)
        actions = _actions(self._envs, self._policy, playing, flat, info)
        self._observations, rewards, terminated, truncated, info = self._envs.step(actions)
        self._info = info
        rows = np.flatnonzero(playing)
        running = self._running
        running.step(rows, rows, rewards, info)
        for index in np.flatnonzero(playing & (terminated | truncated)).tolist():
            game = Game(
                seed=self._seed + index,
                steps=int(running.length[index]),
                truncated=bool(truncated[index] and not terminated[index]),
                **running.result(index, info, index),
            )
            progress.finish(game)
            playing[index] = False
        progress.step(playing, running.length, running.level, info.get("score", running.reward))

    def get_state(self) -> dict[str, Any]:
        """Return what `set_state` needs; the environments must have ``clone_state``."""
        return {
            "envs": self._envs.unwrapped.clone_state(),  # type: ignore[attr-defined]
            "planner": self._policy.get_state() if isinstance(self._policy, Planner) else None,
            "info": {name: values for name, values in self._info.items() if isinstance(values, np.ndarray)},
            "observations": self._observations,
            "running": self._running.get_state(),
            "under_way": self.under_way,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned."""
        self._envs.unwrapped.restore_state(state["envs"])  # type: ignore[attr-defined]
        if isinstance(self._policy, Planner):
            self._policy.set_state(state["planner"])
        self._info, self._observations = state["info"], state["observations"]
        self._running.set_state(state["running"])
        self.under_way = state["under_way"]


def _actions(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    policy: Policy | Planner,
    playing: NDArray[np.bool_],
    observations: NDArray[np.float32],
    info: dict[str, Any],
) -> NDArray[np.int64]:
    """Return the actions of all games; a planner plans only for those still played."""
    if not isinstance(policy, Planner):
        return policy.act(observations, info)
    actions = np.zeros(envs.num_envs, np.int64)
    rows = np.flatnonzero(playing)
    mine = {name: values[rows] for name, values in info.items() if isinstance(values, np.ndarray)}
    actions[rows] = policy.act(envs.unwrapped, rows, observations[rows], mine)
    return actions


def summary(policy: str, games: list[Game]) -> dict[str, Any]:
    """Return the statistics of ``games`` under the keys that ``tempest-rainbow evaluate --json`` prints."""
    scores = np.array([game.score for game in games])
    levels = np.array([game.level for game in games])
    shown = len(levels) > 0 and not np.isnan(levels).any()
    by_level = deaths_by_level(games)
    passed = sum(levels for _, levels in by_level.values())
    deaths = sum(lost for lost, _ in by_level.values())
    return {
        "policy": policy,
        "games": len(games),
        "mean": float(scores.mean()),
        "median": float(np.median(scores)),
        "iqm": interquartile_mean(scores),
        "ci95": {
            "mean": list(bootstrap_interval(scores, "mean")),
            "iqm": list(bootstrap_interval(scores, "iqm")),
        },
        "level_mean": float(levels.mean()) if shown else None,
        "level_max": int(levels.max()) if shown else None,
        "scores": [float(score) for score in scores],
        "seeds": [game.seed for game in games],
        "levels": [float(level) for level in levels] if shown else None,
        "steps": [game.steps for game in games],
        "reward_mean": float(np.mean([game.reward for game in games])),
        "truncated": sum(game.truncated for game in games),
        "deaths_per_level": deaths / passed if passed else None,
        "deaths_by_level": {
            block: {"deaths": lost, "levels": levels} for block, (lost, levels) in by_level.items()
        },
    }


class Share(NamedTuple):
    """What was played of an evaluation.

    Attributes:
        policy: its name.
        games: by seed.
        decisions: of a planner, 0 without one.
        simulations: copies of games that it played ahead.
        seconds: that it took before it was continued from a file.
    """

    policy: str
    games: list[Game]
    decisions: int = 0
    simulations: int = 0
    seconds: float = 0.0


def play_share(
    make_envs: Callable[[int], gym.vector.VectorEnv[Any, Any, Any]],
    policy: Policy | Planner,
    games: int,
    seed: int,
    *,
    envs: int = 64,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[gym.vector.VectorEnv[Any, Any, Any]], None] | None = None,
    saved: SavedEvaluation | None = None,
) -> Share:
    """Play ``games`` games; the arguments are those of `evaluate` and `play_games`.

    Raises:
        RuntimeError: stopped before the first game ended.
        ValueError: fewer than one game was asked for.
    """
    if games < 1:
        raise ValueError(f"an evaluation needs at least 1 game, got {games}")
    catching = nullcontext() if saved is None else saved.catching_interrupts()
    with closing(make_envs(min(games, envs))) as vector, catching:
        finished = play_games(vector, policy, games, seed, stop, watch, saved)
    if not finished:
        raise RuntimeError("the evaluation was stopped before a game had ended")
    planned = (policy.decisions, policy.simulations) if isinstance(policy, Planner) else (0, 0)
    return Share(policy.name, finished, *planned, seconds=0.0 if saved is None else saved.seconds)


def report(shares: Sequence[Share], seconds: float) -> dict[str, Any]:
    """Return the statistics of an evaluation that took ``seconds`` (see `summary`), and a planner's rates.

    To ``seconds`` those are added that were spent before the evaluation was continued.
    """
    result = summary(shares[0].policy, [game for share in shares for game in share.games])
    decisions = sum(share.decisions for share in shares)
    if decisions:
        result["decisions_per_second"] = decisions / (seconds + max(share.seconds for share in shares))
        result["simulations_per_decision"] = sum(share.simulations for share in shares) / decisions
    return result


def evaluate(
    make_envs: Callable[[int], gym.vector.VectorEnv[Any, Any, Any]],
    policy: Policy | Planner,
    games: int,
    seed: int,
    *,
    envs: int = 64,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[gym.vector.VectorEnv[Any, Any, Any]], None] | None = None,
) -> dict[str, Any]:
    """Play ``games`` games and return their statistics (see `report`).

    Args:
        make_envs: makes a vector environment of the given size.
        policy: who plays.
        games: number of games.
        seed: of the first game; game i has seed + i.
        envs: greatest number of games at once.
        stop: asked at every step; True stops the evaluation.
        watch: called before every step of the first game, which environment 0 plays.

    Raises:
        RuntimeError: stopped before the first game ended.
        ValueError: fewer than one game was asked for.
    """
    start = time.monotonic()
    share = play_share(make_envs, policy, games, seed, envs=envs, stop=stop, watch=watch)
    return report([share], time.monotonic() - start)
