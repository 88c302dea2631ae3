"""Trains DQN or PPO of Stable-Baselines3 on Tempest for some minutes and judges it as our agent is judged.

    pip install ".[rainbow,sb3]"
    python examples/sb3_baselines.py --algorithm ppo --minutes 60 --games 100

The games run on boards in this process; `tempest_rainbow.sb3.GymnasiumVecEnv` is all that lies between.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import gymnasium as gym
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback

from tempest_rainbow.collect.environments import make_vector
from tempest_rainbow.config.settings import Task
from tempest_rainbow.evaluate import evaluate
from tempest_rainbow.sb3 import GymnasiumVecEnv

TEMPEST = "tempest_gym:Tempest-v0"


class Clock(BaseCallback):
    """Ends the training after some minutes, and saves the model at others into ``folder``/MINUTES.zip."""

    def __init__(self, kind, minutes, marks, folder):
        super().__init__()
        self.now = {"wall": time.monotonic, "processor": time.process_time}[kind]
        self.minutes, self.marks, self.folder = minutes, sorted(marks), folder
        self.start = self.now()

    def _on_step(self):
        past = (self.now() - self.start) / 60
        while self.marks and past >= self.marks[0]:
            self.model.save(self.folder / f"{self.marks.pop(0):g}.zip")
        return past < self.minutes


class Greedy:
    """A trained model as a policy for our evaluation."""

    def __init__(self, name, model):
        self.name, self.model = name, model

    def act(self, observations, info):
        return self.model.predict(observations, deterministic=True)[0]


def load_model(path):
    """Return a saved model of either algorithm as a policy; its folder is called after it."""
    return Greedy(path.parent.name, {"dqn": DQN, "ppo": PPO}[path.parent.name[-3:]].load(path, device="cpu"))


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
    parser.add_argument("--algorithm", choices=["dqn", "ppo"], default="ppo")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="what minutes are")
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--games", type=int, default=100, help="games to judge it by; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="threads that play; by default as many as cores")
    parser.add_argument("--save", type=Path, default=Path(), help="folder to save the model in")
    parser.add_argument("--marks", type=float, nargs="*", default=[], help="save it after so many minutes")
    options = parser.parse_args()

    boards = gym.make_vec(TEMPEST, num_envs=options.envs, threads=options.threads, autoreset_mode="SameStep")
    model = make_model(options.algorithm, GymnasiumVecEnv(boards, options.seed), options.seed)
    model.learn(10**12, callback=Clock(options.clock, options.minutes, options.marks, options.save))
    boards.close()
    if not options.games:
        return
    make_envs = partial(make_vector, Task(TEMPEST, tempest=True))
    result = evaluate(make_envs, Greedy(f"sb3-{options.algorithm}", model), options.games, seed=10_000)
    print(json.dumps({**result, "steps_trained": model.num_timesteps}))


if __name__ == "__main__":
    main()
