"""Frames from clients that connect over the network: MAME with the Lua bridge, here or on other machines."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tempest_rainbow.collect.sources import Arrivals, Source
from tempest_rainbow.config.settings import Task

__all__ = ["ClientSource"]

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
"""Seconds after which ``recv`` returns with nothing, so that a run without clients can still be stopped."""

_SILENCE_SECONDS = 5.0
"""Seconds without a frame after which a line is logged; later lines follow six times as far apart."""


class ClientSource(Source):
    """The pool of clients that ``tempest_gym`` serves, as a source; clients may connect and leave at any time."""

    def __init__(
        self,
        address: str,
        count: int,
        task: Task,
        *,
        legacy: Literal["loopback", "all", "none"] = "loopback",
        legacy_reply: Literal[3, 5] = 3,
        token_file: Path | None = None,
    ) -> None:
        """Listen at ``address`` for at most ``count`` clients; for ``legacy`` and ``legacy_reply``
        see `ClientPool`, for ``token_file`` `read_token`.

        Raises:
            ValueError: the address is not valid, or open to others without a token.
            OSError: it cannot bind to the address.
        """
        from tempest_gym.server.admission import (  # the environment's side of the wire
            read_token,
            split_address,
        )
        from tempest_gym.server.pool import ClientPool
        from tempest_gym.settings import Settings

        host, port = split_address(address, least_port=0)
        settings = Settings(machine="mame", start_level=task.start_level, frame_skip=task.frame_skip)
        token = read_token(token_file)
        self._pool = ClientPool(
            host,
            port,
            count=count,
            settings=settings,
            token=token,
            legacy=legacy,
            legacy_reply=legacy_reply,
        )
        self.address = self._pool.address
        _log.info("clients may connect to %s:%d", *self.address)
        self._report_at = time.monotonic() + _SILENCE_SECONDS
        self.count = count
        self.observation_size = self._pool.observation_size
        self.action_count = self._pool.action_count

    def recv(self) -> Arrivals:
        """Return the clients that have arrived, possibly none after a fifth of a second."""
        arrivals = self._pool.recv(timeout=_POLL_SECONDS)
        now = time.monotonic()
        if len(arrivals.ids):
            self._report_at = now + _SILENCE_SECONDS
        elif now >= self._report_at:
            self._report_at = now + 6 * _SILENCE_SECONDS
            clients = len(self._pool.clients())
            waiting = f"frames from clients ({clients} connected)" if clients else "the first client"
            _log.info("waiting for %s at %s:%d", waiting, *self.address)
        return arrivals

    def send(self, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> None:
        """Send clients their actions."""
        self._pool.send(ids, actions)

    def call(self, name: str, *arguments: Any) -> bool:
        """Call a method on the pool if it has it; return whether it does."""
        method = getattr(self._pool, name, None)
        if method is None:
            return False
        method(*arguments)
        return True

    def metrics(self) -> dict[str, float]:
        """Return how many clients play, how long their replies took lately, and how many were dropped, by
        reason."""
        values = {"collect/clients": float(len(self._pool.clients()))}
        if self._pool.reply_seconds:
            median, late = np.quantile(list(self._pool.reply_seconds), [0.5, 0.99])
            self._pool.reply_seconds.clear()
            values |= {"collect/reply_ms": 1000 * float(median), "collect/reply_ms_p99": 1000 * float(late)}
        return values | {
            f"collect/dropped_{name}": float(count) for name, count in self._pool.dropped.items()
        }

    def close(self) -> None:
        """Disconnect the clients."""
        self._pool.close()
