"""Light viewers of a dashboard, to measure what viewers cost: each sends what a browser's page sends, and draws
nothing.

``python -m tempest_rainbow.bench.viewer ADDRESS`` reads how many are to be there and how many of them are to
watch the game, two numbers a line, answers each line with the messages taken so far once they are there, and ends
with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import uuid
from contextlib import suppress
from typing import Any

import httpx
import socketio

__all__ = ["Viewer"]

_ELEMENTS = re.compile(r"String\.raw`(.*?)`", re.DOTALL)
_CLIENT = re.compile(r"'client_id': '([^']+)'")


class Viewer:
    """One page that is open.

    Attributes:
        messages: how many messages the server has sent.
    """

    def __init__(self) -> None:
        """Begin elsewhere."""
        self.messages = 0
        self._socket = socketio.AsyncClient(reconnection=False)
        self._client = ""
        self._elements: dict[str, dict[str, Any]] = {}

    async def open(self, address: str, *, watch: bool) -> None:
        """Open the page, and switch the game off unless ``watch``.

        Raises:
            httpx.HTTPError, socketio.exceptions.ConnectionError: nobody serves the page there.
            ValueError: what is there is no dashboard.
        """
        async with httpx.AsyncClient() as web:
            page = (await web.get(address)).text
        elements, client = _ELEMENTS.search(page), _CLIENT.search(page)
        if elements is None or client is None:
            raise ValueError(f"{address} shows no dashboard")
        self._elements, self._client = json.loads(elements[1]), client[1]
        self._socket.on("*", self._count)
        query = {"client_id": self._client, "tab_id": uuid.uuid4(), "document_id": uuid.uuid4()}
        rest = "&".join(f"{name}={value}" for name, value in query.items())
        await self._socket.connect(
            f"{address}?{rest}&next_message_id=0&implicit_handshake=true",
            socketio_path="/_nicegui_ws/socket.io",
            transports=["websocket"],
        )
        await self._emit(0, "tempest_ready")
        if not watch:  # A page shows the game from the start.
            switch = next(
                number
                for number, element in self._elements.items()
                if element.get("props", {}).get("data-testid") == "watch"
            )
            await self._emit(int(switch), "update:modelValue", False)

    async def close(self) -> None:
        """Leave."""
        await self._socket.disconnect()

    async def _emit(self, element: int, event: str, *arguments: Any) -> None:
        listener = next(
            each["listener_id"] for each in self._elements[str(element)]["events"] if each["type"] == event
        )
        told = [json.dumps(argument) for argument in arguments]
        message = {"id": element, "client_id": self._client, "listener_id": listener, "args": told}
        await self._socket.emit("event", message)

    async def _count(self, *_: Any) -> None:
        self.messages += 1


async def _serve(address: str) -> None:
    viewers: list[Viewer] = []
    messages = 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        count, watching = map(int, line.split())
        for viewer in viewers:
            await viewer.close()
            messages += viewer.messages
        viewers = [Viewer() for _ in range(count)]
        for index, viewer in enumerate(viewers):
            await viewer.open(address, watch=index < watching)
        sys.stdout.write(f"{messages}\n")
        sys.stdout.flush()
    for viewer in viewers:
        with suppress(Exception):
            await viewer.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
