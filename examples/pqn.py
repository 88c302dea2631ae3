"""PQN in one file: Q-learning on many games at once, with neither replay nor target network.

    pip install "tempest-gym[rainbow]"
    python examples/pqn.py --folder runs/pqn --minutes 60

Gallici et al. 2024, "Simplifying Deep Temporal Difference Learning". LayerNorm keeps the estimates from diverging;
Q(lambda) returns over short rollouts take the place of the replay. `load` returns the trained policy for
`tempest-rainbow benchmark`.

Deviations from the paper's Atari settings: a network for 195 features instead of pictures, start levels, epsilon and
learning rate that follow the time that has passed instead of the steps.
"""

import argparse
import csv
import time
from collections import deque
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from torch import nn

HORIZON = 32
EPOCHS = 2
MINIBATCHES = 8
GAMMA, LAMBDA = 0.99, 0.65
EPSILON, EXPLORATION = 0.01, 0.1
CURVE_POINTS = 60


class QNetwork(nn.Sequential):
    """Expected returns of all actions; LayerNorm before every activation."""

    def __init__(self, inputs, actions, width=256):
        super().__init__(
            nn.Linear(inputs, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Linear(width, actions),
        )


class Greedy:
    """Plays the action of greatest expected return."""

    name = "pqn"

    def __init__(self, network):
        self.network = network

    @torch.inference_mode()
    def act(self, observations, info):
        return self.network(torch.from_numpy(observations)).argmax(1).numpy()


def load(folder):
    """Return the policy that a training left in ``folder``."""
    weights = torch.load(Path(folder) / "network.pt", weights_only=True)
    network = QNetwork(weights["0.weight"].shape[1], len(weights["6.bias"]))
    network.load_state_dict(weights)
    return Greedy(network)


def save(folder, network, curve):
    """Write the network and the curve: minutes, steps, mean score of the last games from level 1."""
    torch.save(network.state_dict(), folder / "network.pt")
    with open(folder / "curve.csv", "w", newline="") as file:
        csv.writer(file).writerows([("minutes", "steps", "score"), *curve])


def lambda_returns(rewards, values, ended, terminated, last_value):
    """Return Q(lambda) targets, float32 (HORIZON, envs); ``values`` are the greatest Q of each state."""
    targets, following = np.zeros_like(rewards), last_value
    for t in reversed(range(HORIZON)):
        next_value = last_value if t == HORIZON - 1 else values[t + 1]
        mixed = np.where(ended[t], next_value, LAMBDA * following + (1 - LAMBDA) * next_value)
        targets[t] = following = rewards[t] + GAMMA * mixed * ~terminated[t]
    return targets


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/pqn"), help="for network and curve")
    parser.add_argument("--minutes", type=float, default=60.0, help="processor time to train for")
    parser.add_argument("--steps", type=float, default=float("inf"), help="environment steps to train for")
    parser.add_argument("--envs", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--start-levels", type=int, nargs="+", default=[1, 1, 5, 9, 11, 15, 17, 20])
    parser.add_argument("--episode", choices=["game", "level"], default="game")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    generator = np.random.default_rng(options.seed)
    envs = gym.make_vec(
        "tempest_gym:Tempest-v0",
        num_envs=options.envs,
        threads=options.threads,
        start_level=options.start_levels,
        episode=options.episode,
    )
    inputs, actions = envs.single_observation_space.shape[0], envs.single_action_space.n
    network = QNetwork(inputs, actions)
    optimizer = torch.optim.RAdam(network.parameters(), options.learning_rate)

    shape = (HORIZON, options.envs)
    observations = torch.zeros((*shape, inputs))
    chosen = np.zeros(shape, np.int64)
    values, rewards = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    terminated, ended, valid = (np.zeros(shape, bool) for _ in range(3))

    observation, infos = envs.reset(seed=options.seed)
    restarting = np.zeros(options.envs, bool)
    first_level = infos["level"].copy()
    scores, curve, steps = deque(maxlen=100), [], 0
    start = time.process_time()
    while True:
        minutes = (time.process_time() - start) / 60
        progress = max(minutes / options.minutes, steps / options.steps)
        if progress >= min(1.0, (len(curve) + 1) / CURVE_POINTS):
            score = round(float(np.mean(scores)), 1) if scores else 0.0
            curve.append((round(minutes, 2), steps, score))
            save(options.folder, network, curve)
            print(f"{minutes:.2f} minutes, {steps} steps, mean score of the last games: {score}", flush=True)
        if progress >= 1.0:
            break
        epsilon = max(EPSILON, 1 - (1 - EPSILON) * progress / EXPLORATION)
        optimizer.param_groups[0]["lr"] = options.learning_rate * (1 - progress)

        for t in range(HORIZON):
            observations[t] = torch.from_numpy(observation)
            with torch.inference_mode():
                best, greedy = network(observations[t]).max(1)
            explores = generator.random(options.envs) < epsilon
            chosen[t] = np.where(explores, generator.integers(actions, size=options.envs), greedy.numpy())
            values[t], valid[t] = best.numpy(), ~restarting
            observation, rewards[t], terminated[t], truncated, infos = envs.step(chosen[t])
            first_level[restarting] = infos["level"][restarting]
            ended[t] = restarting = terminated[t] | truncated
            scores.extend(infos["score"][restarting & (first_level == 1)])
        steps += HORIZON * options.envs
        with torch.inference_mode():
            last_value = network(torch.from_numpy(observation)).max(1).values.numpy()
        targets = torch.from_numpy(lambda_returns(rewards, values, ended, terminated, last_value)).flatten()

        rows = np.flatnonzero(valid)  # An ignored action starts the next episode: nothing to learn.
        flat, taken = observations.flatten(0, 1), torch.from_numpy(chosen).flatten()
        for _ in range(EPOCHS):
            for batch in np.array_split(generator.permutation(rows), MINIBATCHES):
                q = network(flat[batch]).gather(1, taken[batch, None]).squeeze(1)
                loss = 0.5 * (q - targets[batch]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 10.0)
                optimizer.step()
    envs.close()


if __name__ == "__main__":
    main()
