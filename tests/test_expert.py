"""The scripted teacher: its habits one by one, and that it is worth learning from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lua_fixtures import Slideshow, random_images
from numpy.typing import NDArray

from tempest_gym.actions import ACTION_COUNT, SPINNER_LEVELS, expert_actions
from tempest_gym.board import Boards
from tempest_gym.frame import FEATURE_COUNT, FRAME_DTYPE
from tempest_gym.machines.lua_host import FleetArrays, LuaHost
from tempest_gym.machines.seeding import phase_of
from tempest_gym.roms import squall_rom

FLIPPER, PULSAR, TANKER, SPIKER, FUSEBALL = range(5)
PLAYER = 5


def scene(*enemies: tuple[int, int, int], **cells: int) -> NDArray[np.uint8]:
    """Play on a closed tube, player on lane 5; enemies as (type info, lane, depth); cells as `x0111=1`."""
    image = np.zeros(2048, np.uint8)
    image[[0x00, 0x05, 0x48, 0x0200, 0x0201, 0x0202]] = 0x04, 0xC0, 3, PLAYER, PLAYER + 1, 0x10
    image[0x0148], image[0x0147], image[0x0157], image[0x03AB] = 0xC0, 4, 0xA0, 9
    for slot, (info, lane, depth) in enumerate(enemies):
        image[[0x0283 + slot, 0x02B9 + slot, 0x02DF + slot]] = info, lane, depth
    for name, value in cells.items():
        image[int(name[1:], 16)] = value
    return image


def advise(image: NDArray[np.uint8], frames: int = 1, seed: int = 0) -> list[Any]:
    """The frames of a still picture."""
    show = Slideshow("luajit", image[None])
    show.host.init(show.memory[0], seed, 1)
    seen = []
    for _ in range(frames):
        show.advance(limit=1)
        seen.append(show.frames[0].copy())
    return seen


def target(image: NDArray[np.uint8]) -> int:
    return int(advise(image)[0]["expert_target"])


def distance(lane: int) -> int:
    """From the player, closed tube."""
    return abs((lane - PLAYER + 7) % 16 - 7)


def test_it_fires_in_95_of_100_frames() -> None:
    shots = [frame["expert_fire"] for frame in advise(scene(), frames=4000)]
    assert 0.94 < np.mean(shots) < 0.96


def test_its_randomness_is_the_seeds() -> None:
    first, same, other = (
        [int(frame["expert_fire"]) for frame in advise(scene(), 300, seed)] for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_with_nothing_to_do_it_stays() -> None:
    assert target(scene()) == PLAYER


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ((FUSEBALL, FLIPPER, TANKER, SPIKER, PULSAR), FUSEBALL),
        ((FLIPPER, TANKER, SPIKER, PULSAR), FLIPPER),
        ((TANKER, SPIKER, PULSAR), TANKER),
        ((SPIKER, PULSAR), SPIKER),
        ((PULSAR,), PULSAR),
    ],
)
def test_it_hunts_by_type(order: tuple[int, ...], first: int) -> None:
    lanes = {kind: 7 + kind for kind in order}
    enemies = [(kind, lanes[kind], 0xC0) for kind in reversed(order)]
    assert target(scene(*enemies)) == lanes[first]


def test_it_takes_the_nearest_of_a_type_and_then_the_highest() -> None:
    assert target(scene((FLIPPER, 9, 0x60), (FLIPPER, 3, 0xE0), (FLIPPER, 10, 0x60))) == 3
    assert target(scene((FLIPPER, 3, 0xC0), (FLIPPER, 7, 0x80))) == 7


def test_it_meets_a_flipper_where_its_flip_ends() -> None:
    flipping, upwards = 0x80, 0x40
    assert target(scene((FLIPPER | flipping, 8, 0xC0))) == 7
    assert target(scene((FLIPPER | flipping | upwards, 8, 0xC0))) == 8


def test_it_goes_round_a_closed_tube_but_not_an_open_one() -> None:
    assert target(scene((FLIPPER, 14, 0xC0), x0200=1)) == 14
    near, far = (FLIPPER, 7, 0xC0), (FLIPPER, 14, 0xC0)
    assert target(scene(near, far, x0200=1)) == 14
    assert target(scene(near, far, x0200=1, x0111=0xFF)) == 7


@pytest.mark.parametrize("lane", [3, 4, 5, 6, 7])
def test_it_flees_three_lanes_from_a_shallow_fuseball(lane: int) -> None:
    found = target(scene((FUSEBALL, lane, 0x30)))
    assert abs((found - lane + 7) % 16 - 7) == 3


def test_it_hunts_a_deep_fuseball_and_ignores_one_that_goes_away() -> None:
    assert target(scene((FUSEBALL, 7, 0x90))) == 7
    away = scene((FUSEBALL, 6, 0x40), x028A=0x80)
    assert target(away) == PLAYER


def test_it_leaves_the_lane_of_a_pulse_before_it_comes() -> None:
    soon, late, falling, on = 0xF0, 0xC0, 0xF0, 0x05
    assert target(scene((PULSAR, PLAYER, 0x60), x0148=soon, x0147=4)) != PLAYER
    assert target(scene((PULSAR, PLAYER, 0x60), x0148=on, x0147=0xFC)) != PLAYER
    assert target(scene((PULSAR, PLAYER, 0x60), x0148=late, x0147=4)) == PLAYER
    assert target(scene((PULSAR, PLAYER, 0x60), x0148=falling, x0147=0xFC)) == PLAYER
    assert target(scene((PULSAR, PLAYER, 0xB0), x0148=on, x0147=4)) == PLAYER  # out of reach


def test_it_leaves_a_lane_in_which_a_shot_comes() -> None:
    assert distance(target(scene(x02DB=0x30, x02B5=PLAYER))) == 1
    assert target(scene(x02DB=0x90, x02B5=PLAYER)) == PLAYER


def test_it_waits_for_a_rim_flipper_only_with_shots_left() -> None:
    towards_player = scene((FLIPPER, PLAYER + 1, 0x10))
    assert target(towards_player) == PLAYER + 1 or target(towards_player) == PLAYER
    towards_player[0x0135] = 8
    found = target(towards_player)
    assert found != PLAYER
    assert found != PLAYER + 1


def test_at_the_end_of_an_open_tube_it_flees_the_other_way() -> None:
    assert target(scene((FUSEBALL, 1, 0x30), x0200=0, x0111=0xFF)) == 4


def test_it_zaps_when_a_crowd_is_at_the_rim_and_not_again_at_once() -> None:
    crowd = scene((FLIPPER, 0, 0x10), (FLIPPER, 10, 0x18), (FLIPPER, 11, 0x14))
    zaps = [int(frame["expert_zap"]) for frame in advise(crowd, frames=50)]
    assert zaps == [1] + [0] * 49
    few = scene((FLIPPER, 0, 0x10), (FLIPPER, 10, 0x18))
    assert advise(few)[0]["expert_zap"] == 0


def test_it_zaps_the_last_ones_at_the_rim_and_when_cornered() -> None:
    last = scene((FLIPPER, 10, 0x10), x03AB=0)
    assert advise(last)[0]["expert_zap"] == 1
    flat = [(FLIPPER, lane, 0x10) for lane in (PLAYER - 1, PLAYER, PLAYER + 1)]
    cornered = scene(*flat, x03AA=1)
    assert advise(cornered)[0]["expert_zap"] == 1
    spent = scene(*flat, x03AA=2)
    assert advise(spent)[0]["expert_zap"] == 0


def descent(spikes: dict[int, int], open_tube: bool = False, lane: int = PLAYER) -> int:
    image = scene(x00=0x20, x0106=0x80, x0200=lane, x0111=0xFF if open_tube else 0)
    image[0x03AC:0x03BC] = 0x40
    for spiked_lane, tip in spikes.items():
        image[0x03AC + spiked_lane] = tip
    return target(image)


def test_it_descends_where_no_spike_is_or_the_shortest() -> None:
    assert descent({PLAYER: 0, 6: 0}) == PLAYER
    assert descent({9: 0, 2: 0}) == 2
    assert descent({12: 0xC0, 6: 0xB0}) == 12
    assert descent({}) == PLAYER


def test_it_never_descends_in_a_lane_that_an_open_tube_lacks() -> None:
    assert descent({15: 0, 3: 0x50}, open_tube=True, lane=14) == 3
    assert descent({15: 0, 3: 0x50}, open_tube=False, lane=14) == 15


def test_whatever_the_ram_it_names_a_lane_that_exists() -> None:
    images = random_images(4000, 31)
    images[:, 0x0200] %= 15
    show = Slideshow("luajit", images)
    decided = 0
    for image in images:
        show.advance(limit=1)
        frame = show.frames[0]
        lane = int(frame["expert_target"])
        if not frame["decision"]:
            assert (lane, frame["expert_fire"], frame["expert_zap"]) == (-1, 0, 0)
            continue
        decided += 1
        assert 0 <= lane <= (14 if image[0x0111] else 15)
    assert decided > 1000


def mean_score(policy: str, games: int, limit: int = 30_000) -> tuple[float, float]:
    """Mean score and mean level reached in whole games of Squall from level 1."""
    rom, host, rng = squall_rom(), LuaHost(), np.random.default_rng(0)
    boards = Boards(rom, games)
    boards.power_on(0)
    for _ in range(4):
        boards.run_one(0)
    start = boards.snapshot(0)
    memory = np.zeros((games, host.memory_size))
    features, frames = np.zeros((games, FEATURE_COUNT), np.float32), np.zeros(games, FRAME_DTYPE)
    fire, zap, spinner = np.zeros((3, games), np.int32)
    rows = np.arange(games, dtype=np.int32)
    for row in range(games):
        boards.restore(row, start)
        boards.fields["phase"][row] = phase_of(row)
        host.init(memory[row], row, 1, rom.name)
    fleet = FleetArrays(boards.state, memory, rom.memory, fire, zap, spinner, features, frames)
    host.observe(fleet, rows)
    levels, levels_of_spinner = np.zeros(games, int), np.array(SPINNER_LEVELS)
    for _ in range(limit):
        host.advance(fleet, rows)
        levels = np.maximum(levels, frames["level"])
        rows = rows[frames["over"][rows] == 0]
        if not len(rows):
            break
        actions = rng.integers(0, ACTION_COUNT, games)
        if policy == "expert":
            actions = expert_actions(
                frames["expert_target"],
                frames["player_lane"],
                frames["open"],
                frames["expert_fire"],
                frames["expert_zap"],
            )
        fire[:], zap[:] = actions // 22, actions // 11 % 2
        spinner[:] = levels_of_spinner[actions % 11]
    return float(frames["score"].mean()), float(levels.mean() + 1)


def test_it_scores_at_least_five_times_what_chance_does_and_clears_levels() -> None:
    (expert, level), (chance, _) = mean_score("expert", 24), mean_score("random", 24)
    assert expert >= 5 * chance
    assert level >= 4
