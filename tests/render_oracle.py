"""Pictures by real MAME of given display lists, to compare tempest_gym.display.render with."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from board_oracle import rom_files
from numpy.typing import NDArray

WIDTH, HEIGHT = 480, 640
_LUA = Path(__file__).parent / "render_oracle.lua"
_PROGRAM = """
reset:
        SEI
loop:
        STA $5000
        JMP loop
"""


@dataclass(frozen=True)
class Scene:
    """A display list: vector RAM (4096,), colour RAM (16,), both uint8, and the byte for $4000."""

    vector_ram: NDArray[np.uint8]
    colour_ram: NDArray[np.uint8]
    outputs: int = 0x10


def mame_pictures(folder: Path, scenes: list[Scene], vector_rom: bytes) -> NDArray[np.uint8]:
    """MAME's snapshots of the scenes, uint8 (n, HEIGHT, WIDTH, 3), RGB."""
    data = b"".join(s.vector_ram.tobytes() + s.colour_ram.tobytes() + bytes([s.outputs]) for s in scenes)
    (folder / "scenes.bin").write_bytes(data)
    files = rom_files(_PROGRAM, {0x3000: vector_rom})
    return _run(folder, files, str(folder / "scenes.bin"), len(scenes), len(scenes))


def mame_game_picture(folder: Path, files: Mapping[str, bytes], video_frame: int) -> NDArray[np.uint8]:
    """MAME's snapshot of a ROM set left alone, at this 60 Hz frame; uint8 (HEIGHT, WIDTH, 3), RGB."""
    return _run(folder, files, "", video_frame, 1)[0]


def _run(
    folder: Path, files: Mapping[str, bytes], scenes: str, count: int, pictures: int
) -> NDArray[np.uint8]:
    roms = folder / "roms" / "tempest1"
    roms.mkdir(parents=True)
    for name, content in files.items():
        (roms / name).write_bytes(content)
    output = folder / "pictures.bin"
    home = folder / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "SDL_NO_SIGNAL_HANDLERS": "1",
        "RENDER_ORACLE": f"{scenes}\n{output}\n{count}\n",
    }
    mame = shutil.which("mame", path=os.environ["PATH"] + os.pathsep + "/usr/games") or "mame"
    command = [mame, "tempest1", "-rompath", str(folder / "roms"), "-autoboot_script", str(_LUA)]
    command += ["-autoboot_delay", "0", "-video", "none", "-sound", "none", "-nothrottle", "-skip_gameinfo"]
    command += ["-frameskip", "0", "-nonvram_save", "-noreadconfig"]
    command += ["-snapsize", f"{WIDTH}x{HEIGHT}", "-snapview", "native"]
    for option in ("cfg", "nvram", "snapshot", "state", "diff", "comment", "input"):
        command += [f"-{option}_directory", str(folder / option)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    pixels = np.fromfile(output, np.uint8).reshape(pictures, HEIGHT, WIDTH, 4)
    return pixels[..., 2::-1].copy()
