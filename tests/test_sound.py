"""Sound from the POKEYs' registers: the right tones, no clicks, silence where nothing plays."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tempest_gym.display.sound import SAMPLE_RATE, Synthesizer
from tempest_gym.frame import FRAMES_PER_SECOND
from tempest_gym.machines.board import BoardMachine
from tempest_gym.roms import squall_rom

PURE = 0xA0


def registers(**voices):
    """Registers with voices such as ``v5=(pitch, control)``."""
    values = np.zeros((2, 9), np.uint8)
    for name, (pitch, control) in voices.items():
        chip, place = divmod(int(name[1:]), 4)
        values[chip, 2 * place : 2 * place + 2] = pitch, control
    return values


def loudest(samples):
    spectrum = np.abs(np.fft.rfft(samples.astype(float) * np.hanning(len(samples))))
    return np.argmax(spectrum) * SAMPLE_RATE / len(samples)


@pytest.mark.parametrize("voice", range(8))
@pytest.mark.parametrize("pitch", [20, 100, 255])
def test_a_pure_voice_has_the_frequency_of_the_data_sheet(voice, pitch):
    samples = Synthesizer().stretch(registers(**{f"v{voice}": (pitch, PURE | 8)}), 1.0)
    assert len(samples) == SAMPLE_RATE
    assert loudest(samples) == pytest.approx(1_512_000 / 28 / 2 / (pitch + 1), abs=1.0)


def test_the_slow_clock_is_lower():
    values = registers(v0=(20, PURE | 8))
    values[0, 8] = 1
    assert loudest(Synthesizer().stretch(values, 1.0)) == pytest.approx(1_512_000 / 114 / 2 / 21, abs=1.0)


def test_without_volume_it_is_silent():
    values = registers(v0=(20, 0xA0), v5=(9, 0x80), v7=(0, 0x40))
    assert not Synthesizer().stretch(values, 0.1).any()


def test_noise_has_no_tone_and_louder_is_louder():
    loud, soft = (
        Synthesizer().stretch(registers(v1=(10, 0x80 | volume)), 1.0).astype(float) for volume in (14, 7)
    )
    spectrum = np.abs(np.fft.rfft(loud)) ** 2
    assert spectrum.max() < 0.02 * spectrum.sum()
    assert np.abs(loud).mean() == pytest.approx(2 * np.abs(soft).mean(), rel=0.01)


VOICES = st.tuples(st.integers(0, 255), st.integers(0, 255))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(VOICES, min_size=8, max_size=8), st.lists(st.integers(1, 900), min_size=1, max_size=5))
def test_stretches_join_without_a_click_and_stay_in_range(voices, counts):
    values = registers(**{f"v{index}": voice for index, voice in enumerate(voices)})
    parts = Synthesizer()
    joined = np.concatenate([parts.stretch(values, count / SAMPLE_RATE) for count in counts])
    whole = Synthesizer().stretch(values, sum(counts) / SAMPLE_RATE)
    length = min(len(joined), len(whole))
    assert abs(len(joined) - len(whole)) <= 1
    np.testing.assert_allclose(joined[:length], whole[:length], atol=2)


def test_no_sample_is_lost_between_frames():
    synthesizer = Synthesizer()
    total = sum(len(synthesizer.stretch(registers(), 1 / FRAMES_PER_SECOND)) for _ in range(300))
    assert total == pytest.approx(300 / FRAMES_PER_SECOND * SAMPLE_RATE, abs=1)


def test_a_game_makes_sound():
    machine = BoardMachine(squall_rom())
    machine.reset(1, 1)
    heard = dict.fromkeys(range(8), 0)
    for _ in range(400):
        machine.step(True, False, 0)
        values = machine.sound_registers()
        assert values.shape == (2, 9)
        for voice in range(8):
            heard[voice] += bool(values[voice // 4, 2 * (voice % 4) + 1] & 15)
    assert heard[0] > 20  # fire
    assert heard[1] > 5  # kills
