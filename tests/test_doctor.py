"""The doctor finds what is there and names what is wrong and how to fix it."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import metadata
from pathlib import Path

import pytest
from tiny_rom import HANG, SHOW, tiny_rom

from tempest_gym.board.layout import MODELS
from tempest_gym.cli import main
from tempest_gym.commands.doctor import examine
from tempest_gym.machines import mame_process


def test_a_whole_installation_has_no_problems() -> None:
    found = examine()
    assert found["problems"] == []
    assert found["rom"] == {"name": "squall", "kind": "tempest1"}
    path, version = found["mame"]["path"], found["mame"]["version"]
    assert path
    assert Path(path).is_file()
    assert version
    assert version.startswith("0.")
    assert found["mame"]["board_model"] in MODELS
    assert found["lua"]["runtime"] in ("luajit", "lua54", "lua53")


def test_a_computer_without_mame_has_no_problem_and_is_shown_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MAME", raising=False)
    monkeypatch.setattr(mame_process.shutil, "which", lambda _: None)
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "apt-get install mame" in shown
    assert shown.endswith("no problems\n")


def test_every_extra_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Version 0.1 listed none."""
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for extra in set(metadata("tempest-gym").get_all("Provides-Extra") or []) - {"all", "dev", "test"}:
        assert re.search(rf"^  {extra} +.*: ", shown, re.MULTILINE), extra


def test_a_mame_that_is_named_and_missing_is_a_problem_with_a_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAME", "/nowhere/mame")
    found = examine()
    assert found["mame"] == {"path": None, "version": None, "board_model": None}
    assert len(found["problems"]) == 1
    assert "apt-get install mame" in found["problems"][0]


def test_a_program_that_is_not_mame(monkeypatch: pytest.MonkeyPatch) -> None:
    program = shutil.which("true")
    assert program
    monkeypatch.setenv("MAME", program)
    found = examine()
    assert found["mame"] == {"path": program, "version": None, "board_model": None}
    assert "not a MAME version" in found["problems"][0]


def test_wrong_rom_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPEST_ROM", "/nowhere/tempest.zip")
    found = examine()
    assert found["rom"] == {"name": None, "kind": None}
    assert "/nowhere/tempest.zip: no such file" in found["problems"][0]


@pytest.mark.parametrize(("source", "problems"), [(SHOW, 1), (HANG, 2)])
def test_homebrew_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, problems: int
) -> None:
    tiny_rom(tmp_path, source)
    monkeypatch.setenv("TEMPEST_ROM", str(tmp_path / "tempest1"))
    found = examine()
    assert found["rom"]["kind"] == "tempest1"
    assert len(found["problems"]) == problems
    assert "neither Tempest nor Squall" in found["problems"][0]
    assert "frame counter" in found["problems"][-1] or problems == 1


def test_lua_that_does_not_run_in_mame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "main.lua").write_text("error('mishap')")
    monkeypatch.setattr(mame_process, "lua_directory", lambda: tmp_path)
    found = examine()
    assert len(found["problems"]) == 1
    assert found["problems"][0].startswith("MAME does not run squall")
    assert "main.lua:1: mishap" in found["problems"][0]
