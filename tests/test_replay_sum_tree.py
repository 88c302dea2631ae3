"""The sum tree against running sums over a plain list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tempest_rainbow.replay.sum_tree import SumTree


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from([1, 2, 15, 16, 17, 255, 256, 257, 5000]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 50)), min_size=1, max_size=60),
)
def test_finds_what_a_running_sum_finds(capacity, updates):
    tree, values = SumTree(capacity), np.zeros(capacity)
    indices = np.array([int(where * capacity) for where, _ in updates])
    for index, (_, value) in zip(indices, updates, strict=True):
        values[index] = value
    tree.set(indices, np.array([value for _, value in updates], np.float32))
    tree.check_valid()
    assert tree.total == values.sum()
    if tree.total:
        masses = np.arange(0.0, tree.total, max(1, tree.total // 40)) + 0.5
        np.testing.assert_array_equal(
            tree.find(masses), np.searchsorted(np.cumsum(values), masses, side="right")
        )


def test_a_mass_at_the_end_finds_the_last_value_there_is():
    tree = SumTree(1000)
    tree.set(np.array([3, 700]), np.array([0.1, 0.2], np.float32))
    assert tree.find(np.array([tree.total, 1e9])).tolist() == [700, 700]
    assert tree.find(np.array([0.0])).tolist() == [3]


def test_grown_and_rebuilt_trees_are_equal():
    rng = np.random.default_rng(1)
    grown, rebuilt = SumTree(3000), SumTree(3000)
    for _ in range(50):
        grown.set(rng.integers(0, 3000, 100), rng.random(100).astype(np.float32))
    rebuilt.leaves[:] = grown.leaves
    rebuilt.rebuild()
    np.testing.assert_array_equal(grown.nodes, rebuilt.nodes)


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        SumTree(0)
    tree = SumTree(10)
    with pytest.raises(IndexError, match="0-9"):
        tree.set(np.array([10]), np.array([1.0], np.float32))
    for value in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            tree.set(np.array([1]), np.array([value], np.float32))
