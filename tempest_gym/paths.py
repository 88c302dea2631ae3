"""Where the distribution's own data files are, in a checkout and in an installed wheel alike."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["lua_directory"]


@cache
def lua_directory() -> Path:
    """Return the folder with the Lua modules (``bridge.lua``, ``main.lua`` and the rest).

    A wheel carries it inside the package, a checkout beside it.

    Raises:
        FileNotFoundError: neither place has it, so the installation is damaged.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "lua", package.parent / "lua"):
        if (folder / "bridge.lua").is_file():
            return folder
    raise FileNotFoundError(
        f"the Lua files of tempest-gym are neither in {package / 'lua'} nor in {package.parent / 'lua'}: "
        "install it again with `pip install --force-reinstall tempest-gym`"
    )
