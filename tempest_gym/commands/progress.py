"""The progress of commands that take a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["with_progress"]

_log = logging.getLogger(__name__)

_Item = TypeVar("_Item")

_SECONDS = 3.0


def with_progress(items: Iterable[_Item], count: int, what: str) -> Iterator[_Item]:
    """Yield the items, and log every 3 seconds how many of them were taken.

    Args:
        items: what to work on.
        count: how many there are.
        what: the noun, such as "game frames".
    """
    logged = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - logged >= _SECONDS:
            logged = time.monotonic()
            _log.info("%s of %s %s", f"{done:,}", f"{count:,}", what)
        yield item
