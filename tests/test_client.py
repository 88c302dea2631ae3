"""Clients connect, restart when they fail, and end when they are dismissed."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from resources import wait_for

from tempest_gym.machines import mame_process
from tempest_gym.roms import squall_rom
from tempest_gym.server import mame_clients as client
from tempest_gym.server.mame_clients import ClientSummary, run_clients
from tempest_gym.server.pool import ClientPool

TOKEN = "correct horse battery staple"


class Running:
    """``run_clients`` in a thread."""

    def __init__(self, pool: ClientPool, instances: int, **options: Any) -> None:
        self.stop = threading.Event()
        self.summary: ClientSummary | None = None
        address = "{}:{}".format(*pool.address)

        def run() -> None:
            self.summary = run_clients(address, instances, squall_rom(), stop=self.stop, **options)

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def end(self) -> ClientSummary:
        self.thread.join(30)
        assert self.summary
        return self.summary


def play_until(pool: ClientPool, condition: Any) -> None:
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end
        arrivals = pool.recv(0.5)
        pool.send(arrivals.ids, arrivals.info["expert_action"])


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[mame_process.MameProcess]:
    """Collect the processes that are started."""
    processes: list[mame_process.MameProcess] = []

    class Noted(mame_process.MameProcess):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            processes.append(self)

    monkeypatch.setattr(client, "MameProcess", Noted)
    return processes


def test_killed_clients_are_restarted(started: list[mame_process.MameProcess]) -> None:
    with closing(ClientPool(port=0, token=TOKEN)) as pool:
        running = Running(pool, 2, token=TOKEN)
        try:
            play_until(pool, lambda: sum(c["frames"] > 20 for c in pool.clients()) == 2)
            assert {c["game"] for c in pool.clients()} == {"squall"}
            os.kill(started[0].pid, signal.SIGKILL)
            play_until(pool, lambda: len(started) == 3)
            play_until(pool, lambda: sum(c["frames"] > 20 for c in pool.clients()) == 2)
        finally:
            running.stop.set()
            summary = running.end()
    assert summary == {"instances": 2, "restarts": 1, "reason": "stopped"}
    assert all(process.wait(0) is not None for process in started)
    assert not any(process.folder.exists() for process in started)


def test_clients_wait_for_their_server(started: list[mame_process.MameProcess]) -> None:
    pool = ClientPool(port=0)
    address = pool.address
    pool.close()
    running = Running(pool, 1)
    try:
        wait_for(lambda: len(started) >= 2)
        with closing(ClientPool(*address)) as later:
            play_until(later, lambda: np.any([c["frames"] > 5 for c in later.clients()]))
            later.close("the run is over")
        assert running.end()["reason"] == "the run is over"
    finally:
        running.stop.set()
        running.end()


def test_clients_that_are_refused_log_the_reason(started: list[mame_process.MameProcess]) -> None:
    with closing(ClientPool(port=0, token=TOKEN)) as pool:
        running = Running(pool, 1)
        end = time.monotonic() + 240
        while running.thread.is_alive():
            assert time.monotonic() < end
            pool.recv(0.1)
        assert running.end() == {"instances": 1, "restarts": 0, "reason": "the client shows another token"}


@pytest.mark.parametrize("address", ["", "host", "host:", ":9999", "host:0", "host:70000", "host:port"])
def test_wrong_address(address: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        run_clients(address, 1, squall_rom())
