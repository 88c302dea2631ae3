"""Threads that share the work on a fleet of boards."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resources import wait_for
from tiny_rom import SHOW, tiny_rom

from tempest_gym.machines.fleet import BoardFleet
from tempest_gym.machines.lua_host import LuaHost, NoDecisionError
from tempest_gym.machines.worker_threads import ASLEEP, Crew, Pace
from tempest_gym.roms import squall_rom
from tempest_gym.vector import TempestVectorEnv

GAMES = 12


class Stranger:
    """Stands for a host whose fleet is not shared."""

    signals: ClassVar[dict[str, int]] = {}


HOSTS: Any = [Stranger() for _ in range(3)]


def test_every_job_is_done_once_and_every_thread_takes_part() -> None:
    """Three jobs that wait for each other end only if three threads do them, each with its own Lua."""
    before = threading.active_count()
    crew = Crew(HOSTS)
    together = threading.Barrier(3)
    hosts: list[Any] = []

    def job(host: Any) -> None:
        together.wait(60)
        hosts.append(host)

    for _ in range(3):
        crew.run([job] * 3)
    crew.run([hosts.append] * 20)
    crew.run([])
    assert [set(hosts[place : place + 3]) for place in (0, 3, 6)] == [set(HOSTS)] * 3
    assert len(hosts) == 29
    crew.close()
    assert threading.active_count() == before


def test_an_interruption_leaves_no_helper_at_work() -> None:
    """Ctrl-C while the leader waits is raised once the helper has finished, and later runs wait for theirs."""
    crew = Crew(HOSTS[:2])
    changed = crew._helpers[0]._changed
    wait, interrupted, done = changed.wait, threading.Event(), []

    def interrupted_wait() -> bool:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt
        return wait(60)

    changed.wait = interrupted_wait  # type: ignore[method-assign, assignment]
    together = threading.Barrier(2)

    def job(host: Any) -> None:
        together.wait(60)
        if host is HOSTS[1]:
            interrupted.wait(60)
        done.append(host)

    with pytest.raises(KeyboardInterrupt):
        crew.run([job] * 2)
    assert sorted(map(id, done)) == sorted(map(id, HOSTS[:2]))
    for _ in range(20):
        done.clear()
        crew.run([job] * 2)
        assert len(done) == 2
    crew.close()


def test_the_threads_of_an_environment_that_nobody_closed_end() -> None:
    before = threading.active_count()
    envs = TempestVectorEnv(num_envs=4, threads=3)
    envs.reset(seed=1)
    assert threading.active_count() == before + 2
    del envs
    gc.collect()
    wait_for(lambda: threading.active_count() == before)


@pytest.mark.parametrize("where", HOSTS)
def test_what_a_job_raises_is_raised(where: Any) -> None:
    """Wherever it happened, all others are done by then, and the crew can continue."""
    crew = Crew(HOSTS)
    together = threading.Barrier(3)
    done = []

    def job(host: Any) -> None:
        together.wait(60)
        if host is where:
            raise ValueError("broken")
        done.append(host)

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            crew.run([job] * 3)
    assert len(done) == 4
    crew.run([done.append])
    assert done[-1] is HOSTS[0]
    crew.close()


@pytest.fixture
def fleets(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[BoardFleet, BoardFleet]]:
    """The same games twice: on one thread, and on three that share them, however busy the computer is."""
    monkeypatch.setattr(Pace, "add", lambda *_: None)
    pair = BoardFleet(squall_rom(), GAMES), BoardFleet(squall_rom(), GAMES, 3)
    for fleet in pair:
        for row in range(GAMES):
            fleet.reset(fleet.hosts[0], row, row, 9)
            fleet.idle(fleet.hosts[0], row)
    yield pair
    for fleet in pair:
        fleet.close()


ALL = np.arange(GAMES, dtype=np.int32)


def play(fleet: BoardFleet, steps: int, seed: int, pause: float = 0.0) -> None:
    chance = np.random.default_rng(seed)
    for _ in range(steps):
        fleet.fire[:], fleet.spinner[:] = chance.integers(0, 2, GAMES), chance.integers(-12, 13, GAMES)
        fleet.step(chance.permutation(ALL))
        time.sleep(pause * chance.random())


@pytest.mark.parametrize(("steps", "pause"), [(1500, 0.0), (300, 0.0004), (30, 0.02)])
def test_shared_steps_give_what_one_thread_gives(
    fleets: tuple[BoardFleet, BoardFleet], steps: int, pause: float
) -> None:
    """Whether helpers are still looking for work, just about to sleep, or asleep when it arrives."""
    alone, shared = fleets
    play(alone, steps, 1)
    play(shared, steps, 1, pause)
    assert alone.save_state() == shared.save_state()


@given(st.floats(0.5, 1.5), st.integers(0, 1000))
@settings(max_examples=15)
def test_the_faster_way_is_found_whenever_the_load_changes(helped: float, seed: int) -> None:
    """Steps take hardly longer than always the faster way, whatever helpers are worth."""
    pace, chance = Pace(), np.random.default_rng(seed)
    for seconds in ({True: helped, False: 1.0}, {True: 0.55, False: 1.0}, {True: helped, False: 1.0}):
        noise = chance.lognormal(sigma=0.5, size=60_000)
        taken = 0.0
        for factor in noise.tolist():
            step = seconds[pace.helped] * factor
            pace.add(step, 64)
            taken += step
        assert taken <= 1.08 * min(seconds.values()) * noise.sum()


def test_steps_with_helpers_and_without_take_turns(fleets: tuple[BoardFleet, BoardFleet]) -> None:
    alone, shared = fleets
    for seed in range(300):
        shared._crew._pace.helped = seed % 7 < 4
        for fleet in fleets:
            play(fleet, 1, seed)
    assert alone.save_state() == shared.save_state()


@pytest.mark.slow
@pytest.mark.parametrize("busy", [1, 2])
def test_beside_busy_processes_two_threads_are_no_slower_than_one(
    busy: int, record_property: Callable[[str, object], None]
) -> None:
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    envs = {threads: TempestVectorEnv(64, threads=threads) for threads in (1, 2)}
    infos = {threads: env.reset(seed=0)[1] for threads, env in envs.items()}
    steps, seconds = {1: 0, 2: 0}, {1: 0.0, 2: 0.0}
    try:
        for _ in range(24):  # in turns, so that other load affects both
            for threads, env in envs.items():
                start = time.perf_counter()
                while time.perf_counter() < start + 1.0:
                    infos[threads] = env.step(infos[threads]["expert_action"])[4]
                    steps[threads] += 64
                seconds[threads] += time.perf_counter() - start
    finally:
        for other in others:
            other.kill()
            other.wait()
    rates = {threads: round(steps[threads] / seconds[threads]) for threads in steps}
    record_property("figures", rates)
    assert rates[2] > 0.95 * rates[1]


def test_threads_that_outnumber_rows_and_cores_do_no_harm() -> None:
    alone, shared = BoardFleet(squall_rom(), 3), BoardFleet(squall_rom(), 3, 24)
    rows = np.arange(3, dtype=np.int32)
    for fleet in (alone, shared):
        fleet.run([lambda host, row=row, fleet=fleet: fleet.reset(host, row, row, 1) for row in range(3)])
        for _ in range(200):
            fleet.step(rows)
        fleet.step(rows[:0])
    assert alone.save_state() == shared.save_state()
    shared.close()


def test_lua_without_jit_shares_slices_instead(
    fleets: tuple[BoardFleet, BoardFleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = fleets
    monkeypatch.setattr("tempest_gym.machines.fleet.LuaHost", partial(LuaHost, "lua54"))
    slow = BoardFleet(squall_rom(), GAMES, 2)
    slow.load_state(alone.save_state())
    for fleet in (alone, slow):
        play(fleet, 60, 3)
    assert alone.save_state() == slow.save_state()
    slow.close()


def test_jobs_are_done_by_the_leader_beside_the_rows(fleets: tuple[BoardFleet, BoardFleet]) -> None:
    alone, shared = fleets

    def restart(fleet: BoardFleet) -> Any:
        return lambda host: fleet.reset(host, 0, 77, 1)

    for fleet in fleets:
        fleet.step(ALL[1:], [restart(fleet)])
    assert alone.save_state() == shared.save_state()


def wait_until_helpers_sleep(fleet: BoardFleet) -> None:
    wait_for(lambda: all(helper._words[0] == ASLEEP for helper in fleet._crew._helpers))


def fail(*_: Any) -> Any:
    raise RuntimeError("broken")


def test_an_error_of_the_leader_or_a_helper_is_raised_and_the_rest_is_done(
    fleets: tuple[BoardFleet, BoardFleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, shared = fleets
    with pytest.raises(RuntimeError, match="broken"):
        shared.step(ALL, [fail])
    wait_until_helpers_sleep(shared)
    with monkeypatch.context() as patch:
        patch.setattr(shared.hosts[1], "serve", fail)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="broken"):
                shared.step(ALL)
    play(shared, 100, 2)
    for _ in range(4):
        alone.step(ALL)
    play(alone, 100, 2)
    assert alone.save_state() == shared.save_state()


def test_an_interrupt_after_the_plan_is_published_leaves_nobody_at_work(
    fleets: tuple[BoardFleet, BoardFleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before sleeping helpers are woken: they do the step, and the next one is sound."""
    alone, shared = fleets
    plan = shared.hosts[0].plan

    def interrupted(*arguments: Any) -> int:
        plan(*arguments)
        raise KeyboardInterrupt

    wait_until_helpers_sleep(shared)
    with monkeypatch.context() as patch:
        patch.setattr(shared.hosts[0], "plan", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shared.step(ALL)
    alone.step(ALL)
    for fleet in fleets:
        play(fleet, 50, 4)
    assert alone.save_state() == shared.save_state()


def test_a_program_that_never_reaches_play_is_an_error(tmp_path: Path) -> None:
    attract = SHOW.replace("LDA #$C0", "LDA #$00")
    fleet = BoardFleet(tiny_rom(tmp_path, attract), 4, 2)
    for row in range(4):
        fleet.reset(fleet.hosts[0], row, row, 1)
    with pytest.raises(NoDecisionError, match=r"board [0-3] ran 12 minutes"):
        fleet.step(np.arange(4, dtype=np.int32))
    fleet.close()
