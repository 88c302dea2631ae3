"""How evenly the server serves many clients at once: ``tempest-rainbow bench --clients 36 --json``."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from tempest_gym.machines.mame_process import MameMissingError, find_mame
from tempest_gym.roms import resolve_rom
from tempest_gym.server.board_clients import run_board_clients
from tempest_gym.server.mame_clients import run_clients
from tempest_gym.server.pool import ClientPool
from tempest_rainbow.policy import load_stored

__all__ = ["measure_clients"]

_log = logging.getLogger(__name__)

_JOIN_SECONDS = 120.0
_WARM_UP_SECONDS = 3.0
_MOST_MAMES = 2
_BOARDS_PER_PROCESS = 17


def measure_clients(clients: int = 36, seconds: float = 20.0) -> dict[str, Any]:
    """Let boards and MAMEs in other processes play over TCP with the bundled agent's actions.

    Args:
        clients: in all; up to two of them are MAMEs, if there is one here, the others boards that speak the
            same protocol.
        seconds: measured, once all are connected.

    Returns:
        ``clients``; ``frames_per_second`` in all and by kind; ``slowest_to_fastest``: the slowest client's frames
        divided by the fastest's, of all clients and of each kind; milliseconds from a packet's arrival at the
        server to its reply (``reply_ms``) and from a board's frame to its reply (``board_ms``), as median
        (``p50``) and 99th percentile (``p99``); the mean number of clients served by one call of the network.

    Raises:
        RuntimeError: a client does not connect in time.
    """
    mames = min(_MOST_MAMES, clients // 4) if _has_mame() else 0
    policy = load_stored("bundled")
    torch.set_num_threads(1)  # More of them wait in busy loops for cores that the players have.
    with contextlib.closing(ClientPool(port=0, count=clients)) as pool:
        address = "{}:{}".format(*pool.address)
        with _Players(address, clients - mames, mames) as players:
            _serve(pool, policy, _JOIN_SECONDS, until=clients)
            if len(pool.clients()) < clients:
                raise RuntimeError(
                    f"{len(pool.clients())} of {clients} clients connected within {_JOIN_SECONDS:.0f} seconds"
                )
            _serve(pool, policy, _WARM_UP_SECONDS)
            pool.reply_seconds.clear()
            before = _frames(pool)
            started = time.monotonic()
            calls, served = _serve(pool, policy, seconds)
            span = time.monotonic() - started
            frames = {slot: (kind, count - before[slot][1]) for slot, (kind, count) in _frames(pool).items()}
            waits = np.array(pool.reply_seconds)
            dropped = dict(pool.dropped)
            pool.close("the measurement is over")
            boards = players.summaries()
    median, late = 1000 * np.quantile(waits, [0.5, 0.99])
    result: dict[str, Any] = {"clients": clients, "mames": mames, "seconds": span, "dropped": dropped}
    every = [count for _, count in frames.values()]
    result["frames_per_second"] = sum(every) / span
    result["slowest_to_fastest"] = min(every) / max(max(every), 1)
    for kind in ("board", "mame"):
        counts = [count for name, count in frames.values() if name == kind]
        if counts:
            result[f"{kind}_frames_per_second"] = sum(counts) / span
            result[f"{kind}_slowest_to_fastest"] = min(counts) / max(max(counts), 1)
    result |= {"reply_ms_p50": float(median), "reply_ms_p99": float(late)}
    for key, name in (("board_ms_p50", "reply_ms_median"), ("board_ms_p99", "reply_ms_p99")):
        known = [summary[name] for summary in boards if summary[name] is not None]
        result[key] = float(np.mean(known)) if known else None
    result["clients_per_inference"] = served / max(calls, 1)
    return result


def _serve(pool: ClientPool, policy: Any, seconds: float, until: int | None = None) -> tuple[int, int]:
    """Play for some seconds, or until ``count`` clients are connected; return calls of the network and actions."""
    calls = served = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and (until is None or len(pool.clients()) < until):
        arrivals = pool.recv(0.2)
        if len(arrivals.ids):
            pool.send(arrivals.ids, policy.act(arrivals.observations, arrivals.info))
            calls, served = calls + 1, served + len(arrivals.ids)
    return calls, served


def _frames(pool: ClientPool) -> dict[int, tuple[str, int]]:
    """Return the kind of each client and the frames it has sent, by slot."""
    return {
        client["slot"]: ("board" if client["mame"] == "board" else "mame", client["frames"])
        for client in pool.clients()
    }


def _has_mame() -> bool:
    try:
        find_mame()
    except MameMissingError:
        return False
    return True


class _Players:
    """The clients' processes."""

    def __init__(self, address: str, boards: int, mames: int) -> None:
        context = multiprocessing.get_context("spawn")
        parts = -(-boards // _BOARDS_PER_PROCESS)
        self._pipes: list[Connection] = []
        self._processes = []
        for part in range(parts):
            ours, theirs = context.Pipe()
            count = boards * (part + 1) // parts - boards * part // parts
            self._processes.append(
                context.Process(target=_boards, args=(address, count, theirs), daemon=True)
            )
            self._pipes.append(ours)
        if mames:
            self._processes.append(context.Process(target=_mames, args=(address, mames), daemon=True))

    def __enter__(self) -> _Players:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.join(10.0)
            process.kill()
            process.join()
            process.close()

    def summaries(self) -> list[dict[str, Any]]:
        """Return what each process of boards reports at its end."""
        return [pipe.recv() for pipe in self._pipes if pipe.poll(30.0)]


def _boards(address: str, count: int, pipe: Connection) -> None:
    pipe.send(run_board_clients(address, count, resolve_rom(None)))


def _mames(address: str, count: int) -> None:
    run_clients(address, count, resolve_rom(None))
