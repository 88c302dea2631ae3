"""The dashboard's server: messages of a run arrive on standard input, commands leave on standard output.

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
from tempest_rainbow.monitor.dashboard.compare_page import build_compare_page
from tempest_rainbow.monitor.dashboard.page import build_page
from tempest_rainbow.monitor.dashboard.view import RunView

__all__ = ["main"]


def _follow(loop: asyncio.AbstractEventLoop, view: RunView) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(view.take, json.loads(line))
    loop.call_soon_threadsafe(app.shutdown)


def main() -> None:
    """Serve until standard input ends."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    first = sys.stdin.readline()
    if not first:
        return
    hello = json.loads(first)
    view = RunView(hello)
    app.add_middleware(Guard, token=hello["token"])
    app.on_startup(
        lambda: threading.Thread(
            target=_follow, args=(asyncio.get_running_loop(), view), name="follow", daemon=True
        ).start()
    )
    ui.page("/", title=view.title)(lambda: build_page(view))
    ui.page("/compare", title=f"Runs beside {view.title}")(lambda: build_compare_page(view.folder))
    ui.run(
        host=hello["host"],
        port=hello["port"],
        **({} if hello["socket"] is None else {"fd": hello["socket"]}),
        show=False,
        reload=False,
        dark=None,
        title=view.title,
        show_welcome_message=False,
        # A browser on a busy computer may be silent for a while; its page is then not rebuilt.
        reconnect_timeout=30.0,
        uvicorn_logging_level="warning",
    )


if __name__ in {"__main__", "__mp_main__"}:
    main()
