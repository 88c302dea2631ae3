"""The learner in processes of its own, so that learning and playing do not wait for one interpreter's lock.

Two threads of one interpreter that both make hundreds of small steps a second hinder each other far more than
their share of Python code suggests. Here one process makes the steps of learning and another computes the goals of
the next batch; the weights lie in memory that all share.
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
from tempest_rainbow.learner.learner import Learner, NotFiniteError, StepResult
from tempest_rainbow.networks.rainbow import RainbowNetwork
from tempest_rainbow.replay.batch import Batch

__all__ = [
    "LearnerProcess",
    "make_learner",
]

_log = logging.getLogger(__name__)


_LARGE = 100_000
"""Parameters from which on a step takes much longer than handing a batch over."""


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
    """Return a learner, in processes of its own if ``processes`` says so; None: where they gain.

    They do for a large network on a CPU with two cores or more. A deterministic learner never gets them.

    Raises:
        ValueError: the device is not there, or is none for processes.
    """
    sizes = network, config, observation_size, action_count
    place = choose_device(device)
    if processes is None:
        processes = place.type == "cpu" and usable_cores() > 1 and _parameters(network, *sizes[2:]) >= _LARGE
    elif processes and place.type != "cpu":
        raise ValueError(f"learner processes work on the CPU, not on {place}: use --no-learner-processes")
    if processes and not deterministic:
        return LearnerProcess(*sizes, seed=seed)
    return Learner(*sizes, device=device, seed=seed, deterministic=deterministic)


def _parameters(network: NetworkConfig, observation_size: int, action_count: int) -> int:
    """Return the size of a network, which is not built for that."""
    with torch.device("meta"):
        built = RainbowNetwork(network, observation_size, action_count)
    return sum(parameter.numel() for parameter in built.parameters())


@dataclass(frozen=True)
class _Plan:
    """What a worker builds its learner from; ``weights`` are the shared ones of network and target."""

    network: NetworkConfig
    config: LearnerConfig
    observation_size: int
    action_count: int
    deterministic: bool
    threads: int
    weights: list[Tensor]


class LearnerProcess(Learner):
    """A `Learner` on the CPU whose work other processes do. `goal` and `step` may be called from two threads."""

    def __init__(
        self,
        network_config: NetworkConfig,
        config: LearnerConfig,
        observation_size: int,
        action_count: int,
        seed: int = 0,
        deterministic: bool = False,
    ) -> None:
        """Draw the weights and start the processes; arguments as for `Learner`."""
        super().__init__(
            network_config, config, observation_size, action_count, "cpu", seed, deterministic=deterministic
        )
        self.network.share_memory()
        self.target.share_memory()
        plan = _Plan(
            network_config,
            config,
            observation_size,
            action_count,
            deterministic,
            max(torch.get_num_threads() // 2, 1),
            [*self._parameters, *self._target_parameters],
        )
        self._precision = "auto"
        self._stepper, self._foreseer = _Worker(plan, "learner"), _Worker(plan, "goals")

    @property
    def precision(self) -> str:
        """As `Learner.precision`."""
        return self._precision

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
        """Learn from one batch, see `Learner.step`.

        Raises:
            NotFiniteError: the gradient is not finite.
            RuntimeError: the process has ended.
        """
        worker = self._stepper
        worker.hand_over(batch, goal)
        options = {
            "learning_rate": learning_rate,
            "imitation_weight": imitation_weight,
            "metrics": metrics,
            "prior_weight": prior_weight,
        }
        worker.ask("step", options, goal is not None)
        if before_update is not None:
            before_update()
        figures, self._precision = worker.ask("go")
        if figures is None:
            raise NotFiniteError(self.steps + 1)
        self.steps += 1
        if self.steps % self.config.publish_steps == 0:
            self.publish()
        return StepResult(worker.priorities.copy(), figures)

    def goal(self, batch: Batch, prior_weight: float = 0.0) -> Tensor | None:
        """Return what the returns of a batch are to become, see `Learner.goal`.

        Raises:
            RuntimeError: the process has ended.
        """
        if self._precision == "auto":
            return None
        self._foreseer.hand_over(batch, None)
        made = self._foreseer.ask("goal", prior_weight, self._precision)
        return self._foreseer.goals.clone() if made else None

    def get_state(self) -> dict[str, Any]:
        """As `Learner.get_state`."""
        state: dict[str, Any] = self._stepper.ask("get_state")
        tensors = {name: torch.from_numpy(array) for name, array in state["tensors"].items()}
        for name, value in self._acting.state_dict().items():
            tensors[f"acting.{name}"] = value.detach().clone()
        return {"tensors": tensors, "scalars": state["scalars"]}

    def set_state(self, state: dict[str, Any]) -> None:
        """As `Learner.set_state`.

        Raises:
            ValueError: the state is of another network.
        """
        super().set_state(state)
        arrays = {name: tensor.numpy() for name, tensor in state["tensors"].items()}
        self._stepper.ask("set_state", {"tensors": arrays, "scalars": state["scalars"]})

    def close(self) -> None:
        """End the processes."""
        self._stepper.close()
        self._foreseer.close()


class _Worker:
    """A process with a learner, seen from the one that started it.

    Attributes:
        priorities: (B,) float32, as the last step returned them.
        goals: (B, K) float32, as the last question for them returned them, or as they are handed over.
    """

    def __init__(self, plan: _Plan, name: str) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self._name = name
        self._atoms = plan.network.atoms
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(plan, theirs), name=name, daemon=True)
        self._process.start()
        theirs.close()
        # Those still running when the interpreter exits would be waited for.
        self._end = multiprocessing.util.Finalize(self, self._process.kill, exitpriority=10)
        self._batch: Batch | None = None
        self.priorities = np.zeros(0, np.float32)
        self.goals = torch.zeros(0)

    def hand_over(self, batch: Batch, goal: Tensor | None) -> None:
        """Write a batch, and its goals, to where the process reads it."""
        if self._batch is None or len(self._batch) != len(batch):
            buffers = {
                field.name: torch.from_numpy(np.array(getattr(batch, field.name))).share_memory_()
                for field in fields(Batch)
            }
            goals = torch.zeros(len(batch), self._atoms).share_memory_()
            priorities = torch.zeros(len(batch)).share_memory_()
            self.ask("buffers", buffers, goals, priorities)
            self._batch = Batch(**{name: tensor.numpy() for name, tensor in buffers.items()})
            self.goals, self.priorities = goals, priorities.numpy()
        else:
            for field in fields(Batch):
                getattr(self._batch, field.name)[:] = getattr(batch, field.name)
        if goal is not None:
            self.goals.copy_(goal)

    def ask(self, *question: Any) -> Any:
        """Send a question and return the answer; what the process logs meanwhile is logged here.

        Raises:
            RuntimeError: the process has ended, or failed at this question.
        """
        try:
            self._connection.send(question)
            while True:
                kind, answer = self._connection.recv()
                if kind == "log":
                    _log.log(*answer)
                elif kind == "error":
                    raise RuntimeError(f"the process {self._name} failed: {answer}")
                else:
                    return answer
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
    """Answer questions until the other end is closed; signals are the other end's business."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(plan.threads)
    log = logging.getLogger("tempest_rainbow")
    log.addHandler(_Forwarding(connection))
    log.setLevel(logging.INFO)
    log.propagate = False
    worker = _Answers(plan, connection)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the other end has gone
        while True:
            connection.send(_answered(worker, *connection.recv()))


def _answered(worker: _Answers, question: str, *arguments: Any) -> tuple[str, Any]:
    """Return the answer to a question, or what went wrong."""
    try:
        return "answer", getattr(worker, question)(*arguments)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # whatever it is, the other side must not wait for an answer
        return "error", f"{type(error).__name__}: {error}"


class _Answers:
    """What a worker can be asked."""

    def __init__(self, plan: _Plan, connection: Connection) -> None:
        self._connection = connection
        self._learner = Learner(
            plan.network,
            plan.config,
            plan.observation_size,
            plan.action_count,
            "cpu",
            deterministic=plan.deterministic,
        )
        self._learner.use_weights(plan.weights)

    def buffers(self, batch: dict[str, Tensor], goals: Tensor, priorities: Tensor) -> None:
        self._batch = Batch(**{name: tensor.numpy() for name, tensor in batch.items()})
        self._goals, self._priorities = goals, priorities

    def step(self, options: dict[str, Any], with_goal: bool) -> tuple[dict[str, float] | None, str]:
        """Answer once when the gradient is known, and when told to go on once more, with figures and precision."""
        goal = self._goals if with_goal else None
        try:
            result = self._learner.step(self._batch, goal=goal, before_update=self._await_word, **options)
        except NotFiniteError:
            return None, self._learner.precision
        self._priorities.copy_(torch.from_numpy(result.priorities))
        return result.metrics, self._learner.precision

    def _await_word(self) -> None:
        self._connection.send(("answer", None))
        self._connection.recv()

    def goal(self, prior_weight: float, precision: str) -> bool:
        self._learner.set_precision(precision)
        goal = self._learner.goal(self._batch, prior_weight)
        if goal is not None:
            self._goals.copy_(goal)
        return goal is not None

    def get_state(self) -> dict[str, Any]:
        state = self._learner.get_state()
        return {
            "tensors": {name: tensor.numpy() for name, tensor in state["tensors"].items()},
            "scalars": state["scalars"],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        tensors = {name: torch.from_numpy(array) for name, array in state["tensors"].items()}
        self._learner.set_state({"tensors": tensors, "scalars": state["scalars"]})
