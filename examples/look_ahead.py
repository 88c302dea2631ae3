"""Chooses each action by trying all 44 on copies of the game, and counts how often the expert agrees.

    pip install .
    python examples/look_ahead.py --steps 200 --depth 20

`clone_state` and `restore_state` are exact: the copy lives the very future that the game would.
"""

import argparse

import gymnasium as gym

from tempest_gym.actions import ACTION_COUNT


def outcome(env, state, first_action, depth):
    """Return the reward of an action followed by the expert's play for `depth` steps."""
    env.restore_state(state)
    total, action = 0.0, first_action
    for _ in range(depth):
        _, reward, terminated, truncated, info = env.step(action)
        total += reward
        if terminated or truncated:
            break
        action = info["expert_action"]
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    env = gym.make("tempest_gym:Tempest-v0").unwrapped
    _, info = env.reset(seed=options.seed)
    agreed = steps = 0
    while steps < options.steps:
        steps += 1
        state, advice = env.clone_state(), info["expert_action"]
        outcomes = [outcome(env, state, action, options.depth) for action in range(ACTION_COUNT)]
        best = max(range(ACTION_COUNT), key=lambda action: (outcomes[action], action == advice))
        agreed += best == advice
        env.restore_state(state)
        _, _, terminated, truncated, info = env.step(best)
        if terminated or truncated:
            break
    print(f"{steps} steps, {info['score']} points, level {info['level']}; the expert agreed {agreed} times")


if __name__ == "__main__":
    main()
