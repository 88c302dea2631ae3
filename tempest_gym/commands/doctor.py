"""Examines an installation and lists what is wrong and how to fix it."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from contextlib import closing
from typing import TypedDict

from tempest_gym.code_cache import writable_folder
from tempest_gym.commands.verify import matching_model
from tempest_gym.extras import EXTRAS, versions_of
from tempest_gym.machines.lua_host import LuaHost
from tempest_gym.machines.mame import MameMachine
from tempest_gym.machines.mame_process import MameError, MameMissingError, find_mame, mame_version
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
    """The Lua in this process: its runtime and version, or None."""

    runtime: str | None
    version: str | None


class ExtraFound(TypedDict):
    """An optional part: what it brings, and the modules that are missing, none if it is installed."""

    brings: str
    missing: list[str]


class Diagnosis(TypedDict):
    """What `examine` found; ``problems`` is empty if all is well. A MAME that is not installed is not a problem.

    ``versions`` has Python, the package and what it needs; ``torch`` is its version and the device that ``auto`` takes,
    or None; ``cache`` the folder of compiled code, None if no folder can be written to.
    """

    mame: MameFound
    rom: RomFound
    lua: LuaFound
    versions: dict[str, str]
    cache: str | None
    torch: str | None
    extras: dict[str, ExtraFound]
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
        versions=versions_of(_PACKAGES),
        cache=None if (folder := writable_folder()) is None else str(folder),
        torch=_torch(),
        extras={
            name: ExtraFound(brings=extra.brings, missing=extra.missing()) for name, extra in EXTRAS.items()
        },
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
        if not isinstance(error, MameMissingError) or os.environ.get("MAME"):
            problems.append(str(error))
        return MameFound(path=str(path) if path else None, version=None, board_model=None)


def _try_mame(rom: RomImage, problems: list[str]) -> str | None:
    try:
        with closing(MameMachine(rom)) as machine:
            return matching_model(machine, rom)
    except MameError as error:
        problems.append(f"MAME does not run {rom.name}: {error}")
    return None


_PACKAGES = ("tempest-gym", "gymnasium", "numpy", "numba", "llvmlite", "lupa")

_TORCH = """
import torch
device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
print(torch.__version__, "on", device)
"""


def _torch() -> str | None:
    """Return PyTorch's version and device, found in another process: importing it takes seconds and memory."""
    if EXTRAS["rainbow"].missing():
        return None
    asked = subprocess.run([sys.executable, "-c", _TORCH], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or f"broken: {asked.stderr.strip().splitlines()[-1:]}"
