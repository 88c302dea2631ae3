"""Plays with the bundled agent and looks ahead on copies of the game, without knowing its random numbers.

    pip install "tempest-gym[rainbow]"
    python examples/planner.py --start-level 33 --steps 2000

`tempest_rainbow.planner` is the full version of this.
"""

import argparse

import gymnasium as gym
import numpy as np

from tempest_gym.actions import ACTION_COUNT
from tempest_rainbow.policy import load_policy

COPIES, HORIZON, HOLDS = 8, 40, (3, 8)
PLANS = [(action, hold) for hold in HOLDS for action in range(ACTION_COUNT)]


def steps_lived(game, copies, policy, plans, rng):
    """Hold each plan's action, then follow the policy; return the steps that each plan's copy lived."""
    rows = np.arange(len(plans))
    actions, holds = np.array(plans).T
    copies.fork(
        0, rows, seeds=rng.integers(2**31, size=len(rows)), origin=game
    )  # new random numbers for every copy
    lived, chosen = np.full(len(rows), HORIZON), actions
    for step in range(HORIZON):
        observations, _, terminated, _, _ = copies.step_rows(rows, chosen[rows])
        lived[rows[terminated]] = step
        rows, observations = rows[~terminated], observations[~terminated]
        if not len(rows):
            break
        chosen = actions.copy()
        chosen[rows] = np.where(holds[rows] > step + 1, actions[rows], policy.act(observations, {}))
    return lived


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start-level", type=int, default=33)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    game = gym.make("tempest_gym:Tempest-v0", start_level=options.start_level).unwrapped
    copies = gym.make_vec(
        "tempest_gym:Tempest-v0", num_envs=len(PLANS), episode="life", time_limit=None
    ).unwrapped
    policy, rng = load_policy("bundled", ACTION_COUNT, options.seed), np.random.default_rng(options.seed)
    observation, info = game.reset(seed=options.seed)
    deaths, action, held = 0, 0, 0
    for _ in range(options.steps):
        if held == 0:
            action, held = int(policy.act(observation[None], {})[0]), 1
        if min(steps_lived(game, copies, policy, [(action, held)] * COPIES, rng)) < HORIZON:
            lived = steps_lived(game, copies, policy, PLANS, rng)
            action, held = PLANS[int(lived.argmax())]
        observation, _, terminated, truncated, info = game.step(action)
        held -= 1
        deaths += info["life_lost"]
        if terminated or truncated:
            break
    print(f"seed {options.seed}: {info['score']:,} points, level {info['level']}, {deaths} lives lost")


if __name__ == "__main__":
    main()
