"""What a run writes for TensorBoard, read back by TensorBoard itself; the list of metrics names every curve."""

from __future__ import annotations

import dataclasses
import io
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import fake_games
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from tempest_rainbow.config.schedules import ExpertSchedule
from tempest_rainbow.config.settings import (
    TEMPEST,
    DashboardConfig,
    EvaluationConfig,
    LearnerConfig,
    MonitorConfig,
    NetworkConfig,
    TrainConfig,
)
from tempest_rainbow.monitor.dashboard.charts import CARDS, CHARTS
from tempest_rainbow.monitor.history import read_history
from tempest_rainbow.monitor.metric_list import COLUMNS, EVALUATION, METRICS, find, markdown_table
from tempest_rainbow.monitor.metrics import drop_reasons, sum_of_drops
from tempest_rainbow.monitor.tensorboard import _LAYOUT, FIRST, TensorBoard
from tempest_rainbow.replay.replay import ReplayConfig
from tempest_rainbow.run import train
from tempest_rainbow.training.evaluator import Film

PAGE = Path(__file__).parents[1] / "tempest_rainbow" / "docs" / "monitoring.md"


def settings(folder: Path, **changes: Any) -> TrainConfig:
    base = TrainConfig(
        run=folder,
        env=fake_games.LADDER,
        envs=6,
        frames=1500,
        minutes=None,
        batch_size=16,
        samples_per_insert=1.0,
        learn_start=60,
        threads=1,
        network=NetworkConfig(
            encoder_size=16, encoder_heads=2, trunk=(16,), head=8, atoms=11, policy_head=True
        ),
        learner=LearnerConfig(imitation="policy", compile="off", precision="float32"),
        replay=ReplayConfig(capacity=3000, n_step=3),
        expert=ExpertSchedule(start=0.5, end=0.1, frames=1000, unit="episode"),
        evaluation=EvaluationConfig(every_minutes=0, games=1),
        monitor=MonitorConfig(ui="log", curve_seconds=0.1),
        dashboard=DashboardConfig(on=False),
    )
    return dataclasses.replace(base, **changes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two short runs: many short episodes of a toy, and a little of Tempest with an evaluation game."""
    threads = torch.get_num_threads()
    folder = tmp_path_factory.mktemp("runs")
    toy = settings(folder / "toy")
    toy = dataclasses.replace(toy, network=dataclasses.replace(toy.network, encoder="none"))
    assert train(toy) == 0
    assert train(settings(folder / "tempest", env=TEMPEST, frames=1600)) == 0
    torch.set_num_threads(threads)
    return {name: folder / name for name in ("toy", "tempest")}


def events(run: Path) -> EventAccumulator:
    return EventAccumulator(str(run), size_guidance={"images": 0}).Reload()


def test_histograms_of_priorities_and_q_values(runs: dict[str, Path]) -> None:
    curves = events(runs["toy"])
    assert set(curves.Tags()["histograms"]) == {"replay/priorities", "learner/q_values"}
    last = curves.Histograms("replay/priorities")[-1].histogram_value
    assert last.num == 16, "one priority a transition of the last batch"
    assert last.min >= 0.0


def test_the_configuration_stands_beside_the_evaluation_score(runs: dict[str, Path]) -> None:
    curves = events(runs["tempest"])
    content = curves.PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(content["_hparams_/session_start_info"]).session_start_info
    assert start.hparams["batch_size"].number_value == 16
    assert start.hparams["network.encoder_size"].number_value == 16
    assert start.hparams["env"].string_value == TEMPEST
    experiment = HParamsPluginData.FromString(content["_hparams_/experiment"]).experiment
    metrics = [each.name.tag for each in experiment.metric_infos]
    assert metrics == ["evaluation/mean"]
    evaluations = [
        line for line in read_history(runs["tempest"] / "history.jsonl") if line["kind"] == "evaluation"
    ]
    assert [point.value for point in curves.Scalars("evaluation/mean")] == [evaluations[-1]["result"]["mean"]]
    assert (
        "batch_size = 16"
        in curves.Tensors("configuration/text_summary")[0].tensor_proto.string_val[0].decode()
    )


def test_an_evaluation_game_is_there_as_a_film(runs: dict[str, Path]) -> None:
    evaluations = [
        line for line in read_history(runs["tempest"] / "history.jsonl") if line["kind"] == "evaluation"
    ]
    file = (runs["tempest"] / evaluations[-1]["result"]["film"]).read_bytes()
    shown = events(runs["tempest"]).Images("game")[-1]
    assert shown.encoded_image_string == file
    film = Image.open(io.BytesIO(file))
    assert film.size == (shown.width, shown.height) == (240, 320)
    assert 8 <= film.n_frames <= 64
    assert len(film.convert("RGB").getcolors() or []) > 2, "the first picture is empty"
    toy = [line for line in read_history(runs["toy"] / "history.jsonl") if line["kind"] == "evaluation"]
    assert toy[-1]["result"]["film"] is None


def test_a_film_of_the_first_game_is_there_before_any_evaluation(runs: dict[str, Path]) -> None:
    first, last = events(runs["tempest"]).Images("game")
    assert first.step <= last.step
    film = Image.open(io.BytesIO(first.encoded_image_string))
    assert film.n_frames == 32
    assert "game" not in events(runs["toy"]).Tags()["images"]


def test_tensorboard_names_a_run_by_its_folder(runs: dict[str, Path], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

    shown = EventMultiplexer().AddRunsFromDirectory(str(runs["toy"].parent)).Reload().Runs()
    assert set(shown) == {"toy", "tempest"}
    (tmp_path / "old" / "tensorboard").mkdir(parents=True)  # a run of version 0.1 that is resumed
    TensorBoard(tmp_path / "old", {}, histograms=False).close()
    assert not list((tmp_path / "old").glob("events*"))


FAMILIES = {
    "collect/reply_ms": 1.0,
    "collect/reply_ms_p99": 2.0,
    "collect/dropped_left": 2.0,
    "collect/viewers": 1.0,
    "evaluation/deaths_per_level": 1.0,  # missing where no level was passed
    "cluster/runners": 2.0,
    "cluster/lost": 1.0,
    "cluster/staleness_steps": 9.0,
    "cluster/bytes_per_transition": 800.0,
    **{f"episodes/mixed_{what}": 1.0 for what in ("score", "level", "length", "reward")},
}
"""What only runs with clients, a cluster, a dashboard or another expert's schedule have."""


@pytest.mark.parametrize(
    ("run", "short", "name"),
    [("toy", "1 score", "episodes/agent_score"), ("tempest", "2 evaluation", "evaluation/mean")],
)
def test_score_and_evaluation_come_first_among_all_groups(
    runs: dict[str, Path], run: str, short: str, name: str
) -> None:
    found = events(runs[run])
    tags = found.Tags()
    names = sorted(tag for kind in ("scalars", "images", "histograms") for tag in tags[kind])
    first = [each for each in names if each.startswith(f"{FIRST}/")]
    assert names[: len(first)] == first
    assert f"{FIRST}/{short}" in first
    values = [[point.value for point in found.Scalars(tag)] for tag in (f"{FIRST}/{short}", name)]
    assert values[0] == values[1]


def test_every_curve_of_a_run_is_in_the_list_of_metrics_and_the_other_way_round(
    runs: dict[str, Path],
) -> None:
    written = {name for run in runs.values() for name in events(run).Tags()["scalars"]} | FAMILIES.keys()
    written = {name for name in written if not name.startswith(f"{FIRST}/")}
    for name in written:
        find(name)
    listed = {metric.name for metric in (*METRICS, *EVALUATION)}
    assert {name for name in listed if not any(fnmatchcase(each, name) for each in written)} == set()


def test_every_name_that_a_monitor_shows_is_in_the_list() -> None:
    shown = [*COLUMNS, *(name for chart in CHARTS for _, name in chart.series), *(name for name, _ in CARDS)]
    for charts in _LAYOUT.values():
        shown += [tag.rstrip("$") for _, (_, tags) in charts.items() for tag in tags]
    assert len(shown) > 50
    for name in shown:
        assert find(name).label


def test_the_page_holds_the_list_of_metrics() -> None:
    assert markdown_table() in PAGE.read_text(encoding="utf-8")


def test_a_film_stays_short_and_evenly_spaced() -> None:
    class Counter:
        def __init__(self) -> None:
            self.unwrapped, self.step = self, 0

        def picture(self, index: int) -> Any:
            picture = torch.zeros(8, 6, 3, dtype=torch.uint8).numpy()
            picture[0, 1] = self.step // 256, self.step % 256, index
            return picture

    game, film = Counter(), Film()
    for game.step in range(5000):
        film.take(game)
    steps = [256 * int(picture[0, 0, 0]) + int(picture[0, 0, 1]) for picture in film.pictures]
    assert steps == list(range(0, 5000, 128))
    assert film.pictures[0].shape == (4, 3, 3)


def test_drops_are_summed_and_named() -> None:
    values = {"collect/clients": 3.0, "collect/dropped_left": 1.0, "collect/dropped_silent": 2.0}
    assert sum_of_drops(values) == {"collect/dropped": 3.0}
    assert drop_reasons(values | sum_of_drops(values)) == "silent 2, left 1"
    assert drop_reasons({"collect/dropped": 0.0}) == ""
    assert sum_of_drops({"cluster/runners": 4.0, "cluster/lost": 2.0}) == {
        "collect/dropped": 2.0,
        "collect/clients": 4.0,
    }
