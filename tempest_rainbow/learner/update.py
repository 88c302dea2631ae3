"""One step of gradient descent, in the fastest way the device offers: precision, compilation, CUDA graphs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch
from torch import Tensor

from tempest_rainbow.config.settings import LearnerConfig
from tempest_rainbow.learner.loss import Losses, Transitions, rainbow_loss, target_distribution
from tempest_rainbow.networks.rainbow import RainbowNetwork

__all__ = ["TrainingStep"]

_log = logging.getLogger(__name__)

_PROBES = 4
"""Passes per precision when it is chosen by measurement."""

_WARM_UPS = 3
"""Steps on a side stream before a CUDA graph is captured."""


class TrainingStep:
    """Loss, gradient, clipping and AdamW on the weights of one network.

    Attributes:
        optimiser: holds the moments; its learning rate is set with `set_learning_rate`.
        precision: "float32" or "bfloat16", "auto" until the first step has chosen.
    """

    def __init__(
        self,
        network: RainbowNetwork,
        target: RainbowNetwork,
        config: LearnerConfig,
        device: torch.device,
        deterministic: bool,
    ) -> None:
        self._network = network
        self._target = target
        self._config = config
        self._device = device
        self._parameters: list[Tensor] = list(network.parameters())
        # Apple's fused kernel cannot skip a step by itself.
        self._skips_itself = device.type in ("cpu", "cuda")
        self._graphs = device.type == "cuda" and config.cuda_graphs != "off" and not deterministic
        rate: float | Tensor = config.learning_rate
        if self._graphs:
            rate = torch.tensor(config.learning_rate, device=device)
        self.optimiser = torch.optim.AdamW(
            self._parameters,
            lr=rate,
            eps=config.adam_epsilon,
            weight_decay=config.weight_decay,
            fused=self._skips_itself,
            capturable=self._graphs,
        )
        self.precision: str = "float32" if deterministic or device.type == "mps" else config.precision
        self._loss: Callable[..., Losses] = self._plain_loss
        wanted = config.compile == "on" or (config.compile == "auto" and device.type == "cuda")
        if wanted and not deterministic:
            self._loss = self._compiled_loss()
        self._graph: _StepGraph | None = None

    @property
    def learning_rate(self) -> float:
        """The optimiser's learning rate."""
        return float(self.optimiser.param_groups[0]["lr"])

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of later steps."""
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def target_distribution(self, batch: Transitions) -> Tensor | None:
        """Return a batch's target distributions by the present weights; None where a step has to compute them.

        That is so until the precision is chosen, and wherever the step is compiled or captured as a whole.
        """
        if self.precision == "auto" or self._loss != self._plain_loss or self._graphs:
            return None
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return target_distribution(self._network, self._target, self._config, batch)

    def __call__(
        self, batch: Transitions, before_update: Callable[[], object] | None = None
    ) -> tuple[Losses, Tensor]:
        """Make one step.

        Args:
            batch: the transitions.
            before_update: called when the gradient is known, before the weights change.

        Returns:
            the losses, and the gradient's norm () before clipping. If the norm is not finite, the weights
            and the optimiser are what they were.
        """
        if self.precision == "auto":
            self.precision = self._faster_precision(batch)
        if self._graphs:
            if self._graph is None:
                self._graph = self._captured(batch)
            if self._graph is not None and self._graph.fits(batch):
                return self._graph(batch)
        return self._step(batch, before_update)

    def forget_graph(self) -> None:
        """Capture the step again when next called, as the optimiser's state has moved in memory."""
        self._graph = None

    def _step(
        self, batch: Transitions, before_update: Callable[[], object] | None = None
    ) -> tuple[Losses, Tensor]:
        losses = self._gradients(batch)
        if before_update is not None:
            before_update()
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        excess = (norm / self._config.gradient_clip).clamp_min(1.0)
        if self._skips_itself:
            # The fused optimiser divides by the scale, and changes nothing where it finds an infinity.
            self.optimiser.grad_scale = excess  # type: ignore[attr-defined]
            self.optimiser.found_inf = (~torch.isfinite(norm)).float()  # type: ignore[attr-defined]
            self.optimiser.step()
        elif bool(torch.isfinite(norm)):
            torch._foreach_div_(gradients, excess)
            self.optimiser.step()
        return losses, norm

    def _gradients(self, batch: Transitions) -> Losses:
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            losses = self._loss(batch)
        losses.total.backward()
        return losses

    def _plain_loss(self, batch: Transitions) -> Losses:
        return rainbow_loss(self._network, self._target, self._config, batch)

    def _compiled_loss(self) -> Callable[..., Losses]:
        """Return the compiled loss; the first call that fails switches to the uncompiled one."""
        try:
            compiled = torch.compile(self._plain_loss, dynamic=False)
        except RuntimeError as error:
            _log.warning("torch.compile does not work here (%s); the run continues without it", error)
            return self._plain_loss

        def first(batch: Transitions) -> Losses:
            started = time.monotonic()
            try:
                losses = compiled(batch)
                losses.total.backward(retain_graph=True)
                self.optimiser.zero_grad(set_to_none=True)
            except Exception as error:  # the compiler's own exceptions share no base class
                _log.warning(
                    "torch.compile failed (%s: %s); the run continues without it", type(error).__name__, error
                )
                self._loss = self._plain_loss
                return self._plain_loss(batch)
            _log.info("compiled the learner's step in %.0f s", time.monotonic() - started)
            self._loss = compiled
            return compiled(batch)

        return first

    def _faster_precision(self, batch: Transitions) -> str:
        """Return the precision that is faster on this batch; only gradients change."""
        seconds = {}
        for precision in ("float32", "bfloat16"):
            self.precision = precision
            times = []
            for _ in range(_PROBES):
                started = time.perf_counter()
                self._gradients(batch)
                if self._device.type == "cuda":
                    torch.cuda.synchronize(self._device)
                times.append(time.perf_counter() - started)
            seconds[precision] = min(times)
        faster = min(seconds, key=lambda name: seconds[name])
        _log.info(
            "a batch takes %.1f ms in float32 and %.1f ms in bfloat16: learning in %s",
            1e3 * seconds["float32"],
            1e3 * seconds["bfloat16"],
            faster,
        )
        return faster

    def _captured(self, batch: Transitions) -> _StepGraph | None:
        try:
            return _StepGraph(self._step, self._parameters, self.optimiser, batch)
        except RuntimeError as error:
            _log.warning(
                "a CUDA graph of the step cannot be captured (%s); the run continues without it", error
            )
            self._graphs = False
            return None


class _StepGraph:
    """The whole step as one CUDA graph: replayed without Python or launch overhead."""

    def __init__(
        self,
        step: Callable[[Transitions], tuple[Losses, Tensor]],
        parameters: list[Tensor],
        optimiser: torch.optim.Optimizer,
        batch: Transitions,
    ) -> None:
        self._inputs = Transitions._make(None if tensor is None else tensor.clone() for tensor in batch)
        weights = [parameter.detach().clone() for parameter in parameters]
        moments = {
            parameter: {name: value.clone() for name, value in optimiser.state[parameter].items()}
            for parameter in parameters
            if parameter in optimiser.state
        }
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                step(self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        # Undo what the warm-up learnt, in place, because the graph keeps addresses.
        with torch.no_grad():
            for parameter, weight in zip(parameters, weights, strict=True):
                parameter.copy_(weight)
            for parameter, state in optimiser.state.items():
                for name, value in state.items():
                    before = moments.get(parameter, {}).get(name)
                    value.zero_() if before is None else value.copy_(before)
        optimiser.zero_grad(set_to_none=True)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):  # other threads act meanwhile
            self._outputs = step(self._inputs)

    def fits(self, batch: Transitions) -> bool:
        """Return whether a batch has the captured shape."""
        return batch.s_tm1.shape == self._inputs.s_tm1.shape

    def __call__(self, batch: Transitions) -> tuple[Losses, Tensor]:
        for mine, theirs in zip(self._inputs, batch, strict=True):
            if mine is not None and theirs is not None:
                mine.copy_(theirs, non_blocking=True)
        self._graph.replay()
        return self._outputs
