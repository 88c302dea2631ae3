"""Recordings: what is written is read again, what is played again ends the same, and garbage does no harm."""

import dataclasses
import json
import os
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tempest_gym.board.layout import MODELS
from tempest_gym.commands import recording as module
from tempest_gym.commands.games import play_games
from tempest_gym.commands.play import replay_session
from tempest_gym.commands.recording import (
    Header,
    Recorder,
    Recording,
    RecordingError,
    decode,
    encode,
    pack_controls,
    read_recording,
    unpack_controls,
    write_recording,
)
from tempest_gym.commands.replay import recorded_rom, replay_game
from tempest_gym.env import TempestEnv
from tempest_gym.machines import make_machine
from tempest_gym.machines.board import BoardMachine
from tempest_gym.machines.setup import Setup
from tempest_gym.roms import squall_rom

HASHES = st.text("0123456789abcdef", min_size=40, max_size=40)
NAMES = st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True)


def recording_of(controls, **changes):
    values = {
        "game": "squall",
        "rom": "0" * 40,
        "seed": 1,
        "start_level": 1,
        "policy": "human",
        "frames": len(controls),
        "score": 0,
        "level": 1,
        "over": False,
        "ram": "0" * 40,
    }
    return Recording(Header(**{**values, **changes}), controls)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.booleans(), st.integers(-31, 31))
def test_controls_survive_packing(fire, zap, spinner):
    assert unpack_controls(pack_controls(fire, zap, spinner)) == (fire, zap, spinner)


@pytest.mark.parametrize("spinner", [-32, 32, 1000])
def test_a_turn_that_the_game_does_not_take_is_refused(spinner):
    with pytest.raises(ValueError, match="from -31 to 31"):
        pack_controls(False, False, spinner)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=300),
    NAMES,
    HASHES,
    HASHES,
    st.integers(0, 2**31 - 2),
    st.integers(1, 81),
    st.integers(0, 999_999),
    st.integers(1, 99),
    st.booleans(),
)
def test_recordings_survive_the_file(controls, name, rom, ram, seed, start_level, score, level, over):
    there = recording_of(
        controls,
        game=name,
        policy=name,
        rom=rom,
        ram=ram,
        seed=seed,
        start_level=start_level,
        score=score,
        level=level,
        over=over,
    )
    assert decode(encode(there)) == there


def test_a_recording_of_version_0_1_names_no_board_model():
    line, newline, controls = encode(recording_of(b"\0")).partition(b"\n")
    values = json.loads(line)
    assert values.pop("board_model") == "mame-0.251"
    assert decode(json.dumps(values).encode() + newline + controls) == recording_of(b"\0")


def test_a_game_that_version_0_1_recorded_is_played_again():
    """With the Squall of that version, which left other addresses on the stack."""
    result = replay_session(Path(__file__).parent / "version_0_1" / "squall.recording", visible=False)
    assert result["equal"]


@pytest.mark.parametrize("model", MODELS)
def test_a_recording_is_played_again_on_its_board_model(model, tmp_path):
    board = BoardMachine(squall_rom(), Setup(board_model=model))
    recorder = Recorder(board, model)
    recorder.reset(5, 1)
    for _ in range(400):
        recorder.step(True, False, 3)
    file = tmp_path / "game"
    write_recording(file, recorder.recording("random", squall_rom().sha1))
    assert replay_session(file, visible=False)["equal"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_file_is_recognised(data):
    whole = encode(recording_of(bytes(range(50))))
    place = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["cut", "flip", "insert"]))
    if kind == "cut":
        broken = whole[:place]
    elif kind == "flip":
        broken = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    else:
        broken = whole[:place] + data.draw(st.binary(min_size=1, max_size=9)) + whole[place:]
    try:
        read = decode(broken)
    except RecordingError:
        return
    # Text of the header can change unnoticed and is still valid.
    assert read.controls == bytes(range(50))
    assert dataclasses.replace(read.header).frames == 50


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=2000))
def test_garbage_is_refused_in_a_sentence(content):
    with pytest.raises(RecordingError):
        decode(content)
    with pytest.raises(RecordingError):
        decode(content + b"\n" + content)


HOSTILE = {
    "nesting": b"[" * 4000 + b"\n",
    "long line": b"{" + b" " * 100_000 + b"}\n",
    "no line": b"x" * 100_000,
    "pickle": b"\x80\x04cos\nsystem\n(S'touch hacked'\ntR.",
    "list": b"[1, 2]\n",
    "other JSON": b'{"format": "something"}\n',
    "newer": json.dumps({"format": "tempest-gym recording", "version": 2}).encode() + b"\n",
    "odd version": json.dumps({"format": "tempest-gym recording", "version": [1] * 900}).encode() + b"\n",
    "fields missing": json.dumps({"format": "tempest-gym recording", "version": 1}).encode() + b"\n",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_end_in_a_sentence(tmp_path, content):
    (tmp_path / "game").write_bytes(content)
    with pytest.raises(RecordingError, match="game") as error:
        read_recording(tmp_path / "game")
    assert len(str(error.value)) < 400
    assert os.listdir(tmp_path) == ["game"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("seed", 1.5),
        ("seed", True),
        ("start_level", 82),
        ("frames", 10**30),
        ("game", "x" * 200),
        ("game", "\x1b[2J"),
        ("policy", None),
        ("rom", "../../etc/passwd"),
        ("over", 1),
        ("ram", ["0" * 40]),
    ],
)
def test_a_header_with_a_wrong_value_names_it(field, value):
    line, _, controls = encode(recording_of(b"abc")).partition(b"\n")
    changed = json.dumps({**json.loads(line), field: value}).encode()
    with pytest.raises(RecordingError, match=field):
        decode(changed + b"\n" + controls)


def test_huge_files_and_devices_cost_no_memory(tmp_path):
    huge = tmp_path / "huge"
    with huge.open("wb") as stream:
        stream.truncate(50 << 30)
    tracemalloc.start()
    with pytest.raises(RecordingError, match="larger than any"):
        read_recording(huge)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(RecordingError, match="not a regular file"):
            read_recording(place)
    with pytest.raises(OSError, match="nowhere"):
        read_recording(tmp_path / "nowhere")


def test_a_failed_write_leaves_the_older_file(tmp_path, monkeypatch):
    file = tmp_path / "game"
    write_recording(file, recording_of(b"old"))
    monkeypatch.setattr(module.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space"):
        write_recording(file, recording_of(b"new"))
    assert read_recording(file).controls == b"old"
    assert os.listdir(tmp_path) == ["game"]


def test_a_file_has_the_rights_that_others_have(tmp_path):
    write_recording(tmp_path / "game", recording_of(b"x"))
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "game").stat().st_mode == (tmp_path / "other").stat().st_mode


def recorded_game(policy, seed, start_level=1):
    rom = squall_rom()
    env = TempestEnv(rom=rom, start_level=start_level)
    recorder = env.machine = Recorder(env.machine)
    result = next(play_games(env, policy, range(seed, seed + 1)))
    return recorder.recording(policy, rom.sha1), result, env.machine.ram()


@pytest.mark.parametrize("start_level", [1, 33])
def test_a_game_of_the_environment_is_played_again_frame_by_frame(start_level):
    game, result, ram = recorded_game("random", 3, start_level)
    assert (game.header.score, game.header.level) == (result["score"], result["level"])
    assert game.header.frames == result["frames"]
    assert game.header.over
    machine = make_machine("board", recorded_rom(game))
    again = replay_game(decode(encode(game)), machine)
    assert again["equal"] is True
    assert again["score"] == result["score"]
    assert machine.ram().tobytes() == ram.tobytes()


def test_a_changed_game_is_seen():
    game, _, _ = recorded_game("random", 4)
    machine = make_machine("board", squall_rom())
    other = dataclasses.replace(game.header, seed=5)
    assert replay_game(Recording(other, game.controls), machine)["equal"] is False
    better = dataclasses.replace(game.header, score=game.header.score + 150)
    result = replay_game(Recording(better, game.controls), machine)
    assert (result["equal"], result["recorded_score"]) == (False, result["score"] + 150)


def test_a_part_of_a_game_is_shown_without_a_result():
    game, _, _ = recorded_game("random", 4)
    machine = make_machine("board", squall_rom())
    shown = []

    def show():
        shown.append(int(machine.ram()[3]))
        return True

    result = replay_game(game, machine, show, every=3, first=20, last=50)
    assert (result["frames"], result["equal"], len(shown)) == (50, None, 10)
    assert {(later - earlier) % 256 for earlier, later in pairwise(shown)} == {3}
    assert replay_game(game, machine, lambda: False)["frames"] == 1


def test_a_recording_of_another_rom_is_refused():
    with pytest.raises(RecordingError, match=r"homebrew-12345678 .*--rom"):
        recorded_rom(recording_of(b"", game="homebrew-12345678"))
    with pytest.raises(RecordingError, match="SHA-1 0000"):
        recorded_rom(recording_of(b""))


def test_a_recorder_records_from_reset_on_and_not_across_a_restored_state():
    recorder = Recorder(make_machine("board", squall_rom()))
    with pytest.raises(RuntimeError, match="nothing"):
        recorder.recording("human", "0" * 40)
    with pytest.raises(RuntimeError, match="reset"):
        recorder.step(False, False, 0)
    recorder.reset(1, 1)
    recorder.step(True, False, -31)
    state = recorder.save_state()
    assert recorder.recording("human", "0" * 40).controls == bytes([pack_controls(True, False, -31)])
    recorder.load_state(state)
    with pytest.raises(RuntimeError, match="nothing"):
        recorder.recording("human", "0" * 40)
