"""A training is killed, interrupted, and meets a full disk: what was saved is intact, and it continues."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import resource
import signal
import time
from collections.abc import Set
from pathlib import Path

import pytest
from resources import soak_scale, wait_for
from test_trainer import make, settings
from training_process import Training

from tempest_rainbow import checkpoint
from tempest_rainbow.checkpoint import read_tree, read_weights
from tempest_rainbow.config.settings import CheckpointConfig, EvaluationConfig
from tempest_rainbow.monitor.history import History, read_history
from tempest_rainbow.monitor.metrics import Row
from tempest_rainbow.monitor.retrying import Retrying

CARTPOLE = [
    *("--preset", "classic", "--env", "CartPole-v1", "--frames", "None", "--threads", "1"),
    *("--samples-per-insert", "0.5", "--learn-start", "200", "--replay.capacity", "20000"),
    *("--evaluation.every-frames", "0", "--evaluation.no-at-end", "--dashboard.no-on"),
    *("--monitor.curve-seconds", "0.2", "--monitor.ui", "log", "--monitor.no-tensorboard"),
]
BUSY_SAVING = ("--checkpoint.every-frames", "100", "--checkpoint.replay")


def half_saved(training: Training) -> set[Path]:
    return set((training.folder / "checkpoints").glob(".*.tmp"))


def being_saved(training: Training, left_before: Set[Path] = frozenset()) -> bool:
    return bool(half_saved(training) - left_before)


def wait_for_checkpoint(training: Training) -> None:
    wait_for(lambda: training.check() and bool(training.checkpoints().all()))


def stopped_within_a_save(training: Training, left_before: Set[Path], chance: random.Random) -> bool:
    """Stop the process if it is saving; let it run on if the save was over before that."""
    if not (training.check() and being_saved(training, left_before)):
        return False
    time.sleep(chance.random() * 0.02)
    training.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, training.pid, os.WSTOPPED | os.WNOWAIT)
    if being_saved(training, left_before):
        return True
    training.process.send_signal(signal.SIGCONT)
    return False


def wait_to_kill(training: Training, kill: int, left_before: Set[Path], chance: random.Random) -> None:
    """Wait for a moment: every other time within a save, else any; every tenth time soon after the start."""
    if kill % 10 == 9:
        time.sleep(chance.random() * 8.0)
    elif kill % 2 == 0:
        wait_for(lambda: stopped_within_a_save(training, left_before, chance))
    else:
        training.wait_for_line("resumed from")
        time.sleep(chance.random() * 3.0)


def kill_and_resume(folder: Path, kills: int, chance: random.Random) -> tuple[int, int]:
    """Kill a training again and again; return how many kills met a save, and the frames at the end."""
    training = Training(folder, *CARTPOLE, *BUSY_SAVING, quick=False)
    left_before: Set[Path] = frozenset()
    frames = saving = 0
    try:
        wait_for_checkpoint(training)
        for kill in range(kills):
            wait_to_kill(training, kill, left_before, chance)
            training.check()
            training.kill()
            saving += being_saved(training, left_before)
            latest = training.checkpoints().latest()
            assert (
                read_tree(latest / "state.safetensors")["collector"]["frames"]
                == int(latest.name[:12])
                >= frames
            )
            read_weights(latest / "weights.safetensors")
            frames = int(latest.name[:12])
            left_before = half_saved(training)
            training = Training(folder, "--resume", str(folder), quick=False)
        training.wait_for_line(re.escape(f"resumed from {latest}"))
        training.wait_for_frames(frames + 200)
        assert training.interrupt() == 0, training.printed()[-2000:]
        assert not half_saved(training), "what was left half saved is gone"
        return saving, int(training.checkpoints().latest().name[:12])
    finally:
        training.kill()


def test_killed_while_saving_it_resumes_from_a_whole_checkpoint(tmp_path):
    saving, _ = kill_and_resume(tmp_path / "run", 1, random.Random(0))
    assert saving == 1


@pytest.mark.soak
def test_fifty_kills_at_random_moments_leave_a_checkpoint_to_resume_from(tmp_path, record_property):
    kills = max(2, round(50 * soak_scale()))
    saving, frames = kill_and_resume(tmp_path / "run", kills, random.Random(1))
    record_property("figures", {"kills": kills, "while_saving": saving, "frames": frames})
    assert saving >= kills / 5


def limit_file_size(training: Training, size: int) -> None:
    """Let the process write no file beyond a size, as if the disk were full; -1 lifts that."""
    hard = resource.prlimit(training.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(training.pid, resource.RLIMIT_FSIZE, (size, hard))


def cpu_seconds(training: Training) -> float:
    fields = Path(f"/proc/{training.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_full_disk_ends_no_training(tmp_path):
    training = Training(tmp_path / "run", *CARTPOLE, "--checkpoint.every-frames", "500", quick=False)
    try:
        wait_for_checkpoint(training)
        limit_file_size(training, 40_000)  # Lines of text go through, checkpoints do not.
        wait_for(lambda: any("could not be saved" in text for text in training.events()))
        (printed,) = {text for text in training.events()[-1:] if "could not be saved" in text}
        latest = training.checkpoints().latest()
        assert "File too large" in printed
        assert f"the last good checkpoint is {latest}; training continues" in printed
        assert read_tree(latest / "state.safetensors")["collector"]["frames"] == int(latest.name)
        assert not being_saved(training) or training.check()
        limit_file_size(training, 0)  # Nothing at all can be written.
        used = cpu_seconds(training)
        wait_for(lambda: training.check() and cpu_seconds(training) > used + 1.0)
        limit_file_size(training, -1)
        wait_for(lambda: training.check() and training.checkpoints().latest() != latest)
        wait_for(lambda: "the history continues" in (training.folder / "log.txt").read_text())
        assert training.interrupt() == 0
    finally:
        training.kill()


def test_a_checkpoint_that_cannot_be_written_is_reported_and_not_taken_for_the_best(tmp_path, monkeypatch):
    config = settings(
        checkpoint=CheckpointConfig(every_minutes=0, every_frames=100, replay=True, keep=2),
        evaluation=EvaluationConfig(every_minutes=0, every_frames=200, games=2, at_end=False),
    )
    trainer, _, spy = make(config, tmp_path)
    write = checkpoint.write_bytes

    def full(path, content):
        if 150 <= trainer.frames < 350:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_bytes", full)
    trainer.run()
    trainer.close()
    failures = [text for text in spy.events if "could not be saved" in text]
    assert len(failures) == 3, "at 200 frames a save and an evaluation are due, at 300 a save"
    assert all("No space left on device" in text and "000000000100;" in text for text in failures)
    assert len(spy.evaluations) == 2
    marked = json.loads((trainer.checkpoints.folder / "best.json").read_text())
    assert 400 <= int(marked["name"][:12]) < 500, "not the evaluation at 200, whose weights were not saved"
    assert [path.name for path in trainer.checkpoints.folder.glob(".*")] == []


def test_the_end_of_a_run_that_cannot_be_saved_is_an_error(tmp_path, monkeypatch):
    trainer, _, _ = make(settings(frames=60), tmp_path)

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_bytes", full)
    with pytest.raises(
        checkpoint.CheckpointError, match=r"end of the run could not be saved .*No space left"
    ):
        trainer.run()
    trainer.close()


def test_history_leaves_out_whole_lines(tmp_path, caplog):
    caplog.set_level("INFO")
    file = tmp_path / "history.jsonl"
    history = History(file)
    history.event(1, "before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, before[1]))
        history.event(2, "lost")
        history.event(3, "lost too")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    history.event(4, "after")
    history.close()
    assert [line["text"] for line in read_history(file)] == ["before", "after"]
    assert "cannot be written at present" in caplog.text
    assert "2 lines are lost" in caplog.text


def test_curves_continue_when_there_is_room_again(caplog):
    caplog.set_level("INFO")

    class Curves:
        full = False

        def __init__(self):
            self.rows, self.closed = [], False
            made.append(self)
            self.check()

        def check(self):
            if Curves.full:
                raise OSError(errno.ENOSPC, "No space left on device")

        def row(self, row):
            self.check()
            self.rows.append(row.frames)

        def close(self):
            self.closed = True

    made = []
    curves = Retrying("the curves", Curves, seconds=0.0)
    for frames, full in enumerate([False, True, True, False]):
        Curves.full = full
        curves.row(Row(frames, 0.0, {}))
    curves.close()
    assert [each.rows for each in made if each.rows] == [[0], [3]]
    assert made[0].closed
    assert made[-1].closed
    assert caplog.text.count("the curves cannot be written at present") == 1
    assert "the curves can be written again" in caplog.text


LONG_EVALUATION = (
    "--evaluation.every-frames",
    "300",
    "--evaluation.games",
    "1000000",
    "--evaluation.envs",
    "2",
)


@pytest.mark.parametrize("moment", ["saving", "evaluating", "starting"])
def test_interrupts_work_at_any_time(tmp_path, moment):
    """Once: it saves and ends (there is nothing to save before it has started). Twice: it ends at once."""
    options = {"saving": BUSY_SAVING, "evaluating": LONG_EVALUATION, "starting": ()}[moment]
    training = Training(tmp_path / "run", *CARTPOLE, *options, quick=False)
    try:
        if moment == "starting":
            wait_for((training.folder / "log.txt").exists)
            assert training.interrupt() == 130
            assert "Traceback" not in training.printed()
            return
        wait_for_checkpoint(training)
        if moment == "saving":
            wait_for(lambda: being_saved(training))
        assert training.interrupt() == 0, training.printed()
        assert "SIGINT: save and end" in training.printed()
        latest = training.checkpoints().latest()
        assert read_tree(latest / "state.safetensors")["collector"]["frames"] == int(latest.name[:12])
        assert not being_saved(training)
        again = Training(training.folder, "--resume", str(training.folder), quick=False)
        try:
            wait_for(lambda: again.check() and again.printed().count("resumed from") == 1)
            wait_for(lambda: again.check() and again.checkpoints().latest() != latest)
            again.process.send_signal(signal.SIGINT)
            wait_for(lambda: "SIGINT" in again.printed() or again.process.poll() is not None)
            again.process.send_signal(signal.SIGINT)
            # It may just have ended by itself, or been about to.
            assert again.process.wait(600) in (0, 130, -signal.SIGINT)
            read_tree(again.checkpoints().latest() / "state.safetensors")
        finally:
            again.kill()
    finally:
        training.kill()
