"""A sum tree of 16-way nodes: draws an index in proportion to its value in a few cache lines.

The leaves are float32, the inner nodes float64 and always the exact float64 sum of their children in index
order, so a tree rebuilt from its leaves equals the tree that grew by updates. All kernels release the GIL.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tempest_gym.code_cache import compiled

__all__ = ["SumTree"]

_FAN_OUT = 16


@compiled(nogil=True, boundscheck=False)
def set_leaf(
    leaves: NDArray[np.float32],
    nodes: NDArray[np.float64],
    offsets: NDArray[np.int64],
    index: int,
    value: float,
) -> None:
    """Set one leaf and the sums above it."""
    leaves[index] = value
    child = index // _FAN_OUT
    total = 0.0
    for i in range(child * _FAN_OUT, (child + 1) * _FAN_OUT):
        total += leaves[i]
    nodes[child] = total
    for level in range(1, offsets.shape[0]):
        parent = child // _FAN_OUT
        base = offsets[level - 1] + parent * _FAN_OUT
        total = 0.0
        for i in range(base, min(base + _FAN_OUT, offsets[level])):
            total += nodes[i]
        nodes[offsets[level] + parent] = total
        child = parent


@compiled(nogil=True, boundscheck=False)
def find_leaf(
    leaves: NDArray[np.float32], nodes: NDArray[np.float64], offsets: NDArray[np.int64], mass: float
) -> int:
    """Return the first leaf whose running sum exceeds ``mass``; never one whose value is 0."""
    position = 0
    for level in range(offsets.shape[0] - 2, -1, -1):
        base = offsets[level] + position * _FAN_OUT
        end = min(base + _FAN_OUT, offsets[level + 1])
        chosen = base
        for i in range(base, end):
            value = nodes[i]
            if value > 0.0:
                chosen = i
                if mass < value:
                    break
                mass -= value
        else:
            mass = np.inf  # rounding: the mass is at or beyond the end, so take the last leaf
        position = chosen - offsets[level]
    base = position * _FAN_OUT
    chosen = base
    for i in range(base, base + _FAN_OUT):
        value = leaves[i]
        if value > 0.0:
            chosen = i
            if mass < value:
                break
            mass -= value
    return chosen


@compiled(nogil=True)
def _rebuild(leaves: NDArray[np.float32], nodes: NDArray[np.float64], offsets: NDArray[np.int64]) -> None:
    for parent in range(leaves.shape[0] // _FAN_OUT):
        total = 0.0
        for i in range(parent * _FAN_OUT, (parent + 1) * _FAN_OUT):
            total += leaves[i]
        nodes[parent] = total
    for level in range(1, offsets.shape[0]):
        end = offsets[level + 1] if level + 1 < offsets.shape[0] else nodes.shape[0]
        for parent in range(end - offsets[level]):
            base = offsets[level - 1] + parent * _FAN_OUT
            total = 0.0
            for i in range(base, min(base + _FAN_OUT, offsets[level])):
                total += nodes[i]
            nodes[offsets[level] + parent] = total


@compiled(nogil=True)
def _set_many(
    leaves: NDArray[np.float32],
    nodes: NDArray[np.float64],
    offsets: NDArray[np.int64],
    indices: NDArray[np.int64],
    values: NDArray[np.float32],
) -> None:
    for i in range(indices.shape[0]):
        set_leaf(leaves, nodes, offsets, indices[i], values[i])


@compiled(nogil=True)
def _find_many(
    leaves: NDArray[np.float32],
    nodes: NDArray[np.float64],
    offsets: NDArray[np.int64],
    masses: NDArray[np.float64],
    found: NDArray[np.int64],
) -> None:
    for i in range(masses.shape[0]):
        found[i] = find_leaf(leaves, nodes, offsets, masses[i])


class SumTree:
    """Non-negative values by index, with their sum, drawn in proportion to the value.

    Attributes:
        leaves: (capacity rounded up to 16,) float32, the values.
        nodes: float64, the sums of every 16 leaves, then of every 16 of those, up to the root, which is last.
        offsets: (levels,) int64, where each level starts in ``nodes``.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a sum tree needs room for at least one value, got capacity {capacity}")
        self.capacity = capacity
        sizes = [-(-capacity // _FAN_OUT)]
        while sizes[-1] > 1:
            sizes.append(-(-sizes[-1] // _FAN_OUT))
        self.leaves = np.zeros(sizes[0] * _FAN_OUT, np.float32)
        self.nodes = np.zeros(sum(sizes), np.float64)
        self.offsets = np.cumsum([0, *sizes[:-1]]).astype(np.int64)

    @staticmethod
    def bytes_for(capacity: int) -> int:
        """Return the memory, in bytes, of a tree of this capacity (to within a few nodes)."""
        leaves = -(-capacity // _FAN_OUT) * _FAN_OUT
        return 4 * leaves + 8 * (leaves // (_FAN_OUT - 1) + 8)

    @property
    def total(self) -> float:
        """The sum of all values."""
        return float(self.nodes[-1])

    def set(self, indices: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Set the values at ``indices``; of an index given twice the last value stands."""
        indices = np.ascontiguousarray(indices, np.int64)
        values = np.ascontiguousarray(values, np.float32)
        if indices.size and not (indices.min() >= 0 and indices.max() < self.capacity):
            raise IndexError(f"indices must lie within 0-{self.capacity - 1}")
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise ValueError("values must be finite and not negative")
        _set_many(self.leaves, self.nodes, self.offsets, indices, values)

    def find(self, masses: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return for every mass in [0, total) the index whose share of the running sum holds it."""
        masses = np.ascontiguousarray(masses, np.float64)
        found = np.empty(masses.shape, np.int64)
        _find_many(self.leaves, self.nodes, self.offsets, masses, found)
        return found

    def rebuild(self) -> None:
        """Recompute all sums from the leaves (after writing ``leaves`` directly)."""
        _rebuild(self.leaves, self.nodes, self.offsets)

    def check_valid(self) -> None:
        """Raise AssertionError naming the broken invariant, if one is broken."""
        twin = SumTree(self.capacity)
        twin.leaves[:] = self.leaves
        twin.rebuild()
        assert (self.leaves >= 0).all(), "a value is negative"
        assert not self.leaves[self.capacity :].any(), "a leaf beyond the capacity is not 0"
        assert np.array_equal(twin.nodes, self.nodes), "an inner node is not the sum of its children"
