"""The best scores of games played by hand, kept in the user's data folder."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import platformdirs

from tempest_gym.files import read_json, write_bytes

__all__ = ["BestScores", "Score"]

_log = logging.getLogger(__name__)

_KEPT = 10
"""Scores kept of each game."""

_LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class Score:
    """A game that was played: points, level reached, level it started at, seed, and its day as ``2026-11-28``."""

    score: int
    level: int
    start_level: int
    seed: int
    day: str = dataclasses.field(default_factory=lambda: date.today().isoformat())


class BestScores:
    """The ten best scores of each game (ROM set), best first.

    Without a file that can be read and written, a warning is logged and the scores last as long as this object.

    Args:
        file: a JSON file; None for ``best_scores.json`` in the user's data folder.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Read the file."""
        self._file = file or _default_file()
        self._scores: dict[str, list[Score]] = {}
        self._read()

    def of(self, game: str) -> list[Score]:
        """Return the best scores of a game."""
        return list(self._scores.get(game, []))

    def add(self, game: str, score: Score) -> int | None:
        """Add a score and return its rank, 1 for the best; None for one that is not among the ten, or 0."""
        self._read()  # Another window may have added some.
        ranked = sorted([*self.of(game), score], key=lambda each: -each.score)[:_KEPT]
        if score.score == 0 or score not in ranked:
            return None
        self._scores[game] = ranked
        self._write()
        return ranked.index(score) + 1

    def _read(self) -> None:
        try:
            if self._file is not None and self._file.exists():
                self._scores = _scores_in(self._file)
        except (OSError, ValueError) as error:
            _log.warning("best scores are not kept: %s: %s", self._file, error)
            self._file = None

    def _write(self) -> None:
        if self._file is None:
            return
        plain = {game: [dataclasses.asdict(each) for each in scores] for game, scores in self._scores.items()}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(self._file, json.dumps(plain, indent=1).encode())
        except OSError as error:
            _log.warning("best scores are not kept: %s", error)
            self._file = None


def _default_file() -> Path | None:
    """Return the file in the user's data folder, None for a user without a home."""
    folder = Path(os.path.expanduser(platformdirs.user_data_dir("tempest-gym", appauthor=False)))
    return folder / "best_scores.json" if folder.is_absolute() else None


def _scores_in(file: Path) -> dict[str, list[Score]]:
    """Return the scores in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else.
    """
    try:
        plain = read_json(file, _LARGEST_FILE)
        scores = {game: [Score(**each) for each in entries] for game, entries in plain.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"expected best scores by game, found something else ({error})") from error
    for entries in scores.values():
        for entry in entries:
            if not all(
                isinstance(value, str if name == "day" else int) for name, value in vars(entry).items()
            ):
                raise ValueError(f"expected whole numbers and a day, found {str(entry)[:80]}")
    return scores
