"""Builds Squall's ``tempest1`` ROM set from source: ``python -m tempest_gym.squall.build``.

Needs ca65 and ld65 of cc65. The same sources always give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tempest_gym.rom_sets import AVG_PROM, ROM_FILES, ROM_SETS
from tempest_gym.squall import ROMS, SQUALL
from tempest_gym.squall.prom import state_prom
from tempest_gym.squall.tables import art_include, art_source, tables_source

log = logging.getLogger(__name__)

SOURCES = SQUALL / "src"
CHIP = 2048
SET = ROM_SETS["tempest1"]


class BuildError(RuntimeError):
    """The set could not be built; the message gives the reason and the remedy."""


def tool(name: str) -> str:
    """Path of one of cc65's programs.

    Raises:
        BuildError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise BuildError(f"{name} was not found; it is part of cc65 (Debian, Ubuntu: apt-get install cc65)")
    return path


def run(command: Sequence[str | Path]) -> None:
    """Runs an assembler or linker command; its complaint becomes the error."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")


def link(folder: Path, map_file: Path | None = None, labels: Path | None = None) -> tuple[bytes, bytes]:
    """Assembles every source and links them in `folder`; returns program and vector ROM."""
    assembler, linker = tool("ca65"), tool("ld65")
    (folder / "art.inc").write_text(art_include())
    generated = {"art.s": art_source(), "tables.s": tables_source()}
    for name, text in generated.items():
        (folder / name).write_text(text)
    objects: list[Path] = []
    for source in (*sorted(SOURCES.glob("*.s")), *(folder / name for name in generated)):
        objects.append(folder / f"{source.stem}.o")
        run([assembler, "-g", "-I", SOURCES, "-I", folder, "-o", objects[-1], source])
    extra: list[str | Path] = []
    if map_file is not None:
        extra += ["-m", map_file]
    if labels is not None:
        extra += ["-Ln", labels]
    config = folder / "squall.cfg"
    config.write_text((SQUALL / "squall.cfg").read_text().replace('file = "', f'file = "{folder}/'))
    run([linker, "-C", config, *extra, *objects])
    return (folder / "program.bin").read_bytes(), (folder / "vector.bin").read_bytes()


def build(map_file: Path | None = None, labels: Path | None = None) -> dict[str, bytes]:
    """Builds the set.

    Args:
        map_file: where the linker's map goes, if anywhere.
        labels: where the labels go (VICE format), if anywhere.

    Returns:
        File name -> content, every file of MAME's ``tempest1``.

    Raises:
        BuildError: cc65 is missing or a source has an error.
    """
    with tempfile.TemporaryDirectory(prefix="squall-") as folder:
        program, vectors = link(Path(folder), map_file, labels)
    chips = {name: program[CHIP * i : CHIP * (i + 1)] for i, name in enumerate(SET.program)}
    chips |= {name: vectors[CHIP * i : CHIP * (i + 1)] for i, name in enumerate(SET.vector)}
    mathbox = {name: bytes(ROM_FILES[name][0]) for name in SET.proms}
    return {**chips, **mathbox, AVG_PROM: state_prom()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tempest_gym.squall.build", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--output", type=Path, default=ROMS / "tempest1", help="folder for the set (default: %(default)s)"
    )
    parser.add_argument("--map", type=Path, help="write the linker's map here")
    parser.add_argument("--labels", type=Path, help="write the labels here (VICE format)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        files = build(options.map, options.labels)
    except BuildError as error:
        log.error("%s", error)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (options.output / name).write_bytes(content)
    sums = [
        f"{hashlib.sha1(content).hexdigest()}  {options.output.name}/{name}"
        for name, content in files.items()
    ]
    (options.output.parent / "SHA1SUMS").write_text("\n".join(sums) + "\n")
    log.info("%d files written to %s", len(files), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
