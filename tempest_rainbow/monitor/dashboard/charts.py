"""What the dashboard shows: its cards and charts, with labels and formats from the list of metrics."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CARDS", "CHARTS", "Chart"]


@dataclass(frozen=True)
class Chart:
    """A small chart.

    Attributes:
        key: name in the page.
        title: heading.
        series: label and metric of each curve.
    """

    key: str
    title: str
    series: tuple[tuple[str, str], ...]


CHARTS = (
    Chart(
        "score",
        "Score (points)",
        (
            ("agent", "episodes/agent_score"),
            ("expert", "episodes/expert_score"),
            ("evaluation", "evaluation/mean"),
        ),
    ),
    Chart("level", "Level", (("agent", "episodes/agent_level"), ("expert", "episodes/expert_level"))),
    Chart(
        "deaths",
        "Deaths/level",
        (("agent", "episodes/agent_deaths_per_level"),),
    ),
    Chart(
        "reward",
        "Reward per game",
        (
            ("last 100K frames", "episodes/agent_reward_100k"),
            ("last 1M", "episodes/agent_reward_1m"),
            ("last 5M", "episodes/agent_reward_5m"),
        ),
    ),
    Chart("length", "Length (steps)", (("agent", "episodes/agent_length"),)),
    Chart("agreement", "Agreement with the expert", (("share", "collect/agreement"),)),
    Chart("loss", "Loss", (("loss", "learner/loss"), ("imitation", "learner/imitation_loss"))),
    Chart("gradient", "Gradient norm", (("norm", "learner/gradient_norm"),)),
    Chart(
        "q",
        "Expected return (Q)",
        (("lowest", "learner/q_min"), ("mean", "learner/q"), ("highest", "learner/q_max")),
    ),
    Chart(
        "schedules",
        "Schedules",
        (
            ("epsilon", "schedule/epsilon"),
            ("expert ratio", "schedule/expert_ratio"),
            ("imitation", "schedule/imitation_weight"),
        ),
    ),
    Chart("frames", "Frames/s", (("frames", "speed/frames_per_second"),)),
    Chart("steps", "Learner steps/s", (("steps", "speed/learner_steps_per_second"),)),
)
"""The small charts, in the order of the page."""

CARDS = (
    ("episodes/agent_score", True),
    ("episodes/agent_level", True),
    ("episodes/agent_deaths_per_level", True),
    ("evaluation/mean", True),
    ("progress/seconds_left", True),
    ("speed/frames_per_second", True),
    ("progress/frames", False),
    ("speed/learner_steps_per_second", False),
    ("episodes/expert_score", False),
    ("schedule/epsilon", False),
    ("learner/loss", False),
    ("learner/gradient_norm", False),
    ("schedule/learning_rate", False),
    ("replay/fill", False),
    ("collect/clients", False),
    ("collect/dropped", False),
    ("time/inference_ms", False),
    ("collect/viewers", False),
)
"""Metric of each card, and whether it is a large one; the large ones are above the fold."""
