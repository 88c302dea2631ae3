"""Compares agents that all had the same time to learn: chance, teacher, DQN and PPO of Stable-Baselines3, and ours.

    pip install ".[rainbow,sb3]"
    python examples/campaign.py --folder campaign --minutes 60

Runs are trained one after the other, each on all cores (or several at once, with `--cores 1` each on a core of its
own), and saved after a quarter, half and all of their time. Then 100 greedy whole games on seeds that no training
used evaluate each of them. Ctrl-C ends it; the same command continues: finished runs are kept, an unfinished one
restarts. `FOLDER/results.json`, `results.md` and `results.svg` hold the results; `judged` and `curves` beside them are
all that they are made of, so a run whose games are there need not be trained again.
"""

import argparse
import json
import os
import platform
import queue
import shutil
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

from campaign_report import write_report
from sb3_baselines import load_model

from tempest_rainbow.checkpoint import Checkpoints
from tempest_rainbow.collect.environments import make_vector
from tempest_rainbow.config.settings import Task
from tempest_rainbow.evaluate import evaluate
from tempest_rainbow.policy import load_policy

TEMPEST = "tempest_gym:Tempest-v0"
UNTRAINED = ("random", "expert")
ACTIONS = 44
FIRST_GAME = 10_000


def command(name, folder, options):
    """Return the command that trains the run called ``name`` into ``folder``, with checkpoints at the marks."""
    threads = [] if options.cores != 1 else ["1"]
    if name.startswith("sb3"):
        script = [str(Path(__file__).with_name("sb3_baselines.py")), "--algorithm", name[-3:], "--games", "0"]
        script += ["--save", str(folder), "--marks", *(f"{mark:g}" for mark in options.marks)]
        # A moment longer than the last mark, so that the model is saved there.
        script += ["--minutes", str(options.minutes + 0.01), "--clock", options.clock]
        script += ["--threads", *threads] if threads else []
    else:
        script = ["-m", "tempest_rainbow.cli", "train", "--run", str(folder), "--seed", name.split("-")[1]]
        script += ["--minutes", str(options.minutes), "--checkpoint.every-minutes", str(options.step)]
        script += ["--checkpoint.keep", "1000", "--evaluation.every-minutes", "0", "--evaluation.no-at-end"]
        script += ["--dashboard.no-on", "--clock", options.clock]
        script += ["--threads", "1", "--env-threads", "1", "--no-learner-processes"] if threads else []
    return [sys.executable, *script]


class Trainings:
    """Trains runs, as many at once as there are groups of cores."""

    def __init__(self, names, options):
        self.names, self.options = queue.SimpleQueue(), options
        for name in names:
            self.names.put(name)
        self.running, self.failed, self.stopped = {}, [], False

    def all(self):
        """Train all runs; return the names of those that failed."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())
        size = self.options.cores or len(cores)
        groups = [list(cores)[i : i + size] for i in range(0, len(cores) - size + 1, size)]
        threads = [threading.Thread(target=self.serve, args=(group,), daemon=True) for group in groups]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.2)
        except KeyboardInterrupt:
            self.stopped = True
            for process in list(self.running.values()):
                process.terminate()
            raise
        return self.failed

    def serve(self, group):
        """Train one run after the other on a group of cores."""
        while not self.stopped:
            try:
                name = self.names.get_nowait()
            except queue.Empty:
                return
            if not self.train(name, group):
                self.failed.append(name)

    def train(self, name, group):
        """Train one run and return whether it came to its end; its folder appears when it has."""
        final = self.options.folder / name
        folder = final.with_name(f".{name}.unfinished")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        say(f"{name}: training for {self.options.minutes:g} minutes on cores {group}")
        with open(folder / "output.txt", "w") as output:
            process = subprocess.Popen(
                command(name, folder, self.options), stdout=output, stderr=subprocess.STDOUT
            )
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(process.pid, group)
            self.running[name] = process
            code = process.wait()
        if code or self.stopped:
            say(f"{name}: ended with code {code}; {folder / 'output.txt'} tells more")
            return False
        folder.rename(final)
        return True


def checkpoint_at(folder, minutes):
    """Return the checkpoint of a run of ours that was saved nearest to ``minutes`` of training."""

    def distance(path):
        return abs(json.loads((path / "state.json").read_text())["seconds"] - 60 * minutes)

    return min(Checkpoints(folder / "checkpoints", keep=0).all(), key=distance)


def policy_of(name, minutes, options):
    """Return the player that a run had become after some minutes."""
    if name in UNTRAINED:
        return load_policy(name, ACTIONS, FIRST_GAME)
    folder = options.folder / name
    if name.startswith("sb3"):
        return load_model(folder / f"{minutes:g}.zip")
    return load_policy(str(checkpoint_at(folder, minutes)), ACTIONS, FIRST_GAME)


def marks_of(name, options):
    """Return the minutes after which a run is judged."""
    return [0.0] if name in UNTRAINED else options.marks


def judgement(name, minutes, options):
    """Return the file of a run's games after some minutes."""
    return options.folder / "judged" / f"{name}-{minutes:g}-minutes-{options.games}-games.json"


def to_train(options):
    """Return the runs that have neither been trained nor judged."""
    return [
        name
        for name in options.runs
        if name not in UNTRAINED
        and not (options.folder / name).exists()
        and not all(judgement(name, minutes, options).exists() for minutes in options.marks)
    ]


def judge(name, minutes, options):
    """Return the statistics of a run's games after some minutes, played only once."""
    file = judgement(name, minutes, options)
    if not file.exists():
        make_envs = partial(make_vector, Task(TEMPEST, tempest=True))
        result = evaluate(make_envs, policy_of(name, minutes, options), options.games, FIRST_GAME)
        result = {**result, "policy": name, "minutes": minutes}
        write(file, result)
        say(f"{name} after {minutes:g} minutes: mean {result['mean']:.0f}")
    return json.loads(file.read_text())


def curve(name, options):
    """Return minutes and mean score of the last 100 training games of a run of ours, every half minute."""
    file = options.folder / "curves" / f"{name}.json"
    if not file.exists():
        points = {}
        for line in (options.folder / name / "history.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row["kind"] == "row" and "episodes/agent_score" in row["values"]:
                point = round(row["seconds"] / 60, 2), round(row["values"]["episodes/agent_score"], 1)
                points[round(2 * point[0])] = point
        write(file, list(points.values()))
    return json.loads(file.read_text())


def write(file, content):
    """Write a JSON file that is there whole or not at all."""
    file.parent.mkdir(exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(content))
    temporary.rename(file)


def say(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def parse(arguments=None):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("campaign"), help="what was done lies here")
    parser.add_argument("--minutes", type=float, default=60.0, help="of training for each")
    parser.add_argument("--cores", type=int, help="for each; by default all, and one after the other")
    parser.add_argument(
        "--clock",
        choices=["wall", "processor"],
        default="wall",
        help="what minutes are; processor time (with --cores 1) is the same however busy the computer is",
    )
    parser.add_argument("--games", type=int, default=100, help="to judge each by")
    parser.add_argument("--seeds", type=int, default=3, help="runs of ours")
    parser.add_argument("--runs", nargs="*", help="only these, such as: expert random sb3-ppo ours-0")
    options = parser.parse_args(arguments)
    options.step = options.minutes / 4
    options.marks = [options.step, 2 * options.step, options.minutes]
    every = [*UNTRAINED, "sb3-dqn", "sb3-ppo", *(f"ours-{seed}" for seed in range(options.seeds))]
    options.runs = options.runs or every
    unknown = set(options.runs) - set(every)
    if unknown:
        parser.error(f"there is no run {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    if options.cores is not None and not 1 <= options.cores <= (os.cpu_count() or 1):
        parser.error(f"--cores must be from 1 to {os.cpu_count()}, got {options.cores}")
    if options.clock == "processor" and options.cores != 1:
        parser.error("--clock processor needs --cores 1")
    return options


def main():
    options = parse()
    options.folder.mkdir(parents=True, exist_ok=True)
    settings = {"minutes": options.minutes, "cores": options.cores, "clock": options.clock}
    stamp = options.folder / "settings.json"
    if stamp.exists() and json.loads(stamp.read_text()) != settings:
        sys.exit(
            f"{options.folder} holds a campaign of other settings, {stamp.read_text()}: take another --folder"
        )
    stamp.write_text(json.dumps(settings))
    failed = Trainings(to_train(options), options).all()
    if failed:
        sys.exit(f"not trained: {', '.join(failed)}; the same command tries them again")
    judged = [judge(name, minutes, options) for name in options.runs for minutes in marks_of(name, options)]
    curves = {name: curve(name, options) for name in options.runs if name.startswith("ours")}
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    results = {**settings, "games": options.games, "machine": machine, "judged": judged, "curves": curves}
    print(write_report(options.folder, results), end="")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; the same command continues")
