"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all.

A state is a tree of dicts and lists whose leaves are arrays, tensors, bytes, numbers, strings,
booleans and None. Arrays go into a safetensors file, the rest as JSON with references to them into its
header; nothing is pickled, so reading a checkpoint never runs code.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save as save_tensors

from tempest_gym.files import LARGEST_TEXT, read_json, sync, write_bytes

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "frames_of",
    "read_tree",
    "read_weights",
    "write_tree",
    "write_weights",
]

_log = logging.getLogger(__name__)

_ARRAY, _TENSOR, _BYTES = "$array", "$tensor", "$bytes"
_TREE = "tempest_rainbow_state"
STATE = "state.safetensors"
WEIGHTS = "weights.safetensors"
REPLAY = "replay"


_NAME = re.compile(r"\d{12}(-\d{3})?")


class CheckpointError(ValueError):
    """A checkpoint is missing, incomplete or of another kind; the message names it and what to do."""


def _split(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    def keep(kind: str, tensor: torch.Tensor, **extra: Any) -> dict[str, Any]:
        name = str(len(tensors))
        tensors[name] = tensor.detach().to("cpu", copy=True).contiguous()
        return {kind: name, **extra}

    if isinstance(tree, torch.Tensor):
        return keep(_TENSOR, tree)
    if isinstance(tree, np.ndarray):
        if tree.dtype == np.uint64:  # older safetensors know no uint64
            return keep(_ARRAY, torch.from_numpy(tree.view(np.int64).copy()), dtype="uint64")
        return keep(_ARRAY, torch.from_numpy(np.ascontiguousarray(tree).reshape(tree.shape).copy()))
    if isinstance(tree, (bytes, bytearray)):
        return keep(
            _BYTES, torch.frombuffer(bytearray(tree) or bytearray(1), dtype=torch.uint8), length=len(tree)
        )
    if isinstance(tree, Mapping):
        for key in tree:
            if not isinstance(key, str) or key.startswith("$"):
                raise TypeError(
                    f"keys of a saved state must be strings that do not start with $, got {key!r}"
                )
        return {key: _split(value, tensors) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_split(value, tensors) for value in tree]
    if isinstance(tree, np.generic):
        return tree.item()
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"a saved state cannot hold a {type(tree).__name__}")


def can_be_saved(tree: Any) -> bool:
    """Return whether a saved state can hold this: arrays, tensors, bytes, plain values, and lists and dicts of them."""
    try:
        _split(tree, {})
    except TypeError:
        return False
    return True


def _join(tree: Any, load: Callable[[str], torch.Tensor]) -> Any:
    if isinstance(tree, list):
        return [_join(value, load) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if _TENSOR in tree:
        return load(tree[_TENSOR])
    if _ARRAY in tree:
        array = load(tree[_ARRAY]).numpy()
        return array.view(np.uint64) if tree.get("dtype") == "uint64" else array
    if _BYTES in tree:
        return load(tree[_BYTES]).numpy().tobytes()[: tree["length"]]
    return {key: _join(value, load) for key, value in tree.items()}


def write_tree(path: Path, tree: Any) -> None:
    """Write a state as one safetensors file, which has the old or the new content at any moment.

    Raises:
        TypeError: the tree holds something other than arrays, tensors, bytes and plain values.
    """
    tensors: dict[str, torch.Tensor] = {}
    plain = _split(tree, tensors)
    write_bytes(path, save_tensors(tensors, metadata={_TREE: json.dumps(plain)}))


def read_tree(path: Path) -> Any:
    """Read what `write_tree` wrote: tuples as lists, everything else as it was.

    Raises:
        CheckpointError: the file is missing, damaged or another one.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing, so no state can be read")
    try:
        with safe_open(path, framework="pt") as file:
            plain = (file.metadata() or {}).get(_TREE)
            # Version 0.1 had this part in a file beside it.
            tree = read_json(path.with_suffix(".json")) if plain is None else json.loads(plain)
            return _join(tree, file.get_tensor)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read ({error}); take another checkpoint") from error


def write_weights(path: Path, weights: Mapping[str, torch.Tensor], card: Mapping[str, Any]) -> None:
    """Write network weights as one safetensors file with ``card`` (what is needed to use them) in its
    header."""
    tensors = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in weights.items()}
    write_bytes(path, save_tensors(tensors, metadata={"tempest_rainbow": json.dumps(dict(card))}))


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return weights and card of a file that ``write_weights`` wrote.

    Raises:
        CheckpointError: the file is missing, damaged or from elsewhere.
    """
    if not path.is_file():
        raise CheckpointError(f"the weights file {path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            card = (file.metadata() or {}).get("tempest_rainbow")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except Exception as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({error})") from error
    if card is None:
        raise CheckpointError(
            f"{path} carries no description of its network; it was not written by tempest-rainbow"
        )
    try:
        described = json.loads(card)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} carries a damaged description of its network ({error})") from error
    if not isinstance(described, dict):
        raise CheckpointError(f"{path} carries no description of its network but {described!r:.40}")
    return weights, described


def frames_of(checkpoint: Path) -> int:
    """Return the frames that had been collected when a checkpoint of `Checkpoints` was saved."""
    return int(checkpoint.name.partition("-")[0])


class Checkpoints:
    """The checkpoints of a run: the last few, and the best by evaluation.

    Each is a folder named by its frames, which is filled under a temporary name, synced and renamed;
    one to be deleted is renamed first. So a folder with the right name is always complete.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        """Manage the checkpoints in ``folder`` (created if missing), keeping the last ``keep``."""
        self.folder = folder
        self.keep = keep
        folder.mkdir(parents=True, exist_ok=True)

    def all(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())

    def latest(self) -> Path:
        """Return the newest checkpoint.

        Raises:
            CheckpointError: there is no checkpoint.
        """
        found = self.all()
        if not found:
            raise CheckpointError(f"{self.folder} contains no checkpoint")
        return found[-1]

    def last_good(self) -> str:
        """Return words that name the newest checkpoint."""
        try:
            return f"the last good checkpoint is {self.latest()}"
        except CheckpointError:
            return "no checkpoint was saved yet"

    def best(self) -> Path:
        """Return the checkpoint with the best evaluation, the newest if none was evaluated.

        Raises:
            CheckpointError: there is no checkpoint.
        """
        record = self._record()
        if record is not None and (self.folder / record["name"]).is_dir():
            return self.folder / record["name"]
        return self.latest()

    def best_mean(self) -> float:
        """Return the mean score of the best evaluation so far, minus infinity before the first."""
        record = self._record()
        return float(record["evaluation"]["mean"]) if record else float("-inf")

    def save(
        self,
        frames: int,
        state: Any,
        weights: Mapping[str, torch.Tensor],
        card: Mapping[str, Any],
        *,
        save_replay: Callable[[Path], None] | None = None,
    ) -> Path:
        """Write a checkpoint and remove those no longer wanted.

        Args:
            frames: frames collected so far, its name.
            state: the whole trainer's state.
            weights: the network's weights, written apart so that they can be used alone.
            card: what is needed to use the weights.
            save_replay: writes the replay into the folder it is given; None leaves it out.
        """
        final = self.folder / f"{frames:012d}"
        for serial in itertools.count(1):
            if not final.exists():
                break
            final = self.folder / f"{frames:012d}-{serial:03d}"
        temporary = self.folder / f".{final.name}.{uuid.uuid4().hex[:8]}.tmp"
        temporary.mkdir()
        try:
            write_weights(temporary / WEIGHTS, weights, card)
            write_tree(temporary / STATE, state)
            if save_replay is not None:
                (temporary / REPLAY).mkdir()
                save_replay(temporary / REPLAY)
                for path in (temporary / REPLAY).rglob("*"):
                    sync(path)
                sync(temporary / REPLAY)
            sync(temporary)
            os.rename(temporary, final)
            sync(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._tidy()
        return final

    def mark_best(self, checkpoint: Path, evaluation: Mapping[str, Any]) -> None:
        """Record ``checkpoint`` as the best so far with its evaluation."""
        record = {"name": checkpoint.name, "evaluation": dict(evaluation)}
        write_bytes(self.folder / "best.json", json.dumps(record, indent=1).encode())
        self._tidy()

    def _record(self) -> dict[str, Any] | None:
        """Return what ``mark_best`` wrote, None if there is nothing of that kind."""
        path = self.folder / "best.json"
        try:
            record = read_json(path, LARGEST_TEXT)
            if _NAME.fullmatch(record["name"]) and math.isfinite(record["evaluation"]["mean"]):
                return record
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning("%s is damaged (%s): no checkpoint counts as the best", path, error)
            return None
        _log.warning("%s names no checkpoint: none counts as the best", path)
        return None

    def _tidy(self) -> None:
        record = self._record()
        best = record["name"] if record else None
        complete = self.all()
        for path in complete[: -self.keep or None]:
            if path.name != best:
                os.rename(path, self.folder / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        for path in self.folder.glob(".*.tmp"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
