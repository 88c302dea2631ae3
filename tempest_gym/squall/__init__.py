"""Squall, a free game for the Tempest board: source, build script and the built ROM set."""

from pathlib import Path

SQUALL = Path(__file__).resolve().parent
ROMS = SQUALL / "roms"
"""Folder to give to MAME as ``-rompath``; holds ``tempest1/``."""

__all__ = ["ROMS", "SQUALL"]
