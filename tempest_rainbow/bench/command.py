"""How fast learner and replay are on this machine: ``python -m tempest_rainbow.bench --json``."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from tempest_rainbow.bench.learner import bench_learner
from tempest_rainbow.bench.replay import bench_replay
from tempest_rainbow.config.command_line import Parser

__all__ = ["bench", "main"]

_log = logging.getLogger(__name__)


def bench(
    seconds: float = 20.0, transitions: int = 15_000_000, batch_size: int = 256, device: str = "cpu"
) -> dict[str, Any]:
    """Measure learner, replay and training; keys as `bench_learner`, `bench_replay` and `measure_training` give."""
    from tempest_rainbow.bench.training import measure_training

    return {
        **bench_learner(seconds, batch_size, device),
        **bench_replay(transitions, batch_size),
        **measure_training(1.5 * seconds),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark from the command line."""
    parser = Parser(
        "tempest-rainbow bench", description="Measure how fast learner, replay and training are here."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for the learner's part")
    parser.add_argument("--transitions", type=int, default=15_000_000, help="size of the replay")
    parser.add_argument("--batch-size", type=int, default=256, help="transitions per batch")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps or auto")
    parser.add_argument("--ray", action="store_true", help="measure collection on a cluster instead")
    parser.add_argument("--clients", type=int, help="measure the server with this many clients instead")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        if options.clients is not None:
            from tempest_rainbow.bench.clients import measure_clients

            return _show(measure_clients(max(1, options.clients), options.seconds), options.json)
        if options.ray:
            from tempest_rainbow.bench.cluster import measure_cluster

            return _show(measure_cluster(options.seconds), options.json)
        result = bench(options.seconds, options.transitions, options.batch_size, options.device)
    except MemoryError as error:
        parser.error(str(error))
    return _show(result, options.json)


def _show(result: dict[str, Any], as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
        return 0
    for name, value in result.items():
        if isinstance(value, dict):
            sys.stdout.write(f"{name}:\n")
            _show(value, False)
            continue
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        sys.stdout.write(f"{name:28} {shown}\n")
    return 0
