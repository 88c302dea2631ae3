"""Steps of learning on one network, and the target network that follows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tempest_rainbow.config.settings import LearnerConfig
from tempest_rainbow.learner.loss import Losses, Transitions
from tempest_rainbow.learner.update import TrainingStep
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.replay.batch import Batch

__all__ = ["LocalUpdater", "NotFiniteError", "StepOptions", "StepResult", "Updater"]


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


class StepOptions(NamedTuple):
    """How to make a step; see `Learner.step`."""

    learning_rate: float | None
    imitation_weight: float
    metrics: bool
    prior_weight: float


class Updater(Protocol):
    """What changes the weights of a network and its target network. See `Learner` for the arguments.

    Attributes:
        steps: steps made.
    """

    steps: int

    @property
    def precision(self) -> str: ...

    def step(
        self,
        batch: Batch,
        options: StepOptions,
        target: Tensor | None,
        before_update: Callable[[], object] | None,
    ) -> StepResult: ...

    def target_distribution(self, batch: Batch, prior_weight: float) -> Tensor | None: ...

    def get_state(self) -> dict[str, Any]: ...

    def set_state(self, state: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class LocalUpdater:
    """Makes the steps in this process."""

    def __init__(
        self, network: RainbowNetwork, target: RainbowNetwork, config: LearnerConfig, deterministic: bool
    ) -> None:
        """Prepare steps on ``network`` and ``target``, which stay on the device that they are on."""
        self._config = config
        self._names = [name.removeprefix("head.") for name, _ in network.named_parameters()]
        self._parameters: list[Tensor] = list(network.parameters())
        self._target_parameters: list[Tensor] = list(target.parameters())
        self._device = self._parameters[0].device
        self._training_step = TrainingStep(network, target, config, self._device, deterministic)
        self._optimiser = self._training_step.optimiser
        self.steps = 0

    @property
    def precision(self) -> str:
        """As `Learner.precision`."""
        return self._training_step.precision

    @precision.setter
    def precision(self, precision: str) -> None:
        self._training_step.precision = precision

    def step(
        self,
        batch: Batch,
        options: StepOptions,
        target: Tensor | None,
        before_update: Callable[[], object] | None,
    ) -> StepResult:
        """Learn from one batch, see `Learner.step`."""
        if options.learning_rate is not None:
            self._training_step.set_learning_rate(options.learning_rate)
        transitions = self._transitions(batch, options.imitation_weight, options.prior_weight)
        losses, norm = self._training_step(transitions._replace(target=target), before_update)
        if not bool(torch.isfinite(norm)):
            raise NotFiniteError(self.steps + 1)
        self.steps += 1
        with torch.no_grad():
            if self._config.target_polyak > 0.0:
                torch._foreach_lerp_(self._target_parameters, self._parameters, self._config.target_polyak)
            elif self.steps % self._config.target_update_steps == 0:
                torch._foreach_copy_(self._target_parameters, self._parameters)
        values = _metrics(losses, norm) if options.metrics else {}
        return StepResult(losses.priorities.float().cpu().numpy(), values)

    def target_distribution(self, batch: Batch, prior_weight: float) -> Tensor | None:
        """Return a batch's target distributions (B, K), see `Learner.target_distribution`."""
        return self._training_step.target_distribution(self._transitions(batch, 0.0, prior_weight))

    def get_state(self) -> dict[str, Any]:
        """Return the optimiser's ``tensors`` by name (copies, on the CPU) and ``scalars`` fit for JSON."""
        tensors = {
            f"optimiser.{key}.{name}": value.detach().cpu().clone()
            for name, parameter in zip(self._names, self._parameters, strict=True)
            for key, value in self._optimiser.state.get(parameter, {}).items()
        }
        scalars = {"steps": self.steps, "learning_rate": self._training_step.learning_rate}
        return {"tensors": tensors, "scalars": scalars}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned; the networks have their weights already."""
        self._optimiser.state.clear()
        for name, parameter in zip(self._names, self._parameters, strict=True):
            moments = {
                key: state["tensors"][f"optimiser.{key}.{name}"].clone().to(self._device)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"optimiser.{key}.{name}" in state["tensors"]
            }
            if moments:
                self._optimiser.state[parameter] = moments
        self._training_step.forget_graph()
        self.steps = int(state["scalars"]["steps"])
        self._training_step.set_learning_rate(float(state["scalars"]["learning_rate"]))

    def close(self) -> None:
        """Do nothing: there is nothing to end."""

    def _transitions(self, batch: Batch, imitation_weight: float, prior_weight: float) -> Transitions:
        def moved(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(array).to(self._device)

        return Transitions(
            s_tm1=moved(batch.observations).float(),
            a_tm1=moved(batch.actions),
            r_t=moved(batch.returns),
            discount_t=moved(batch.discounts),
            s_t=moved(batch.next_observations).float(),
            expert_a_tm1=moved(batch.expert_actions),
            weights=moved(batch.weights),
            imitation_weights=moved(batch.imitation_weights),
            imitation_weight=torch.tensor(imitation_weight, dtype=torch.float32, device=self._device),
            prior_weight=torch.tensor(prior_weight, dtype=torch.float32, device=self._device),
        )


def _metrics(losses: Losses, norm: Tensor) -> dict[str, float]:
    return {
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
