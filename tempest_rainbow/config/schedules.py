"""Values that change over a run, each a pure function of counters: exploration, demonstrations, imitation,
learning rate.

The dataclasses are settings, groups of the command line. Their ``value`` methods are closed forms, so a resumed run
needs nothing saved here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DESCENT",
    "BetaSchedule",
    "EpsilonSchedule",
    "ExpertSchedule",
    "ImitationSchedule",
    "LearningRateSchedule",
    "by_state",
    "cosine",
    "linear",
]

DESCENT = 0x20
"""Game state of the descent through the tube (ARCADE A.2)."""


def linear(start: float, end: float, duration: float, now: float) -> float:
    """Return a line from ``start`` at 0 to ``end`` at ``duration``, constant from there on."""
    if now >= duration:
        return end
    return start + (end - start) * max(now, 0.0) / duration


def cosine(start: float, end: float, duration: float, now: float) -> float:
    """Return half a cosine from ``start`` at 0 to ``end`` at ``duration``, constant from there on."""
    if now >= duration:
        return end
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * max(now, 0.0) / duration))


def by_state(
    share: float, descent_factor: float, game_state: NDArray[np.integer] | None, count: int
) -> NDArray[np.float64]:
    """Return a share for each environment: times the factor, up to 1, where the game is in the descent."""
    values = np.full(count, share)
    if game_state is not None:
        values[np.asarray(game_state) == DESCENT] *= descent_factor
    return np.minimum(values, 1.0)


@dataclass(frozen=True)
class EpsilonSchedule:
    """How often the agent acts at random."""

    start: float = 1.0
    """Share of random actions at the first frame (0 to 1)."""
    end: float = 0.01
    """Share of random actions after `frames` frames (0 to 1)."""
    frames: int = 500_000
    """Frames over which the share changes from start to end."""
    descent_factor: float = 0.2
    """Tempest only: factor on epsilon during the descent between levels, where a single spike is fatal."""
    zap_probability: float = 0.05
    """Probability that a random action zaps (environments with 44 actions only)."""
    fire_probability: float = 0.5
    """Probability that a random action fires (environments with 44 actions only)."""
    pulse_value: float = 0.25
    """Epsilon during a pulse, a short time of more exploration."""
    pulse_frames: int = 50_000
    """Length of a pulse in frames."""
    pulse_every: int = 0
    """Frames between automatic pulses once epsilon has reached its end; 0 leaves pulses to the P key."""

    def value(self, frames: int) -> float:
        """Return epsilon at ``frames`` collected frames, pulses aside."""
        return linear(self.start, self.end, self.frames, frames)


@dataclass(frozen=True)
class ExpertSchedule:
    """How often the teacher acts instead of the agent (needs `expert_action` in the environment's info)."""

    start: float = 0.5
    """Share in which the teacher acts at the first frame (0 to 1)."""
    end: float = 0.02
    """Share in which the teacher acts after `frames` frames (0 to 1)."""
    frames: int = 5_000_000
    """Frames over which the share changes from start to end."""
    descent_factor: float = 2.0
    """Factor on the share during the descent between levels, up to a share of 1 (unit `frame` only)."""
    unit: Literal["frame", "episode"] = "frame"
    """Whether teacher or agent is drawn for each frame or for a whole episode."""

    def value(self, frames: int) -> float:
        """Return the teacher's share at ``frames`` collected frames."""
        return linear(self.start, self.end, self.frames, frames)


@dataclass(frozen=True)
class ImitationSchedule:
    """Weight of the imitation loss beside the reinforcement loss."""

    start: float = 1.0
    """Weight at the first frame; in mode `behind`, of a student that earns nothing."""
    end: float = 0.0
    """Least weight: the last one in mode `frames`, the floor in mode `behind`."""
    frames: int = 5_000_000
    """Frames over which the weight falls from start to end; in mode `behind` this line is an upper bound."""
    mode: Literal["frames", "behind"] = "frames"
    """`frames`: linear over frames. `behind`: start x max(1 - student's return / teacher's return, 0) as in QDagger."""

    prior: float = 0.0
    """Weight of the imitated policy in the agent's actions while the student earns nothing: the action taken maximises
    expected return + weight x log-probability under the imitated policy."""
    prior_end: float = 0.0
    """Least such weight, once the student equals the teacher (mode `behind`) or after `frames` frames."""

    def value(self, frames: int, standing: float) -> float:
        """Return the weight of the imitation loss.

        Args:
            frames: frames collected so far.
            standing: the student's mean return over the teacher's (``Standing.ratio``).
        """
        return self._falling(self.start, self.end, frames, standing)

    def prior_weight(self, frames: int, standing: float) -> float:
        """Return the weight of the imitated policy in the choice of actions; arguments as for ``value``."""
        return self._falling(self.prior, self.prior_end, frames, standing)

    def _falling(self, start: float, end: float, frames: int, standing: float) -> float:
        line = linear(start, end, self.frames, frames)
        if self.mode == "frames":
            return line
        behind = min(max(1.0 - standing, 0.0), 1.0)
        return max(min(start * behind, line), end)


@dataclass(frozen=True)
class LearningRateSchedule:
    """Learning rate: a linear warm-up to `learner.learning_rate`, then half a cosine or a constant."""

    warmup_steps: int = 0
    """Learner steps over which the rate rises linearly from 0."""
    decay_steps: int = 0
    """Learner steps after the warm-up until `final_fraction` of the peak is reached; 0 keeps the peak."""
    over_run: bool = False
    """Spread the cosine over the run, until --minutes or --frames end it, instead of `decay_steps`. A run resumed for
    longer follows the longer cosine; one without an end keeps the peak."""
    final_fraction: float = 0.1
    """Rate at the end of the cosine, as a share of the peak."""

    def value(self, step: int, peak: float, progress: float = math.nan) -> float:
        """Return the rate at one moment.

        Args:
            step: learner step, 0 is the first; during the warm-up the rate is (step + 1) / warmup_steps of the peak.
            peak: greatest rate.
            progress: share of the run that is over (0 to 1), NaN for a run without an end.
        """
        if step < self.warmup_steps:
            return peak * (step + 1) / self.warmup_steps
        if self.over_run:
            return peak if math.isnan(progress) else cosine(peak, peak * self.final_fraction, 1.0, progress)
        if self.decay_steps == 0:
            return peak
        return cosine(peak, peak * self.final_fraction, self.decay_steps, step - self.warmup_steps)


@dataclass(frozen=True)
class BetaSchedule:
    """Exponent of the importance weights that correct prioritised sampling."""

    start: float = 0.4
    """Exponent at the first frame (0 to 1)."""
    end: float = 1.0
    """Exponent after `frames` frames (0 to 1)."""
    frames: int = 5_000_000
    """Frames over which the exponent changes from start to end."""

    def value(self, frames: int) -> float:
        """Return the exponent at ``frames`` collected frames."""
        return linear(self.start, self.end, self.frames, frames)
