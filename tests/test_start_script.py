"""``examples/start.sh`` prints the next commands, however the training ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from resources import wait_for

ROOT = Path(__file__).parents[1]

TRAINING = """#!/bin/sh
trap 'echo saved; exit 0' INT
echo "training $@"
while :; do sleep 0.1; done
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with the script, whose environment has a training that lasts until Ctrl-C."""
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "start.sh", tmp_path / "examples")
    (tmp_path / "examples" / "install.sh").write_text("echo installing $2")
    program = tmp_path / ".venv" / "bin" / "tempest-rainbow"
    program.parent.mkdir(parents=True)
    program.write_text(TRAINING)
    program.chmod(0o755)
    return tmp_path


def test_after_ctrl_c_the_training_has_saved_and_the_next_commands_are_shown(checkout):
    printed = checkout / "printed"
    with open(printed, "wb") as output:
        process = subprocess.Popen(
            ["bash", "examples/start.sh", "--minutes", "5"],
            cwd=checkout,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    wait_for(lambda: "training train --minutes 5" in printed.read_text())
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 0
    text = printed.read_text()
    assert "installing rainbow,dashboard,human,video" in text
    assert text.index("saved") < text.index(f"source {checkout}/.venv/bin/activate")
    for command in ("tempest-rainbow watch --policy bundled", "tempest-gym play"):
        assert command in text
