"""The dashboard's server: messages of a run come by standard input, commands leave by standard output.

Started by ``dashboard.Dashboard``. It ends when its standard input does, that is with the trainer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading

from nicegui import app, ui

from tempest_rainbow.monitor.dashboard.access import Guard
from tempest_rainbow.monitor.dashboard.page import build_page
from tempest_rainbow.monitor.dashboard.state import Board

__all__ = ["main"]

_log = logging.getLogger(__name__)


def _follow(loop: asyncio.AbstractEventLoop, board: Board) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(board.take, json.loads(line))
    loop.call_soon_threadsafe(app.shutdown)


def main() -> None:
    """Serve until standard input ends."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    greeting = sys.stdin.readline()
    if not greeting:
        return
    hello = json.loads(greeting)
    board = Board(hello)
    app.add_middleware(Guard, token=hello["token"])
    app.on_startup(
        lambda: threading.Thread(
            target=_follow, args=(asyncio.get_running_loop(), board), name="follow", daemon=True
        ).start()
    )
    ui.page("/", title=board.title)(lambda: build_page(board))
    ui.run(
        host=hello["host"],
        port=hello["port"],
        show=False,
        reload=False,
        dark=None,
        title=board.title,
        show_welcome_message=False,
        # A browser on a busy computer may be silent for a while; the page is then not built anew.
        reconnect_timeout=30.0,
        uvicorn_logging_level="warning",
    )


if __name__ in {"__main__", "__mp_main__"}:
    main()
