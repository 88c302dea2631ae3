"""The observation: its names, its ranges, and the Lua's numbers against a second reading of the facts."""

from __future__ import annotations

import feature_oracle
import numpy as np
import pytest
from lua_fixtures import Slideshow, random_images, squall_recording
from numpy.typing import NDArray

from tempest_gym.features import FEATURE_COUNT, FEATURE_NAMES, FEATURES
from tempest_gym.machines.lua_host import LuaHost

RUNTIMES = ("luajit", "lua53", "lua54")

# First index of every group as ARCADE F.2 prints them.
PUBLISHED = {
    "game_state": 0,
    "player_lane": 5,
    "shot_depth": 12,
    "shot_lane": 20,
    "level": 28,
    "spike_height": 31,
    "lane_angle": 47,
    "enemy_count": 63,
    "enemy_room": 68,
    "in_tube": 73,
    "enemy_speed": 81,
    "enemy_info": 86,
    "enemy_lane": 128,
    "enemy_depth": 135,
    "rim_lane": 142,
    "enemy_shot_depth": 149,
    "enemy_shot_lane": 153,
    "pulsar_depth": 157,
    "pulsar_lane": 164,
    "top_lane": 171,
    "threat_depth": 178,
    "lane_change": 181,
    "depth_change": 188,
}


def observed(images: NDArray[np.uint8], runtime: str = "luajit") -> NDArray[np.float32]:
    """What the Lua makes of each image, seen one after the other."""
    show = Slideshow(runtime, images)
    rows = np.empty((len(images), FEATURE_COUNT), np.float32)
    for i in range(len(images)):
        show.advance(limit=1)
        rows[i] = show.features[0]
    return rows


def expected(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    before = [None, *images[:-1]]
    return np.array([feature_oracle.features(*pair) for pair in zip(images, before, strict=True)])


def assert_equal(got: NDArray[np.float32], want: NDArray[np.float32]) -> None:
    wrong = np.argwhere(~np.isclose(got, want, rtol=3e-7, atol=1e-7))
    if len(wrong):
        image, index = wrong[0]
        pytest.fail(
            f"{len(wrong)} differ; first: image {image}, {FEATURE_NAMES[index]} is "
            f"{got[image, index]}, should be {want[image, index]}"
        )


def test_every_number_has_a_name_of_its_own() -> None:
    assert FEATURE_COUNT == len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == 195


def test_groups_follow_each_other_without_gaps() -> None:
    stops = [group.stop for group in FEATURES.values()]
    assert [group.start for group in FEATURES.values()] == [0, *stops[:-1]]
    assert stops[-1] == 195


@pytest.mark.parametrize(("name", "start"), PUBLISHED.items())
def test_groups_lie_where_the_facts_say(name: str, start: int) -> None:
    assert FEATURES[name].start == start


def test_python_and_lua_share_one_table() -> None:
    lua = LuaHost()._lua
    layout = lua.eval(b"require('features')")[b"LAYOUT"]
    groups = {entry[1].decode(): entry[2] for entry in layout.values()}
    assert list(groups.items()) == [(name, group.stop - group.start) for name, group in FEATURES.items()]


@pytest.mark.parametrize("seed", range(4))
def test_random_ram_gives_the_numbers_of_the_facts(seed: int) -> None:
    images = random_images(1500, seed)
    assert_equal(observed(images), expected(images))


@pytest.mark.parametrize("start_level", [1, 9, 17, 33, 65])
def test_squall_gives_the_numbers_of_the_facts(start_level: int) -> None:
    images = squall_recording(start_level)
    assert_equal(observed(images), expected(images))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_ram_can_leave_the_range(runtime: str) -> None:
    rng = np.random.default_rng(9)
    images = rng.integers(0, 256, (300, 2048), dtype=np.uint8)
    images[::3] |= 0xF0
    images[1::7] = 0xFF
    images[2::7] = 0
    values = observed(images, runtime)
    assert np.isfinite(values).all()
    assert values.min() >= -1
    assert values.max() <= 1


def test_subjective_reward_is_that_of_the_facts() -> None:
    images = random_images(2000, 11)
    show = Slideshow("luajit", images)
    before = np.zeros(2048, np.uint8)
    for i, image in enumerate(images):
        show.advance(limit=1)
        assert show.frames["subjective"][0] == feature_oracle.subjective(image, before), f"image {i}"
        before = image


@pytest.mark.parametrize("start_level", [1, 9, 17, 33])
def test_objective_reward_of_a_recorded_game_is_that_of_the_facts(start_level: int) -> None:
    images = squall_recording(start_level)
    show = Slideshow("luajit", images)
    got = []
    for _ in images:
        show.advance(limit=1)
        got.append((float(show.frames["objective"][0]), bool(show.frames["life_lost"][0])))
        assert show.frames["score"][0] == feature_oracle.score(images[len(got) - 1])
    assert got[1:] == feature_oracle.objectives(images)
    assert any(points > 0 for points, _ in got)
    assert any(died for _, died in got)
