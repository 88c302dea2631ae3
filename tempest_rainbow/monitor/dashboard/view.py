"""The state of a run that all open pages of the dashboard share."""

from __future__ import annotations

import json
import sys
from collections import deque
from pathlib import Path
from typing import Any

from tempest_rainbow.monitor.console import evaluation_text
from tempest_rainbow.monitor.dashboard.timeline import Point, Timeline
from tempest_rainbow.monitor.history import read_history
from tempest_rainbow.monitor.metric_list import evaluation_values


class RunView:
    """The run so far, the present settings, and the pages that are open."""

    def __init__(self, hello: dict[str, Any]) -> None:
        """Start from the trainer's first message and the history on disk."""
        self.title: str = hello["title"]
        self.settings: dict[str, dict[str, Any]] = hello["settings"]
        self.values: dict[str, Any] = hello["values"]
        self.live: bool = hello["live"]
        self.reports: list[str] = hello["reports"]
        self.timeline = Timeline()
        self.events: deque[dict[str, Any]] = deque(maxlen=200)
        self.latest: dict[str, Any] | None = None
        self.best: float | None = None
        self.pages: dict[str, Any] = {}
        path = Path(hello["history"])
        self.folder = path.parent
        if path.exists():
            for line in read_history(path):
                self._remember(line, line["time"])

    def take(self, message: dict[str, Any]) -> None:
        """Keep a message of the trainer and send it to every page."""
        self._remember(message, message["time"])
        if message["kind"] == "settings":
            self.values = message["values"]
            for page in list(self.pages.values()):
                page.show_settings(self.values)
            return
        if message["kind"] == "report":
            if message["page"] in self.pages:
                self.pages[message["page"]].show_report(message["text"])
        elif message["kind"] == "picture":
            self._broadcast(message, [page for page in self.pages.values() if page.watching])
        else:
            self._broadcast(message, list(self.pages.values()))
            if message["kind"] == "row":
                for page in list(self.pages.values()):
                    page.follow_schedules(message)

    def opening(self) -> dict[str, Any]:
        """Return what a new page shows first; later messages hold only what is new."""
        points = self.timeline.points
        names = sorted({name for point in points for name in point.values})
        return {
            "kind": "opening",
            "time": [round(point.time, 1) for point in points],
            "frames": [point.frames for point in points],
            "values": {name: [_short(point.values.get(name)) for point in points] for name in names},
            "latest": self.latest,
            "best": self.best,
            "events": list(self.events),
        }

    def command(self, message: dict[str, Any]) -> None:
        """Send a command to the trainer."""
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def count_viewers(self) -> None:
        """Send the trainer the number of open pages and whether one of them watches the game."""
        watching = any(page.watching for page in self.pages.values())
        self.command({"viewers": len(self.pages), "watching": watching})

    def _remember(self, message: dict[str, Any], at: float) -> None:
        kind = message["kind"]
        if kind == "row":
            values = {name: value for name, value in message["values"].items() if value is not None}
            self.timeline.add(Point(at, message["frames"], values))
            self.latest = {**message, "time": at}
        elif kind == "event":
            self.events.append({**message, "time": at})
        elif kind == "evaluation":
            result = message["result"]
            text = message["text"] = evaluation_text(result)
            self.events.append({"kind": "event", "frames": message["frames"], "text": text, "time": at})
            message["values"] = evaluation_values(result)
            self.timeline.add(Point(at, message["frames"], message["values"]))
            self.best = max(self.best or result["mean"], result["mean"])
            message["best"] = self.best

    def _broadcast(self, message: dict[str, Any], pages: list[Any]) -> None:
        script = f"window.tempest && tempest.take({json.dumps(message)})"
        for page in pages:
            page.client.run_javascript(script)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
