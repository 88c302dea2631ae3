"""PPO in one file over the native vector environment, and kickstarted PPO, which starts from the teacher.

    pip install "tempest-gym[rainbow]"
    python examples/ppo.py --folder runs/ppo --minutes 60
    python examples/ppo.py --folder runs/kickstarted --minutes 60 --teacher 1

Schulman et al. 2017, with generalised advantages. `--teacher W` adds W times the cross-entropy between the policy and
the teacher's advice on the agent's own states, and lets W fall to 0 over the first half (Schmitt et al. 2018,
"Kickstarting Deep Reinforcement Learning"). `load` returns the trained policy for `tempest-rainbow benchmark`.

Gymnasium's next-step autoreset: the step after an episode's end ignores the action and returns the first observation
of the next episode, so that step is left out of the loss.
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

HORIZON = 64
EPOCHS = 3
MINIBATCHES = 4
GAMMA, LAMBDA, CLIP, ENTROPY, VALUE = 0.99, 0.95, 0.2, 0.01, 0.5
CURVE_POINTS = 60


def network(inputs, outputs, width=256):
    """Return two hidden layers with LayerNorm."""
    hidden = [nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU()]
    hidden += [nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


class Agent(nn.Module):
    """A policy and a value; apart, so that the value's large gradients do not steer the policy's features."""

    def __init__(self, inputs, actions):
        super().__init__()
        self.policy, self.value = network(inputs, actions), network(inputs, 1)
        nn.init.orthogonal_(self.policy[-1].weight, 0.01)

    def forward(self, observations):
        return torch.distributions.Categorical(logits=self.policy(observations)), self.value(
            observations
        ).squeeze(-1)

    @torch.inference_mode()
    def act(self, observations, info):
        """Return the most probable actions, for evaluation."""
        return self.policy(torch.from_numpy(observations)).argmax(1).numpy()


def load(folder):
    """Return the policy that a training left in ``folder``."""
    weights = torch.load(Path(folder) / "agent.pt", weights_only=True)
    agent = Agent(weights["policy.0.weight"].shape[1], len(weights["policy.6.bias"]))
    agent.load_state_dict(weights)
    return agent


def save(folder, agent, curve):
    """Write the agent and the curve: minutes, steps, mean score of the last games from level 1."""
    torch.save(agent.state_dict(), folder / "agent.pt")
    with open(folder / "curve.csv", "w", newline="") as file:
        csv.writer(file).writerows([("minutes", "steps", "score"), *curve])


def advantages_of(rewards, values, ended, terminated, last_value):
    """Return generalised advantages, float32 (HORIZON, envs); a terminal state is worth nothing."""
    result, following = np.zeros_like(rewards), np.zeros_like(last_value)
    for t in reversed(range(HORIZON)):
        next_value = last_value if t == HORIZON - 1 else values[t + 1]
        error = rewards[t] + GAMMA * next_value * ~terminated[t] - values[t]
        following = error + GAMMA * LAMBDA * following * ~ended[t]
        result[t] = following
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/ppo"), help="for agent and curve")
    parser.add_argument("--minutes", type=float, default=60.0, help="processor time to train for")
    parser.add_argument("--steps", type=float, default=float("inf"), help="environment steps to train for")
    parser.add_argument("--teacher", type=float, default=0.0, help="weight of the teacher's advice at first")
    parser.add_argument("--envs", type=int, default=64)
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
    agent = Agent(inputs, actions)
    optimizer = torch.optim.Adam(agent.parameters(), options.learning_rate, eps=1e-5)

    shape = (HORIZON, options.envs)
    observations = torch.zeros((*shape, inputs))
    chosen, advised, log_probs = (torch.zeros(shape, dtype=kind) for kind in (torch.int64, torch.int64, None))
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
            save(options.folder, agent, curve)
            print(f"{minutes:.2f} minutes, {steps} steps, mean score of the last games: {score}", flush=True)
        if progress >= 1.0:
            break
        optimizer.param_groups[0]["lr"] = options.learning_rate * (1 - progress)
        teacher_weight = options.teacher * max(0.0, 1 - 2 * progress)

        for t in range(HORIZON):
            observations[t] = torch.from_numpy(observation)
            advised[t] = torch.from_numpy(infos["expert_action"])
            with torch.no_grad():
                policy, value = agent(observations[t])
                chosen[t] = policy.sample()
                log_probs[t] = policy.log_prob(chosen[t])
            values[t], valid[t] = value.numpy(), ~restarting
            observation, rewards[t], terminated[t], truncated, infos = envs.step(chosen[t].numpy())
            first_level[restarting] = infos["level"][restarting]
            ended[t] = restarting = terminated[t] | truncated
            scores.extend(infos["score"][restarting & (first_level == 1)])
        steps += HORIZON * options.envs
        with torch.no_grad():
            last_value = agent(torch.from_numpy(observation))[1].numpy()
        advantages = advantages_of(rewards, values, ended, terminated, last_value)

        rows = np.flatnonzero(valid)
        flat, taken, advice, old = (part.flatten(0, 1) for part in (observations, chosen, advised, log_probs))
        advantage, value = (torch.from_numpy(part).flatten() for part in (advantages, values))
        target = advantage + value
        for _ in range(EPOCHS):
            for batch in np.array_split(generator.permutation(rows), MINIBATCHES):
                policy, estimate = agent(flat[batch])
                ratio = (policy.log_prob(taken[batch]) - old[batch]).exp()
                normal = (advantage[batch] - advantage[batch].mean()) / (advantage[batch].std() + 1e-8)
                gain = torch.min(ratio * normal, ratio.clamp(1 - CLIP, 1 + CLIP) * normal).mean()
                loss = VALUE * (estimate - target[batch]).square().mean() - gain
                loss = loss - ENTROPY * policy.entropy().mean()
                if teacher_weight > 0.0:
                    loss = loss - teacher_weight * policy.log_prob(advice[batch]).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.policy.parameters(), 0.5)
                nn.utils.clip_grad_norm_(agent.value.parameters(), 0.5)
                optimizer.step()
    envs.close()


if __name__ == "__main__":
    main()
