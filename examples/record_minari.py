"""Records games of the expert as a Minari dataset, with the expert's advice kept at every step.

    pip install ".[minari]"
    python examples/record_minari.py --games 10 --dataset tempest/expert-v0

Read it with `minari.load_dataset("tempest/expert-v0")`: an episode's `infos["expert_action"]` has one value more than
its actions, like the observations; entry t is the advice for observation t.
"""

import argparse

import gymnasium as gym
import minari
import numpy as np

import tempest_gym  # noqa: F401 (registers Tempest-v0)


class KeepAdvice(minari.StepDataCallback):
    """Keeps of `info` only what has the same keys at every step."""

    def __call__(self, env, **step):
        data = super().__call__(env, **step)
        data["info"] = {
            "expert_action": np.int64(step["info"]["expert_action"]),
            "score": np.int64(step["info"]["score"]),
            "level": np.int64(step["info"]["level"]),
        }
        return data


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="end each game after this many steps")
    parser.add_argument("--dataset", default="tempest/expert-v0")
    options = parser.parse_args()

    env = minari.DataCollector(
        gym.make("Tempest-v0", max_episode_steps=options.steps),
        step_data_callback=KeepAdvice,
        record_infos=True,
    )
    for game in range(options.games):
        _, info = env.reset(seed=options.seed + game)
        ended = False
        while not ended:
            _, _, terminated, truncated, info = env.step(info["expert_action"])
            ended = terminated or truncated
    dataset = env.create_dataset(
        dataset_id=options.dataset,
        algorithm_name="scripted expert",
        code_permalink="examples/record_minari.py",
        author="tempest-gym",
        author_email="nobody@example.org",
        description="Whole games of Tempest-v0's scripted expert.",
        eval_env="Tempest-v0",
    )
    env.close()
    print(f"{options.dataset}: {dataset.total_episodes} games, {dataset.total_steps} steps")


if __name__ == "__main__":
    main()
