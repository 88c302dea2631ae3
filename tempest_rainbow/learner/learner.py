"""The learner: holds the networks, learns from batches, and chooses actions."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempest_rainbow.config.settings import LearnerConfig, NetworkConfig
from tempest_rainbow.device import choose_device, keep_freed_memory
from tempest_rainbow.learner.updater import LocalUpdater, NotFiniteError, StepOptions, StepResult, Updater
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.replay.batch import Batch

__all__ = ["Learner", "NotFiniteError", "StepResult"]


class Learner:
    """Learns a network from batches. `step` belongs to one thread; `act` may be called from another.

    Attributes:
        network: the network that learns.
        target: the network that estimates the rest of the returns.
        device: where both are.
    """

    def __init__(
        self,
        network_config: NetworkConfig,
        config: LearnerConfig,
        observation_size: int,
        action_count: int,
        device: str = "cpu",
        seed: int = 0,
        deterministic: bool = False,
        make_updater: Callable[[RainbowNetwork, RainbowNetwork, LearnerConfig, bool], Updater] = LocalUpdater,
    ) -> None:
        """Draw the weights from ``seed`` and prepare everything.

        Args:
            network_config: the network's settings.
            config: the learner's settings.
            observation_size: values per observation.
            action_count: actions.
            device: "cpu", "cuda", "mps" or "auto".
            seed: of the weights.
            deterministic: same seed and batches, same weights: plain float32, nothing chosen by measurement.
            make_updater: returns what makes the steps.

        Raises:
            ValueError: a setting is out of range or the device is not available.
        """
        _check_settings(network_config, config)
        keep_freed_memory()
        self.config = config
        self.device = choose_device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = RainbowNetwork(network_config, observation_size, action_count).to(self.device)
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self._acting = copy.deepcopy(self.target)
        self._acting_lock = threading.Lock()
        self._updater = make_updater(self.network, self.target, config, deterministic)
        self._published_step = 0

    @property
    def steps(self) -> int:
        """Number of steps made."""
        return self._updater.steps

    @property
    def precision(self) -> str:
        """Precision of the matrix products: "float32", "bfloat16", or "auto" before the first step."""
        return self._updater.precision

    def step(
        self,
        batch: Batch,
        learning_rate: float | None = None,
        imitation_weight: float = 0.0,
        metrics: bool = False,
        prior_weight: float = 0.0,
        target: Tensor | None = None,
        before_update: Callable[[], object] | None = None,
    ) -> StepResult:
        """Learn from one batch.

        Args:
            batch: the transitions.
            learning_rate: instead of the setting's.
            imitation_weight: weight of the imitation loss.
            metrics: also return metrics.
            prior_weight: as in `act`, for the next action.
            target: what `target_distribution` returned for this batch; None: compute it.
            before_update: called before the weights change.

        Raises:
            NotFiniteError: the gradient is not finite.
        """
        options = StepOptions(learning_rate, imitation_weight, metrics, prior_weight)
        result = self._updater.step(batch, options, target, before_update)
        if self.steps % self.config.publish_steps == 0:
            self.publish()
        return result

    def target_distribution(self, batch: Batch, prior_weight: float = 0.0) -> Tensor | None:
        """Return a batch's target distributions (B, K) by the present weights, for a later `step` on it.

        It is two fifths of a step's work. Another thread may do it during the `step` on the batch before, which
        must not change the weights meanwhile. None where a step has to compute them itself.
        """
        return self._updater.target_distribution(batch, prior_weight)

    def act(
        self, observations: NDArray[np.floating], prior_weight: float = 0.0
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Choose the best action for each observation by the last published weights.

        Args:
            observations: (N, D).
            prior_weight: weight of the imitated policy's log-probabilities, added to the expected returns. It keeps
                the choice near the teacher's while the returns are not learnt yet (needs a policy head).

        Returns:
            actions (N,) and expected returns (N, A), without what the imitated policy adds.
        """
        with self._acting_lock, torch.inference_mode():
            network = self._acting
            inputs = torch.from_numpy(np.asarray(observations, np.float32)).to(self.device)
            features = network.features(inputs)
            q = network.head.q_of(features)
            preferences = network.preferences(features, q, prior_weight)
            return preferences.argmax(dim=1).cpu().numpy(), q.cpu().numpy()

    def publish(self) -> None:
        """Let `act` use the current weights."""
        with self._acting_lock, torch.no_grad():
            torch._foreach_copy_(list(self._acting.parameters()), list(self.network.parameters()))
            self._published_step = self.steps

    def published(self) -> tuple[int, dict[str, NDArray[np.float32]]]:
        """Return the weights that `act` uses: their step, and copies by name."""
        with self._acting_lock:
            weights = {name: value.cpu().numpy().copy() for name, value in self._acting.state_dict().items()}
            return self._published_step, weights

    def close(self) -> None:
        """End the processes that learn, if there are any."""
        self._updater.close()

    def get_state(self) -> dict[str, Any]:
        """Return ``tensors`` by name (copies, on the CPU) and ``scalars`` fit for JSON."""
        state = self._updater.get_state()
        for prefix, network in self._networks():
            for name, value in network.state_dict().items():
                state["tensors"][f"{prefix}.{name}"] = value.detach().cpu().clone()
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned.

        Raises:
            ValueError: the state is of another network.
        """
        for prefix, network in self._networks():
            start = f"{prefix}."
            weights = {
                name.removeprefix(start): value
                for name, value in state["tensors"].items()
                if name.startswith(start)
            }
            self._load(network, weights)
        self._updater.set_state(state)
        self._published_step = self.steps - self.steps % self.config.publish_steps

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a trained network, by name, before the first step.

        Raises:
            ValueError: they are of another network.
        """
        for _, network in self._networks():
            self._load(network, weights)

    def _load(self, network: RainbowNetwork, weights: Mapping[str, Tensor]) -> None:
        try:
            with self._acting_lock:
                network.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"the saved weights are of another network: {error}") from error

    def _networks(self) -> list[tuple[str, RainbowNetwork]]:
        return [("network", self.network), ("target", self.target), ("acting", self._acting)]


def _check_settings(network: NetworkConfig, config: LearnerConfig) -> None:
    if config.imitation == "policy" and not network.policy_head:
        raise ValueError("imitation 'policy' needs a network with policy_head")
    if config.improvement > 0.0 and not network.policy_head:
        raise ValueError("improvement needs a network with policy_head")
    if config.improvement < 0.0 or config.improvement_temperature <= 0.0:
        raise ValueError("improvement must not be negative and improvement_temperature above 0")
    if config.gradient_clip <= 0.0 or config.learning_rate < 0.0:
        raise ValueError("gradient_clip must be above 0 and learning_rate not below")
    if not 0.0 <= config.target_polyak <= 1.0 or config.target_update_steps < 1 or config.publish_steps < 1:
        raise ValueError(
            "target_polyak must lie within 0-1, target_update_steps and publish_steps be at least 1"
        )
    if config.munchausen_temperature <= 0.0 or config.imitation_temperature <= 0.0:
        raise ValueError("temperatures must be above 0")
