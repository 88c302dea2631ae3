"""Runs MAMEs that connect to a server, here or elsewhere, and restarts those that fail."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TypedDict

from tempest_gym.machines.mame_process import MameProcess
from tempest_gym.machines.seeding import SEED_COUNT
from tempest_gym.roms import RomImage
from tempest_gym.server.admission import split_address

__all__ = ["ClientSummary", "run_clients"]

_log = logging.getLogger(__name__)

_POLL = 0.2
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_STEADY = 60.0
_SERVER_WAIT = 120
_QUIT, _SENT_AWAY = 0, 5
_OWNER_SECONDS = 30


class ClientSummary(TypedDict):
    """How the clients fared: how many there were, how often one was restarted, why it all ended."""

    instances: int
    restarts: int
    reason: str


@dataclass
class _Instance:
    """One client: its process, or when to start the next one."""

    number: int
    process: MameProcess | None = None
    started: float = 0.0
    pause: float = _SHORTEST_PAUSE
    next_start: float = 0.0
    done: str = ""


def run_clients(
    address: str,
    instances: int,
    rom: RomImage,
    *,
    token: str | None = None,
    window: bool = False,
    stop: threading.Event | None = None,
) -> ClientSummary:
    """Keep MAMEs connected to a server until it dismisses them, ``stop`` is set, or Ctrl-C is pressed.

    A MAME that ends, or finds no server, is restarted after 1, 2, 4 ... 60 seconds.

    Args:
        address: ``HOST:PORT`` of the server.
        instances: how many MAMEs.
        rom: the ROM set they run.
        token: what they show to be admitted.
        window: show them, at true speed.
        stop: set it to end them all.

    Raises:
        ValueError: the address is not valid.
        tempest_gym.machines.mame_process.MameError: MAME cannot be started at all.
    """
    split_address(address)
    variables = {
        "TEMPEST_CONNECT": address,
        "TEMPEST_GAME": rom.name,
        "TEMPEST_RECONNECT": "0",
        "TEMPEST_DEADLINE": str(_SERVER_WAIT),
        "TEMPEST_OWNER": str(_OWNER_SECONDS),
    }
    if token:
        variables["TEMPEST_TOKEN"] = token
    clients = [_Instance(number) for number in range(instances)]
    stop = stop or threading.Event()
    restarts, reason = 0, "stopped"
    try:
        with suppress(KeyboardInterrupt):
            while not stop.is_set():
                for client in clients:
                    restarts += _look_after(client, rom, variables, window)
                if all(client.done for client in clients):
                    reason = clients[-1].done
                    break
                stop.wait(_POLL)
    finally:
        for client in clients:
            if client.process:
                client.process.end()
    return ClientSummary(instances=instances, restarts=restarts, reason=reason)


def _look_after(client: _Instance, rom: RomImage, variables: dict[str, str], window: bool) -> bool:
    """Start a client that is not running and should be; return whether it is a restart."""
    now = time.monotonic()
    if client.done or (client.process is None and now < client.next_start):
        return False
    if client.process is None:
        again = client.started > 0.0
        seed = {"TEMPEST_SEED": str(secrets.randbelow(SEED_COUNT))}
        client.process = MameProcess(rom, variables | seed, window=window)
        client.started = now
        return again
    code = client.process.wait(0)
    if code is None:
        client.process.touch()
        return False
    lines = client.process.last_lines()
    client.process.end()
    client.process = None
    if code in (_QUIT, _SENT_AWAY):
        client.done = lines.rpartition("the server's reason: ")[2] if code == _SENT_AWAY else "ended"
        _log.info("client %d: %s", client.number, client.done)
        return False
    if now - client.started > _STEADY:
        client.pause = _SHORTEST_PAUSE
    client.next_start = now + client.pause
    _log.warning(
        "client %d ended with code %d, restarts in %.0f s; MAME's last lines:\n%s",
        client.number,
        code,
        client.pause,
        lines,
    )
    client.pause = min(2 * client.pause, _LONGEST_PAUSE)
    return False
