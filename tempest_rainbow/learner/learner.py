"""The learner: holds the networks and the optimiser, makes steps on batches, and chooses actions."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempest_rainbow.config.settings import LearnerConfig, NetworkConfig
from tempest_rainbow.device import choose_device, keep_freed_memory
from tempest_rainbow.learner.update import TrainingStep
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.replay.batch import Batch

__all__ = [
    "Learner",
    "NotFiniteError",
    "StepResult",
]


class NotFiniteError(ArithmeticError):
    """The loss or its gradient is not a finite number; the weights are still those before the step.

    Attributes:
        step: the number of the step that failed, counted from 1.
    """

    def __init__(self, step: int) -> None:
        super().__init__(
            f"the gradient of learner step {step} is not finite; the weights were left as they were. "
            "Lower the learning rate, or look for rewards and observations far out of range"
        )
        self.step = step


@dataclass
class StepResult:
    """What one step of learning returns.

    Attributes:
        priorities: (B,) float32, new priorities of the batch's transitions.
        metrics: by name, if they were asked for, else empty.
    """

    priorities: NDArray[np.float32]
    metrics: dict[str, float]


class Learner:
    """Learns a network from batches. `step` belongs to one thread; `act` may be called from another.

    Attributes:
        network: the network that learns.
        target: the network that judges what follows.
        steps: steps made.
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
    ) -> None:
        """Draw the weights from ``seed`` and make everything ready.

        Args:
            network_config: the network's settings.
            config: the learner's settings.
            observation_size: values per observation.
            action_count: actions.
            device: "cpu", "cuda", "mps" or "auto".
            seed: of the weights.
            deterministic: same seed and batches, same weights: plain float32, nothing chosen by measurement.

        Raises:
            ValueError: a setting is out of range or the device is not there.
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
        self._parameters: list[Tensor] = list(self.network.parameters())
        self._target_parameters: list[Tensor] = list(self.target.parameters())
        self._acting_parameters: list[Tensor] = list(self._acting.parameters())
        self._training_step = TrainingStep(self.network, self.target, config, self.device, deterministic)
        self._optimiser = self._training_step.optimiser
        self.steps = self._published_step = 0

    @property
    def precision(self) -> str:
        """Arithmetic of the matrix products: "float32", "bfloat16", or "auto" before the first step."""
        return self._training_step.precision

    def step(
        self,
        batch: Batch,
        learning_rate: float | None = None,
        imitation_weight: float = 0.0,
        metrics: bool = False,
        prior_weight: float = 0.0,
        goal: Tensor | None = None,
        before_update: Callable[[], object] | None = None,
    ) -> StepResult:
        """Learn from one batch.

        Args:
            batch: the transitions.
            learning_rate: instead of the setting's.
            imitation_weight: weight of the imitation loss.
            metrics: also return figures worth a curve.
            prior_weight: as in `act`, for the actions that the estimated returns suppose to follow.
            goal: what `goal` returned for this batch, if it was asked.
            before_update: called before the weights change.

        Raises:
            NotFiniteError: the gradient is not finite.
        """
        if learning_rate is not None:
            self._training_step.set_learning_rate(learning_rate)
        tensors = self._tensors(batch, imitation_weight, prior_weight)
        losses, norm = self._training_step(tensors if goal is None else (*tensors, goal), before_update)
        if not bool(torch.isfinite(norm)):
            raise NotFiniteError(self.steps + 1)
        self.steps += 1
        self._sync_target()
        if self.steps % self.config.publish_steps == 0:
            self.publish()
        figures = {}
        if metrics:
            figures = {
                "loss": float(losses.total.detach()),
                "value_loss": float(losses.value),
                "imitation_loss": float(losses.imitation),
                "q": float(losses.q.mean()),
                "q_min": float(losses.q.min()),
                "q_max": float(losses.q.max()),
                "at_ends": float(losses.at_ends),
                "agreement": float(losses.agreement),
                "priority": float(losses.priorities.mean()),
                "gradient_norm": float(norm),
            }
        return StepResult(losses.priorities.float().cpu().numpy(), figures)

    def goal(self, batch: Batch, prior_weight: float = 0.0) -> Tensor | None:
        """Return what the returns of a batch are to become by the present weights, for a `step` on it to come.

        It is two fifths of a step's work and may be done in another thread beside the `step` on the batch
        before, which must not change the weights meanwhile. None where a step does that better by itself.
        """
        return self._training_step.goal(self._tensors(batch, 0.0, prior_weight))

    def act(
        self, observations: NDArray[np.floating], prior_weight: float = 0.0
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Choose the best action for each observation by the last published weights.

        Args:
            observations: (N, D).
            prior_weight: adds this times the log-probability of the imitated policy to the expected returns,
                which keeps the choice near the teacher while the returns are not learnt yet (needs a policy
                head).

        Returns:
            actions (N,) and expected returns (N, A), without what the imitated policy adds.
        """
        with self._acting_lock, torch.inference_mode():
            network = self._acting
            inputs = torch.from_numpy(np.asarray(observations, np.float32)).to(self.device)
            features = network.features(inputs)
            q = network.q_of(features)
            preferences = network.preferences(features, q, prior_weight)
            return preferences.argmax(dim=1).cpu().numpy(), q.cpu().numpy()

    def publish(self) -> None:
        """Give the current weights to `act`."""
        with self._acting_lock, torch.no_grad():
            torch._foreach_copy_(self._acting_parameters, self._parameters)
            self._published_step = self.steps

    def published(self) -> tuple[int, dict[str, NDArray[np.float32]]]:
        """Return the weights that `act` chooses by: the step they are of, and copies by name."""
        with self._acting_lock:
            weights = {name: value.cpu().numpy().copy() for name, value in self._acting.state_dict().items()}
            return self._published_step, weights

    def use_weights(self, weights: Sequence[Tensor]) -> None:
        """Keep the weights of network and target in these tensors from now on, which may be shared."""
        for parameter, weight in zip([*self._parameters, *self._target_parameters], weights, strict=True):
            parameter.data = weight

    def set_precision(self, precision: str) -> None:
        """Take a precision instead of choosing one."""
        self._training_step.precision = precision

    def close(self) -> None:
        """End whatever helps; nothing does here."""

    def get_state(self) -> dict[str, Any]:
        """Return ``tensors`` by name (copies, on the CPU) and ``scalars`` fit for JSON."""
        tensors: dict[str, Tensor] = {}
        for prefix, network in (("network", self.network), ("target", self.target), ("acting", self._acting)):
            for name, value in network.state_dict().items():
                tensors[f"{prefix}.{name}"] = value.detach().cpu().clone()
        for (name, _), parameter in zip(self.network.named_parameters(), self._parameters, strict=True):
            for key, value in self._optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser.{key}.{name}"] = value.detach().cpu().clone()
        return {
            "tensors": tensors,
            "scalars": {"steps": self.steps, "learning_rate": self._training_step.learning_rate},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned.

        Raises:
            ValueError: the state is of another network.
        """
        tensors: dict[str, Tensor] = state["tensors"]
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            prefix, rest = name.split(".", 1)
            parts.setdefault(prefix, {})[rest] = value
        try:
            with self._acting_lock:
                self.network.load_state_dict(parts["network"])
                self.target.load_state_dict(parts["target"])
                self._acting.load_state_dict(parts["acting"])
        except (RuntimeError, KeyError) as error:
            raise ValueError(f"the saved weights are of another network: {error}") from error
        self._optimiser.state.clear()
        for name, parameter in self.network.named_parameters():
            moments = {
                key: parts["optimiser"][f"{key}.{name}"].clone().to(self.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{key}.{name}" in parts.get("optimiser", {})
            }
            if moments:
                self._optimiser.state[parameter] = moments
        self._training_step.forget_graph()
        self.steps = int(state["scalars"]["steps"])
        self._published_step = self.steps - self.steps % self.config.publish_steps
        self._training_step.set_learning_rate(float(state["scalars"]["learning_rate"]))

    def _tensors(
        self, batch: Batch, imitation_weight: float, prior_weight: float = 0.0
    ) -> tuple[Tensor, ...]:
        def moved(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(array).to(self.device)

        return (
            moved(batch.observations).float(),
            moved(batch.actions),
            moved(batch.returns),
            moved(batch.discounts),
            moved(batch.next_observations).float(),
            moved(batch.expert_actions),
            moved(batch.weights),
            moved(batch.imitation_weights),
            torch.tensor(imitation_weight, dtype=torch.float32, device=self.device),
            torch.tensor(prior_weight, dtype=torch.float32, device=self.device),
        )

    def _sync_target(self) -> None:
        with torch.no_grad():
            if self.config.target_polyak > 0.0:
                torch._foreach_lerp_(self._target_parameters, self._parameters, self.config.target_polyak)
            elif self.steps % self.config.target_update_steps == 0:
                torch._foreach_copy_(self._target_parameters, self._parameters)


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
