"""Every number that the Lua and Python share has one home in each language, and the two are equal."""

import re

import pytest

from tempest_gym import features, frame, protocol
from tempest_gym.actions import ACTION_COUNT, SPINNER_LEVELS
from tempest_gym.machines import fleet, lua_host, seeding, worker_threads
from tempest_gym.paths import lua_directory
from tempest_gym.server import mame_clients


def text_of(name: str) -> str:
    return (lua_directory() / f"{name}.lua").read_text(encoding="utf-8")


def constant(file: str, name: str) -> int:
    """Return a number that a Lua file gives a name, alone or in a list of names."""
    for names, values in re.findall(
        r"^\s*local ([\w, ]+) = ([-\w, ]+?)(?: --.*)?$", text_of(file), re.MULTILINE
    ):
        listed = [each.strip() for each in names.split(",")]
        if name in listed:
            return int(values.split(",")[listed.index(name)].strip(), 0)
    raise AssertionError(f"{file}.lua has no number called {name}")


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        ("main", "PROTOCOL", protocol.PROTOCOL_VERSION),
        ("main", "START_BRIDGE", fleet.START_BRIDGE),
        ("main", "PHASES", seeding.PHASE_COUNT),
        ("main", "COMMAND_MARK", protocol._COMMAND_MARK),
        ("wire", "RESPONSE_MARK", protocol._RESPONSE_MARK),
        ("wire", "ALIVE", protocol.Command.ALIVE),
        ("host", "ALL_WELL", lua_host.ALL_WELL),
        ("host", "READY", worker_threads.READY),
        ("host", "WORK", worker_threads.WORK),
        ("host", "ASLEEP", worker_threads.ASLEEP),
        ("host", "WATCHED", worker_threads.WATCHED),
        ("host", "LINE", worker_threads._LINE),
    ],
)
def test_a_named_number_is_the_same_in_both(file, name, value):
    assert constant(file, name) == value


def test_seeds_become_phases_alike():
    ((step, offset),) = re.findall(r"\(seed \* (\d+) \+ (\d+)\) % PHASES", text_of("main"))
    assert (int(step), int(offset)) == (seeding._STEP, seeding._OFFSET)
    (seeds,) = re.findall(r"emu\.osd_ticks\(\)\) % (\d+)", text_of("main"))
    assert int(seeds) == seeding.SEED_COUNT


def test_exit_codes_and_sizes_are_alike():
    (sent_away,) = re.findall(r'finish\(payload == "" and 0 or (\d)', text_of("main"))
    assert int(sent_away) == mame_clients._SENT_AWAY
    assert mame_clients._QUIT == 0
    names = ("RESET", "START_LEVEL", "SAVE", "LOAD", "PICTURE", "MEMORY", "QUIT")
    defined = {int(number) for number in re.findall(r"^commands\[(\d)\] =", text_of("main"), re.MULTILINE)}
    assert defined == {protocol.Command[name] for name in names}
    count = lua_host.LuaHost()._lua.eval(b'require("features").COUNT')
    assert count == frame.FEATURE_COUNT == features.FEATURE_COUNT == 195
    assert (ACTION_COUNT, len(SPINNER_LEVELS)) == (44, 11)
