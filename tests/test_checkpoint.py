"""Checkpoints: everything is read as it was written, and every checkpoint is complete, killed or not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tempest_gym.files import write_bytes
from tempest_rainbow import checkpoint
from tempest_rainbow.checkpoint import (
    CheckpointError,
    Checkpoints,
    read_tree,
    read_weights,
    write_tree,
    write_weights,
)

arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.float16, np.int64, np.uint64, np.uint8, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
names = st.text(min_size=1, max_size=8).filter(lambda name: not name.startswith("$"))
leaves = (
    arrays
    | st.binary(max_size=20)
    | st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(max_size=10)
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
)


def assert_same(one, two):
    assert type(one) is type(two)
    if isinstance(one, np.ndarray):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    elif isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            assert_same(one[key], two[key])
    elif isinstance(one, list):
        assert len(one) == len(two)
        for left, right in zip(one, two, strict=True):
            assert_same(left, right)
    else:
        assert one == two


@given(trees)
def test_any_state_is_read_as_it_was_written(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("tree") / "state"
    write_tree(path, tree)
    assert_same(tree, read_tree(path))


def test_tensors_keep_their_type_and_value(tmp_path):
    tree = {"a": torch.arange(6).reshape(2, 3)[:, ::2], "b": torch.tensor(2.5, dtype=torch.bfloat16)}
    write_tree(tmp_path / "state.safetensors", tree)
    back = read_tree(tmp_path / "state.safetensors")
    for name, tensor in tree.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


@pytest.mark.parametrize("tree", [{"f": print}, {1: 2}, {"$array": 1}, {"s": {1, 2}}])
def test_what_cannot_be_kept_is_refused(tmp_path, tree):
    with pytest.raises(TypeError):
        write_tree(tmp_path / "state.safetensors", tree)


def test_damaged_and_missing_files_are_distinguished(tmp_path):
    with pytest.raises(CheckpointError, match="missing"):
        read_tree(tmp_path / "none")
    write_tree(tmp_path / "state.safetensors", {"a": np.zeros(100)})
    whole = (tmp_path / "state.safetensors").read_bytes()
    (tmp_path / "state.safetensors").write_bytes(whole[:-9])
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_tree(tmp_path / "state.safetensors")


def test_weights_carry_their_card(tmp_path):
    weights = {"layer.weight": torch.randn(3, 4)}
    write_weights(tmp_path / "w.safetensors", weights, {"network": {"trunk": [3]}, "action_count": 4})
    back, card = read_weights(tmp_path / "w.safetensors")
    assert torch.equal(back["layer.weight"], weights["layer.weight"])
    assert card == {"network": {"trunk": [3]}, "action_count": 4}
    with pytest.raises(CheckpointError, match="does not exist"):
        read_weights(tmp_path / "x.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(CheckpointError, match="not a readable safetensors"):
        read_weights(tmp_path / "bad.safetensors")


def save(checkpoints, frames, **more):
    return checkpoints.save(frames, {"frames": frames}, {"w": torch.full((4,), float(frames))}, {}, **more)


def test_the_last_few_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    with pytest.raises(CheckpointError, match="contains no checkpoint"):
        checkpoints.latest()
    checkpoints.mark_best(save(checkpoints, 10), {"mean": 7.0})
    for frames in (20, 30, 40):
        save(checkpoints, frames)
    assert [path.name for path in checkpoints.all()] == ["000000000010", "000000000030", "000000000040"]
    assert checkpoints.best().name == "000000000010"
    assert checkpoints.best_mean() == 7.0
    checkpoints.mark_best(checkpoints.latest(), {"mean": 8.0})
    assert [path.name for path in checkpoints.all()] == ["000000000030", "000000000040"]


def test_a_second_save_at_the_same_frames_is_the_newer_one(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    first, second = save(checkpoints, 10), save(checkpoints, 10)
    assert first != second
    assert checkpoints.all() == [second]


class Crash(BaseException):
    """Stands for the moment at which the process is killed."""


def test_a_crash_at_any_file_operation_leaves_the_old_or_the_new_checkpoint(tmp_path, monkeypatch):
    """Every call that touches the disk is made the last one, in turn."""
    operations = [
        (os, "replace"),
        (os, "rename"),
        (os, "fsync"),
        (Path, "mkdir"),
        (checkpoint, "save_tensors"),
        (checkpoint.shutil, "rmtree"),
    ]
    at = 0
    while True:
        folder = tmp_path / str(at)
        checkpoints = Checkpoints(folder, keep=1)
        save(checkpoints, 1)
        with monkeypatch.context() as patch:
            left = at

            def guarded(call):
                def wrapped(*arguments, **keywords):
                    nonlocal left
                    if left == 0:
                        raise Crash
                    left -= 1
                    return call(*arguments, **keywords)

                return wrapped

            for owner, name in operations:
                patch.setattr(owner, name, guarded(getattr(owner, name)))
            try:
                save(checkpoints, 2)
                finished = True
            except Crash:
                finished = False
        latest = Checkpoints(folder, keep=1).latest()
        frames = read_tree(latest / "state.safetensors")["frames"]
        weights, _ = read_weights(latest / "weights.safetensors")
        assert frames in (1, 2)
        assert torch.equal(weights["w"], torch.full((4,), float(frames)))
        if finished:
            break
        save(Checkpoints(folder, keep=1), 3)
        assert [path.name for path in folder.iterdir()] == ["000000000003"], "leftovers are removed"
        at += 1
    assert at > 10


WRITER = """
import sys, torch
from pathlib import Path
from tempest_rainbow.checkpoint import Checkpoints
checkpoints = Checkpoints(Path(sys.argv[1]), keep=2)
for frames in range(1, 10**6):
    weights = {"w": torch.full((20_000,), float(frames))}
    checkpoints.save(frames, {"frames": frames, "more": weights["w"]}, weights, {})
    if frames == 3:
        print("ready", flush=True)
"""


def test_killing_the_writer_leaves_a_whole_checkpoint(tmp_path):
    for round_ in range(4):
        folder = tmp_path / str(round_)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.037 * round_)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        latest = Checkpoints(folder, keep=2).latest()
        state = read_tree(latest / "state.safetensors")
        assert state["frames"] == int(latest.name)
        assert torch.equal(state["more"], torch.full((20_000,), float(state["frames"])))
        assert torch.equal(read_weights(latest / "weights.safetensors")[0]["w"], state["more"])


def test_write_bytes_replaces_and_leaves_nothing_beside(tmp_path):
    write_bytes(tmp_path / "a", b"old")
    write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1
