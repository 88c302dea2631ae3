"""Trains PPO of Stable-Baselines3 on Tempest.

pip install "tempest-gym[sb3]"
python examples/sb3_ppo.py --steps 1000000
"""

import argparse

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--games", type=int, default=10, help="games to evaluate it on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    envs = make_vec_env("tempest_gym:Tempest-v0", n_envs=options.envs, seed=options.seed)
    model = PPO(
        "MlpPolicy", envs, n_steps=256, batch_size=512, gamma=0.99, seed=options.seed, device="cpu", verbose=1
    )
    model.learn(options.steps, log_interval=10)

    def show_game(variables, _):
        if variables["done"]:
            print(f"a game of {variables['current_lengths'][variables['i']]:,} steps is over", flush=True)

    print(f"evaluating {options.games} games ...", flush=True)
    mean, deviation = evaluate_policy(model, envs, n_eval_episodes=options.games, callback=show_game)
    print(f"reward per game after {options.steps} steps: {mean:.1f} +- {deviation:.1f}")


if __name__ == "__main__":
    main()
