"""Looks at what an installation needs, and says in sentences what is wrong and how to cure it."""

from __future__ import annotations

import warnings
from contextlib import closing
from typing import TypedDict

from tempest_gym.commands.verify import matching_model
from tempest_gym.machines.lua_host import LuaHost
from tempest_gym.machines.mame import MameMachine
from tempest_gym.machines.mame_process import MameError, find_mame, mame_version
from tempest_gym.paths import lua_directory
from tempest_gym.roms import RomError, RomImage, RomWarning, resolve_rom

__all__ = ["Diagnosis", "LuaFound", "MameFound", "RomFound", "examine"]


class MameFound(TypedDict):
    """MAME's program and version, None where it was not found, and the board model that equals it."""

    path: str | None
    version: str | None
    board_model: str | None


class RomFound(TypedDict):
    """The ROM set in use: its name and layout, None where it cannot be used."""

    name: str | None
    kind: str | None


class LuaFound(TypedDict):
    """The Lua in this process: its runtime and version, None where there is none."""

    runtime: str | None
    version: str | None


class Diagnosis(TypedDict):
    """What `examine` found; ``problems`` is empty if all is well."""

    mame: MameFound
    rom: RomFound
    lua: LuaFound
    problems: list[str]


def examine() -> Diagnosis:
    """Look for MAME, the ROM set and Lua, and try MAME with both for a moment."""
    problems: list[str] = []
    lua = _lua(problems)
    rom = _rom(problems)
    mame = _mame(problems)
    if rom is not None and mame["version"] is not None:
        mame["board_model"] = _try_mame(rom, problems)
    return Diagnosis(
        mame=mame,
        rom=RomFound(name=rom.name if rom else None, kind=rom.kind if rom else None),
        lua=lua,
        problems=problems,
    )


def _lua(problems: list[str]) -> LuaFound:
    try:
        lua_directory()
        host = LuaHost(run_address=0, buttons_offset=0)
    except (ImportError, FileNotFoundError) as error:
        problems.append(f"Lua does not work in this process: {error}")
        return LuaFound(runtime=None, version=None)
    return LuaFound(runtime=host.runtime, version=host.version)


def _rom(problems: list[str]) -> RomImage | None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RomWarning)
        try:
            rom = resolve_rom()
        except RomError as error:
            problems.append(str(error))
            return None
    problems += [str(warning.message) for warning in caught if issubclass(warning.category, RomWarning)]
    return rom


def _mame(problems: list[str]) -> MameFound:
    path = None
    try:
        path = find_mame()
        return MameFound(path=str(path), version=mame_version(path), board_model=None)
    except MameError as error:
        problems.append(f"{error}. Only machine='mame' and MAME clients need it; the board works without")
        return MameFound(path=str(path) if path else None, version=None, board_model=None)


def _try_mame(rom: RomImage, problems: list[str]) -> str | None:
    try:
        with closing(MameMachine(rom)) as machine:
            return matching_model(machine, rom)
    except MameError as error:
        problems.append(f"MAME does not run {rom.name}: {error}")
    return None
