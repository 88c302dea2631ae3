"""Threads that share the work on a fleet of boards."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tempest_gym.machines.workers import Workers

HOSTS: Any = ["first", "second", "third"]


def test_every_job_is_done_once_and_every_thread_takes_part() -> None:
    """Three jobs that wait for each other end only if three threads do them, each with its own Lua."""
    before = threading.active_count()
    workers = Workers(HOSTS)
    together = threading.Barrier(3)
    hosts = []

    def job(host: Any) -> None:
        together.wait(60)
        hosts.append(host)

    for _ in range(3):
        workers.run([job] * 3)
    workers.run([hosts.append] * 20)
    workers.run([])
    assert [sorted(hosts[place : place + 3]) for place in (0, 3, 6)] == [sorted(HOSTS)] * 3
    assert len(hosts) == 29
    workers.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("where", HOSTS)
def test_what_a_job_raises_is_raised(where: str) -> None:
    """Wherever it happened, all others are done by then, and the workers can go on."""
    workers = Workers(HOSTS)
    together = threading.Barrier(3)
    done = []

    def job(host: Any) -> None:
        together.wait(60)
        if host == where:
            raise ValueError(where)
        done.append(host)

    for _ in range(2):
        with pytest.raises(ValueError, match=where):
            workers.run([job] * 3)
    assert len(done) == 4
    workers.run([done.append])
    assert done[-1] == "first"
    workers.close()
