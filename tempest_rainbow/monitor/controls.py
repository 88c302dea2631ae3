"""What a person can steer during a run: one thread-safe object between keyboard, dashboard and trainer."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["REQUESTS", "SETTINGS", "Controls", "Event", "Setting"]


@dataclass(frozen=True)
class Setting:
    """One steerable value.

    Attributes:
        default: value while nobody has changed it; None: as scheduled.
        low: least value allowed.
        high: greatest value allowed.
        kind: type that values are brought to.
        text: what the value does, for the confirmation line.
    """

    default: float | bool | int | None
    low: float
    high: float
    kind: type
    text: str


SETTINGS: dict[str, Setting] = {
    "training": Setting(True, 0, 1, bool, "whether it learns"),
    "epsilon": Setting(None, 0.0, 1.0, float, "epsilon instead of the schedule's"),
    "greedy": Setting(False, 0, 1, bool, "the agent never acts at random"),
    "expert_ratio": Setting(None, 0.0, 1.0, float, "the teacher's share instead of the schedule's"),
    "expert_off": Setting(False, 0, 1, bool, "the teacher never acts"),
    "expert_mode": Setting(False, 0, 1, bool, "the teacher alone acts"),
    "imitation_weight": Setting(None, 0.0, 100.0, float, "imitation weight instead of the schedule's"),
    "learning_rate_factor": Setting(1.0, 2.0**-20, 2.0**10, float, "factor on the scheduled learning rate"),
    "samples_per_insert": Setting(
        None, 0.0, 1024.0, float, "samples learned per frame collected instead of the configured"
    ),
    "start_level": Setting(None, 1, 81, int, "level at which new games start"),
    "auto_curriculum": Setting(False, 0, 1, bool, "the start level rises as the agent clears levels"),
    "verbose": Setting(False, 0, 1, bool, "all metrics and a detailed log"),
}
"""Every steerable value by name."""

REQUESTS: dict[str, str] = {
    "quit": "save and end",
    "save": "save a checkpoint",
    "pulse": "start an epsilon pulse",
    "flush_replay": "empty the replay",
    "evaluate": "evaluate now",
    "report": "publish a row of metrics now",
}
"""Everything that can be asked for once, by name."""


@dataclass(frozen=True)
class Event:
    """One act of steering.

    Attributes:
        time: seconds since the epoch.
        source: who did it: keyboard, dashboard, signal, schedule.
        name: of the setting or request.
        old: value before (None for requests).
        new: value after (None for requests).
    """

    time: float
    source: str
    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """Return it as a line."""
        if self.name in REQUESTS:
            return f"{self.source}: {REQUESTS[self.name]}"
        return (
            f"{self.source}: {self.name} {_text(self.old)} -> {_text(self.new)} ({SETTINGS[self.name].text})"
        )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "as scheduled" if value is None else str(value)


class Controls:
    """Steerable values, one-time requests and the log of both. Every method may be called from any thread."""

    def __init__(self) -> None:
        """Set every setting to its default."""
        self._lock = threading.RLock()
        self._values: dict[str, Any] = {name: setting.default for name, setting in SETTINGS.items()}
        self._pending: set[str] = set()
        self._events: deque[Event] = deque(maxlen=10_000)
        self._listeners: list[Callable[[Event], None]] = []

    def __getitem__(self, name: str) -> Any:
        """Return a setting's value.

        Raises:
            KeyError: the setting is unknown.
        """
        with self._lock:
            return self._values[name]

    def set(self, name: str, value: Any, source: str) -> None:
        """Change a setting; None takes it back to the schedule's (or its default).

        Raises:
            KeyError: the setting is unknown.
            ValueError: the value is not a number within the setting's range.
        """
        setting = SETTINGS[name]
        if value is None:
            value = setting.default
        else:
            number = float(value)
            if math.isnan(number) or not setting.low <= number <= setting.high:
                raise ValueError(f"{name} must be from {setting.low:g} to {setting.high:g}, got {value!r}")
            value = setting.kind(value)
        with self._lock:
            old = self._values[name]
            self._values[name] = value
        if old != value:
            self._record(Event(time.time(), source, name, old, value))

    def toggle(self, name: str, source: str) -> bool:
        """Toggle a boolean setting and return its new value."""
        with self._lock:
            value = not self._values[name]
            self.set(name, value, source)
        return value

    def request(self, name: str, source: str) -> None:
        """Ask for something to be done once, soon.

        Raises:
            KeyError: the request is unknown.
        """
        if name not in REQUESTS:
            raise KeyError(f"no request {name!r}; there are {', '.join(REQUESTS)}")
        with self._lock:
            self._pending.add(name)
        self._record(Event(time.time(), source, name, None, None))

    def take(self, name: str) -> bool:
        """Whether ``name`` was requested since the last call."""
        with self._lock:
            if name in self._pending:
                self._pending.discard(name)
                return True
            return False

    def pending(self, name: str) -> bool:
        """Whether ``name`` is requested and not yet taken."""
        with self._lock:
            return name in self._pending

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with every event from now on."""
        with self._lock:
            self._listeners.append(listener)

    @property
    def events(self) -> list[Event]:
        """The events so far, oldest first (the last 10,000)."""
        with self._lock:
            return list(self._events)

    def steered(self) -> dict[str, Any]:
        """Return the settings that are not at their defaults."""
        with self._lock:
            return {name: value for name, value in self._values.items() if value != SETTINGS[name].default}

    def get_state(self) -> dict[str, Any]:
        """Return settings and log for a checkpoint."""
        with self._lock:
            return {"values": dict(self._values), "events": [asdict(event) for event in self._events]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over settings and log from a checkpoint; settings it does not know keep their defaults."""
        with self._lock:
            for name, value in state["values"].items():
                if name in self._values:
                    self._values[name] = value
            self._events = deque((Event(**event) for event in state["events"]), maxlen=self._events.maxlen)

    def _record(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)
            listeners = list(self._listeners)
        for listener in listeners:
            listener(event)
