"""ROM sets are known by name, size and hash; wrong, missing and hostile files cost a clear error at most."""

from __future__ import annotations

import hashlib
import io
import os
import random
import re
import shutil
import stat
import subprocess
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tempest_gym import roms
from tempest_gym.rom_sets import AVG_PROM, ROM_FILES, ROM_SETS
from tempest_gym.roms import RomError, RomImage, RomWarning, load_roms, mame_rom_folders, resolve_rom

Files = dict[str, bytes]


def noise(kind: str, salt: str = "") -> Files:
    """Return files with the names and sizes of a set, and unknown content."""
    return {name: random.Random(name + salt).randbytes(ROM_FILES[name][0]) for name in ROM_SETS[kind].names}


def save(folder: Path, files: Files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def pack(file: Path, files: Files) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file


@pytest.fixture
def squall_hashes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the bundled set by one made of noise."""
    folder = tmp_path_factory.mktemp("squall")
    files = noise("tempest1", "squall")
    save(folder / "tempest1", files)
    lines = [f"{hashlib.sha1(content).hexdigest()}  tempest1/{name}\n" for name, content in files.items()]
    (folder / "SHA1SUMS").write_text("".join(lines))
    monkeypatch.setattr(roms, "_SQUALL_FOLDER", folder)
    monkeypatch.setattr(roms, "_SQUALL_HASHES", folder / "SHA1SUMS")
    return folder


@pytest.fixture
def genuine(squall_hashes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the noise of ``noise(kind)`` count as genuine, since no genuine file is available."""
    table = {
        name: (size, hashlib.sha1(random.Random(name).randbytes(size)).hexdigest())
        for name, (size, _) in ROM_FILES.items()
    }
    for name, entry in table.items():
        monkeypatch.setitem(ROM_FILES, name, entry)


@pytest.mark.parametrize("kind", list(ROM_SETS))
def test_table_is_what_mame_prints(kind: str) -> None:
    mame = shutil.which("mame") or "/usr/games/mame"
    listing = subprocess.run([mame, "-listxml", kind], capture_output=True, text=True, check=True).stdout
    machine = re.search(rf'<machine name="{kind}".*?</machine>', listing, re.DOTALL)
    assert machine
    rows = re.findall(r'<rom name="(\S+)" .*?size="(\d+)" .*?sha1="(\w+)" region="(\S+)"', machine.group())
    assert {name: (int(size), sha1) for name, size, sha1, _ in rows} == {
        name: ROM_FILES[name] for name in ROM_SETS[kind].names
    }
    assert tuple(name for name, *_, region in rows if region == "maincpu") == ROM_SETS[kind].program
    assert tuple(name for name, *_, region in rows if region == "vectorrom") == ROM_SETS[kind].vector
    assert [name for name, *_, region in rows if region == "avg:prom"] == [AVG_PROM]


@pytest.mark.usefixtures("genuine")
@pytest.mark.parametrize("kind", list(ROM_SETS))
@pytest.mark.parametrize("form", ["folder", "rompath", "zip", "rompath with zip"])
def test_genuine_set_loads_from_every_form(kind: str, form: str, tmp_path: Path) -> None:
    files = noise(kind)
    place = pack(tmp_path / f"{kind}.zip", files) if form.endswith("zip") else save(tmp_path / kind, files)
    image = load_roms(tmp_path if form.startswith("rompath") else place)
    assert (image.name, image.kind, image.files) == (kind, kind, files)


@pytest.mark.usefixtures("genuine")
def test_memory_shows_the_roms_where_the_board_has_them(tmp_path: Path) -> None:
    small = load_roms(save(tmp_path / "tempest1", noise("tempest1")))
    large = load_roms(save(tmp_path / "tempest", noise("tempest")))
    for image in (small, large):
        assert image.memory.shape == (65536,)
        assert image.memory.dtype == np.uint8
        assert not image.memory.flags.writeable
        assert not image.memory[:0x3000].any()
        assert not image.memory[0x4000:0x8000].any()
        assert image.avg_prom == image.files["136002-125.d7"] == image.memory[0x8000:0x8100].tobytes()
        assert not image.memory[0x8100:0x9000].any()
    at = small.memory.tobytes()
    assert at[0x9000:0x9800] == small.files["136002-113.d1"]
    assert at[0xD800:0xE000] == at[0xF800:] == small.files["136002-122.r1"]
    assert at[0x3800:0x4000] == small.files["136002-124.r3"]
    assert not any(at[0xE000:0xF800])
    at = large.memory.tobytes()
    assert at[0xC000:0xD000] == large.files["136002-136.lm1"]
    assert at[0xD000:0xE000] == at[0xF000:] == large.files["136002-237.p1"]
    assert at[0x3000:0x4000] == large.files["136002-138.np3"]


@pytest.mark.usefixtures("genuine")
def test_clone_takes_shared_files_from_its_parent_beside_it(tmp_path: Path) -> None:
    pack(tmp_path / "tempest.zip", noise("tempest"))
    shared = set(ROM_SETS["tempest"].names)
    own = {name: content for name, content in noise("tempest1r").items() if name not in shared}
    pack(tmp_path / "tempest1r.zip", own)
    assert len(own) == 2
    assert load_roms(tmp_path / "tempest1r.zip").name == "tempest1r"
    assert load_roms(tmp_path, "tempest1r").name == "tempest1r"
    assert load_roms(tmp_path).name == "tempest"


@pytest.mark.usefixtures("genuine")
def test_merged_zip_holds_the_clones_in_folders(tmp_path: Path) -> None:
    merged = noise("tempest") | {f"tempest1/{name}": c for name, c in noise("tempest1").items()}
    file = pack(tmp_path / "tempest.zip", merged)
    assert load_roms(file).kind == "tempest"
    assert load_roms(file, "tempest1").kind == "tempest1"


@pytest.mark.usefixtures("genuine")
def test_names_in_capitals_are_found(tmp_path: Path) -> None:
    place = save(tmp_path / "upper", {name.upper(): content for name, content in noise("tempest3").items()})
    assert load_roms(place).name == "tempest3"


def test_homebrew_is_accepted_with_a_warning(tmp_path: Path, squall_hashes: Path) -> None:
    place = save(tmp_path / "mygame", noise("tempest1", "homebrew"))
    with pytest.warns(RomWarning, match="neither Tempest nor Squall"):
        image = load_roms(place)
    assert re.fullmatch(r"homebrew-[0-9a-f]{8}", image.name)
    assert image.kind == "tempest1"


@pytest.mark.usefixtures("genuine")
def test_one_wrong_file_among_genuine_ones_is_named_with_both_hashes(tmp_path: Path) -> None:
    files = noise("tempest1")
    files["136002-117.j1"] = bytes(2048)
    with pytest.raises(RomError) as caught:
        load_roms(save(tmp_path / "tempest1", files))
    message = str(caught.value)
    assert re.findall(r"136002-[\w.]+", message) == ["136002-117.j1"]
    assert hashlib.sha1(bytes(2048)).hexdigest() in message
    assert ROM_FILES["136002-117.j1"][1] in message


@pytest.mark.usefixtures("genuine")
def test_file_of_another_revision_is_recognised(tmp_path: Path) -> None:
    files = noise("tempest1")
    files["136002-117.j1"] = noise("tempest2")["136002-217.j1"]
    with pytest.raises(RomError, match=r"136002-117\.j1.*which is 136002-217\.j1"):
        load_roms(save(tmp_path / "tempest1", files))


def test_missing_and_wrongly_sized_files_are_named(tmp_path: Path, squall_hashes: Path) -> None:
    files = noise("tempest1")
    del files["136002-120.mn1"]
    with pytest.raises(RomError, match=r"missing of the set tempest1: 136002-120\.mn1 \(2048 bytes, SHA-1"):
        load_roms(save(tmp_path / "missing", files))
    files["136002-120.mn1"] = bytes(2047)
    with pytest.raises(RomError, match=r"136002-120\.mn1 .* must have 2048 bytes, but has 2047"):
        load_roms(save(tmp_path / "short", files))
    files["136002-120.mn1"] = bytes(1 << 20)
    with pytest.raises(RomError, match=r"must have 2048 bytes, but is larger"):
        load_roms(save(tmp_path / "long", files))


def test_squall_is_checked_and_known_wherever_it_lies(tmp_path: Path, squall_hashes: Path) -> None:
    image = roms.squall_rom()
    assert (image.name, image.kind) == ("squall", "tempest1")
    assert load_roms(pack(tmp_path / "copy.zip", image.files)).name == "squall"
    (squall_hashes / "tempest1" / "136002-113.d1").write_bytes(bytes(2048))
    with pytest.raises(RomError, match=r"damaged: 136002-113\.d1 .*install tempest-gym again"):
        roms.squall_rom()


@pytest.mark.usefixtures("genuine")
def test_what_the_user_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPEST_ROM", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_rom().name == "squall"
    with pytest.raises(RomError, match=r"no ROM set 'tempest' where MAME keeps its ROMs"):
        resolve_rom("tempest")
    save(tmp_path / "mame/roms/tempest", noise("tempest"))
    image = resolve_rom("tempest")
    assert image.name == "tempest"
    assert resolve_rom(image) is image
    monkeypatch.setenv("TEMPEST_ROM", str(tmp_path / "mame/roms"))
    assert resolve_rom().name == "tempest"
    assert resolve_rom("squall").name == "squall"
    with pytest.raises(RomError, match="no such file or folder"):
        resolve_rom(tmp_path / "nowhere")


def test_folders_of_mame_ini_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".mame").mkdir()
    (tmp_path / "my roms").mkdir()
    (tmp_path / ".mame/mame.ini").write_text(f"# paths\nrompath   $HOME/my roms;{tmp_path}/gone\n")
    assert mame_rom_folders()[0] == tmp_path / "my roms"
    assert tmp_path / "gone" not in mame_rom_folders()


def test_written_set_is_what_mame_wants(tmp_path: Path, squall_hashes: Path) -> None:
    image = roms.squall_rom()
    image.write(tmp_path)
    assert {f.name: f.read_bytes() for f in (tmp_path / "tempest1").iterdir()} == image.files


def _hostile(case: str, folder: Path) -> Path:
    """Make a set with one hostile trait."""
    files = noise("tempest1")
    first = "136002-113.d1"
    file = folder / "hostile.zip"
    if case == "traversal":
        return pack(file, {f"../../{name}": content for name, content in files.items()})
    if case == "absolute":
        return pack(file, {f"/{name}": content for name, content in files.items()})
    if case == "bomb":
        return pack(file, files | {first: bytes(1 << 28)})
    if case == "lying header":
        data = pack(file, files | {first: bytes(1 << 24)}).read_bytes()
        file.write_bytes(data.replace((1 << 24).to_bytes(4, "little"), (2048).to_bytes(4, "little")))
    elif case == "symbolic link":
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in files.items():
                entry = zipfile.ZipInfo(name)
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(entry, content)
    elif case == "twice":
        with zipfile.ZipFile(file, "w") as archive:
            for name in files:
                archive.writestr(name, files[name])
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(first, files[first])
    elif case == "many entries":
        pack(file, files | {f"{n}": b"" for n in range(3000)})
    elif case == "huge archive":
        with open(file, "wb") as stream:
            stream.truncate(1 << 40)
    elif case == "truncated":
        data = pack(file, files).read_bytes()
        file.write_bytes(data[: len(data) // 2])
    elif case == "unusual compression":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    elif case == "not a zip":
        file.write_bytes(b"MZ" + bytes(1000))
    elif case == "empty":
        file.write_bytes(b"")
    else:
        save(folder / "tempest1", files)
        (folder / "tempest1" / first).unlink()
        file = folder / "tempest1"
        if case == "pipe":
            os.mkfifo(file / first)
        elif case == "device":
            (file / first).symlink_to("/dev/zero")
        elif case == "folder as file":
            (file / first).mkdir()
        else:
            (file / first).symlink_to(file / first)
    return file


@pytest.mark.parametrize(
    "case",
    [
        "traversal",
        "absolute",
        "bomb",
        "lying header",
        "symbolic link",
        "twice",
        "many entries",
        "huge archive",
        "truncated",
        "unusual compression",
        "not a zip",
        "empty",
        "pipe",
        "device",
        "folder as file",
        "endless link",
    ],
)
def test_hostile_files_cost_an_error(case: str, tmp_path: Path, squall_hashes: Path) -> None:
    (tmp_path / "inner").mkdir()
    place = _hostile(case, tmp_path / "inner")
    before = sorted(tmp_path.rglob("*"))
    tracemalloc.start()
    try:
        with pytest.raises(RomError, match=re.escape(str(place))):
            load_roms(place)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert sorted(tmp_path.rglob("*")) == before


def _sample_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in noise("tempest").items():
            archive.writestr(name, content[:64] * (len(content) // 64))
    return buffer.getvalue()


SAMPLE = _sample_zip()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, len(SAMPLE)),
    changes=st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=8),
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_zips_load_or_raise_rom_error(
    cut: int, changes: list[tuple[int, int]], tmp_path: Path, squall_hashes: Path
) -> None:
    data = bytearray(SAMPLE)
    for place, value in changes:
        data[-1 - place] = value
    file = tmp_path / "tempest.zip"
    file.write_bytes(data[: cut if cut % 2 else None])
    try:
        image = load_roms(file)
    except RomError:
        return
    assert isinstance(image, RomImage)
