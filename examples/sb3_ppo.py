"""Trains PPO of Stable-Baselines3 on Tempest.

pip install ".[sb3]"
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
    model = PPO("MlpPolicy", envs, n_steps=256, batch_size=512, gamma=0.99, seed=options.seed, device="cpu")
    model.learn(options.steps)
    mean, deviation = evaluate_policy(model, envs, n_eval_episodes=options.games)
    print(f"reward per game after {options.steps} steps: {mean:.1f} +- {deviation:.1f}")


if __name__ == "__main__":
    main()
