"""Two players to compare an agent with: one that acts at random and the scripted expert.

    pip install "tempest-gym[rainbow]"
    python examples/players.py --games 10

`tempest-gym play --policy expert` and `tempest-rainbow evaluate --policy expert` do the same in one line, the latter
with intervals; this shows that a player is three lines on top of Gymnasium's interface.
"""

import argparse

import gymnasium as gym
import numpy as np


def at_random(env, info):
    return env.action_space.sample()


def expert(env, info):
    return info["expert_action"]


def play(env, player, seed):
    """Play one whole game and return its score and the level it got to."""
    _, info = env.reset(seed=seed)
    env.action_space.seed(seed)
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(player(env, info))
        over = terminated or truncated
    return info["score"], info["level"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", type=int, default=10)
    options = parser.parse_args()
    env = gym.make("tempest_gym:Tempest-v0")
    for player in (at_random, expert):
        results = [play(env, player, seed) for seed in range(options.games)]
        scores, levels = np.transpose(results)
        print(f"{player.__name__:10} {scores.mean():8,.0f} points a game, level {levels.mean():.1f}")
    env.close()


if __name__ == "__main__":
    main()
