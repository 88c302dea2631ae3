"""Squall's sounds: what each of the eight POKEY voices plays.

A sound is a run of segments. A segment lasts some steps of 1/31 s; at each step its pitch and its control
byte change by a fixed amount. Pitch is POKEY's divider (a higher number is a lower tone), control is a
kind of tone plus a volume of 0-15.
"""

from __future__ import annotations

from dataclasses import dataclass

PURE, NOISE, BUZZ, RASP = 0xA0, 0x80, 0xC0, 0x40


@dataclass(frozen=True)
class Segment:
    """Steps (1-255), first pitch and its change per step, first control and its change per step."""

    steps: int
    pitch: int
    slide: int
    control: int
    fade: int = 0


@dataclass(frozen=True)
class Sound:
    """A name as in ``sounds.inc``, the voice (0-7) that plays it, and its segments."""

    name: str
    voice: int
    segments: tuple[Segment, ...]


def _notes(pitches: tuple[int, ...], steps: int, control: int) -> tuple[Segment, ...]:
    return tuple(Segment(steps, pitch, 0, control, -1) for pitch in pitches)


SOUNDS: tuple[Sound, ...] = (
    Sound("FIRE", 0, (Segment(5, 0x14, 9, PURE | 6, -1),)),
    Sound("KILL", 1, (Segment(10, 0x18, 7, NOISE | 10, -1),)),
    Sound("EXPLODE", 2, (Segment(12, 0x40, 9, NOISE | 12, -1),)),
    Sound("DEATH", 3, (Segment(8, 0x10, 5, NOISE | 14), Segment(14, 0x40, 12, NOISE | 14, -1))),
    Sound("DESCENT", 4, (Segment(45, 0xE0, -3, PURE | 5), Segment(5, 0x58, -4, PURE | 5, -1))),
    Sound("ZAP", 5, (Segment(9, 0x08, 16, RASP | 12), Segment(9, 0x08, 24, RASP | 11, -1))),
    Sound("COIN", 6, _notes((0x48, 0x30), 4, PURE | 9)),
    Sound("BONUS", 7, _notes((0x60, 0x50, 0x40, 0x30, 0x40, 0x30), 4, PURE | 9)),
    Sound("SELECT", 6, (Segment(2, 0x50, 0, PURE | 6),)),
    Sound("PULSE", 7, (Segment(7, 0xD0, -8, BUZZ | 6),)),
    Sound("SPIKE", 2, (Segment(2, 0x06, 4, NOISE | 5, -2),)),
    Sound(
        "WARP",
        4,
        (Segment(30, 0xF8, -4, RASP | 5), Segment(25, 0x80, -4, PURE | 5), Segment(5, 0x1C, 0, PURE | 5, -1)),
    ),
    Sound("GRAB", 3, (Segment(13, 0x28, 11, BUZZ | 13, -1),)),
    Sound("MOVE", 6, (Segment(1, 0x90, 0, PURE | 2),)),
    Sound("ENEMY", 5, (Segment(6, 0x38, -5, PURE | 5, -1),)),
    Sound("START", 6, _notes((0x78, 0x60, 0x50, 0x3C, 0x28), 3, PURE | 8)),
    Sound("OVER", 4, _notes((0x3C, 0x50, 0x60, 0x78, 0xA0, 0xF0), 6, PURE | 9)),
    Sound("WARN", 7, _notes((0x30, 0x48, 0x30, 0x48, 0x30, 0x48), 3, PURE | 7)),
)


def sound_tables() -> dict[str, list[int]]:
    """The tables that the sound code reads: by sound its voice and first segment, then the segments.

    Raises:
        ValueError: there are more segments than an index byte can name.
    """
    first: list[int] = []
    segments: list[Segment] = []
    for sound in SOUNDS:
        first.append(len(segments))
        segments += [*sound.segments, Segment(0, 0, 0, 0)]
    if len(segments) > 256:
        raise ValueError(f"{len(segments)} sound segments")
    return {
        "sound_voice": [sound.voice for sound in SOUNDS],
        "sound_first": first,
        "segment_steps": [segment.steps for segment in segments],
        "segment_pitch": [segment.pitch for segment in segments],
        "segment_slide": [segment.slide for segment in segments],
        "segment_control": [segment.control for segment in segments],
        "segment_fade": [segment.fade for segment in segments],
    }
