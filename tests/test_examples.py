"""The examples run as their first lines say, for a short while."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["look_ahead.py", "--steps", "4", "--depth", "3"], r"^4 steps, \d+ points, level 1"),
        (["ppo_one_file.py", "--steps", "500", "--envs", "8"], r"^512 steps, \d+ a second"),
        (
            ["sb3_ppo.py", "--steps", "500", "--envs", "2", "--games", "1"],
            r"^reward per game after 500 steps: -?[\d.]+",
        ),
        (["players.py", "--games", "1"], r"^at_random +[\d,]+ points a game.*\nexpert +[\d,]+ points a game"),
    ],
    ids=["look_ahead", "ppo_one_file", "sb3_ppo", "players"],
)
def test_an_example_runs(arguments, said):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=EXAMPLES, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert re.search(said, done.stdout, re.MULTILINE), done.stdout
