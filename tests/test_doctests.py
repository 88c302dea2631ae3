"""The examples in docstrings of both packages run and print what they show."""

import doctest
import importlib.util
import pkgutil

import pytest

import tempest_gym
import tempest_rainbow

MODULES = [
    module.name
    for package in (tempest_gym, tempest_rainbow)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]


def has_example(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    with open(spec.origin, encoding="utf-8") as file:
        return ">>> " in file.read()


@pytest.mark.parametrize("name", [name for name in MODULES if has_example(name)])
def test_the_examples_of_a_module(name):
    tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried.attempted > 0
    assert tried.failed == 0


def test_public_classes_have_an_example():
    from tempest_gym.env import TempestEnv
    from tempest_gym.server import Arrivals, ClientPool
    from tempest_gym.settings import Settings
    from tempest_gym.vector import TempestVectorEnv

    for public in (TempestEnv, TempestVectorEnv, Settings, ClientPool, Arrivals):
        assert ">>> " in public.__doc__, public
