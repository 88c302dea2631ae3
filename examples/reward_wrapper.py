"""A custom reward, in a wrapper, and a name by which every command can train on it.

    cd examples
    tempest-rainbow train --env reward_wrapper:CalmTempest-v0 --preset fast-check
    tempest-rainbow evaluate --env reward_wrapper:CalmTempest-v0 --policy random --games 2

Here every frame survived is worth a little and zapping costs something. Scores in evaluations stay the game's.
"""

import gymnasium as gym

FRAME = 0.01
ZAP = 1.0


class CalmReward(gym.Wrapper):
    """Adds a reward for every frame without a lost life and subtracts one for every superzapper used."""

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        zap = (int(action) // 11) % 2 == 1
        reward += FRAME * (not info["life_lost"]) - ZAP * zap
        return observation, reward, terminated, truncated, info


def make_calm_tempest(**arguments):
    return CalmReward(gym.make("tempest_gym:Tempest-v0", **arguments))


gym.register("CalmTempest-v0", entry_point=make_calm_tempest, order_enforce=False, disable_env_checker=True)


if __name__ == "__main__":
    env = gym.make("CalmTempest-v0")
    _, info = env.reset(seed=0)
    total = 0.0
    for _ in range(500):
        _, reward, terminated, truncated, info = env.step(info["expert_action"])
        total += reward
    print(f"500 steps of the expert: {total:.1f} reward, {info['score']} points")
    env.close()
