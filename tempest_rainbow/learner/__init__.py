"""What learns: losses, the step on a batch, and the learner in this process or in others."""

from tempest_rainbow.device import choose_device
from tempest_rainbow.learner.learner import Learner, NotFiniteError, StepResult

__all__ = ["Learner", "NotFiniteError", "StepResult", "choose_device"]
