"""Atari's Tempest (1981) as a Gymnasium environment.

Importing the package registers ``Tempest-v0``::

    import gymnasium as gym
    import tempest_gym

    gym.register_envs(tempest_gym)  # keeps linters from calling the import unused
    env = gym.make("Tempest-v0")
"""

from importlib.metadata import version

from tempest_gym.registration import ENV_ID, register

__all__ = ["ENV_ID", "__version__"]

__version__ = version("tempest-gym")

register()
