"""Behaviour cloning: a network learns from a Minari data set to play as the teacher does.

    pip install "tempest-gym[rainbow,minari]"
    tempest-gym dataset --policy mixed --episodes 150 --seed 1000
    python examples/behaviour_cloning.py --dataset tempest/mixed-v0

The network imitates the expert's advice, which a set has for every observation, whoever played. Then it plays games
that are not in the set, and the teacher plays the same seeds.

An observation lists enemies by slot, in no order. Which lane is safe depends on who is in it, so the network gets them
by lane as well, and whether a value is exactly 0.
"""

import argparse

import gymnasium as gym
import minari
import numpy as np
import torch
from torch import nn

from tempest_gym.features import ENEMY_TYPES, FEATURES

FARTHEST = 15  # lanes from the player, in either direction
RIM = 0.1  # depths below are at the rim


def load(name):
    """Return all observations of a data set and the expert's advice for them."""
    episodes = list(minari.load_dataset(name).iterate_episodes())
    observations = np.concatenate([episode.observations[:-1] for episode in episodes])
    advice = np.concatenate([episode.infos["expert_action"][:-1] for episode in episodes])
    return torch.as_tensor(observations), torch.as_tensor(advice)


class Tube(nn.Module):
    """Adds to observations, (B, 195), what is in each lane relative to the player's: (B, 793)."""

    size = 2 * 195 + 13 * (2 * FARTHEST + 1)

    def forward(self, observations):
        part = {name: observations[:, where] for name, where in FEATURES.items()}
        depth, lane = part["enemy_depth"], part["enemy_lane"]
        kind, rising, turning = part["enemy_info"].unflatten(1, (7, 6)).unbind(2)[:3]
        kind = (7 * kind).round()
        enemies = [kind == number for number in range(len(ENEMY_TYPES))]
        enemies += [turning * rising > 0, turning * (1 - rising) > 0, depth < RIM]
        lanes = [self.placed(depth * which, lane) for which in enemies]
        lanes += [self.placed(part[f"{who}shot_depth"], part[f"{who}shot_lane"]) for who in ("", "enemy_")]
        return torch.cat([observations, observations == 0, *lanes, *self.ground(part)], 1)

    def placed(self, depth, lane):
        """Return how close to the rim the nearest thing in each lane is, 0 for none.

        Enemies that turn are in the lane where the teacher sees them, the higher of two.
        """
        index = (15 * lane - 0.001).ceil().long() + FARTHEST
        near = torch.where(depth > 0, 1 - depth, 0)
        return torch.zeros(len(lane), 2 * FARTHEST + 1).scatter_reduce(1, index, near, "amax")

    def ground(self, part):
        """Return which lanes exist, and the heights of spikes in the descent."""
        offset = torch.arange(-FARTHEST, FARTHEST + 1)
        lane = (15 * part["player_lane"]).round().long() + offset
        closed = (offset >= -7) & (offset <= 8)
        exists = torch.where(part["open"] > 0, (lane >= 0) & (lane <= 14), closed)
        spikes = part["spike_height"].gather(1, lane % 16) * exists
        descent = part["game_state"] > 0.8
        return exists, spikes * descent, spikes * ~descent


def train(observations, advice, epochs, batch_size):
    network = nn.Sequential(
        Tube(),
        nn.Linear(Tube.size, 512), nn.LayerNorm(512), nn.ReLU(),
        nn.Linear(512, 512), nn.LayerNorm(512), nn.ReLU(),
        nn.Linear(512, 44),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    steps = epochs * (len(advice) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps, pct_start=0.1)
    for epoch in range(epochs):
        order, right = torch.randperm(len(advice)), 0
        for batch in order[: len(advice) // batch_size * batch_size].split(batch_size):
            logits = network(observations[batch])
            loss = nn.functional.cross_entropy(logits, advice[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            right += (logits.argmax(1) == advice[batch]).sum().item()
        print(f"epoch {epoch + 1}: {right / len(order):.1%} of the advice as the teacher's", flush=True)
    return network


def play(choose, games, seed, time_limit):
    """Return the scores of games with the seeds from `seed` on."""
    envs = gym.make_vec("Tempest-v0", games, time_limit=time_limit, autoreset_mode="Disabled").unwrapped
    observations, infos = envs.reset(seed=seed)
    scores, playing = np.zeros(games), np.arange(games)
    while len(playing):
        actions = choose(observations, infos)
        observations, _, terminated, truncated, infos = envs.step_rows(playing, actions)
        scores[playing] = infos["score"]
        keep = ~(terminated | truncated)
        playing, observations = playing[keep], observations[keep]
        infos = {"expert_action": infos["expert_action"][keep]}
    envs.close()
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="tempest/mixed-v0")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--games", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=1800.0, help="seconds of game time a game")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    observations, advice = load(options.dataset)
    print(f"{len(advice):,} steps in {options.dataset}")
    network = train(observations, advice, options.epochs, options.batch_size).eval()

    @torch.no_grad()
    def clone(seen, _):
        return network(torch.as_tensor(seen)).argmax(1).numpy()

    players = {"clone": clone, "teacher": lambda _, infos: infos["expert_action"]}
    for name, choose in players.items():
        scores = play(choose, options.games, options.seed, options.time_limit)
        error = scores.std() / len(scores) ** 0.5
        print(f"{name}: {scores.mean():,.0f} points a game, standard error {error:,.0f}", flush=True)


if __name__ == "__main__":
    main()
