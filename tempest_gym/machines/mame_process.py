"""Finds, starts and ends MAME: one process, one private folder, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from tempest_gym.paths import lua_directory
from tempest_gym.roms import RomImage

__all__ = ["INSTALL_MAME", "MameError", "MameMissingError", "MameProcess", "find_mame", "mame_version"]

_USUAL_PLACES = (
    "/usr/games/mame",
    "/usr/local/bin/mame",
    "/opt/homebrew/bin/mame",
    "C:/mame/mame.exe",
    "C:/Program Files/mame/mame.exe",
)
INSTALL_MAME = (
    "install MAME 0.251 or newer (Debian, Ubuntu: apt-get install mame; macOS: brew install mame; Windows: "
    "mamedev.org), or put the path of its program into the environment variable MAME"
)
_FOLDER_PREFIX = "tempest-gym-mame-"
_MARKER = "tempest-gym-private"
_YOUNG = 60.0
_LAST_LINES = 12
_ROM_WARNINGS = re.compile(r"WRONG CHECKSUMS|^\s+(EXPECTED|FOUND):|the machine might not run correctly")

_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP")
_WINDOW_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "PULSE_SERVER")

SNAPSHOT_WIDTH, SNAPSHOT_HEIGHT = 480, 640


class MameError(RuntimeError):
    """MAME could not be started, ended, stopped answering or sent nonsense; the message explains what to do."""


class MameMissingError(MameError):
    """MAME is not installed on this computer."""


def find_mame(mame: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the MAME program.

    Args:
        mame: a path or a command; None: the environment variable ``MAME``, else ``mame`` on the ``PATH``,
            else the usual places.

    Raises:
        MameMissingError: it is not installed; the message explains how to install it.
    """
    wanted = os.fspath(mame) if mame is not None else os.environ.get("MAME")
    if wanted:
        found = shutil.which(os.path.expanduser(wanted))
        if not found:
            raise MameMissingError(f"{wanted} cannot be run; {INSTALL_MAME}")
        return Path(found)
    for place in ("mame", *_USUAL_PLACES):
        found = shutil.which(place)
        if found:
            return Path(found)
    raise MameMissingError(f"MAME was not found; {INSTALL_MAME}")


def mame_version(mame: Path) -> str:
    """Ask a MAME for its version, such as ``"0.251"``.

    Raises:
        MameError: it prints no version.
    """
    try:
        run = subprocess.run([mame, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MameError(f"{mame} -version does not work ({error}); {INSTALL_MAME}") from error
    found = re.search(r"\d+\.\d+", run.stdout)
    if not found:
        raise MameError(
            f"{mame} -version printed {run.stdout[:80]!r}, which is not a MAME version; {INSTALL_MAME}"
        )
    return found.group()


class MameProcess:
    """A headless MAME with everything it reads and writes in a private folder.

    The folder and the process go with ``end``, at the latest with the interpreter. Where that is killed,
    the Lua ends MAME and removes the folder, and the next start removes what is still left.

    Attributes:
        folder: the private folder.
        states: folder of MAME's saved states.
        log: file with what MAME printed.
    """

    def __init__(
        self,
        rom: RomImage,
        environment: dict[str, str],
        *,
        mame: str | os.PathLike[str] | None = None,
        pass_fds: Sequence[int] = (),
        arguments: Sequence[str] = (),
        script: bool = True,
        window: bool = False,
    ) -> None:
        """Start MAME.

        Args:
            rom: the set to run.
            environment: variables for the Lua, added to a minimal environment.
            mame: see `find_mame`.
            pass_fds: file descriptors that MAME inherits; standard input is a pipe, ``stdin``.
            arguments: more of MAME's command line.
            script: run the Lua.
            window: show the game in a window, with sound and at its true speed.

        Raises:
            MameError: MAME is missing or cannot be run.
        """
        program = find_mame(mame)
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX))
        self._lock = FileLock(self.folder / "lock", thread_local=False)
        self._lock.acquire(blocking=False)
        (self.folder / _MARKER).touch()
        self.states = self.folder / "states" / rom.kind
        self.log = self.folder / "mame.log"
        try:
            rom.write(self.folder / "roms")
            command = [str(program), rom.kind, *_options(window), *arguments]
            if script:
                lua = lua_directory() / "main.lua"
                command += ["-autoboot_delay", "0", "-autoboot_script", str(lua)]
            with open(self.log, "wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    env=self._environment(environment, window),
                    pass_fds=pass_fds,
                    start_new_session=True,
                    restore_signals=False,  # SIGPIPE stays ignored: the Lua sees the pipe end and cleans up.
                )
        except OSError as error:
            self._remove()
            raise MameError(f"{program} cannot be started: {error}; {INSTALL_MAME}") from error
        except BaseException:
            self._remove()
            raise
        self._finalizer = weakref.finalize(self, _end, os.getpid(), self._process, self.folder, self._lock)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def stdin(self) -> int:
        """File descriptor of the pipe to MAME's standard input."""
        assert self._process.stdin is not None
        return self._process.stdin.fileno()

    def touch(self) -> None:
        """Signal to a MAME with ``TEMPEST_OWNER`` that its owner is still running."""
        with contextlib.suppress(FileNotFoundError):  # MAME is just cleaning up.
            os.utime(self.folder / _MARKER)

    def close_input(self) -> None:
        """Close the pipe to standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self, seconds: float) -> int | None:
        """Wait for the process to end; return its exit code, None if it is still running."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def last_lines(self) -> str:
        """Return the last lines MAME printed, without its warnings about unknown ROMs."""
        try:
            with open(self.log, "rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - 20_000))
                text = stream.read().decode(errors="replace")
        except OSError:
            return ""
        lines = [line for line in text.splitlines() if line.strip() and not _ROM_WARNINGS.search(line)]
        return "\n".join(lines[-_LAST_LINES:])

    def end(self) -> None:
        """Kill the process and remove the folder. May be called twice."""
        self._finalizer()

    def _remove(self) -> None:
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self, extra: dict[str, str], window: bool) -> dict[str, str]:
        wanted = (*_KEPT_VARIABLES, *(_WINDOW_VARIABLES if window else ()))
        kept = {name: os.environ[name] for name in wanted if name in os.environ}
        home = str(self.folder)
        ours = {"HOME": home, "SDL_NO_SIGNAL_HANDLERS": "1", "TEMPEST_FOLDER": home}
        if not window:
            ours |= {"XDG_RUNTIME_DIR": home, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
        return kept | ours | extra


def _options(window: bool) -> list[str]:
    # An empty debugger skips the screens that wait for a key, which MAME shows for our ROMs' checksums.
    shown = "-window -debug -debugger none" if window else "-video none -sound none -nothrottle -frameskip 10"
    options = f"{shown} -skip_gameinfo -nonvram_save -noreadconfig -rompath roms"
    options += f" -snapsize {SNAPSHOT_WIDTH}x{SNAPSHOT_HEIGHT} -snapview native -state_directory states"
    for kind in ("cfg", "nvram", "diff", "comment", "snapshot", "input"):
        options += f" -{kind}_directory {kind}"
    return options.split()


def _end(owner: int, process: subprocess.Popen[bytes], folder: Path, lock: FileLock) -> None:
    if os.getpid() != owner:
        return
    process.kill()
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
    process.wait()
    lock.release()
    shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Remove private folders whose owners were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*"):
        try:
            mine = sys.platform == "win32" or folder.lstat().st_uid == os.getuid()
            old = time.time() - folder.lstat().st_mtime > _YOUNG
            if not (mine and old and (folder / _MARKER).is_file()) or folder.is_symlink():
                continue
            with FileLock(folder / "lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, Timeout):
            continue
