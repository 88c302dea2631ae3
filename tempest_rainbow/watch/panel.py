"""Draws the decisions of a policy beside and over the picture of its game (Pillow, extra ``video``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempest_gym.actions import SPINNER_LEVELS
from tempest_rainbow.watch.decision import Decision

__all__ = ["PANEL_WIDTH", "Panel"]

PANEL_WIDTH = 360
"""Pixels that the panel adds on the right."""

_MARGIN, _LABEL = 14, 46
_ROW_HEIGHT, _GRID_TOP = 66, 96
_TABLE_GAP, _CELL_WIDTH, _CELL_HEIGHT = 76, 40, 12

_BACKGROUND, _FAINT, _TEXT = (14, 14, 22), (44, 44, 60), (205, 205, 215)
_BAR, _CHOSEN, _EXPERT = (84, 98, 160), (255, 214, 64), (64, 224, 208)
_ATTENTION = (90, 170, 255)
_ALIVE, _DEAD = (90, 210, 110), (235, 70, 60)
_LEAST_SHOWN = 0.08
"""Attention below this is not drawn over the tube: lines everywhere would hide the rest."""

_BUTTONS = ("none", "zap", "fire", "both")
_TURNS = sorted(SPINNER_LEVELS, reverse=True)
_COLUMNS = tuple(map(SPINNER_LEVELS.index, _TURNS))
"""Spinner indices in the order of the columns: from a turn to the left to one to the right."""

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]


class Panel:
    """Draws pictures with a panel.

    Args:
        name: of the policy, shown at the top.

    Raises:
        ModuleNotFoundError: Pillow is not installed.
    """

    def __init__(self, name: str) -> None:
        """Load Pillow."""
        from PIL import Image, ImageDraw, ImageFont

        self._image, self._draw = Image, ImageDraw
        self._font = ImageFont.load_default(size=14)
        self._small = ImageFont.load_default(size=11)
        self._name = name if len(name) <= 40 else "..." + name[-37:]

    def draw(
        self,
        picture: Picture,
        decision: Decision | None,
        info: Mapping[str, Any],
        lanes: Points,
        enemies: Points,
    ) -> Picture:
        """Return the picture with attention over the tube and the panel on its right.

        Args:
            picture: uint8 ``(height, width, 3)``.
            decision: the decision taken in this picture, or None.
            info: the environment's, for score, level and lives.
            lanes: places of the lanes, float ``(16, 2)`` in shares of the picture, NaN where there is none.
            enemies: likewise of the enemy slots, ``(7, 2)``.

        Returns:
            uint8 ``(height, width + PANEL_WIDTH, 3)``, a new array.
        """
        height, width, _ = picture.shape
        whole = self._image.new("RGB", (width + PANEL_WIDTH, height), _BACKGROUND)
        game = self._image.fromarray(picture)
        if decision is not None and decision.futures is not None:
            game = self._ends(game, decision.futures, lanes)
        elif decision is not None and decision.attention is not None:
            game = self._attention_lines(game, decision.attention, lanes, enemies)
        whole.paste(game, (0, 0))
        pen = self._draw.Draw(whole)
        left = width + _MARGIN
        pen.text((left, 12), self._name, fill=_TEXT, font=self._font)
        facts = [f"{key} {info[key]:,}" for key in ("score", "level", "lives") if key in info]
        pen.text((left, 32), "   ".join(facts), fill=_TEXT, font=self._font)
        if decision is not None:
            self._grid(pen, left, decision)
            top = _GRID_TOP + len(_BUTTONS) * _ROW_HEIGHT + _TABLE_GAP
            if decision.futures is not None:
                self._futures(pen, left, top, decision.futures, decision.searched)
            elif decision.attention is not None:
                self._table(pen, left, top, decision.attention, ~np.asarray(np.isnan(enemies).any(axis=1)))
        return np.array(whole)

    def _attention_lines(
        self, game: Any, attention: NDArray[np.float32], lanes: Points, enemies: Points
    ) -> Any:
        """Draw lines from lanes to enemies by attention; a lane's dot is as bright as its strongest."""
        layer = self._image.new("RGBA", game.size, (0, 0, 0, 0))
        pen = self._draw.Draw(layer)
        size = np.array(game.size, float)
        for lane, place in enumerate(lanes):
            if np.isnan(place).any():
                continue
            at = tuple(place * size)
            for slot, enemy in enumerate(enemies):
                weight = float(attention[lane, slot])
                if weight >= _LEAST_SHOWN and not np.isnan(enemy).any():
                    ends = (*at, *(enemy * size))
                    pen.line(ends, fill=(*_ATTENTION, round(120 * weight)), width=1 + round(weight))
            strongest = float(attention[lane].max())
            if strongest > 0.0:
                box = (at[0] - 4, at[1] - 4, at[0] + 4, at[1] + 4)
                pen.ellipse(box, fill=(*_ATTENTION, round(255 * strongest)))
        return self._image.alpha_composite(game.convert("RGBA"), layer).convert("RGB")

    def _ends(self, game: Any, futures: NDArray[np.int64], lanes: Points) -> Any:
        """A dot where copies of the game ended: larger for more of them, red by the share that died there."""
        pen = self._draw.Draw(game)
        size = np.array(game.size, float)
        for place, (alive, dead) in zip(lanes, futures.T, strict=True):
            if alive + dead and not np.isnan(place).any():
                x, y = place * size
                radius = 3 + 9 * float(np.sqrt((alive + dead) / futures.sum()))
                colour = _mix(_ALIVE, _DEAD, dead / (alive + dead))
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return game

    def _grid(self, pen: Any, left: int, decision: Decision) -> None:
        """The 44 actions: a row per fire and zap pair, a column per turn, a bar per expected return."""
        values = decision.q_values
        low, high = (0.0, 1.0) if values is None else (float(values.min()), float(values.max()))
        cell = (PANEL_WIDTH - 2 * _MARGIN - _LABEL) // len(_COLUMNS)
        right = left + _LABEL + cell * len(_COLUMNS)
        text = "acts without a network"
        if values is not None:
            text = f"expected return {low:.2f} to {high:.2f}"
        pen.text((left, 56), text, fill=_TEXT, font=self._font)
        pen.text((left + _LABEL, _GRID_TOP - 18), "turn left", fill=_TEXT, font=self._small)
        pen.text((right, _GRID_TOP - 18), "turn right", fill=_TEXT, font=self._small, anchor="ra")
        for row, name in enumerate(_BUTTONS):
            top = _GRID_TOP + row * _ROW_HEIGHT
            bottom = top + _ROW_HEIGHT - 8
            pen.text((left, (top + bottom) // 2 - 7), name, fill=_TEXT, font=self._small)
            for column, spinner in enumerate(_COLUMNS):
                action = len(_COLUMNS) * row + spinner
                start = left + _LABEL + column * cell
                box = (start + 2, top, start + cell - 3, bottom)
                pen.rectangle(box, fill=_FAINT)
                share = 0.0 if values is None else (float(values[action]) - low) / max(high - low, 1e-9)
                chosen = action == decision.action
                if values is None and chosen:
                    share = 1.0
                if share > 0.0:
                    bar = (box[0], bottom - round(share * (bottom - top)), box[2], bottom)
                    pen.rectangle(bar, fill=_CHOSEN if chosen else _BAR)
                if action == decision.expert_action:
                    pen.rectangle((box[0] - 2, top - 2, box[2] + 2, bottom + 2), outline=_EXPERT, width=2)
        self._legend(pen, left, _GRID_TOP + len(_BUTTONS) * _ROW_HEIGHT, cell, decision)

    def _legend(self, pen: Any, left: int, top: int, cell: int, decision: Decision) -> None:
        for column, turn in enumerate(_TURNS):
            middle = left + _LABEL + column * cell + cell // 2
            pen.text((middle, top - 4), str(abs(turn)), fill=_TEXT, font=self._small, anchor="ma")
        pen.rectangle((left, top + 18, left + 12, top + 30), fill=_CHOSEN)
        pen.text((left + 18, top + 17), f"chosen: {_words(decision.action)}", fill=_TEXT, font=self._small)
        if decision.expert_action is not None:
            pen.rectangle((left, top + 36, left + 12, top + 48), outline=_EXPERT, width=2)
            words = f"expert: {_words(decision.expert_action)}"
            pen.text((left + 18, top + 35), words, fill=_TEXT, font=self._small)

    def _table(
        self, pen: Any, left: int, top: int, attention: NDArray[np.float32], used: NDArray[np.bool_]
    ) -> None:
        """Attention as a heat table: a row per lane, a column per enemy slot; slots not in use stay dark."""
        pen.text((left, top - 18), "attention of each lane to each enemy slot", fill=_TEXT, font=self._small)
        for lane, row in enumerate(attention):
            y = top + lane * _CELL_HEIGHT
            pen.text((left + 16, y - 1), str(lane), fill=_TEXT, font=self._small, anchor="ra")
            for slot, weight in enumerate(row):
                x = left + 24 + slot * _CELL_WIDTH
                share = float(weight) if used[slot] else 0.0
                pen.rectangle(
                    (x, y, x + _CELL_WIDTH - 3, y + _CELL_HEIGHT - 3), fill=_mix(_FAINT, _ATTENTION, share)
                )

    def _futures(self, pen: Any, left: int, top: int, futures: NDArray[np.int64], searched: bool) -> None:
        """A bar for each lane: copies of the game that ended there, alive and dead."""
        alive, dead = futures.sum(axis=1)
        words = f"{'search' if searched else 'guard'}: {alive} copies live, {dead} die; by lane"
        pen.text((left, top - 18), words, fill=_TEXT, font=self._small)
        longest = PANEL_WIDTH - 2 * _MARGIN - 24
        scale = longest / max(int(futures.sum(axis=0).max()), 1)
        for lane, counts in enumerate(futures.T):
            y = top + lane * _CELL_HEIGHT
            pen.text((left + 16, y - 1), str(lane), fill=_TEXT, font=self._small, anchor="ra")
            x = float(left + 24)
            for count, colour in zip(counts, (_ALIVE, _DEAD), strict=True):
                if count:
                    pen.rectangle((x, y, x + count * scale - 1, y + _CELL_HEIGHT - 3), fill=colour)
                x += count * scale


def _mix(one: tuple[int, ...], other: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(round(first + share * (second - first)) for first, second in zip(one, other, strict=True))


def _words(action: int) -> str:
    """An action in words, such as ``fire, left 12``."""
    buttons, spinner = divmod(action, len(SPINNER_LEVELS))
    turn = SPINNER_LEVELS[spinner]
    way = "stand" if turn == 0 else f"{'left' if turn > 0 else 'right'} {abs(turn)}"
    return f"{_BUTTONS[buttons]}, {way}"
