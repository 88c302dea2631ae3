"""The Lua modules: one result under every Lua, the bridge's promises, the pilot, and the host."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Any

import lupa.lua53
import lupa.lua54
import lupa.luajit21
import numpy as np
import pytest
from lua_fixtures import BUTTONS, FAKE_RUN, Slideshow, SquallBoard, random_images, squall_recording
from numpy.typing import NDArray

from tempest_gym.frame import FRAME_DTYPE
from tempest_gym.machines.lua_host import LuaHost, NoDecisionError
from tempest_gym.paths import lua_directory

MODULES = {"luajit": lupa.luajit21, "lua53": lupa.lua53, "lua54": lupa.lua54}
RUNTIMES = tuple(MODULES)


WIRE_FIELDS = [
    *("subjective", "objective", "game_state", "game_mode", "life_lost", "frame", "score"),
    *("save", "fire", "zap", "spinner"),
    *("expert_target", "player_lane", "open", "expert_fire", "expert_zap", "level"),
]


class Lua:
    """A Lua runtime with our modules on its path."""

    def __init__(self, name: str) -> None:
        self.lua = MODULES[name].LuaRuntime(encoding=None, unpack_returned_tuples=True)
        self.lua.globals()[b"package"][b"path"] = f"{lua_directory()}/?.lua".encode()

    def run(self, code: str, *arguments: object) -> Any:
        """Run a chunk with `require` and the arguments as `...`."""
        return self.lua.eval(f"function(...) {code} end".encode())(*arguments)

    def ram(self, image: NDArray[np.uint8]) -> Any:
        """An image as a Lua table indexed from 0."""
        make = self.lua.eval(
            b"function(s) local ram = {} for i = 1, #s do ram[i - 1] = string.byte(s, i) end return ram end"
        )
        return make(image.tobytes())


def play_state(**cells: int) -> NDArray[np.uint8]:
    """RAM of a quiet moment of play on a closed tube, player on lane 5; cells as `x0200=3`."""
    image = np.zeros(2048, np.uint8)
    image[[0x00, 0x05, 0x48, 0x0200, 0x0201, 0x0202]] = 0x04, 0xC0, 3, 5, 6, 0x10
    for name, value in cells.items():
        image[int(name[1:], 16)] = value
    return image


# --- one result under every Lua ---


def everything(runtime: str, images: NDArray[np.uint8], boards: int, steps: int) -> list[Any]:
    """All that a host produces over some advances with changing actions."""
    show = Slideshow(runtime, images, boards)
    rng = np.random.default_rng(5)
    results = []
    for _ in range(steps):
        show.fire[:], show.zap[:] = rng.integers(0, 2, (2, boards))
        show.spinner[:] = rng.integers(-32, 32, boards)
        show.advance(skip=int(rng.integers(1, 4)), stop_at_death=int(rng.integers(2)))
        results.append((show.features.copy(), show.frames.copy(), show.memory.copy(), show.state.copy()))
    return results


@pytest.mark.parametrize("runtime", ["lua53", "lua54"])
@pytest.mark.parametrize("recorded", [False, True])
def test_every_lua_gives_what_luajit_gives(runtime: str, recorded: bool) -> None:
    images = squall_recording(9) if recorded else random_images(3000, 21)
    wanted = everything("luajit", images, 30, 40)
    for step, (want, got) in enumerate(zip(wanted, everything(runtime, images, 30, 40), strict=True)):
        for name, a, b in zip(("features", "frames", "memory", "state"), want, got, strict=True):
            assert np.array_equal(a, b), f"{name} differ at step {step}"
        assert want[0].tobytes() == got[0].tobytes()


def packets(runtime: str, images: NDArray[np.uint8]) -> list[bytes]:
    """The message of every image, made the way the client in MAME does, on tables."""
    lua = Lua(runtime)
    observe = lua.run(
        """
        local bridge, packet = require("bridge"), require("packet")
        local mem, values, frame = {}, {}, {}
        bridge.init(mem, 3, 1, "squall")
        return function(ram)
          bridge.observe(ram, mem, values, frame)
          local message = packet.encode(frame, values)
          bridge.act(ram, mem, function() end, 1, 0, -9)
          return message
        end
        """
    )
    return [observe(lua.ram(image)) for image in images]


def test_messages_are_the_same_bytes_under_every_lua() -> None:
    images = random_images(300, 22)
    wanted = packets("lua53", images)
    assert packets("lua54", images) == wanted
    assert packets("luajit", images) == wanted


def test_a_message_holds_the_fields_of_the_wire_format() -> None:
    images = squall_recording(1)[:400]
    show = Slideshow("luajit", images)
    show.host.init(show.memory[0], 3, 1, "squall")
    show.fire[0], show.spinner[0] = 1, -9
    for i, message in enumerate(packets("lua53", images)):
        show.advance(limit=1)
        frame = show.frames[0]
        assert len(message) == 821
        assert struct.unpack_from(">H", message) == (819,)
        head = struct.unpack_from(">HddBBBHIBBBhhBBBBB", message, 2)
        names = WIRE_FIELDS
        got = dict(zip(names, head[1:], strict=True))
        # The slideshow acts before it observes, so what was commanded last may be a frame apart at first.
        wanted = {name: frame[name].item() for name in names}
        if i == 0:
            for name in ("fire", "zap", "spinner"):
                got.pop(name), wanted.pop(name)
        assert head[0] == 195
        assert got == wanted
        assert np.array_equal(np.frombuffer(message, ">f4", 195, 41), show.features[0])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_only_the_announced_addresses_are_read(runtime: str) -> None:
    """A caller need fill no more of RAM than `state.RANGES` lists."""
    lua = Lua(runtime)
    check = lua.run(
        """
        local bridge, state = require("bridge"), require("state")
        local mem, values, frame = {}, {}, {}
        bridge.init(mem, 3, 20, "tempest1")
        return function(whole)
          local ram = setmetatable({}, { __index = function(_, address) error("read " .. address) end })
          for _, range in ipairs(state.RANGES) do
            for address = range[1], range[2] do ram[address] = whole[address] end
          end
          bridge.observe(ram, mem, values, frame)
          bridge.act(ram, mem, function() end, 1, 1, 12)
        end
        """
    )
    for image in random_images(400, 23):
        check(lua.ram(image))


def test_boards_do_not_disturb_each_other() -> None:
    """Nothing is kept outside `mem`: boards observed in turn give what each gives alone."""
    images = random_images(600, 24)
    together = Slideshow("luajit", images, boards=2)
    alone = [Slideshow("luajit", images, boards=2) for _ in range(2)]
    for _ in range(200):
        together.advance(limit=1)
        for row, show in enumerate(alone):
            show.rows = np.array([row], np.int32)
            show.advance(limit=1)
            assert np.array_equal(show.features[row], together.features[row])
            assert show.frames[row] == together.frames[row]


def test_memory_carries_everything() -> None:
    """A restored memory continues as if it had never been replaced."""
    images = random_images(900, 25)
    show = Slideshow("luajit", images)
    for _ in range(100):
        show.advance(limit=1)
    saved = show.state.copy(), show.memory.copy()
    first = []
    for _ in range(100):
        show.advance(limit=1)
        first.append((show.features.copy(), show.frames.copy()))
    other = Slideshow("lua54", images)
    other.state[:], other.memory[:] = saved
    for features, frames in first:
        other.advance(limit=1)
        assert np.array_equal(other.features, features)
        assert np.array_equal(other.frames, frames)


# --- frames ---


def observe_all(*images: NDArray[np.uint8]) -> list[Any]:
    show = Slideshow("luajit", np.array(images))
    frames = []
    for _ in images:
        show.advance(limit=1)
        frames.append(show.frames[0].copy())
    return frames


@pytest.mark.parametrize(
    ("cells", "decides"),
    [
        ({}, True),
        ({"x00": 0x20}, True),
        ({"x00": 0x0A}, False),
        ({"x0201": 0x86}, False),
        ({"x05": 0x40}, False),
        ({"x00": 0x16}, False),
    ],
)
def test_decision_frames_are_those_where_a_player_could_act(cells: dict[str, int], decides: bool) -> None:
    assert bool(observe_all(play_state(**cells))[0]["decision"]) is decides


def test_a_death_is_an_edge_in_a_real_game() -> None:
    alive, dead = play_state(), play_state(x0201=0x80)
    frames = observe_all(alive, dead, dead, alive, dead)
    assert [int(frame["life_lost"]) for frame in frames] == [0, 1, 0, 0, 1]
    assert [float(frame["objective"]) for frame in frames] == [0, -1000, 0, 0, -1000]
    demo = observe_all(play_state(x05=0), play_state(x05=0, x0201=0x80))
    assert [int(frame["life_lost"]) for frame in demo] == [0, 0]


@pytest.mark.parametrize(
    "end", [{"x48": 0, "x00": 0x06}, {"x00": 0x10}, {"x00": 0x12}, {"x00": 0x24}, {"x05": 0, "x00": 0x14}]
)
def test_a_game_ends_once(end: dict[str, int]) -> None:
    before, play, ended = play_state(x05=0, x00=0x14), play_state(), play_state(**end)
    frames = observe_all(before, play, ended, ended, before, play, play, ended)
    assert [int(frame["over"]) for frame in frames] == [0, 0, 1, 0, 0, 0, 0, 1]


def with_score(points: int, **cells: int) -> NDArray[np.uint8]:
    image = play_state(**cells)
    digits = f"{points:06d}"
    image[0x40:0x43] = [int(digits[i : i + 2], 16) for i in (4, 2, 0)]
    return image


def test_objective_counts_points_and_drops_bonuses() -> None:
    scores = [0, 150, 150, 1149, 7149, 7399, 8399]
    frames = observe_all(*(with_score(points) for points in scores))
    assert [float(frame["objective"]) for frame in frames[1:]] == [150, 0, 999, 0, 250, 0]


def test_objective_survives_the_wrap_of_the_score() -> None:
    frames = observe_all(with_score(0), with_score(999_900), with_score(50))
    assert [float(frame["objective"]) for frame in frames[1:]] == [0, 150]


def test_a_new_game_starts_without_the_last_ones_score() -> None:
    over = with_score(999_900, x05=0, x00=0x14)
    frames = observe_all(over, with_score(999_900, x00=0x00), with_score(0, x00=0x16), with_score(0))
    assert [float(frame["objective"]) for frame in frames] == [0, 0, 0, 0]


def test_a_zap_costs_by_what_was_left_of_the_wave() -> None:
    select = play_state(x00=0x16)
    start, half = play_state(x03AB=20), play_state(x03AB=10)
    first, second = play_state(x03AB=10, x03AA=1), play_state(x03AB=5, x03AA=2)
    frames = observe_all(select, start, half, first, second)
    assert [float(frame["objective"]) for frame in frames] == [0, 0, 0, -500, -250]


def test_the_wave_is_counted_again_in_a_new_game_on_the_same_level() -> None:
    game = [play_state(x00=0x16), play_state(x03AB=20), play_state(x03AB=1)]
    again = [play_state(x05=0, x00=0x14), play_state(x00=0x00), play_state(x00=0x16), play_state(x03AB=10)]
    frames = observe_all(*game, *again, play_state(x03AB=10, x03AA=1))
    assert float(frames[-1]["objective"]) == -1000


def test_attract_mode_rewards_nothing() -> None:
    frames = observe_all(with_score(0, x05=0), with_score(150, x05=0), with_score(300, x05=0, x0201=0x81))
    assert all(frame["objective"] == 0 and frame["subjective"] == 0 for frame in frames)


# --- the pilot ---


def act(image: NDArray[np.uint8], start_level: int = 1, game: str = "tempest1") -> tuple[int, dict[int, int]]:
    """Buttons and pokes of one frame in which the player would fire, zap and turn."""
    lua = Lua("luajit")
    pokes: dict[int, int] = {}
    buttons = lua.run(
        """
        local ram, poke, start_level, game = ...
        local bridge = require("bridge")
        local mem, values, frame = {}, {}, {}
        bridge.init(mem, 1, start_level, game)
        bridge.observe(ram, mem, values, frame)
        return bridge.act(ram, mem, function(address, value) poke(address, value) end, 1, 1, -9)
        """,
        lua.ram(image),
        lambda address, value: pokes.__setitem__(int(address), int(value)),
        start_level,
        game.encode(),
    )
    return int(buttons), pokes


def test_in_play_the_player_has_the_controls() -> None:
    assert act(play_state()) == (0x18, {0x50: 256 - 9})


@pytest.mark.parametrize("game_state", [0x02, 0x06, 0x0A, 0x0E, 0x10, 0x18, 0x1E, 0x24, 0x22, 0x3C, 0x15])
def test_elsewhere_in_a_real_game_nothing_is_touched(game_state: int) -> None:
    assert act(play_state(x00=game_state)) == (0, {0x50: 0})


def test_nothing_is_touched_while_dying() -> None:
    assert act(play_state(x0201=0x81)) == (0, {0x50: 0})


@pytest.mark.parametrize("game_state", [0x00, 0x02, 0x04, 0x0A, 0x14, 0x1A, 0x20])
def test_attract_mode_gets_credit_and_start(game_state: int) -> None:
    assert act(play_state(x05=0, x00=game_state)) == (0x20, {0x50: 0, 0x06: 2})


def test_start_is_pressed_only_where_the_game_takes_it() -> None:
    assert act(play_state(x05=0x40)) == (0, {0x50: 0})


def test_credit_is_given_only_where_it_is_missing() -> None:
    assert act(play_state(x05=0, x06=2)) == (0x20, {0x50: 0})


@pytest.mark.parametrize("game_state", [0x22, 0x15, 0x26, 0x0C, 0xFF])
def test_the_service_mode_and_the_unknown_are_left_alone(game_state: int) -> None:
    assert act(play_state(x05=0, x00=game_state)) == (0, {0x50: 0})


@pytest.mark.parametrize(
    ("cells", "button"), [({"x05": 0}, 0x20), ({"x00": 0x12}, 0x10), ({"x00": 0x16}, 0x10)]
)
def test_a_button_is_released_once_the_game_has_seen_it(cells: dict[str, int], button: int) -> None:
    assert act(play_state(**cells))[0] == button
    assert act(play_state(**cells, x4D=button))[0] == 0


@pytest.mark.parametrize(
    ("game", "level", "entry"),
    [
        ("tempest1", 1, 0),
        ("tempest1", 2, 0),
        ("tempest1", 33, 15),
        ("tempest1", 81, 27),
        ("tempest1", 99, 27),
        ("squall", 33, 14),
        ("squall", 81, 27),
    ],
)
def test_the_start_level_is_chosen_on_the_games_own_menu(game: str, level: int, entry: int) -> None:
    buttons, pokes = act(play_state(x00=0x16, x0127=4, x0200=1), level, game)
    assert buttons == 0x10
    assert pokes[0x0200] == entry
    assert pokes.get(0x0127) == (entry if entry > 4 else None)


@pytest.mark.parametrize("level", [1, 2, 9, 33, 81])
def test_squall_is_in_play_within_a_second(level: int) -> None:
    frame = SquallBoard(start_level=level).advance()
    assert frame["decision"]
    assert frame["level"] + 1 == {2: 1}.get(level, level)
    assert frame["frames"] <= 27  # 20 of them are the game's own pause


def test_after_a_game_with_a_high_score_the_next_one_starts() -> None:
    board = SquallBoard()
    board.advance()
    board.ram[0x48], board.ram[0x42] = 1, 0x50  # last life, 500,000 points
    while not board.advance(spinner=9)["over"]:
        pass
    visited, pauses = set(), 0
    while not board.advance(limit=1)["decision"]:
        visited.add(int(board.ram[0]))
        pauses += 1
    assert {0x24, 0x12, 0x16} <= visited
    assert board.ram[0x48] == 3
    assert pauses < 27 * 30


def test_another_start_level_holds_for_the_next_game() -> None:
    board = SquallBoard()
    board.host.set_start_level(board.memory[0], 17)
    assert board.advance()["level"] == 16


# --- the host ---


def by_frames(show: Slideshow, stop_at_death: bool, skip: int) -> tuple[float, float, bool, int]:
    """`advance` spelled out one game frame at a time."""
    objective = subjective = 0.0
    died, frames = False, 0
    while True:
        show.advance(limit=1)
        frame = show.frames[0]
        frames += 1
        objective += float(frame["objective"])
        subjective += float(frame["subjective"])
        died = died or bool(frame["life_lost"])
        skip -= int(frame["decision"])
        if frame["over"] or (stop_at_death and died) or (frame["decision"] and (skip <= 0 or died)):
            return objective, subjective, died, frames


@pytest.mark.parametrize("stop_at_death", [False, True])
@pytest.mark.parametrize("skip", [1, 4])
@pytest.mark.parametrize("runtime", ["luajit", "lua54"])
def test_advance_equals_single_frames(runtime: str, skip: int, stop_at_death: bool) -> None:
    images = random_images(800, 26)
    whole, single = Slideshow(runtime, images), Slideshow(runtime, images)
    for _ in range(60):
        whole.advance(stop_at_death=stop_at_death, skip=skip)
        wanted = by_frames(single, stop_at_death, skip)
        frame = whole.frames[0]
        assert (frame["objective"], frame["subjective"], bool(frame["life_lost"]), frame["frames"]) == wanted
        assert np.array_equal(whole.features, single.features)


@pytest.mark.parametrize("runtime", ["luajit", "lua54"])
def test_a_program_without_a_game_is_given_up(runtime: str) -> None:
    show = Slideshow(runtime, np.zeros((4, 2048), np.uint8))
    with pytest.raises(NoDecisionError, match="board 0"):
        show.advance()


@pytest.mark.parametrize("runtime", ["luajit", "lua54"])
@pytest.mark.parametrize("row", [-1, 2])
def test_a_wrong_index_is_refused(runtime: str, row: int) -> None:
    show = Slideshow(runtime, random_images(10, 27), boards=2)
    show.rows = np.array([row], np.int32)
    with pytest.raises(ValueError, match="rows must be from 0 to 1"):
        show.advance()


def _wrong_dtype(show: Slideshow) -> None:
    show.features = show.features.astype(np.float64)


def _too_short(show: Slideshow) -> None:
    show.fire = show.fire[:1].copy()


def _not_contiguous(show: Slideshow) -> None:
    show.memory = np.asfortranarray(np.zeros((2, show.host.memory_size)))


def _no_frames(show: Slideshow) -> None:
    show.frames = np.zeros(1, FRAME_DTYPE)


@pytest.mark.parametrize("spoil", [_wrong_dtype, _too_short, _not_contiguous, _no_frames])
def test_arrays_that_do_not_fit_are_refused(spoil: Callable[[Slideshow], None]) -> None:
    show = Slideshow("luajit", random_images(10, 28), boards=2)
    spoil(show)
    with pytest.raises(ValueError, match="must be a C-contiguous array"):
        show.advance()


def test_an_unknown_runtime_is_refused() -> None:
    with pytest.raises(ValueError, match="runtime must be one of"):
        LuaHost("lua99", run_address=FAKE_RUN, buttons_offset=BUTTONS)  # type: ignore[arg-type]


def test_hosts_run_in_threads_at_once() -> None:
    """One runtime per thread over slices of the same arrays gives what one runtime gives."""
    images = random_images(1000, 29)
    alone, shared = Slideshow("luajit", images, boards=8), Slideshow("luajit", images, boards=8)
    hosts = [LuaHost("luajit", run_address=FAKE_RUN, buttons_offset=BUTTONS) for _ in range(2)]

    def work(host: LuaHost, rows: NDArray[np.int32]) -> None:
        for _ in range(50):
            host.advance(shared.fleet, rows)

    slices = (np.arange(4, dtype=np.int32), np.arange(4, 8, dtype=np.int32))
    threads = [threading.Thread(target=work, args=pair) for pair in zip(hosts, slices, strict=True)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        alone.advance()
    for thread in threads:
        thread.join()
    assert np.array_equal(shared.features, alone.features)
    assert np.array_equal(shared.frames, alone.frames)
    assert np.array_equal(shared.memory, alone.memory)
