"""The compiled half of the replay: writing rows into rings and reading n-step windows out of them.

Every environment owns one ring of rows. A row is one step: the observation acted on, the action, what it
earned and how it ended. The observation that follows a step is the next row's; only a truncated step is
followed by a row of its own that holds nothing but the final observation. A row may be drawn once its window
of n steps is complete. All kernels release the GIL; the caller holds the replay's lock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tempest_gym.code_cache import compiled
from tempest_rainbow.replay.sum_tree import find_leaf, set_leaf

__all__ = ["TERMINATED", "TRUNCATED", "gather_windows", "set_current", "write_rows"]

TERMINATED = 1
"""Flag of a row whose step ended the episode: nothing follows."""

TRUNCATED = 2
"""Flag of a row whose step was cut off by a limit: the next row is the final observation."""

FINAL = 4
"""Flag of a row that only holds the final observation of a truncated episode."""

ACTOR_SHIFT = 4


@compiled(nogil=True, boundscheck=False)
def _activate(
    leaves: NDArray[np.float32],
    nodes: NDArray[np.float64],
    offsets: NDArray[np.int64],
    base: int,
    length: int,
    newest: int,
    count: int,
    value: float,
) -> None:
    for back in range(count):
        set_leaf(leaves, nodes, offsets, base + (newest - back) % length, value)


@compiled(nogil=True, boundscheck=False)
def write_rows(
    rows: tuple,
    tree: tuple,
    cursor: tuple,
    step: tuple,
    n_step: int,
    value: float,
) -> int:
    """Write steps into the rings of their environments, in order, and make completed windows drawable.

    Args:
        rows: observations (R, D) as unsigned integers, actions (R,), rewards (R,), flags (R,), expert
            actions (R,).
        tree: leaves, nodes, offsets of the sum tree over the R rows.
        cursor: per environment the rows ever written and the rows whose window is still open.
        step: environments (k,), observations (k, D), actions, rewards, flags, expert actions, final
            observations.
        n_step: rows per window.
        value: the tree's value of a newly drawable row.

    Returns:
        The net change in the number of drawable rows.
    """
    observations, actions, rewards, flags, experts = rows
    leaves, nodes, offsets = tree
    written, open_windows = cursor
    environments, new_observations, new_actions, new_rewards, new_flags, new_experts, finals = step
    length = observations.shape[0] // written.shape[0]
    change = 0
    for i in range(environments.shape[0]):
        environment = environments[i]
        base = environment * length
        slot = written[environment] % length
        row = base + slot
        if leaves[row] > 0.0:
            change -= 1
            set_leaf(leaves, nodes, offsets, row, 0.0)
        observations[row] = new_observations[i]
        actions[row] = new_actions[i]
        rewards[row] = new_rewards[i]
        flags[row] = new_flags[i]
        experts[row] = new_experts[i]
        written[environment] += 1
        # The new observation closes the window that started n steps ago.
        opened = open_windows[environment]
        if opened == n_step:
            _activate(leaves, nodes, offsets, base, length, slot - n_step, 1, value)
            change += 1
        else:
            opened += 1
        if new_flags[i] & (TERMINATED | TRUNCATED):
            if new_flags[i] & TRUNCATED:
                following = written[environment] % length
                final_row = base + following
                if leaves[final_row] > 0.0:
                    change -= 1
                    set_leaf(leaves, nodes, offsets, final_row, 0.0)
                observations[final_row] = finals[i]
                actions[final_row] = 0
                rewards[final_row] = 0.0
                flags[final_row] = FINAL
                experts[final_row] = -1
                written[environment] += 1
            _activate(leaves, nodes, offsets, base, length, slot, opened, value)
            change += opened
            opened = 0
        open_windows[environment] = opened
    return change


@compiled(nogil=True, boundscheck=False)
def gather_windows(
    rows: tuple,
    tree: tuple,
    written: NDArray[np.int64],
    masses: NDArray[np.float64],
    n_step: int,
    gamma: float,
    out: tuple,
) -> None:
    """Draw one row per mass and form its n-step transition.

    Args:
        rows: as for `write_rows`.
        tree: as for `write_rows`.
        written: per environment the rows ever written.
        masses: (B,) float64 within [0, total of the tree).
        n_step: the longest window.
        gamma: discount of one step.
        out: indices, stamps, values of the tree, observations, actions, returns, discounts, next
            observations, expert actions and actors; (B, ...) arrays to be filled.
    """
    observations, actions, rewards, flags, experts = rows
    leaves, nodes, offsets = tree
    indices, stamps, values, first, taken, returns, discounts, following, advised, actors = out
    length = observations.shape[0] // written.shape[0]
    for i in range(masses.shape[0]):
        row = find_leaf(leaves, nodes, offsets, masses[i])
        environment = row // length
        base = environment * length
        slot = row - base
        indices[i] = row
        # The number of this row among all that its environment ever wrote shows later whether it is still the same.
        count = written[environment]
        stamps[i] = count - 1 - (count - 1 - slot) % length
        values[i] = leaves[row]
        first[i] = observations[row]
        taken[i] = actions[row]
        advised[i] = experts[row]
        actors[i] = flags[row] >> ACTOR_SHIFT
        total = 0.0
        discount = 1.0
        for _ in range(n_step):
            current = base + slot
            total += discount * rewards[current]
            discount *= gamma
            slot += 1
            if slot == length:
                slot = 0
            if flags[current] & (TERMINATED | TRUNCATED):
                if flags[current] & TERMINATED:
                    discount = 0.0
                    slot = current - base
                break
        returns[i] = total
        discounts[i] = discount
        following[i] = observations[base + slot]


@compiled(nogil=True, boundscheck=False)
def set_current(
    tree: tuple,
    written: NDArray[np.int64],
    length: int,
    indices: NDArray[np.int64],
    stamps: NDArray[np.int64],
    values: NDArray[np.float32],
) -> int:
    """Set the tree's values of those rows that are still what they were when drawn; return how many are not.

    Args:
        tree: as for `write_rows`.
        written: per environment the rows ever written.
        length: rows per ring.
        indices: (B,) rows.
        stamps: (B,) their stamps, as `gather_windows` gave them.
        values: (B,) the new values, above 0.
    """
    leaves, nodes, offsets = tree
    stale = 0
    for i in range(indices.shape[0]):
        row = indices[i]
        environment = row // length
        count = written[environment]
        slot = row - environment * length
        if count - 1 - (count - 1 - slot) % length == stamps[i] and leaves[row] > 0.0:
            set_leaf(leaves, nodes, offsets, row, values[i])
        else:
            stale += 1
    return stale
