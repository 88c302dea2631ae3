"""What Squall's sound code writes to the POKEYs, on an independent 6502 (py65)."""

from __future__ import annotations

from pathlib import Path

import pytest
from py65.devices.mpu6502 import MPU
from py65.memory import ObservableMemory

from tempest_gym.squall.build import CHIP, SET, build
from tempest_gym.squall.sounds import SOUNDS

MODE, GAME, ATTRACT = 0x05, 0xC0, 0x00
RETURN = 0x8FFF
STEPS_PER_SECOND = 246 / 8


class Speaker:
    """The sound routines, and every write to both POKEYs as (address, value)."""

    def __init__(self, folder: Path) -> None:
        files = build(labels=folder / "labels")
        lines = [line.split() for line in (folder / "labels").read_text().splitlines()]
        self.labels = {name[1:]: int(address, 16) for _, address, name in lines}
        self.writes: list[tuple[int, int]] = []
        memory = ObservableMemory()
        for index, chip in enumerate(SET.program):
            memory.write(0x9000 + CHIP * index, files[chip])
        memory.subscribe_to_write(
            range(0x60C0, 0x60E0), lambda address, value: self.writes.append((address, value))
        )
        self.memory = memory
        self.cpu = MPU(memory=memory)
        self.cycles = 0
        self.call("sound_init")

    def call(self, name: str, a: int = 0, x: int = 0, y: int = 0) -> None:
        cpu = self.cpu
        cpu.a, cpu.x, cpu.y, cpu.sp, cpu.pc = a, x, y, 0xFD, self.labels[name]
        self.memory[0x1FE], self.memory[0x1FF] = (RETURN - 1) & 0xFF, (RETURN - 1) >> 8
        before = cpu.processorCycles
        while cpu.pc != RETURN:
            cpu.step()
        self.cycles = cpu.processorCycles - before

    def volumes(self) -> list[int]:
        """Volumes written since the last look, in order."""
        heard = [value & 15 for address, value in self.writes if address & 1 and address & 15 < 8]
        self.writes.clear()
        return heard


@pytest.fixture
def speaker(tmp_path: Path) -> Speaker:
    return Speaker(tmp_path)


def test_the_random_numbers_run_from_the_start(speaker: Speaker) -> None:
    control = [(address, value) for address, value in speaker.writes if address & 15 in (8, 15)]
    assert [value for address, value in control if address & 15 == 8] == [0, 0]
    assert [(address, value) for address, value in control if address & 15 == 15] == [
        (0x60CF, 3),
        (0x60DF, 3),
    ]
    speaker.writes.clear()
    speaker.memory[MODE] = GAME
    for number in range(len(SOUNDS)):
        speaker.call("sound_play", number)
        for _ in range(100):
            speaker.call("sound_tick")
    assert not [address for address, _ in speaker.writes if address & 15 >= 8]


@pytest.mark.parametrize("number", range(len(SOUNDS)), ids=[sound.name for sound in SOUNDS])
def test_a_sound_is_heard_and_ends(speaker: Speaker, number: int) -> None:
    sound = SOUNDS[number]
    speaker.memory[MODE] = GAME
    speaker.volumes()
    speaker.call("sound_play", number, 0x12, 0x34)
    assert (speaker.cpu.x, speaker.cpu.y) == (0x12, 0x34)
    steps = sum(segment.steps for segment in sound.segments)
    assert steps <= 3 * STEPS_PER_SECOND
    for _ in range(8 * (steps + 1)):
        speaker.call("sound_tick")
        assert speaker.cycles < 130
    heard = speaker.volumes()
    assert len(heard) == steps + 1
    assert max(heard) > 0
    assert heard[-1] == 0
    for _ in range(16):
        speaker.call("sound_tick")
    assert speaker.volumes() == []


def test_a_new_sound_takes_its_voice_over(speaker: Speaker) -> None:
    speaker.memory[MODE] = GAME
    fire = next(number for number, sound in enumerate(SOUNDS) if sound.name == "FIRE")
    for _ in range(5):
        speaker.volumes()
        speaker.call("sound_play", fire)
        for _ in range(16):
            speaker.call("sound_tick")
        assert max(speaker.volumes()) == SOUNDS[fire].segments[0].control & 15


def test_the_demonstration_is_silent_but_for_coins_and_start(speaker: Speaker) -> None:
    speaker.memory[MODE] = ATTRACT
    for number, sound in enumerate(SOUNDS):
        speaker.volumes()
        speaker.call("sound_play", number)
        for _ in range(8 * 200):
            speaker.call("sound_tick")
        assert (len(speaker.volumes()) > 0) == (sound.name in ("COIN", "START")), sound.name
