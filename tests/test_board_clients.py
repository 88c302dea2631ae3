"""Boards that join a server play exactly what the environment plays."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from tempest_gym.env import TempestEnv
from tempest_gym.roms import squall_rom
from tempest_gym.server.arrivals import Arrivals
from tempest_gym.server.board_clients import BoardClientSummary, run_board_clients
from tempest_gym.server.pool import ClientPool
from tempest_gym.settings import Settings

TOKEN = "correct horse battery staple"


class Running:
    """``run_board_clients`` in a thread."""

    def __init__(self, pool: ClientPool, count: int, **options: Any) -> None:
        self.summary: BoardClientSummary | None = None
        self.stop = threading.Event()
        address = "{}:{}".format(*pool.address)

        def run() -> None:
            self.summary = run_board_clients(address, count, squall_rom(), stop=self.stop, **options)

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def end(self) -> BoardClientSummary:
        self.thread.join(60)
        assert self.summary
        return self.summary


@pytest.mark.parametrize(("episode", "skip", "level"), [("game", 1, 1), ("life", 2, 9)])
def test_a_client_is_an_environment(episode: Any, skip: int, level: int) -> None:
    """The pool's episodes of a board are those of `TempestEnv` with the same seed and actions."""
    settings = Settings("mame", start_level=level, episode=episode, frame_skip=skip)
    env = TempestEnv("board", episode=episode, frame_skip=skip, start_level=level)
    with closing(env), closing(ClientPool(port=0, count=1, settings=settings)) as pool:
        running = Running(pool, 1, seeds=[5])
        try:
            observation, info = env.reset(seed=5)
            generator = np.random.default_rng(1)
            arrivals = pool.recv(240)
            assert arrivals.first[0]
            for _ in range(1500):
                assert np.array_equal(arrivals.observations[0], observation)
                for key, values in arrivals.info.items():
                    assert values[0] == info[key], key
                action = int(generator.integers(44)) if generator.random() < 0.3 else info["expert_action"]
                pool.send(arrivals.ids, [action])
                arrivals = pool.recv(10)
                observation, reward, terminated, truncated, info = env.step(action)
                assert arrivals.rewards[0] == pytest.approx(reward)
                assert (arrivals.terminated[0], arrivals.truncated[0]) == (terminated, truncated)
                if terminated:
                    if episode == "game":
                        break
                    pool.send(arrivals.ids, [0])
                    arrivals = pool.recv(10)
                    observation, info = env.reset()
                    if info["seed"] != 5:
                        break
        finally:
            running.stop.set()
            running.end()


def test_thirty_six_boards_share_a_pool_fairly() -> None:
    with closing(ClientPool(port=0, count=36, token=TOKEN)) as pool:
        running = Running(pool, 36, token=TOKEN)
        steps = np.zeros(36, int)
        end = time.monotonic() + 240
        while steps.min() < 200:
            assert time.monotonic() < end
            arrivals: Arrivals = pool.recv(1.0)
            steps[arrivals.ids] += 1
            pool.send(arrivals.ids, arrivals.info["expert_action"])
        assert steps.max() < 3 * steps.min()
        assert {client["game"] for client in pool.clients()} == {"squall"}
        pool.close("that was it")
        summary = running.end()
    assert summary["clients"] == 36
    assert summary["frames"] >= steps.sum()
    assert summary["reason"] == "that was it"


def test_refused_boards_log_the_reason() -> None:
    with closing(ClientPool(port=0, token=TOKEN)) as pool:
        running = Running(pool, 2)
        while running.thread.is_alive():
            pool.recv(0.05)
        assert running.end()["reason"] == "the client shows another token"
