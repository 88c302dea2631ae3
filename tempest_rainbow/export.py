"""Writes a policy for use elsewhere, and checks that what was written computes the same."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tempest_rainbow.checkpoint import read_weights, write_weights
from tempest_rainbow.policy import NetworkPolicy, build_network, load_stored

__all__ = ["export", "export_onnx", "export_safetensors"]

_SAMPLES = 64
_TOLERANCE = 1e-3
"""Greatest difference of expected returns between the policy and its export."""


def export(policy: str, output: Path, prior_weight: float | None = None) -> float:
    """Write the policy ``bundled``, or the one stored at a path, and return the greatest difference found.

    Args:
        policy: bundled, run folder, checkpoint or weights file.
        output: .safetensors or .onnx.
        prior_weight: weight of the imitated policy in the choice of actions, instead of the stored one.

    Raises:
        CheckpointError: nothing usable is stored there.
        ValueError: the ending is another, the written file computes something else, or an option does not fit.
        FileNotFoundError: the folder is missing.
        ModuleNotFoundError: onnx and onnxruntime are needed and not installed.
    """
    if not output.parent.is_dir():
        raise FileNotFoundError(f"the folder {output.parent} for {output.name} does not exist")
    player = load_stored(policy)
    if prior_weight is not None:
        player.set_prior_weight(prior_weight)
    if output.suffix == ".safetensors":
        return export_safetensors(player, output)
    if output.suffix == ".onnx":
        return export_onnx(player, output)
    raise ValueError(f"an export ends in .safetensors or .onnx, got {output}")


def export_safetensors(policy: NetworkPolicy, output: Path) -> float:
    """Write weights and card as one safetensors file, which every command takes as a policy."""
    write_weights(output, policy.network.state_dict(), policy.card)
    weights, card = read_weights(output)
    network = build_network(card)
    network.load_state_dict(weights)
    samples = _samples(policy)
    return _compare(policy.values(samples), NetworkPolicy("export", network, card).values(samples), output)


class _Values(torch.nn.Module):
    """Expected returns and preferences as the policy sees them."""

    def __init__(self, policy: NetworkPolicy) -> None:
        super().__init__()
        self.network = policy.network
        self.prior_weight = float(policy.card.get("prior_weight", 0.0))

    def forward(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = observations
        if self.network.encoder is not None:  # its fast form has kernels that no exporter can trace
            inputs = torch.cat([observations, self.network.encoder.forward_textbook(observations)], dim=1)
        features = self.network.trunk(inputs)
        q = self.network.head.mean(self.network.head(features))
        return q, self.network.preferences(features, q, self.prior_weight)


def export_onnx(policy: NetworkPolicy, output: Path) -> float:
    """Write an ONNX file: ``observations`` float32 (batch, size) to ``q_values`` and ``preferences``, float32
    (batch, actions) each; the policy takes the action of greatest preference."""
    import onnx
    import onnxruntime

    samples = _samples(policy)
    names = ["q_values", "preferences"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        torch.onnx.export(
            _Values(policy).eval(),
            (torch.from_numpy(samples[:2]),),
            str(output),
            input_names=["observations"],
            output_names=names,
            dynamic_axes={name: {0: "batch"} for name in ("observations", *names)},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(str(output))
    entry = model.metadata_props.add()
    entry.key, entry.value = "tempest_rainbow", json.dumps(policy.card)
    onnx.checker.check_model(model)
    onnx.save(model, str(output))
    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    return _compare(policy.values(samples), session.run(names, {"observations": samples}), output)


def _samples(policy: NetworkPolicy) -> NDArray[np.float32]:
    generator = np.random.default_rng(0)
    size = int(policy.card["observation_size"])
    return generator.uniform(-1.0, 1.0, (_SAMPLES, size)).astype(np.float32)


def _compare(
    wanted: Sequence[NDArray[np.float32]], got: Sequence[NDArray[np.float32]], output: Path
) -> float:
    difference = max(float(np.abs(one - other).max()) for one, other in zip(wanted, got, strict=True))
    if not difference <= _TOLERANCE:
        raise ValueError(f"{output} computes other values than the policy (difference {difference:.2g})")
    return difference
