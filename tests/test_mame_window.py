"""``tempest-gym mame`` opens a window that shows the game without a key, and SIGTERM ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from resources import wait_for

from tempest_gym.machines.mame_process import MameProcess
from tempest_gym.roms import squall_rom


@pytest.fixture
def display(tmp_path):
    """A screen of its own; its picture is a file."""
    assert shutil.which("Xvfb"), "tests/run.sh installs xvfb"
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24", "-fbdir", str(tmp_path)]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with open(reading) as numbers:
        number = numbers.readline().strip()
    yield f":{number}", tmp_path / "Xvfb_screen0"
    server.terminate()
    server.wait()


def colours(screen) -> set[tuple[int, int, int]]:
    """Return the saturated colours on the screen, from its X window dump."""
    data = screen.read_bytes()
    header, width, height = (int.from_bytes(data[at : at + 4], "big") for at in (0, 16, 20))
    entries = int.from_bytes(data[76:80], "big")
    pixels = np.frombuffer(data, np.uint8, width * height * 4, header + entries * 12)
    picture = np.array(Image.fromarray(pixels.reshape(height, width, 4)[:, :, 2::-1].copy()))
    bright = picture[(picture.max(axis=2) > 150) & (picture.min(axis=2) < 60)]
    return {tuple(int(part) // 64 for part in pixel) for pixel in bright}


def test_it_plays_without_a_key_and_ends_on_sigterm(display, tmp_path):
    name, screen = display
    command = [sys.executable, "-m", "tempest_gym", "mame"]
    with open(tmp_path / "printed", "wb") as printed:
        process = subprocess.Popen(
            command, env={**os.environ, "DISPLAY": name}, stdout=printed, stderr=printed
        )
    try:
        # The warning that waits for a key is white on dark blue; the attract mode has five colours and more.
        wait_for(lambda: process.poll() is None and len(colours(screen)) >= 3, 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130, (tmp_path / "printed").read_text()
    finally:
        process.kill()
        process.wait()


def test_a_client_in_a_window_waits_for_no_key_either(display):
    """The Lua starts although MAME has a window and unknown ROMs: it finds no server and reports that."""
    name, _ = display
    environment = {"DISPLAY": name, "TEMPEST_CONNECT": "127.0.0.1:1", "TEMPEST_RECONNECT": "0"}
    before = os.environ.get("DISPLAY")
    os.environ["DISPLAY"] = name
    try:
        process = MameProcess(squall_rom(), environment, window=True)
    finally:
        if before is None:
            del os.environ["DISPLAY"]
        else:
            os.environ["DISPLAY"] = before
    try:
        assert process.wait(120) == 4, process.last_lines()
    finally:
        process.end()
