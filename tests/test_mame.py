"""MAME as a machine: exact resets, states and random numbers, and nothing left behind whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_rom import HANG, SHOW, tiny_rom

from tempest_gym.machines import mame_process
from tempest_gym.machines.machine import Machine
from tempest_gym.machines.mame import MameError, MameMachine, MameMissingError
from tempest_gym.machines.mame_process import find_mame, mame_version, sweep
from tempest_gym.machines.seeding import phase_of
from tempest_gym.paths import lua_directory
from tempest_gym.roms import RomImage, squall_rom

Course = list[tuple[bytes, float, int]]


@pytest.fixture(scope="module")
def squall() -> Iterator[MameMachine]:
    machine = MameMachine(squall_rom())
    yield machine
    machine.close()


@pytest.fixture(scope="module")
def show_rom(tmp_path_factory: pytest.TempPathFactory) -> RomImage:
    return tiny_rom(tmp_path_factory.mktemp("show"), SHOW)


@pytest.fixture(scope="module")
def show(show_rom: RomImage) -> Iterator[MameMachine]:
    machine = MameMachine(show_rom)
    yield machine
    machine.close()


def play(machine: MameMachine, frames: int, seed: int = 0) -> Course:
    """Act at random and return RAM, rewards and score of every frame."""
    generator = np.random.default_rng(seed)
    course = []
    for _ in range(frames):
        fire, zap = generator.random(2) < 0.6, generator.random() < 0.01
        frame = machine.step(bool(fire[0]), bool(zap), int(generator.integers(-12, 13)))
        course.append((machine.ram().tobytes(), frame.objective + frame.subjective, frame.score))
    return course


def gone(pid: int) -> bool:
    """Whether no process has this id, not even a zombie of ours."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z" and pid not in children()


def children() -> set[int]:
    """Return the ids of our MAME processes."""
    command = ["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return {int(line.split()[0]) for line in listed.splitlines() if "mame" in line}


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def folder_of(machine: MameMachine) -> Path:
    return machine._connected().process.folder


def test_is_a_machine(squall: MameMachine) -> None:
    assert isinstance(squall, Machine)
    assert (squall.name, squall.game) == ("mame", "squall")


def test_reset_gives_the_same_game_also_in_a_fresh_process(squall: MameMachine) -> None:
    def game(machine: MameMachine) -> tuple[list[int], Course]:
        frame = machine.reset(7, 9)
        first = machine.ram().tobytes()
        return [frame.frame, frame.game_state], [(first, 0.0, 0), *play(machine, 250)]

    play(squall, 137, seed=5)
    once, again = game(squall), game(squall)
    assert once == again
    fresh = MameMachine(squall_rom())
    try:
        assert game(fresh) == once
    finally:
        fresh.close()
    assert once[0][0] == 1
    assert len({ram for ram, *_ in once[1]}) == 251


def test_another_seed_is_another_game(squall: MameMachine) -> None:
    squall.reset(1, 1)
    one = play(squall, 200)
    squall.reset(2, 1)
    assert play(squall, 200) != one


def test_memory_is_that_of_a_fresh_board_at_reset(squall: MameMachine) -> None:
    squall.reset(3, 1)
    before = [squall.ram(), squall.colour_ram(), squall.vector_ram()]
    play(squall, 300)
    squall.reset(3, 1)
    after = [squall.ram(), squall.colour_ram(), squall.vector_ram()]
    assert [space.shape for space in after] == [(2048,), (16,), (4096,)]
    for left, right in zip(before, after, strict=True):
        assert np.array_equal(left, right)


def test_state_restores_exactly_and_another_action_makes_another_game(squall: MameMachine) -> None:
    squall.reset(11, 1)
    play(squall, 300)
    state = squall.save_state()
    frame_then = squall.ram().tobytes()
    straight = play(squall, 200, seed=1)
    other = None
    for seed in (2, 1):
        frame = squall.load_state(state)
        assert squall.ram().tobytes() == frame_then
        assert frame.frame == 301
        other = play(squall, 200, seed)
        if seed == 2:
            assert other != straight
    assert other == straight


def test_saving_does_not_disturb_the_game(squall: MameMachine) -> None:
    squall.reset(12, 1)
    play(squall, 250)
    straight = play(squall, 100, seed=3)
    squall.reset(12, 1)
    play(squall, 250)
    squall.save_state()
    assert play(squall, 100, seed=3) == straight


def test_state_moves_to_another_process(squall: MameMachine) -> None:
    squall.reset(13, 5)
    play(squall, 300)
    state = squall.save_state()
    straight = play(squall, 150, seed=4)
    other = MameMachine(squall_rom())
    try:
        other.load_state(state)
        assert play(other, 150, seed=4) == straight
    finally:
        other.close()


def test_states_and_resets_follow_each_other_at_one_bridge_point(squall: MameMachine) -> None:
    squall.reset(21, 1)
    first = squall.save_state()
    straight = play(squall, 60)
    later = squall.save_state()
    assert squall.save_state() == later
    beyond = play(squall, 60, seed=1)
    squall.reset(22, 1)
    squall.load_state(later)
    squall.load_state(first)
    assert squall.save_state() == first
    assert play(squall, 60) == straight
    squall.load_state(first)
    squall.load_state(later)
    assert play(squall, 60, seed=1) == beyond
    squall.reset(22, 1)
    squall.reset(21, 1)
    assert squall.save_state() == first
    assert play(squall, 60) == straight


def test_bytes_that_are_not_a_state_are_refused(squall: MameMachine, show: MameMachine) -> None:
    squall.reset(1, 1)
    state = squall.save_state()
    for wrong in (b"", b"x" * 5000, state[:-1], state + b"x", show.save_state()):
        with pytest.raises(ValueError, match="state"):
            squall.load_state(wrong)
    squall.load_state(state)
    with pytest.raises(MameError, match="did not load"):
        squall.load_state(state[:200] + bytes(len(state) - 1100) + state[-900:])
    squall.reset(1, 1)


def sequence() -> NDArray[np.uint8]:
    """RANDOM by the hardware's rule (HARDWARE 1), bit by bit."""
    bits = [1] * 17
    values = []
    for _ in range(131_071):
        values.append(sum(bits[8 + place] << place for place in range(8)))
        new_16, new_7 = bits[0], bits[8] ^ bits[13]
        bits = [*bits[1:], new_16]
        bits[7] = new_7
    return np.array(values, np.uint8)


def test_random_numbers_are_the_hardwares_at_the_cycle_of_the_read(show: MameMachine) -> None:
    values = sequence()
    windows = np.stack([np.roll(values, -7 * k) for k in range(5)], axis=1)

    def places(seed: int) -> list[int]:
        """Step of the sequence at which each frame read its first number."""
        show.reset(seed, 1)
        found = []
        for _ in range(4):
            show.step(False, False, 0)
            ram = show.ram()
            steps = np.flatnonzero((windows == ram[0x80:0x85]).all(axis=1))
            assert len(steps) == 1
            # POKEY 2 was released 4 cycles after POKEY 1 and is read 35 later.
            assert ram[0x85] == values[(steps[0] + 35 - 4) % 131_071]
            found.append(int(steps[0]))
        return found

    one, two = places(1), places(99)
    shift = phase_of(99) - phase_of(1)
    assert [(b - a) % 131_071 for a, b in zip(one, two, strict=True)] == [shift % 131_071] * 4
    assert {(b - a) % 131_071 for a, b in pairwise(one)} <= {55_296 + d for d in range(-30, 31)}


def test_mames_own_random_numbers_can_be_left_alone(show_rom: RomImage) -> None:
    machine = MameMachine(show_rom, randomness="mame")
    try:
        seen = []
        for seed in (1, 2):
            machine.reset(seed, 1)
            machine.step(False, False, 0)
            seen.append(machine.ram()[0x80:0x86].tobytes())
        assert seen[0] == seen[1]
    finally:
        machine.close()


@pytest.mark.parametrize("fire", [False, True])
@pytest.mark.parametrize("zap", [False, True])
@pytest.mark.parametrize("spinner", [-32, -1, 0, 31])
def test_controls_reach_the_game_in_the_next_frame(
    show: MameMachine, fire: bool, zap: bool, spinner: int
) -> None:
    show.reset(0, 1)
    show.step(False, False, 0)
    frame = show.step(fire, zap, spinner)
    ram = show.ram()
    assert ram[0x70] == 0x10 * fire + 0x08 * zap
    assert ram[0x71] == spinner % 256
    assert (frame.fire, frame.zap, frame.spinner) == (fire, zap, spinner)


def test_colour_and_vector_ram_are_shown(show: MameMachine) -> None:
    show.reset(0, 1)
    assert show.colour_ram().tolist() == list(range(16))
    for _ in range(3):
        show.step(False, False, 0)
    ram, vector = show.ram(), show.vector_ram()
    # The number before the frame counter's present value was written at 2200 + the counter before it.
    assert vector[0x200 + int(ram[0x03]) - 1] == ram[0x85]


def test_picture_is_mames(squall: MameMachine) -> None:
    squall.reset(4, 1)
    squall.picture()
    play(squall, 30)
    picture = squall.picture()
    assert picture.shape == (640, 480, 3)
    assert picture.dtype == np.uint8
    assert 0.0005 < (picture.max(axis=2) > 40).mean() < 0.5


def test_close_leaves_nothing(show_rom: RomImage) -> None:
    machine = MameMachine(show_rom)
    pid, folder = machine.pid, folder_of(machine)
    assert pid is not None
    assert folder.is_dir()
    machine.close()
    machine.close()
    assert gone(pid)
    assert not folder.exists()
    with pytest.raises(MameError, match="closed"):
        machine.step(False, False, 0)
    with pytest.raises(MameError, match="closed"):
        machine.reset(0, 1)


def test_many_machines_leak_no_descriptors_and_no_processes(show_rom: RomImage) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    MameMachine(show_rom).close()
    before, processes = open_files(), children()
    for link in ("pipe", "socket", "pipe", "socket"):
        machine = MameMachine(show_rom, link=link)  # type: ignore[arg-type]
        machine.reset(0, 1)
        machine.close()
    assert open_files() == before
    assert children() == processes


def test_forgotten_machine_is_ended(show_rom: RomImage) -> None:
    machine = MameMachine(show_rom)
    pid, folder = machine.pid, folder_of(machine)
    assert pid is not None
    del machine
    assert gone(pid)
    assert not folder.exists()


def test_forked_child_harms_nothing(show: MameMachine) -> None:
    show.reset(0, 1)
    child = os.fork()
    if child == 0:
        show.close()
        os._exit(0)
    os.waitpid(child, 0)
    show.step(True, False, 0)
    assert folder_of(show).is_dir()


def test_socket_serves_where_there_are_no_pipes(show_rom: RomImage, show: MameMachine) -> None:
    machine = MameMachine(show_rom, link="socket")
    try:
        machine.reset(5, 1)
        show.reset(5, 1)
        assert play(machine, 50) == play(show, 50)
        assert machine.load_state(machine.save_state()).frame == 51
        assert machine.picture().shape == (640, 480, 3)
    finally:
        machine.close()


@pytest.mark.parametrize("link", ["pipe", "socket"])
def test_killed_mame_is_noticed_and_replaced(show_rom: RomImage, link: str) -> None:
    machine = MameMachine(show_rom, link=link)  # type: ignore[arg-type]
    try:
        pid, folder = machine.pid, folder_of(machine)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(MameError, match="killed by signal 9"):
            machine.step(False, False, 0)
        assert gone(pid)
        assert not folder.exists()
        with pytest.raises(MameError, match=r"reset\(\) starts a new one"):
            machine.step(False, False, 0)
        assert machine.reset(0, 1).frame == 1
        assert machine.pid != pid
    finally:
        machine.close()


@pytest.mark.parametrize("link", ["pipe", "socket"])
def test_stopped_mame_meets_the_deadline(show_rom: RomImage, link: str) -> None:
    machine = MameMachine(show_rom, link=link)  # type: ignore[arg-type]
    try:
        pid = machine.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        machine._timeout = 0.5
        with pytest.raises(MameError, match=r"did not answer for 0\.5 seconds"):
            machine.step(False, False, 0)
        assert gone(pid)
    finally:
        machine.close()


SCRIPT = """
import sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from tempest_gym.roms import load_roms
from tempest_gym.machines.mame import MameMachine
machine = MameMachine(load_roms(sys.argv[1]), link=sys.argv[2])
machine.reset(0, 1)
print(machine.pid, machine._connected().process.folder, flush=True)
while sys.argv[3] == "busy":
    machine.step(True, False, 3)
time.sleep(60)
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
@pytest.mark.parametrize("link", ["pipe", "socket"])
def test_killed_python_takes_mame_along(show_rom: RomImage, tmp_path: Path, link: str, state: str) -> None:
    show_rom.write(tmp_path)
    owner = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path), link, state], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout
    pid, folder = owner.stdout.readline().split()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert wait_until(lambda: gone(int(pid)), 120)
    assert not Path(folder).exists()


def test_sweep_removes_what_a_killed_owner_left() -> None:
    folder = Path(tempfile.mkdtemp(prefix="tempest-gym-mame-"))
    (folder / "tempest-gym-private").touch()
    (folder / "roms").mkdir()
    sweep()
    assert folder.is_dir()  # It might just be starting.
    os.utime(folder, (0, 0))
    sweep()
    assert not folder.exists()


def test_sweep_spares_what_is_in_use_or_not_ours(show: MameMachine) -> None:
    folder = folder_of(show)
    os.utime(folder, (0, 0))
    foreign = Path(tempfile.mkdtemp(prefix="tempest-gym-mame-"))
    try:
        os.utime(foreign, (0, 0))
        sweep()
        assert folder.is_dir()
        assert foreign.is_dir()
    finally:
        foreign.rmdir()


def test_hung_game_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MameError, match=r"exit code 6[^$]*has not changed its frame counter"):
        MameMachine(tiny_rom(tmp_path, HANG))


def broken_lua(folder: Path, name: str, old: str, new: str) -> Path:
    target = folder / "lua"
    shutil.copytree(lua_directory(), target)
    text = (target / name).read_text()
    assert old in text
    (target / name).write_text(text.replace(old, new, 1))
    return target


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("bridge.lua", "mem[FRAMES] = mem[FRAMES] + 1", "error('mishap')", r"bridge\.lua:\d+: mishap"),
        (
            "bridge.lua",
            "function bridge.act(",
            "function bridge.gone(",
            r"main\.lua:\d+: attempt to call a nil",
        ),
        ("main.lua", "local bridge = require", "local bridge = = require", "unexpected symbol near '='"),
        (
            "packet.lua",
            "packet.BODY_BYTES)",
            "packet.BODY_BYTES - 1)",
            "invalid data: a packet has 819 bytes",
        ),
        (
            "wire.lua",
            'string.pack(">s2", "{"',
            'string.pack(">s2", "("',
            "invalid data: the hello is not valid JSON",
        ),
        ("main.lua", "bridge.observe(ram", "os.exit(7) bridge.observe(ram", "exit code 7"),
    ],
)
def test_errors_of_the_lua_are_shown_with_their_place(
    show_rom: RomImage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    old: str,
    new: str,
    message: str,
) -> None:
    folder = broken_lua(tmp_path, name, old, new)
    monkeypatch.setattr(mame_process, "lua_directory", lambda: folder)
    with pytest.raises(MameError, match=message):
        MameMachine(show_rom).step(False, False, 0)


NEWER_MAME = """
do -- what newer MAMEs have in place of what they dropped; their subscriptions must be kept
  local done, stop = emu.register_frame_done, emu.register_stop
  local function notifier(register)
    return function(callback)
      local kept = setmetatable({ callback }, { __mode = "v" })
      register(function() if kept[1] then kept[1]() end end)
      return { callback = callback }
    end
  end
  emu.add_machine_frame_notifier, emu.add_machine_stop_notifier = notifier(done), notifier(stop)
  emu.register_frame_done, emu.register_stop, emu.register_periodic, emu.register_start = nil, nil, nil, nil
end
if TEMPEST_BRIDGE then"""


def test_lua_knows_the_names_of_newer_mames(
    show_rom: RomImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = broken_lua(tmp_path, "main.lua", "if TEMPEST_BRIDGE then", NEWER_MAME)
    monkeypatch.setattr(mame_process, "lua_directory", lambda: folder)
    with closing(MameMachine(show_rom)) as machine:
        machine.reset(0, 1)
        machine.step(True, False, 0)
    hang = tiny_rom(tmp_path, HANG)
    with pytest.raises(MameError, match="has not changed its frame counter"):
        MameMachine(hang)


def test_overlay_draws_without_errors(show_rom: RomImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mame_process, "_KEPT_VARIABLES", (*mame_process._KEPT_VARIABLES, "TEMPEST_DISPLAY"))
    monkeypatch.setenv("TEMPEST_DISPLAY", "1")
    with closing(MameMachine(show_rom)) as machine:
        machine.reset(0, 1)
        for _ in range(20):
            machine.step(True, False, 0)


@pytest.mark.slow
def test_two_hundred_kills_leave_nothing(show_rom: RomImage) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def folders() -> set[str]:
        return set(map(str, Path(tempfile.gettempdir()).glob("tempest-gym-mame-*")))

    with closing(MameMachine(show_rom)) as machine:
        generator = np.random.default_rng(0)
        for kill in range(210):
            if kill == 10:
                before = resident(), len(os.listdir("/proc/self/fd")), len(children()), len(folders())
            machine.reset(kill, 1)
            play(machine, int(generator.integers(0, 6)))
            assert machine.pid
            os.kill(machine.pid, signal.SIGKILL)
            with pytest.raises(MameError, match="killed by signal 9"):
                play(machine, 5)
        machine.reset(0, 1)
        after = resident(), len(os.listdir("/proc/self/fd")), len(children()), len(folders())
    assert after[0] - before[0] < 8 << 20
    assert after[1] <= before[1] + 3  # The pipes of the machine that runs now.
    assert after[2] <= 1
    assert after[3] <= before[3] + 1


def test_missing_mame_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, show_rom: RomImage
) -> None:
    monkeypatch.setenv("MAME", "/nowhere/mame")
    with pytest.raises(MameMissingError, match=r"/nowhere/mame .*install MAME.*apt-get install mame"):
        MameMachine(show_rom)
    monkeypatch.delenv("MAME")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(mame_process, "_USUAL_PLACES", ())
    with pytest.raises(MameMissingError, match="MAME was not found"):
        find_mame()


def test_programs_that_are_not_mame_are_recognised(
    monkeypatch: pytest.MonkeyPatch, show_rom: RomImage
) -> None:
    program = shutil.which("true")
    assert program
    monkeypatch.setenv("MAME", program)
    with pytest.raises(MameError, match="ended while it started with exit code 0"):
        MameMachine(show_rom)
    with pytest.raises(MameError, match="not a MAME version"):
        mame_version(Path(program))


def test_version_is_known() -> None:
    assert mame_version(find_mame()) >= "0.2"


def test_mames_own_errors_are_shown(show_rom: RomImage) -> None:
    incomplete = replace(show_rom, files=dict(list(show_rom.files.items())[:-1]))
    with pytest.raises(MameError, match=r"127\.e1 NOT FOUND[^$]*Required files are missing"):
        MameMachine(incomplete)
