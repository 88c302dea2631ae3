"""Compares settings of the planner's search: ``python -m tempest_rainbow.bench.planner --json``.

Games are played to states in which the guard finds a death. In each of them every setting searches for a plan, and
its plan is then followed on copies with fresh random numbers: the share of those that live, per simulation spent.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import ACTION_COUNT
from tempest_rainbow.collect.environments import make_vector
from tempest_rainbow.config.settings import TEMPEST, Task
from tempest_rainbow.planner import Planner, PlannerConfig
from tempest_rainbow.policy import load_policy

__all__ = ["compare"]

_log = logging.getLogger(__name__)

_LEVELS = (33, 45, 57, 69, 81)
_TRIALS = 64
"""Copies on which a plan is measured at the end."""

_HORIZON = 60
"""Decisions for which these copies are played."""

_APART = 30
"""Fewest decisions of a game between two states."""

SETTINGS: dict[str, PlannerConfig | None] = {
    "no search": None,
    "22 simulations": PlannerConfig(simulations=22),
    "88 simulations": PlannerConfig(simulations=88),
    "267 simulations": PlannerConfig(),
    "792 simulations": PlannerConfig(simulations=792),
    "267, enough 5": PlannerConfig(enough=5),
    "792, enough 13": PlannerConfig(simulations=792, enough=13),
    "horizon 20": PlannerConfig(horizon=20),
    "horizon 60": PlannerConfig(horizon=60),
    "held for 3": PlannerConfig(holds=(3,)),
    "held for 8": PlannerConfig(holds=(8,)),
    "held for 1, 3, 8": PlannerConfig(holds=(1, 3, 8)),
}


def compare(states: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Search in ``states`` states with every setting.

    Returns:
        for each setting ``survival`` (share of copies that live for 60 decisions) with its standard error over the
        states, and ``simulations`` and ``milliseconds`` (processor time) of a search.
    """
    policy = load_policy("bundled", ACTION_COUNT, seed)
    task = Task(TEMPEST, tempest=True, episode="life", time_limit=None, threads=1)
    copies: Any = make_vector(task, 512).unwrapped
    found: Any = make_vector(task, states).unwrapped
    found.reset(seed=seed)
    chosen = _find(policy, copies, found, states, seed)
    trial = Planner(policy, copies, PlannerConfig(seed=seed + 1))
    result = {}
    for name, config in SETTINGS.items():
        planner = Planner(policy, copies, config)
        actions, holds = chosen.copy(), np.ones(states, np.int64)
        start = time.process_time()
        if config is not None:
            for row in range(states):
                each = slice(row, row + 1)
                actions[each], holds[each] = planner.search(
                    found, np.array([row]), actions[each], holds[each]
                )
        spent = time.process_time() - start
        futures = trial.play(found, np.arange(states), actions[:, None], holds[:, None], _TRIALS, _HORIZON)
        survival = (~futures.died[:, 0]).mean(axis=1)
        result[name] = {
            "survival": float(survival.mean()),
            "standard_error": float(survival.std() / np.sqrt(states)),
            "simulations": planner.simulations / states,
            "milliseconds": 1000 * spent / states,
        }
        _log.info("%s: %s", name, {key: round(value, 3) for key, value in result[name].items()})
    return result


def _find(policy: Any, copies: Any, found: Any, states: int, seed: int) -> NDArray[np.int64]:
    """Fill ``found`` with states in which the policy may die, and return the policy's actions in them."""
    chosen = np.zeros(states, np.int64)
    count = 0
    for game in range(states):
        task = Task(
            TEMPEST, tempest=True, time_limit=None, threads=1, start_level=_LEVELS[game % len(_LEVELS)]
        )
        games: Any = make_vector(task, 1).unwrapped
        planner = Planner(policy, copies, PlannerConfig(seed=seed + game))
        observations, info = games.reset(seed=seed + game)
        last = searches = 0
        for step in range(1000):
            before = games.clone_state()
            action = planner.act(games, [0], observations, info)
            if planner.searches > searches and step - last >= _APART:
                last = step
                games.restore_state(before)
                found.fork([0], [count], origin=games)
                chosen[count] = policy.act(observations, info)[0]
                count += 1
                if count == states:
                    games.close()
                    return chosen
                if count % 10 == 0:
                    _log.info("%d of %d states found", count, states)
            searches = planner.searches
            observations, _, ended, _, info = games.step(action)
            if ended[0] or step - last > 300:
                break
        games.close()
    raise RuntimeError(f"only {count} of {states} states were found")


def main(arguments: list[str] | None = None) -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(
        "python -m tempest_rainbow.bench.planner", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--states", type=int, default=100, help="states to search in (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the games (default 0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    result = compare(options.states, options.seed)
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
        return
    sys.stdout.write(f"{'':18} survival         simulations  ms a search\n")
    for name, row in result.items():
        sys.stdout.write(
            f"{name:18} {row['survival']:.3f} +- {row['standard_error']:.3f}  {row['simulations']:11.0f}"
            f"  {row['milliseconds']:11.0f}\n"
        )


if __name__ == "__main__":
    main()
