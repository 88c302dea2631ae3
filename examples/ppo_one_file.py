"""PPO in one file over the native vector environment, for those who like to read the whole algorithm.

    pip install ".[rainbow]"
    python examples/ppo_one_file.py --steps 2000000 --envs 64

Schulman et al. 2017, with generalised advantages. Shows how to treat Gymnasium's next-step autoreset: the
step after an episode's end ignores the action and returns the first observation of the next episode, so
that step is left out of the loss.
"""

import argparse
import time

import gymnasium as gym
import numpy as np
import torch
from torch import nn

HORIZON = 64
EPOCHS = 3
MINIBATCHES = 4
GAMMA, LAMBDA, CLIP, ENTROPY, VALUE = 0.99, 0.95, 0.2, 0.01, 0.5


class Agent(nn.Module):
    """A policy and a value on a common trunk."""

    def __init__(self, inputs, actions):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(inputs, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh())
        self.policy, self.value = nn.Linear(256, actions), nn.Linear(256, 1)
        nn.init.orthogonal_(self.policy.weight, 0.01)

    def forward(self, observations):
        hidden = self.trunk(observations)
        return torch.distributions.Categorical(logits=self.policy(hidden)), self.value(hidden).squeeze(-1)


def advantages_of(rewards, values, ended, terminated, last_value):
    """Return generalised advantages, float32 (HORIZON, envs); after a termination nothing more is worth."""
    result, following = np.zeros_like(rewards), np.zeros_like(last_value)
    for t in reversed(range(HORIZON)):
        next_value = last_value if t == HORIZON - 1 else values[t + 1]
        error = rewards[t] + GAMMA * next_value * ~terminated[t] - values[t]
        following = error + GAMMA * LAMBDA * following * ~ended[t]
        result[t] = following
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2_000_000)
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    envs = gym.make_vec("tempest_gym:Tempest-v0", num_envs=options.envs)
    envs = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    inputs, actions = envs.single_observation_space.shape[0], envs.single_action_space.n
    agent = Agent(inputs, actions)
    optimizer = torch.optim.Adam(agent.parameters(), options.learning_rate, eps=1e-5)

    shape = (HORIZON, options.envs)
    observations = torch.zeros((*shape, inputs))
    chosen, log_probs = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape)
    values, rewards = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    terminated, ended, valid = (np.zeros(shape, bool) for _ in range(3))

    observation, _ = envs.reset(seed=options.seed)
    restarting = np.zeros(options.envs, bool)
    scores, start = [], time.perf_counter()
    for update in range(1, max(1, options.steps // (HORIZON * options.envs)) + 1):
        for t in range(HORIZON):
            observations[t] = torch.from_numpy(observation)
            with torch.no_grad():
                policy, value = agent(observations[t])
                chosen[t] = policy.sample()
                log_probs[t] = policy.log_prob(chosen[t])
            values[t], valid[t] = value.numpy(), ~restarting
            observation, rewards[t], terminated[t], truncated, infos = envs.step(chosen[t].numpy())
            ended[t] = restarting = terminated[t] | truncated
            scores += infos["score"][ended[t]].tolist()
        with torch.no_grad():
            last_value = agent(torch.from_numpy(observation))[1].numpy()
        advantages = advantages_of(rewards, values, ended, terminated, last_value)
        rows = np.flatnonzero(valid.reshape(-1))
        data = (observations.flatten(0, 1), chosen.flatten(), log_probs.flatten())
        advantage, value = (torch.from_numpy(part.reshape(-1)) for part in (advantages, values))
        target = advantage + value
        for _ in range(EPOCHS):
            for batch in np.array_split(np.random.permutation(rows), MINIBATCHES):
                policy, estimate = agent(data[0][batch])
                log_prob = policy.log_prob(data[1][batch])
                ratio = (log_prob - data[2][batch]).exp()
                normal = (advantage[batch] - advantage[batch].mean()) / (advantage[batch].std() + 1e-8)
                gain = torch.min(ratio * normal, ratio.clamp(1 - CLIP, 1 + CLIP) * normal).mean()
                loss = (
                    VALUE * (estimate - target[batch]).square().mean()
                    - gain
                    - ENTROPY * policy.entropy().mean()
                )
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()
        if update % 10 == 0 or update == 1:
            steps = update * HORIZON * options.envs
            recent = f"{np.mean(scores[-100:]):.0f}" if scores else "none yet"
            speed = steps / (time.perf_counter() - start)
            print(f"{steps} steps, {speed:.0f} a second, mean score of the last games: {recent}")
    envs.close()


if __name__ == "__main__":
    main()
