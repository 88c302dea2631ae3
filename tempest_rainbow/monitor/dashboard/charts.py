"""What the dashboard shows: its charts, gauges and cards."""

from __future__ import annotations

from dataclasses import dataclass


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
    Chart("reward100k", "DQN reward, last 100K frames", (("reward", "episodes/agent_reward_100k"),)),
    Chart("reward1m", "DQN reward, last 1M frames", (("reward", "episodes/agent_reward_1m"),)),
    Chart("reward5m", "DQN reward, last 5M frames", (("reward", "episodes/agent_reward_5m"),)),
    Chart(
        "score",
        "Score",
        (
            ("agent", "episodes/agent_score"),
            ("expert", "episodes/expert_score"),
            ("evaluation", "evaluation/mean"),
        ),
    ),
    Chart("loss", "Loss", (("loss", "learner/loss"), ("imitation", "learner/imitation_loss"))),
    Chart("gradient", "Gradient norm", (("norm", "learner/gradient_norm"),)),
    Chart("agreement", "Agreement with the expert", (("share", "collect/agreement"),)),
    Chart("length", "Episode length, frames", (("agent", "episodes/agent_length"),)),
    Chart("level", "Level reached", (("agent", "episodes/agent_level"), ("expert", "episodes/expert_level"))),
    Chart("q", "Q range", (("least", "learner/q_min"), ("mean", "learner/q"), ("most", "learner/q_max"))),
    Chart("frames", "Frames a second", (("frames", "speed/frames_per_second"),)),
    Chart("steps", "Learner steps a second", (("steps", "speed/learner_steps_per_second"),)),
)
"""The small charts, in the order of the page."""


GAUGES = (
    ("loss", "Loss", "learner/loss", None),
    ("reward", "Reward", "episodes/agent_reward", None),
    ("epsilon", "Epsilon", "schedule/epsilon", 1.0),
    ("expert", "Expert ratio", "schedule/expert_ratio", 1.0),
)
"""Key, title, metric and the end of the scale (None: the greatest value seen)."""


CARDS = (
    ("frames/s", "speed/frames_per_second", "count"),
    ("clients", "collect/clients", "whole"),
    ("dropped", "collect/dropped", "drops"),
    ("viewers", "collect/viewers", "whole"),
    ("inference, ms", "time/inference_ms", "short"),
    ("replay", "replay/size", "count"),
    ("Q least", "learner/q_min", "short"),
    ("Q most", "learner/q_max", "short"),
    ("learning rate", "schedule/learning_rate", "science"),
    ("frames", "progress/frames", "count"),
    ("learner steps/s", "speed/learner_steps_per_second", "short"),
    ("run time", "seconds", "duration"),
)
"""Title, metric and format of the cards."""
