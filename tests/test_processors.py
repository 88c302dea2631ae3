"""The board on any processor: the memory of 20,000 game frames as it was recorded on x86-64.

`tests/arm64.sh` runs this on an emulated ARM64 processor.
"""

import hashlib

import numpy as np
import pytest

from tempest_gym.actions import ACTION_COUNT, CONTROLS, advised_action
from tempest_gym.machines.board import BoardMachine
from tempest_gym.roms import squall_rom

RECORDED = (
    "d3bd416575977e47",
    "a9a2d28b2d27780f",
    "8c0f5f6429d83bbb",
    "37f40f0795b0e276",
    "d6b69370c9c9d529",
    "ae94d162747adcd0",
    "9f114ae598034922",
    "02787fc2e2c1aa53",
    "d77ba0c42fbf7276",
    "9609a4b512d2577b",
    "f086d6dc1fa69dd4",
    "7b0a40ce0bd332d9",
    "6a1cf8dd27c5acd7",
    "da61bf2f241f6de9",
    "39dc922450438023",
    "0c5f11f4f61d7273",
    "fe062b377a04ac71",
    "b0d6983d2a680ab6",
    "079ec138453633e0",
    "f08bc07a80c48e17",
)
"""SHA-256 (first 16 digits) of RAM, colour RAM and vector RAM of all frames so far, every 1,000 frames."""


@pytest.mark.parametrize("translated", [True, False], ids=["translated", "interpreted"])
def test_memory_is_as_recorded(translated):
    machine = BoardMachine(squall_rom())
    if not translated:
        machine.fleet.boards.use_translation(None)
    generator, digest, found = np.random.default_rng(20_000), hashlib.sha256(), []
    frame = None
    for count in range(1, 20_001):
        if frame is None or frame.over:
            frame = machine.reset(seed=count, start_level=int(generator.integers(1, 82)))
        else:
            expert = generator.random() < 0.8
            action = advised_action(frame) if expert else int(generator.integers(ACTION_COUNT))
            frame = machine.step(*CONTROLS[action])
        for memory in (machine.ram(), machine.colour_ram(), machine.vector_ram()):
            digest.update(memory)
        if count % 1000 == 0:
            found.append(digest.hexdigest()[:16])
    assert tuple(found) == RECORDED
