"""The comparison of two machines finds what differs, where and when; here the board stands in for MAME."""

import os
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tempest_gym.board.layout import MODELS
from tempest_gym.commands.verify import GAME_FRAMES, matching_model, verify
from tempest_gym.machines.board import BoardMachine
from tempest_gym.machines.mame import MameMachine
from tempest_gym.machines.setup import Setup
from tempest_gym.roms import squall_rom


class Tampered(BoardMachine):
    """A board on which one byte of one memory changes at one frame, counted over all games from 0."""

    def __init__(self, memory, address, at):
        super().__init__(squall_rom())
        self.memory, self.address, self.at, self.count = memory, address, at, -1

    def reset(self, seed, start_level):
        return self.tampered(super().reset(seed, start_level))

    def step(self, fire, zap, spinner):
        return self.tampered(super().step(fire, zap, spinner))

    def tampered(self, frame):
        self.count += 1
        if self.count == self.at:
            if self.memory == "frame":
                frame.score += 1
            elif self.memory == "features":
                frame.features[self.address] += 0.25
            else:
                getattr(self.fleet.boards, self.memory)[0, self.address] ^= 1
        return frame


@pytest.fixture(scope="module")
def board():
    return BoardMachine(squall_rom())


def test_a_machine_equals_itself_in_every_game(board):
    frames = GAME_FRAMES + 200
    result = verify(BoardMachine(squall_rom()), board, frames, seed=4)
    assert result == {
        "board_model": "mame-0.251",
        "frames": frames,
        "equal": True,
        "first_difference": None,
        "levels_seen": sorted(result["levels_seen"]),
    }
    assert {1, 5} <= set(result["levels_seen"])  # The second game starts at level 5.


@pytest.mark.parametrize(
    ("memory", "address", "at", "space", "shown"),
    [
        ("ram", 0x07FF, 37, "ram", 0x07FF),
        ("colour", 5, 60, "colour", 0x0805),
        ("vram", 0x0ABC, 0, "vector", 0x2ABC),
        ("features", 194, 12, "features", 194),
        ("frame", None, 99, "frame", "score"),
        ("ram", 0x0701, GAME_FRAMES + 3, "ram", 0x0701),
    ],
)
def test_the_first_difference_is_named(board, memory, address, at, space, shown):
    trusted = BoardMachine(squall_rom())
    result = verify(trusted, Tampered(memory, address, at), GAME_FRAMES + 50, seed=4)
    assert (result["frames"], result["equal"]) == (at + 1, False)
    found = result["first_difference"]
    assert (found["frame"], found["space"], found["address"]) == (at, space, shown)
    assert found["mame"] != found["board"]
    if memory in ("ram", "colour", "vram"):
        assert int(found["mame"]) ^ int(found["board"]) == 1


def test_the_seed_decides_the_games(board):
    twin = BoardMachine(squall_rom())
    rams = []
    for seed in (1, 1, 2):
        verify(twin, board, 300, seed)
        rams.append(board.ram())
    np.testing.assert_array_equal(rams[0], rams[1])
    assert (rams[0] != rams[2]).any()


@pytest.mark.parametrize("model", MODELS)
def test_the_model_of_a_machine_is_found_by_its_play(model):
    class Unnamed:
        """A board that does not name its model, in place of a MAME."""

        def __init__(self):
            board = BoardMachine(squall_rom(), Setup(board_model=model))
            self.reset, self.step, self.ram = board.reset, board.step, board.ram

    assert matching_model(Unnamed(), squall_rom()) == model


def test_board_models_play_different_games():
    result = verify(
        BoardMachine(squall_rom()), BoardMachine(squall_rom(), Setup(board_model=MODELS[1])), 100, seed=5
    )
    assert (result["board_model"], result["equal"]) == (MODELS[1], False)


def test_a_saved_state_keeps_its_board_model(board):
    newer = BoardMachine(squall_rom(), Setup(board_model=MODELS[1]))
    newer.reset(5, 1)
    restored = BoardMachine(squall_rom())
    restored.load_state(newer.save_state())
    assert restored.model == MODELS[1]
    for _ in range(200):
        newer.step(True, False, 3)
        restored.step(True, False, 3)
    np.testing.assert_array_equal(newer.ram(), restored.ram())


def test_an_unknown_board_model_is_refused():
    with pytest.raises(ValueError, match=r"one of 'mame-0.251', 'mame-0.276', got 'mame-0.1'"):
        BoardMachine(squall_rom(), Setup(board_model="mame-0.1"))


def check_mame(program):
    """Compare a MAME with the board of its model over some games' openings."""
    rom = squall_rom()
    with closing(MameMachine(rom, mame=program)) as mame:
        model = matching_model(mame, rom)
        result = verify(mame, BoardMachine(rom, Setup(board_model=model)), 3_000, seed=5)
        newest = [name for name in MODELS if int(name.rpartition(".")[2]) <= mame.mame_version][-1]
    assert (result["equal"], model) == (True, newest), result


@pytest.mark.parametrize("program", [None, *filter(None, os.environ.get("MAMES", "").split(os.pathsep))])
def test_every_mame_at_hand_equals_the_board(program):
    """The usual MAME, and those that the variable ``MAMES`` names, separated as in ``PATH``."""
    check_mame(program)


@pytest.mark.newer_mame
@pytest.mark.parametrize("suite", ["trixie", "sid"])
def test_newer_mames_equal_the_board(suite):
    """Fetches MAME 0.276 and the newest of Debian, as root: ``pytest -m newer_mame``."""
    script = Path(__file__).parent / "newer_mame.sh"
    run = subprocess.run(["bash", script, suite], stdout=subprocess.PIPE, text=True, check=True)
    check_mame(run.stdout.strip())
