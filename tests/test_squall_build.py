"""The bundled ROM set is what the sources give."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tempest_gym.machines.board import BoardMachine
from tempest_gym.roms import squall_rom
from tempest_gym.squall import ROMS, SQUALL, build
from tempest_gym.squall.sounds import SOUNDS


def test_the_bundled_set_is_what_the_sources_give() -> None:
    built = build.build()
    bundled = {file.name: file.read_bytes() for file in (ROMS / "tempest1").iterdir()}
    assert sorted(built) == sorted(bundled)
    assert [name for name in built if built[name] != bundled[name]] == []


def test_the_command_writes_the_set_and_its_hashes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tempest_gym.squall.build", "--output", str(tmp_path / "tempest1")]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    subprocess.run(["sha1sum", "--check", "--quiet", ROMS / "SHA1SUMS"], check=True, cwd=tmp_path)
    assert (tmp_path / "SHA1SUMS").read_text() == (ROMS / "SHA1SUMS").read_text()


def test_the_set_has_the_files_that_mame_asks_for() -> None:
    mame = shutil.which("mame") or "/usr/games/mame"
    listing = subprocess.run(
        [mame, "-listxml", "tempest1"], check=True, capture_output=True, text=True
    ).stdout
    machine = re.search(r'<machine name="tempest1".*?</machine>', listing, re.DOTALL)
    assert machine is not None
    wanted = re.findall(r'<rom name="(136002-[^"]+)"[^>]*? size="(\d+)"', machine[0])
    assert {name: int(size) for name, size in wanted} == {
        file.name: file.stat().st_size for file in (ROMS / "tempest1").iterdir()
    }


def test_a_missing_assembler_is_named_with_the_cure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.BuildError, match=r"ca65 .* cc65 .*apt-get install cc65"):
        build.build()
    assert build.main(["--output", str(tmp_path / "set")]) == 1
    assert "apt-get install cc65" in caplog.text
    assert not (tmp_path / "set").exists()


def test_a_source_error_is_shown_with_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.s").write_text("        lda     nowhere\n        nonsense\n")
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    with pytest.raises(build.BuildError, match=r"broken\.s\(2\)"):
        build.build()


def test_sounds_have_the_numbers_that_the_game_calls_them_by() -> None:
    text = (SQUALL / "src" / "sounds.inc").read_text()
    numbers = {
        name: int(number) for name, number in re.findall(r"^SND_(\w+)\s*=\s*(\d+)", text, re.MULTILINE)
    }
    assert numbers.pop("COUNT") == len(SOUNDS)
    assert numbers == {sound.name: number for number, sound in enumerate(SOUNDS)}


def test_volumes_fade_without_spilling_into_the_kind_of_tone() -> None:
    for sound in SOUNDS:
        for segment in sound.segments:
            volumes = [(segment.control & 15) + step * segment.fade for step in range(segment.steps)]
            assert set(volumes) <= set(range(16)), sound.name
            pitches = [segment.pitch + step * segment.slide for step in range(segment.steps)]
            assert set(pitches) <= set(range(256)), sound.name


def test_what_the_original_client_writes_into_the_program_changes_nothing() -> None:
    """It writes two NOPs to $A591, and the program never runs what stands there."""
    rom = squall_rom()
    assert rom.memory[0xA591:0xA593].tolist() == [0xEA, 0xEA]
    memory = rom.memory.copy()
    memory[0xA591:0xA593] = 0x02  # A program that reached this would stop with an error.
    plain, changed = BoardMachine(rom), BoardMachine(dataclasses.replace(rom, memory=memory))
    for level in (1, 9):
        plain.reset(7, level)
        changed.reset(7, level)
        for _ in range(1_500):
            assert plain.step(True, False, 5).score == changed.step(True, False, 5).score
        assert plain.ram().tobytes() == changed.ram().tobytes()
