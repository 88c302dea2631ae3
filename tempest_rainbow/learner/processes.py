"""Learning in separate processes, so that learning and collection do not wait for one interpreter's lock.

Two threads of one interpreter that both make hundreds of small steps a second hinder each other far more than their
share of Python code suggests. Here one process makes the steps of learning and another computes the target
distributions of the next batch; the weights are in memory that all share.
"""

from __future__ import annotations

import logging
import multiprocessing.util
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
import torch.multiprocessing
from torch import Tensor

from tempest_rainbow.config.settings import LearnerConfig, NetworkConfig
from tempest_rainbow.device import choose_device, usable_cores
from tempest_rainbow.learner.learner import Learner
from tempest_rainbow.learner.updater import LocalUpdater, NotFiniteError, StepOptions, StepResult
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.replay.batch import Batch

__all__ = ["ProcessUpdater", "make_learner"]

_log = logging.getLogger(__name__)

_LARGE = 100_000
"""Parameters from which on a step takes much longer than passing a batch to another process."""


def make_learner(
    network: NetworkConfig,
    config: LearnerConfig,
    observation_size: int,
    action_count: int,
    *,
    device: str,
    seed: int,
    deterministic: bool,
    processes: bool | None,
) -> Learner:
    """Return a learner, with separate processes or without; ``processes`` None: where they gain.

    They do for a large network on a CPU with two cores or more. A deterministic learner never gets them.

    Raises:
        ValueError: the device is not available, or not one for processes.
    """
    place = choose_device(device)
    if processes is None:
        with torch.device("meta"):  # its size, without building it
            built = RainbowNetwork(network, observation_size, action_count)
        size = sum(parameter.numel() for parameter in built.parameters())
        processes = place.type == "cpu" and usable_cores() > 1 and size >= _LARGE
    elif processes and place.type != "cpu":
        raise ValueError(f"learner processes work on the CPU, not on {place}: use --no-learner-processes")
    return Learner(
        network,
        config,
        observation_size,
        action_count,
        device=device,
        seed=seed,
        deterministic=deterministic,
        make_updater=ProcessUpdater if processes and not deterministic else LocalUpdater,
    )


@dataclass(frozen=True)
class _Plan:
    """What a worker builds its updater from; the networks' weights are shared."""

    network: RainbowNetwork
    target: RainbowNetwork
    config: LearnerConfig
    threads: int


class ProcessUpdater:
    """Lets two other processes do the work. `target_distribution` and `step` may be called from two threads."""

    def __init__(
        self, network: RainbowNetwork, target: RainbowNetwork, config: LearnerConfig, deterministic: bool
    ) -> None:
        """Start the processes; arguments as for `LocalUpdater`."""
        plan = _Plan(
            network.share_memory(), target.share_memory(), config, max(torch.get_num_threads() // 2, 1)
        )
        self.precision = "float32" if deterministic else "auto"
        self.steps = 0
        self._stepper, self._targets = _Worker(plan, "learner"), _Worker(plan, "targets")

    def step(
        self,
        batch: Batch,
        options: StepOptions,
        target: Tensor | None,
        before_update: Callable[[], object] | None,
    ) -> StepResult:
        """Learn from one batch, see `Learner.step`.

        Raises:
            NotFiniteError: the gradient is not finite.
            RuntimeError: the process has ended.
        """
        worker = self._stepper
        worker.pass_batch(batch, target)
        worker.call("step", options, target is not None)
        if before_update is not None:
            before_update()
        values, self.precision = worker.call("continue")
        if values is None:
            raise NotFiniteError(self.steps + 1)
        self.steps += 1
        return StepResult(worker.priorities.copy(), values)

    def target_distribution(self, batch: Batch, prior_weight: float) -> Tensor | None:
        """Return a batch's target distributions, see `Learner.target_distribution`.

        Raises:
            RuntimeError: the process has ended.
        """
        if self.precision == "auto":
            return None
        self._targets.pass_batch(batch, None)
        computed = self._targets.call("target_distribution", prior_weight, self.precision)
        return self._targets.targets.clone() if computed else None

    def get_state(self) -> dict[str, Any]:
        """As `LocalUpdater.get_state`."""
        state: dict[str, Any] = self._stepper.call("get_state")
        state["tensors"] = {name: torch.from_numpy(array) for name, array in state["tensors"].items()}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """As `LocalUpdater.set_state`."""
        arrays = {name: tensor.numpy() for name, tensor in state["tensors"].items()}
        self._stepper.call("set_state", {"tensors": arrays, "scalars": state["scalars"]})
        self.steps = int(state["scalars"]["steps"])

    def close(self) -> None:
        """End the processes."""
        self._stepper.close()
        self._targets.close()


class _Worker:
    """A process with an updater, seen from the one that started it.

    Attributes:
        priorities: (B,) float32, those of the last step.
        targets: (B, K) float32, target distributions that were computed there or are passed there.
    """

    def __init__(self, plan: _Plan, name: str) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self._name = name
        self._target_size = plan.network.head.target_size
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(plan, theirs), name=name, daemon=True)
        self._process.start()
        theirs.close()
        # Those still running when the interpreter exits would be waited for.
        self._end = multiprocessing.util.Finalize(self, self._process.kill, exitpriority=10)
        self._batch: Batch | None = None
        self.priorities = np.zeros(0, np.float32)
        self.targets = torch.zeros(0)

    def pass_batch(self, batch: Batch, target: Tensor | None) -> None:
        """Copy a batch, and its target distributions, into memory shared with the process."""
        if self._batch is None or len(self._batch) != len(batch):
            buffers = {
                field.name: torch.from_numpy(np.array(getattr(batch, field.name))).share_memory_()
                for field in fields(Batch)
            }
            targets = torch.zeros(len(batch), self._target_size).share_memory_()
            priorities = torch.zeros(len(batch)).share_memory_()
            self.call("buffers", buffers, targets, priorities)
            self._batch = Batch(**{name: tensor.numpy() for name, tensor in buffers.items()})
            self.targets, self.priorities = targets, priorities.numpy()
        else:
            for field in fields(Batch):
                getattr(self._batch, field.name)[:] = getattr(batch, field.name)
        if target is not None:
            self.targets.copy_(target)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of `_Served` in the process and return its result; what is logged there is logged here.

        Raises:
            RuntimeError: the process has ended, or the call failed.
        """
        try:
            self._connection.send((method, *arguments))
            while True:
                kind, result = self._connection.recv()
                if kind == "log":
                    _log.log(*result)
                elif kind == "error":
                    raise RuntimeError(f"the process {self._name} failed: {result}")
                else:
                    return result
        except (EOFError, OSError) as error:
            self._process.join(5)
            raise RuntimeError(
                f"the process {self._name} has ended (exit code {self._process.exitcode}); "
                "was there too little memory?"
            ) from error

    def close(self) -> None:
        """End the process."""
        self._end()
        self._process.join()
        self._connection.close()


class _Forwarding(logging.Handler):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        self._connection.send(("log", (record.levelno, record.getMessage())))


def _work(plan: _Plan, connection: Connection) -> None:
    """Serve calls until the connection is closed; signals are for the process at its other end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(plan.threads)
    log = logging.getLogger("tempest_rainbow")
    log.addHandler(_Forwarding(connection))
    log.setLevel(logging.INFO)
    log.propagate = False
    served = _Served(plan, connection)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the other end was closed
        while True:
            method, *arguments = connection.recv()
            connection.send(_result(served, method, arguments))


def _result(served: _Served, method: str, arguments: list[Any]) -> tuple[str, Any]:
    """Return the result of a call, or its error."""
    try:
        return "result", getattr(served, method)(*arguments)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # whatever it is, the other process must not wait for a result
        return "error", f"{type(error).__name__}: {error}"


class _Served:
    """What can be called in a worker."""

    def __init__(self, plan: _Plan, connection: Connection) -> None:
        self._connection = connection
        self._updater = LocalUpdater(plan.network, plan.target, plan.config, deterministic=False)

    def buffers(self, batch: dict[str, Tensor], targets: Tensor, priorities: Tensor) -> None:
        self._batch = Batch(**{name: tensor.numpy() for name, tensor in batch.items()})
        self._targets, self._priorities = targets, priorities

    def step(self, options: StepOptions, with_target: bool) -> tuple[dict[str, float] | None, str]:
        """Return a first time when the gradient is known, then, at the call `continue`, metrics and precision."""
        target = self._targets if with_target else None
        try:
            result = self._updater.step(self._batch, options, target, self._wait_to_continue)
        except NotFiniteError:
            return None, self._updater.precision
        self._priorities.copy_(torch.from_numpy(result.priorities))
        return result.metrics, self._updater.precision

    def _wait_to_continue(self) -> None:
        self._connection.send(("result", None))
        self._connection.recv()

    def target_distribution(self, prior_weight: float, precision: str) -> bool:
        self._updater.precision = precision
        target = self._updater.target_distribution(self._batch, prior_weight)
        if target is not None:
            self._targets.copy_(target)
        return target is not None

    def get_state(self) -> dict[str, Any]:
        state = self._updater.get_state()
        state["tensors"] = {name: tensor.numpy() for name, tensor in state["tensors"].items()}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        tensors = {name: torch.from_numpy(array) for name, array in state["tensors"].items()}
        self._updater.set_state({"tensors": tensors, "scalars": state["scalars"]})
