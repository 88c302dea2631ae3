"""The hub and the controls: every monitor receives everything once, and no monitor can break a run."""

import json
import logging
import threading

import numpy as np
import pytest

from tempest_rainbow.monitor.console import Console
from tempest_rainbow.monitor.controls import REQUESTS, SETTINGS, Controls
from tempest_rainbow.monitor.history import History, read_history
from tempest_rainbow.monitor.metric_list import duration, format_count
from tempest_rainbow.monitor.metrics import Metrics, Row, RunningMean
from tempest_rainbow.monitor.tensorboard import flatten


class RecordingMonitor:
    def __init__(self, fail=False):
        self.received, self.fail = [], fail

    def _record(self, *what):
        if self.fail:
            raise OSError("deaf")
        self.received.append(what)

    def row(self, row):
        self._record("row", row)

    def event(self, frames, text):
        self._record("event", frames, text)

    def evaluation(self, frames, result):
        self._record("evaluation", frames, result)

    def close(self):
        self._record("close")


def test_a_failing_monitor_is_dropped_and_the_others_continue(caplog):
    metrics, good, bad = Metrics(), RecordingMonitor(), RecordingMonitor(fail=True)
    metrics.subscribe(bad)
    metrics.subscribe(good)
    row = Row(10, 1.0, {"a": 1.0})
    metrics.publish(row)
    metrics.event(11, "hello")
    metrics.close()
    assert good.received == [("row", row), ("event", 11, "hello"), ("close",)]
    assert metrics.latest is row
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def test_readers_get_headlines_only():
    metrics, reader, curve = Metrics(), RecordingMonitor(), RecordingMonitor()
    metrics.subscribe(reader, headlines_only=True)
    metrics.subscribe(curve)
    rows = [Row(i, float(i), {}, headline=i % 3 == 0) for i in range(6)]
    for row in rows:
        metrics.publish(row)
    assert reader.received == [("row", rows[0]), ("row", rows[3])]
    assert curve.received == [("row", row) for row in rows]


def test_running_means_are_means_since_the_last_take():
    means = RunningMean()
    means.add({"a": 1.0, "b": 5.0})
    means.add({"a": 3.0})
    assert means.take() == {"a": 2.0, "b": 5.0}
    assert means.take() == {}
    means.add({"a": float("nan")})
    assert means.take() == {}


def test_settings_are_checked_logged_and_reset():
    controls, events = Controls(), []
    controls.listen(events.append)
    controls.set("epsilon", 0.25, "keyboard")
    controls.set("epsilon", 0.25, "keyboard")
    assert controls["epsilon"] == 0.25
    controls.set("epsilon", None, "dashboard")
    assert controls["epsilon"] is None
    assert controls.toggle("training", "keyboard") is False
    assert [str(event) for event in events] == [
        "keyboard: epsilon as scheduled -> 0.25 (epsilon instead of the schedule's)",
        "dashboard: epsilon 0.25 -> as scheduled (epsilon instead of the schedule's)",
        "keyboard: training on -> off (whether it learns)",
    ]
    assert controls.events == events


@pytest.mark.parametrize(
    ("name", "value"), [("epsilon", 1.5), ("epsilon", "much"), ("start_level", 82), ("epsilon", float("nan"))]
)
def test_values_out_of_range_are_refused(name, value):
    controls = Controls()
    with pytest.raises(ValueError):  # noqa: PT011 (float's own message for text)
        controls.set(name, value, "test")
    assert controls[name] is None
    assert controls.events == []


def test_unknown_names_are_refused():
    controls = Controls()
    with pytest.raises(KeyError):
        controls.set("epsilom", 0.1, "test")
    with pytest.raises(KeyError):
        controls.request("explode", "test")


def test_a_request_is_taken_once():
    controls = Controls()
    controls.request("save", "keyboard")
    assert controls.pending("save")
    assert controls.take("save")
    assert not controls.take("save")
    assert not controls.pending("save")


def test_a_request_from_many_threads_is_never_lost():
    controls = Controls()
    for _ in range(50):
        threads = [threading.Thread(target=controls.request, args=(name, "test")) for name in REQUESTS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(controls.take(name) for name in REQUESTS)


def test_controls_survive_a_checkpoint():
    controls = Controls()
    controls.set("learning_rate_factor", 4.0, "keyboard")
    controls.request("pulse", "keyboard")
    again = Controls()
    again.set_state(json.loads(json.dumps(controls.get_state())))
    assert {name: again[name] for name in SETTINGS} == {name: controls[name] for name in SETTINGS}
    assert again.events == controls.events
    assert not again.pending("pulse"), "what was asked of the old run is not done again"


def test_history_reads_back_and_forgives_a_torn_last_line(tmp_path):
    path = tmp_path / "history.jsonl"
    history = History(path)
    history.row(Row(5, 1.5, {"a": 1.0, "b": float("nan"), "c": float("inf")}))
    history.event(6, "naïve ☂")
    history.evaluation(7, {"mean": 1.0})
    history.close()
    with open(path, "a") as file:
        file.write('{"kind": "row", "fra')
    lines = list(read_history(path))
    assert [line["kind"] for line in lines] == ["row", "event", "evaluation"]
    assert lines[0]["values"] == {"a": 1.0, "b": None, "c": None}
    assert lines[1]["text"] == "naïve ☂"


def test_a_log_line_has_rate_and_time_to_go(caplog):
    caplog.set_level(logging.INFO)
    values = {
        "speed/frames_per_second": 1234.4,
        "speed/learner_steps_per_second": 9.87,
        "progress/seconds_left": 3661.0,
        "schedule/epsilon": 0.005,
        "progress/frames": 2_500_000,
    }
    Console().row(Row(2_500_000, 90.0, values))
    assert caplog.messages == [
        "0:01:30 | frames/s 1.23K | time left 1:01:01 | frames 2.5M | steps/s 9.9 | epsilon 0.005"
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (950, "950"), (12_345, "12.3K"), (4.56e6, "4.56M"), (15e9, "15G")]
)
def test_counts_are_short(value, text):
    assert format_count(value) == text


def test_durations():
    assert [duration(seconds) for seconds in (0, 59.6, 3599, 36_000, -3)] == [
        "0:00:00",
        "0:01:00",
        "0:59:59",
        "10:00:00",
        "0:00:00",
    ]


def test_nested_settings_become_flat_hyperparameters():
    assert flatten({"a": {"b": 1, "c": {"d": None}}, "e": (1, 2), "f": np.float32(2)}) == {
        "a.b": 1,
        "a.c.d": "None",
        "e": "(1, 2)",
        "f": "2.0",
    }
