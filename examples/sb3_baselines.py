"""Trains DQN or PPO of Stable-Baselines3 on Tempest, for a track of the benchmark.

    pip install "tempest-gym[rainbow,sb3]"
    python examples/sb3_baselines.py --algorithm ppo --folder runs/sb3-ppo --minutes 60

The games run in this process; `tempest_rainbow.sb3.GymnasiumVecEnv` connects them to Stable-Baselines3. `load` returns
the trained policy for `tempest-rainbow benchmark`.
"""

import argparse
import time
from pathlib import Path

import gymnasium as gym
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback

from tempest_rainbow.sb3 import GymnasiumVecEnv

ALGORITHMS = {"dqn": DQN, "ppo": PPO}


class Clock(BaseCallback):
    """Ends the training after some minutes of processor time."""

    def __init__(self, minutes):
        super().__init__()
        self.end = time.process_time() + 60 * minutes

    def _on_step(self):
        return time.process_time() < self.end


class Greedy:
    """A trained model as a policy for an evaluation."""

    def __init__(self, model):
        self.model = model

    def act(self, observations, info):
        return self.model.predict(observations, deterministic=True)[0]


def load(folder):
    """Return the policy that a training left in ``folder``."""
    path = next(Path(folder).glob("???.zip"))
    return Greedy(ALGORITHMS[path.stem].load(path, device="cpu"))


def make_model(algorithm, envs, seed):
    """Return a model with settings that suit many quick environments and few cores."""
    if algorithm == "ppo":
        return PPO(
            "MlpPolicy",
            envs,
            n_steps=128,
            batch_size=2048,
            n_epochs=4,
            ent_coef=0.01,
            seed=seed,
            device="cpu",
        )
    return DQN(
        "MlpPolicy",
        envs,
        buffer_size=500_000,
        learning_starts=20_000,
        batch_size=256,
        train_freq=4,
        gradient_steps=8,
        target_update_interval=5_000,
        exploration_fraction=0.1,
        exploration_final_eps=0.01,
        seed=seed,
        device="cpu",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithm", choices=sorted(ALGORITHMS), default="ppo")
    parser.add_argument("--folder", type=Path, default=Path("runs/sb3"), help="for the model")
    parser.add_argument("--minutes", type=float, default=60.0, help="processor time to train for")
    parser.add_argument("--steps", type=float, default=1e12, help="environment steps to train for")
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start-levels", type=int, nargs="+", default=[1, 1, 5, 9, 11, 15, 17, 20])
    parser.add_argument("--episode", choices=["game", "level"], default="game")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    torch.set_num_threads(options.threads)
    boards = gym.make_vec(
        "tempest_gym:Tempest-v0",
        num_envs=options.envs,
        threads=options.threads,
        autoreset_mode="SameStep",
        start_level=options.start_levels,
        episode=options.episode,
    )
    model = make_model(options.algorithm, GymnasiumVecEnv(boards, options.seed), options.seed)
    model.learn(int(options.steps), callback=Clock(options.minutes))
    model.save(options.folder / f"{options.algorithm}.zip")
    boards.close()


if __name__ == "__main__":
    main()
