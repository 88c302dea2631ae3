"""The overlay of a MAME window."""

from __future__ import annotations

from typing import Any

import pytest
from test_lua import RUNTIMES, Lua, play_state

EMPTY, CALM, DANGER = 0xFF303040, 0xFF5462A0, 0xFFE04040
PLAYER, TARGET = 0xFFFFD640, 0xFF40E0D0


class Container:
    """Stands for MAME's render container."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.boxes: list[tuple[float, float, int]] = []

    def draw_text(self, x: float, y: float, text: bytes, colour: int) -> None:
        assert 0 <= x <= 1
        assert 0 <= y <= 1
        assert colour >> 24, "invisible"
        self.texts.append(text.decode())

    def draw_box(self, *corners: float) -> None:
        assert all(0 <= corner <= 1 for corner in corners[:4])
        self.boxes.append((round(corners[0], 3), round(corners[3] - corners[1], 3), int(corners[5])))

    def heights(self, *colours: int) -> dict[int, float]:
        """Height of the boxes of these colours by lane."""
        return {
            round((left - 0.66) / 0.02): height for left, height, colour in self.boxes if colour in colours
        }


def overlay(runtime: str) -> Any:
    """A function that observes a RAM table and draws the overlay into a container."""
    return Lua(runtime).run(
        """
        local bridge, display = require("bridge"), require("display")
        local mem, values, frame, draw = {}, {}, {}, display.new()
        bridge.init(mem, 3, 1, "squall")
        return function(container, image, times)
          local ram = {}
          for i = 1, #(image or "") do ram[i - 1] = string.byte(image, i) end
          local methods = {
            draw_text = function(_, ...) container.draw_text(...) end,
            draw_box = function(_, ...) container.draw_box(...) end,
          }
          if image then bridge.observe(ram, mem, values, frame) end
          for _ = 1, times do draw(methods, ram, mem, frame) end
        end
        """
    )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_it_shows_the_game_the_enemies_the_advice_and_the_reward(runtime: str) -> None:
    image = play_state(x9F=8, x03AB=12, x0283=0xC0, x02B9=9, x02DF=0x80, x0284=4, x02BA=2, x02E0=0x10)
    image[0x40:0x43] = 0x50, 0x34, 0x12
    draw, container = overlay(runtime), Container()
    draw(container, image.tobytes(), 1)
    state, action, expert, reward, enemies = container.texts
    assert state == "PLAY  level 9  score 123450  lives 3"
    assert action == "last action  0"
    assert expert.startswith("expert  lane 9")
    assert reward.startswith("reward  +0 ")
    assert enemies == "enemies  F9>:80 B2:10  coming 12"
    near = container.heights(CALM, DANGER)
    assert set(near) == {2, 9}
    assert near[2] == pytest.approx(0.1), "at the rim"
    assert near[9] == pytest.approx(0.1 * (1 - (0x80 - 0x10) / (0xFF - 0x10)), abs=2e-3)
    assert set(container.heights(DANGER)) == {2}
    assert len(container.heights(EMPTY)) == 16
    assert set(container.heights(PLAYER)) == {5}
    assert set(container.heights(TARGET)) == {9}


def test_it_sums_the_reward_of_the_game_once_a_frame() -> None:
    draw, container = overlay("lua53"), Container()
    for points, draws in ((0, 2), (0x50, 3), (0x99, 1)):
        image = play_state(x40=points)
        container.texts.clear()
        draw(container, image.tobytes(), draws)
    assert container.texts[3].endswith("game +99")
    container.texts.clear()
    draw(container, play_state(x05=0, x00=0x14).tobytes(), 1)
    assert container.texts[3].endswith("game +0")


def test_it_draws_nothing_before_the_first_frame() -> None:
    container = Container()
    overlay("lua54")(container, None, 1)
    assert container.texts == []


def test_an_open_tube_has_15_lanes() -> None:
    container = Container()
    overlay("lua53")(container, play_state(x0111=0xFF).tobytes(), 1)
    assert len(container.heights(EMPTY)) == 15
