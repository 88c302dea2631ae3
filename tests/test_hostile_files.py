"""Run folders, checkpoints, replays and settings made to harm: an error in a sentence, and nothing else."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tempest_rainbow.checkpoint import CheckpointError, Checkpoints, read_tree, write_tree, write_weights
from tempest_rainbow.cli import main
from tempest_rainbow.config.settings import NetworkConfig
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.policy import load_stored, network_card
from tempest_rainbow.replay.replay import Replay, ReplayConfig

SMALL = NetworkConfig(encoder="none", trunk=(8,), head=8, atoms=5)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def damage_state(plain: Path, tensors: Path, kind: str, victim: Path) -> None:
    """Put something else in the place of a state's JSON or tensors."""
    whole = plain.read_bytes()
    if kind == "cut":
        plain.write_bytes(whole[: len(whole) // 2])
    elif kind == "pickle":
        plain.write_bytes(pickle.dumps(Bomb(victim)))
    elif kind == "pickled tensors":
        tensors.write_bytes(pickle.dumps(Bomb(victim)))
    elif kind == "deep":
        plain.write_bytes(b"[" * 200_000)
    elif kind == "sparse":
        os.truncate(plain, 1 << 40)
    elif kind == "sparse tensors":
        os.truncate(tensors, 1 << 40)
    elif kind == "device":
        plain.unlink()
        plain.symlink_to("/dev/zero")
    elif kind == "pipe":
        plain.unlink()
        os.mkfifo(plain)
    elif kind == "folder":
        plain.unlink()
        plain.mkdir()
    elif kind == "unknown tensor":
        plain.write_text('{"a": {"$array": "99"}}')
    elif kind == "wrong reference":
        plain.write_text('{"a": {"$bytes": ["0"], "length": -1}}')
    elif kind == "header of a terabyte":
        tensors.write_bytes((1 << 40).to_bytes(8, "little") + b"{}")


STATES = (
    *("cut", "pickle", "pickled tensors", "deep", "sparse", "sparse tensors", "device", "pipe", "folder"),
    *("unknown tensor", "wrong reference", "header of a terabyte"),
)


@pytest.mark.parametrize("kind", STATES)
def test_a_hostile_state_is_refused(tmp_path, kind):
    path = tmp_path / "state.safetensors"
    write_tree(path, {"a": np.zeros(10), "b": [1, 2]})
    damage_state(path, path, kind, tmp_path / "victim")
    with pytest.raises(CheckpointError):
        read_tree(path)
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("kind", STATES)
def test_a_hostile_state_of_version_0_1_is_refused(tmp_path, kind):
    path, plain = tmp_path / "state.safetensors", tmp_path / "state.json"
    save_file({"0": torch.zeros(10)}, path)
    plain.write_text('{"a": {"$array": "0"}, "b": [1, 2]}')
    assert read_tree(path)["b"] == [1, 2]
    damage_state(plain, path, kind, tmp_path / "victim")
    with pytest.raises(CheckpointError):
        read_tree(path)
    assert not (tmp_path / "victim").exists()


TREES = ('{"a": {"$ar', "[" * 200_000, '{"a": {"$array": "99"}}', '{"a": {"$bytes": ["0"], "length": -1}}')


@pytest.mark.parametrize("tree", TREES, ids=("cut", "deep", "unknown tensor", "wrong reference"))
def test_a_state_with_a_hostile_header_is_refused(tmp_path, tree):
    path = tmp_path / "state.safetensors"
    save_file({"0": torch.zeros(10)}, path, {"tempest_rainbow_state": tree})
    with pytest.raises(CheckpointError):
        read_tree(path)


CARDS = {
    "no json": "{",
    "deep": "[" * 200_000,
    "a list": "[1]",
    "empty": "{}",
    "another network": json.dumps(network_card(NetworkConfig(encoder="none", trunk=(9,), head=8), 4, 2)),
    "a petabyte": json.dumps(network_card(NetworkConfig(encoder="none", trunk=(10**7, 10**7)), 4, 2)),
    "negative": json.dumps(network_card(NetworkConfig(encoder="none", trunk=(-5,)), 4, 2)),
    "texts": json.dumps(network_card(SMALL, 4, 2) | {"network": {"trunk": "long", "atoms": "many"}}),
    "no network": json.dumps(network_card(SMALL, 4, 2) | {"network": None}),
}


@pytest.mark.parametrize("kind", CARDS)
def test_weights_with_a_hostile_card_are_refused(tmp_path, kind):
    network = RainbowNetwork(SMALL, 4, 2)
    write_weights(tmp_path / "good.safetensors", network.state_dict(), network_card(SMALL, 4, 2))
    assert load_stored(str(tmp_path / "good.safetensors")).network.action_count == 2
    file = tmp_path / "weights.safetensors"
    save_file(
        {name: value.clone() for name, value in network.state_dict().items()},
        file,
        {"tempest_rainbow": CARDS[kind]},
    )
    with pytest.raises(CheckpointError, match=str(file)):
        load_stored(str(file))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b'{"name": "../../elsewhere", "evaluation": {"mean": 1}}',
        b'{"name": "000000000010", "evaluation": 7}',
        b'{"name": "000000000010", "evaluation": {"mean": NaN}}',
        b'{"name": 10}',
    ],
)
def test_a_hostile_record_of_the_best_is_not_followed(tmp_path, content):
    (tmp_path / "elsewhere").mkdir()
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", keep=2)
    (checkpoints.folder / "best.json").write_bytes(content)
    saved = checkpoints.save(10, {"frames": 10}, {"w": torch.zeros(2)}, {})
    assert checkpoints.best() == saved
    assert checkpoints.best_mean() == float("-inf")


def test_links_in_the_folder_of_checkpoints_are_not_followed_outside(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=1)
    for name in ("000000000001", ".000000000002.abc.tmp"):
        (checkpoints.folder / name).symlink_to(outside)
    for frames in (10, 20, 30):
        checkpoints.save(frames, {}, {"w": torch.zeros(2)}, {})
    assert (outside / "kept").read_text() == "kept"
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_a_replay_overwrites_no_other_file(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("do not lose me")
    with pytest.raises(ValueError, match="precious exists and is not a replay"):
        Replay(ReplayConfig(capacity=100, n_step=3, path=precious), 2, 5)
    assert precious.read_text() == "do not lose me"
    for _ in range(2):
        Replay(ReplayConfig(capacity=100, n_step=3, path=tmp_path / "new"), 2, 5).close()


@pytest.mark.parametrize("kind", ["pickle", "cut", "json", "shape"])
def test_a_hostile_replay_is_refused(tmp_path, kind):
    replay = Replay(ReplayConfig(capacity=100, n_step=3), 2, 5)
    replay.save(tmp_path / "replay")
    file = tmp_path / "replay" / "actions.npy"
    if kind == "pickle":
        np.save(file, np.array([Bomb(tmp_path / "victim")], object), allow_pickle=True)
    elif kind == "cut":
        file.write_bytes(file.read_bytes()[:20])
    elif kind == "shape":
        np.save(file, np.zeros((3, 4, 5, 6), np.int16))
    else:
        (tmp_path / "replay" / "replay.json").write_text("[]")
    with pytest.raises(ValueError, match=r"\w"):
        Replay(ReplayConfig(capacity=100, n_step=3), 2, 5).load(tmp_path / "replay")
    assert not (tmp_path / "victim").exists()


SETTINGS = {
    "cut": b"envs = ",
    "wrong type": b'envs = "many"',
    "unknown": b"environments = 3",
    "binary": pickle.dumps({"envs": 3}),
    "deep": b"a = " + b"[" * 100_000,
    "large": b"# " + b"x" * (2 << 20),
    "group": b"network = 3",
    "negative": b"envs = -1",
    "astronomic": b"envs = 1000000000000000\nframes = 1\nenv = 'CartPole-v1'",
    "huge replay": b"[replay]\ncapacity = 100000000000000000",
    "precious replay": b"env = 'CartPole-v1'\n[replay]\npath = 'precious'",
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_hostile_settings_end_in_a_sentence(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(tmp_path)
    Path("precious").write_text("do not lose me")
    Path("settings.toml").write_bytes(SETTINGS[kind])
    assert main(["train", "--config", "settings.toml", "--run", "run", "--dashboard.no-on"]) == 1
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    assert "tempest-rainbow train: " in printed.splitlines()[-1]
    assert Path("precious").read_text() == "do not lose me"
    assert {path.name for path in tmp_path.iterdir()} <= {"precious", "settings.toml", "run"}


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin"])
def test_settings_that_are_devices_are_refused(tmp_path, target):
    (tmp_path / "config.toml").symlink_to(target)
    done = subprocess.run(
        [sys.executable, "-m", "tempest_rainbow.cli", "train", "--resume", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        stdin=subprocess.PIPE,
    )
    assert done.returncode == 1
    assert "is not a regular file" in done.stderr
