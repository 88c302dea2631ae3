"""Every metric of a run with its name, label, unit, format and meaning.

Terminal, log, dashboard, TensorBoard, plots and the table of the documentation take labels and formats from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "COLUMNS",
    "EVALUATION",
    "METRICS",
    "Metric",
    "duration",
    "evaluation_values",
    "find",
    "format_count",
    "label",
    "markdown_table",
    "show",
]


def format_count(value: float) -> str:
    """Return a count in three or four characters and a unit: 950, 12.3K, 4.56M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss."""
    whole = max(round(seconds), 0)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: ``group/name`` as in rows and TensorBoard. A name that ends in ``*`` is a family.
        label: the short name that people see, the same everywhere; ``*`` stands for a member of the family.
        unit: of the values, empty for shares and other pure numbers.
        form: ``count``, ``duration``, or a format such as ``.2f``.
        meaning: what it measures.
    """

    name: str
    label: str
    unit: str
    form: str
    meaning: str

    def text(self, value: float) -> str:
        """Return a value as text, a dash for NaN."""
        if math.isnan(value):
            return "-"
        if self.form == "count":
            return format_count(value)
        return duration(value) if self.form == "duration" else format(value, self.form)

    @property
    def title(self) -> str:
        """Label and unit, for headings and axes."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


METRICS: tuple[Metric, ...] = (
    Metric("episodes/agent_score", "score", "points", ",.0f", "mean score of the agent's last 100 games"),
    Metric("episodes/agent_level", "level", "", ".1f", "mean level that these games reached"),
    Metric(
        "episodes/agent_deaths_per_level",
        "deaths/level",
        "",
        ".2f",
        "lives lost in these games over levels passed in them",
    ),
    Metric("episodes/agent_length", "length", "steps", "count", "mean length of these games"),
    Metric("episodes/agent_reward", "reward", "", ".1f", "mean sum of rewards of these games"),
    Metric("episodes/agent_reward_100k", "reward, 100K", "", ".1f", "the same over the last 100K frames"),
    Metric("episodes/agent_reward_1m", "reward, 1M", "", ".1f", "the same over the last 1M frames"),
    Metric("episodes/agent_reward_5m", "reward, 5M", "", ".1f", "the same over the last 5M frames"),
    Metric(
        "episodes/expert_score", "expert score", "points", ",.0f", "mean score of the expert's last 100 games"
    ),
    Metric("episodes/expert_level", "expert level", "", ".1f", "mean level that these games reached"),
    Metric("episodes/expert_length", "expert length", "steps", "count", "mean length of these games"),
    Metric("episodes/expert_reward", "expert reward", "", ".1f", "mean sum of rewards of these games"),
    Metric(
        "episodes/mixed_score",
        "mixed score",
        "points",
        ",.0f",
        "mean score of the last 100 games in which agent and expert both acted",
    ),
    Metric("episodes/mixed_level", "mixed level", "", ".1f", "mean level that these games reached"),
    Metric("episodes/mixed_length", "mixed length", "steps", "count", "mean length of these games"),
    Metric("episodes/mixed_reward", "mixed reward", "", ".1f", "mean sum of rewards of these games"),
    Metric("episodes/count", "games", "", "count", "finished games"),
    Metric("episodes/truncated", "truncated", "games", "count", "games that a time limit ended"),
    Metric(
        "deaths_per_level/*",
        "deaths at *",
        "",
        ".2f",
        "deaths/level for blocks of five levels, which the name gives",
    ),
    Metric("collect/agreement", "agreement", "", ".2f", "share of greedy choices that equal the expert's"),
    Metric(
        "collect/clients", "clients", "", ".0f", "games under way: boards, MAMEs, clients or cluster runners"
    ),
    Metric("collect/dropped", "dropped", "", ".0f", "clients and cluster runners lost so far"),
    Metric("collect/dropped_*", "dropped, *", "", ".0f", "clients lost so far, by reason"),
    Metric("collect/reply_ms", "reply ms", "ms", ".1f", "median time to answer a client"),
    Metric(
        "collect/reply_ms_p99", "reply ms p99", "ms", ".1f", "99th percentile of the time to answer a client"
    ),
    Metric("collect/viewers", "viewers", "", ".0f", "open pages of the dashboard"),
    Metric("cluster/runners", "runners", "", ".0f", "cluster runners that play"),
    Metric("cluster/lost", "runners lost", "", ".0f", "cluster runners lost so far"),
    Metric(
        "cluster/staleness_steps", "staleness", "learner steps", ".0f", "age of the weights that runners use"
    ),
    Metric(
        "cluster/bytes_per_transition",
        "bytes/transition",
        "bytes",
        ".0f",
        "traffic from the runners per transition",
    ),
    Metric("progress/frames", "frames", "", "count", "frames collected so far, the x axis of every curve"),
    Metric("progress/learner_steps", "learner steps", "", "count", "learner steps so far"),
    Metric("progress/seconds_left", "time left", "h:mm:ss", "duration", "estimated time until the run ends"),
    Metric("speed/frames_per_second", "frames/s", "1/s", "count", "frames collected per second"),
    Metric("speed/learner_steps_per_second", "steps/s", "1/s", ".1f", "learner steps per second"),
    Metric("speed/samples_per_insert", "replay ratio", "", ".2f", "samples learned per frame collected"),
    Metric("schedule/epsilon", "epsilon", "", ".3f", "share of random actions"),
    Metric("schedule/expert_ratio", "expert ratio", "", ".2f", "share of play that the expert takes"),
    Metric("schedule/imitation_weight", "imitation", "", ".3f", "weight of imitation in the loss"),
    Metric("schedule/prior_weight", "prior weight", "", ".3f", "weight of the imitated policy in the choice"),
    Metric("schedule/learning_rate", "learning rate", "", ".1e", "step size of the optimizer"),
    Metric("schedule/beta", "beta", "", ".2f", "exponent of the importance weights"),
    Metric(
        "schedule/standing",
        "standing",
        "",
        ".2f",
        "agent's score over the expert's, 0 until 10 games of each",
    ),
    Metric("learner/loss", "loss", "", ".3f", "value loss + weight x imitation loss"),
    Metric("learner/value_loss", "value loss", "", ".3f", "cross-entropy of the return distributions"),
    Metric("learner/imitation_loss", "imitation loss", "", ".3f", "cross-entropy with the expert's actions"),
    Metric("learner/gradient_norm", "gradient norm", "", ".2f", "norm of the gradient before clipping"),
    Metric(
        "learner/q", "Q mean", "", ".2f", "mean expected return of the taken actions, sampled transitions"
    ),
    Metric("learner/q_min", "Q min", "", ".1f", "lowest of all expected returns"),
    Metric("learner/q_max", "Q max", "", ".1f", "highest of all expected returns"),
    Metric("learner/q_mean", "Q of all actions", "", ".2f", "mean expected return of all actions"),
    Metric(
        "learner/at_ends", "at support ends", "", ".3f", "probability at the two ends of the target's support"
    ),
    Metric(
        "learner/agreement", "sample agreement", "", ".2f", "agreement with the expert on sampled transitions"
    ),
    Metric("learner/priority", "priority", "", ".3f", "mean priority of the sampled transitions"),
    Metric("replay/size", "replay size", "transitions", "count", "transitions that can be drawn"),
    Metric("replay/transitions", "transitions", "", "count", "the same, as the replay counts them"),
    Metric("replay/fill", "replay fill", "", ".0%", "share of the replay that is in use"),
    Metric("replay/inserted", "inserted", "transitions", "count", "all transitions inserted so far"),
    Metric("replay/dropped", "transitions lost", "", "count", "transitions dropped where a stream broke off"),
    Metric("replay/stale", "stale priorities", "", "count", "priorities that arrived too late"),
    Metric("replay/mean_value", "tree mean", "", ".3f", "mean entry of the sum tree"),
    Metric("replay/largest_value", "tree maximum", "", ".3f", "largest entry of the sum tree"),
    Metric("time/inference_ms", "inference ms", "ms", ".2f", "time to choose actions, per call"),
    Metric(
        "time/*", "time/*", "", ".0%", "share of wall time of a part of the learning or collecting thread"
    ),
)
"""The metrics of a run's rows."""

EVALUATION: tuple[Metric, ...] = (
    Metric("evaluation/mean", "evaluation", "points", ",.0f", "mean score of greedy games on held-out seeds"),
    Metric("evaluation/median", "evaluation median", "points", ",.0f", "their median score"),
    Metric("evaluation/iqm", "evaluation IQM", "points", ",.0f", "their interquartile mean score"),
    Metric("evaluation/mean_low", "mean, 95% low", "points", ",.0f", "lower end of the mean's 95% interval"),
    Metric(
        "evaluation/mean_high", "mean, 95% high", "points", ",.0f", "upper end of the mean's 95% interval"
    ),
    Metric("evaluation/iqm_low", "IQM, 95% low", "points", ",.0f", "lower end of the IQM's 95% interval"),
    Metric("evaluation/iqm_high", "IQM, 95% high", "points", ",.0f", "upper end of the IQM's 95% interval"),
    Metric("evaluation/level_mean", "evaluation level", "", ".1f", "mean level that they reached"),
    Metric("evaluation/level_max", "highest level", "", ".0f", "highest level that one of them reached"),
    Metric("evaluation/reward_mean", "evaluation reward", "", ".1f", "their mean sum of rewards"),
    Metric(
        "evaluation/deaths_per_level", "evaluation deaths/level", "", ".2f", "lives lost over levels passed"
    ),
    Metric("evaluation/truncated", "evaluation truncated", "games", ".0f", "games that a time limit ended"),
)
"""The metrics of an evaluation."""

COLUMNS = (
    "episodes/agent_score",
    "episodes/agent_level",
    "episodes/agent_deaths_per_level",
    "speed/frames_per_second",
    "progress/seconds_left",
    "progress/frames",
    "speed/learner_steps_per_second",
    "schedule/epsilon",
    "learner/loss",
    "episodes/expert_score",
    "episodes/mixed_score",
    "episodes/agent_length",
    "schedule/expert_ratio",
    "schedule/imitation_weight",
    "collect/agreement",
    "learner/gradient_norm",
    "learner/q_min",
    "learner/q_max",
    "replay/fill",
    "schedule/learning_rate",
    "speed/samples_per_insert",
    "collect/clients",
    "collect/dropped",
    "cluster/staleness_steps",
)
"""What terminal and log show, the most important first."""

_BY_NAME = {metric.name: metric for metric in METRICS + EVALUATION}


def evaluation_values(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics by name that the result of an evaluation has."""
    values = {metric.name: result.get(metric.name.partition("/")[2]) for metric in EVALUATION}
    return {name: value for name, value in values.items() if value is not None}


def find(name: str) -> Metric:
    """Return the metric of a name, or of its family.

    Raises:
        KeyError: no monitor may show this name, since the list does not hold it.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    for metric in METRICS:
        if metric.name.endswith("*") and name.startswith(metric.name[:-1]):
            return metric
    raise KeyError(f"{name} is not in the list of metrics")


def label(name: str) -> str:
    """Return a metric's label; a family's has the member's own name in it."""
    metric = find(name)
    return metric.label.replace("*", name.removeprefix(metric.name[:-1]))


def show(name: str, value: float) -> str:
    """Return a metric's value as text."""
    return find(name).text(value)


def markdown_table() -> str:
    """Return the list as a table for the documentation."""
    lines = ["| curve | shown as | unit | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{metric.name}` | {metric.label} | {metric.unit} | {metric.meaning} |"
        for metric in METRICS + EVALUATION
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown_table())
