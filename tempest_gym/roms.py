"""Finds, checks and loads ROM sets: the bundled Squall, the user's Tempest, or anybody's homebrew.

Files are checked by name, size and SHA-1. Archives are read in memory with hard limits and never unpacked
to disk, so a hostile one costs an error message at most.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tempest_gym.files import read_start
from tempest_gym.rom_sets import AVG_PROM, ROM_FILES, ROM_SETS, RomSet

__all__ = [
    "RomError",
    "RomImage",
    "RomWarning",
    "load_roms",
    "mame_rom_folders",
    "resolve_rom",
    "sha1",
    "squall_rom",
]

ROM_VARIABLE = "TEMPEST_ROM"

_SQUALL_FOLDER = Path(__file__).parent / "squall" / "roms"
_SQUALL_HASHES = _SQUALL_FOLDER / "SHA1SUMS"
_PARENT = "tempest"
_PREFERENCE = ("tempest", "tempest3", "tempest2", "tempest1r", "tempest1")
_ARCHIVE_LIMIT = 8 << 20
_ENTRY_LIMIT = 2000
_READ_LIMIT = max(size for size, _ in ROM_FILES.values())
_PROGRAM_START, _VECTOR_START, _PROGRAM_END = 0x9000, 0x3000, 0xE000
_AVG_PROM_START = 0x8000

_ZIP_FAILURES = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    LookupError,
)

_Reader = Callable[[], bytes]


class RomError(ValueError):
    """A ROM set is missing, incomplete, wrong or unreadable; the message explains what to do."""


class RomWarning(UserWarning):
    """An unknown ROM set is used."""


@dataclass(frozen=True, eq=False)
class RomImage:
    """A checked ROM set.

    Attributes:
        name: ``"squall"``, MAME's name of a genuine set, or ``"homebrew-"`` and the start of the SHA-1.
        kind: MAME's name of the set whose files and layout these are, such as ``"tempest1"``.
        memory: uint8 array of shape ``(65536,)``, read-only: the 6502's address space with the ROMs at
            their addresses, mirrors included, and 0 elsewhere; but ``avg_prom`` at $8000, which the 6502
            cannot see.
        files: content of every file by its name.
        avg_prom: the 256 bytes of the vector generator's state PROM.
        sha1: SHA-1 of all files in the order of the set, in hexadecimal.
    """

    name: str
    kind: str
    memory: NDArray[np.uint8]
    files: dict[str, bytes]
    avg_prom: bytes
    sha1: str

    def write(self, folder: Path) -> None:
        """Write the files to ``folder/kind/``, as MAME's ``-rompath folder`` expects them."""
        target = folder / self.kind
        target.mkdir(parents=True)
        for name, content in self.files.items():
            (target / name).write_bytes(content)


def squall_rom() -> RomImage:
    """Return Squall, the free game in the package.

    Raises:
        RomError: the installed files are damaged.
    """
    files = _load(_SQUALL_FOLDER, "tempest1")
    wrong = _wrong_files(files, _squall_hashes())
    if wrong:
        raise RomError(f"{_SQUALL_FOLDER}: damaged: {wrong}; install tempest-gym again")
    return _image("squall", "tempest1", files)


def resolve_rom(rom: str | os.PathLike[str] | RomImage | None = None) -> RomImage:
    """Return the ROM set that an argument names.

    Args:
        rom: a set already loaded; a folder or zip file; ``"squall"``; a set's name such as ``"tempest"``,
            which is looked for where MAME keeps its ROMs; or None for the path in the environment
            variable ``TEMPEST_ROM`` and, where that is not set, Squall.

    Raises:
        RomError: no usable set was found.
    """
    if isinstance(rom, RomImage):
        return rom
    if rom is None:
        rom = os.environ.get(ROM_VARIABLE) or "squall"
    if str(rom) == "squall":
        return squall_rom()
    if str(rom) in ROM_SETS and not Path(rom).exists():
        return _load_installed(str(rom))
    return load_roms(rom)


def load_roms(path: str | os.PathLike[str], kind: str | None = None) -> RomImage:
    """Load a ROM set from a folder or a zip file.

    The path may hold the files themselves, or folders and zip files named like sets (as MAME's
    ``-rompath`` does). Files that a set shares with its parent are also found in the parent's folder or
    zip file beside it. A set in which no program or vector ROM is genuine is a homebrew, taken as it is
    with a ``RomWarning``; one in which some are and others are not is an error.

    Args:
        path: folder or zip file.
        kind: the set wanted, such as ``"tempest1"``. None: the set whose name the path bears, else the
            one whose files are present.

    Raises:
        RomError: a file is missing, has the wrong size or content, or cannot be read.
    """
    place = Path(os.path.expanduser(path))
    if not place.exists():
        raise RomError(
            f"{place}: no such file or folder. Give a folder or zip file with a Tempest ROM set, "
            f"or leave {ROM_VARIABLE} unset to play Squall, the bundled game"
        )
    if kind is not None and kind not in ROM_SETS:
        raise RomError(f"unknown ROM set {kind!r}; known are {', '.join(ROM_SETS)}")
    if kind is None:
        named = place.name if place.is_dir() else place.stem
        kind = named if named in ROM_SETS else _best_kind(place)
    files = _load(place, kind)
    return _image(_identify(place, kind, files), kind, files)


def mame_rom_folders() -> list[Path]:
    """Return the existing folders in which MAME looks for ROMs here, most specific first."""
    home = Path(os.path.expanduser("~"))  # Path.home() raises where a user has no home.
    settings = [home / ".mame/mame.ini", home / "mame/mame.ini", Path("/etc/mame/mame.ini")]
    places = [folder for file in settings for folder in _rompath(file)]
    places += [
        home / "mame/roms",
        home / ".mame/roms",
        home / "Library/Application Support/mame/roms",
        Path("/usr/local/share/games/mame/roms"),
        Path("/usr/share/games/mame/roms"),
        Path("/usr/local/share/mame/roms"),
    ]
    if sys.platform == "win32":
        places += [Path("C:/mame/roms"), home / "mame/roms"]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def _rompath(file: Path) -> list[Path]:
    """Return the folders of the ``rompath`` line of a ``mame.ini``, an empty list without such a file."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    line = re.search(r"^rompath[ \t]+(.+)$", text, re.MULTILINE)
    parts = line.group(1).strip().strip('"').split(";") if line else []
    return [file.parent.joinpath(os.path.expandvars(part)).expanduser() for part in parts if part]


def _load_installed(kind: str) -> RomImage:
    folders = mame_rom_folders()
    for folder in folders:
        if (folder / kind).is_dir() or (folder / f"{kind}.zip").is_file():
            return load_roms(folder, kind)
    looked = ", ".join(map(str, folders)) or "none of which exists here"
    raise RomError(f"no ROM set {kind!r} where MAME keeps its ROMs ({looked}); give its path instead")


def _best_kind(place: Path) -> str:
    """Return the set of which the fewest files are missing."""
    missing = {kind: len(set(ROM_SETS[kind].names) - set(_readers(place, kind))) for kind in _PREFERENCE}
    return min(missing, key=lambda kind: missing[kind])


def _load(place: Path, kind: str) -> dict[str, bytes]:
    """Return the files of a set, all there and of the right size, in the order of the set."""
    readers = _readers(place, kind)
    missing = [name for name in ROM_SETS[kind].names if name not in readers]
    if missing:
        expected = ", ".join(f"{n} ({ROM_FILES[n][0]} bytes, SHA-1 {ROM_FILES[n][1]})" for n in missing)
        raise RomError(f"{place}: missing of the set {kind}: {expected}")
    files = {name: readers[name]() for name in ROM_SETS[kind].names}
    for name, content in files.items():
        size = ROM_FILES[name][0]
        if len(content) != size:
            found = f"has {len(content)}" if len(content) <= _READ_LIMIT else "is larger"
            raise RomError(f"{place}: {name} of the set {kind} must have {size} bytes, but {found}")
    return files


def _identify(place: Path, kind: str, files: dict[str, bytes]) -> str:
    """Return the name of a complete set by its hashes.

    Raises:
        RomError: it is neither genuine, nor Squall, nor all unknown.
    """
    if kind == "tempest1" and not _wrong_files(files, _squall_hashes()):
        return "squall"
    genuine = {name: ROM_FILES[name][1] for name in files}
    code = ROM_SETS[kind].program + ROM_SETS[kind].vector
    if all(sha1(files[name]) != genuine[name] for name in code):
        warnings.warn(
            f"{place}: the set {kind} there is neither Tempest nor Squall; it is used as it is",
            RomWarning,
            stacklevel=3,
        )
        return f"homebrew-{_digest(files)[:8]}"
    wrong = _wrong_files(files, genuine)
    if wrong:
        raise RomError(f"{place}: wrong content in the set {kind}: {wrong}; replace what is wrong")
    return kind


def _wrong_files(files: Mapping[str, bytes], expected: Mapping[str, str]) -> str:
    """Return a list, in words, of the files whose SHA-1 is not the expected one."""
    found = {name: sha1(content) for name, content in files.items()}
    return ", ".join(
        f"{name} (SHA-1 expected {expected.get(name)}, found {sha1}{_known_as(sha1)})"
        for name, sha1 in found.items()
        if sha1 != expected.get(name)
    )


def _known_as(sha1: str) -> str:
    names = [name for name, (_, known) in ROM_FILES.items() if known == sha1]
    return f", which is {names[0]}" if names else ""


def _squall_hashes() -> dict[str, str]:
    """Return SHA-1 by file name of the bundled set, from the list that its build writes."""
    try:
        lines = _SQUALL_HASHES.read_text(encoding="ascii").split("\n")
    except OSError as error:
        raise RomError(f"the list of Squall's files is gone ({error}); install tempest-gym again") from error
    return {Path(name).name: sha1 for sha1, name in (line.split() for line in lines if line)}


def _image(name: str, kind: str, files: dict[str, bytes]) -> RomImage:
    rom_set: RomSet = ROM_SETS[kind]
    memory = np.zeros(0x10000, np.uint8)
    for start, names in ((_VECTOR_START, rom_set.vector), (_PROGRAM_START, rom_set.program)):
        content = b"".join(files[file] for file in names)
        memory[start : start + len(content)] = np.frombuffer(content, np.uint8)
    memory[0x10000 - (_PROGRAM_END - rom_set.mirror) :] = memory[rom_set.mirror : _PROGRAM_END]
    memory[_AVG_PROM_START : _AVG_PROM_START + 256] = np.frombuffer(files[AVG_PROM], np.uint8)
    memory.setflags(write=False)
    return RomImage(name, kind, memory, files, files[AVG_PROM], _digest(files))


def _digest(files: dict[str, bytes]) -> str:
    return sha1(b"".join(files.values()))


def sha1(content: bytes) -> str:
    """Return a hash that recognises content, in hexadecimal."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _readers(place: Path, kind: str) -> dict[str, _Reader]:
    """Return a reader for every file of the set that was found, the set's own before its parent's."""
    if place.is_dir():
        sources = [_open(place / kind), _open(place / f"{kind}.zip"), _folder(place)]
        sources += [_open(place / _PARENT), _open(place / f"{_PARENT}.zip")]
    else:
        sources = [_archive(place, f"{kind}/"), _archive(place, "")]
    if (place.name if place.is_dir() else place.stem) in ROM_SETS:
        sources += [_open(place.parent / _PARENT), _open(place.parent / f"{_PARENT}.zip")]
    return {name: reader for source in reversed(sources) for name, reader in source.items()}


def _open(place: Path) -> dict[str, _Reader]:
    if place.is_dir():
        return _folder(place)
    return _archive(place, "") if place.is_file() else {}


def _folder(folder: Path) -> dict[str, _Reader]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise RomError(f"{folder}: cannot be read ({error.strerror})") from error
    return {n.lower(): partial(_read_file, folder / n) for n in sorted(names) if n.lower() in ROM_FILES}


def _read_file(file: Path) -> bytes:
    """Return at most a byte more than the largest ROM, and never wait at a pipe or device."""
    try:
        return read_start(file, _READ_LIMIT + 1)
    except ValueError as error:
        raise RomError(str(error)) from error
    except OSError as error:
        raise RomError(f"{file}: cannot be read ({error.strerror})") from error


def _archive(file: Path, prefix: str) -> dict[str, _Reader]:
    """Return readers of the ROM files below ``prefix`` in a zip file."""
    if not file.is_file():
        raise RomError(f"{file}: neither a folder nor a zip file")
    if file.stat().st_size > _ARCHIVE_LIMIT:
        raise RomError(f"{file}: larger than {_ARCHIVE_LIMIT >> 20} MiB, so not a Tempest ROM set")
    with _unzip(file) as archive:
        entries = archive.infolist()
    if len(entries) > _ENTRY_LIMIT:
        raise RomError(f"{file}: {len(entries)} entries, so not a Tempest ROM set")
    readers: dict[str, _Reader] = {}
    for entry in entries:
        name = entry.filename.lower()
        if name.startswith(prefix) and name[len(prefix) :] in ROM_FILES:
            if name[len(prefix) :] in readers:
                raise RomError(f"{file}: contains {entry.filename} twice")
            readers[name[len(prefix) :]] = partial(_read_entry, file, entry)
    return readers


def _read_entry(file: Path, entry: zipfile.ZipInfo) -> bytes:
    problem = None
    if stat.S_ISLNK(entry.external_attr >> 16):
        problem = "is a symbolic link"
    elif entry.flag_bits & 1:
        problem = "is encrypted"
    elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        problem = "is packed in an unusual way; unpack it, or zip it again with deflate"
    if problem:
        raise RomError(f"{file}: {entry.filename} {problem}")
    with _unzip(file) as archive, archive.open(entry) as stream:
        return stream.read(_READ_LIMIT + 1)


@contextmanager
def _unzip(file: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file; whatever goes wrong with it is a ``RomError``."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _ZIP_FAILURES as error:
        raise RomError(f"{file}: not a readable zip file ({error or type(error).__name__})") from error
