"""Squall played at length by a script: every tube, every kind of level, all invariants at every frame."""

from __future__ import annotations

import pytest
from squall_driver import (
    ATTRACT,
    DELAY,
    DESCENT,
    FUSEBALL,
    LEVEL,
    LIVES,
    NEXT,
    OPEN,
    OVER,
    PLAY,
    SHAPE,
    SPARKLE,
    SPINNER,
    STATE,
    ZOOM,
    Game,
    Invariants,
    bot,
)

FRAME_CYCLES = 9 * 6144
IDLE_LOOP = bytes((0xA5, 0x53, 0xC9, 0x09, 0x90, 0xFA))
"""LDA $53, CMP #9, BCC back: the loop that waits for nine interrupts."""

OPEN_SHAPES = {7, 8, 9, 10, 13, 15}
OPEN_PLACES = {8, 9, 10, 11, 14, 15}


def play(game: Game, until_level: int, limit: int, immortal: bool = True) -> dict[int, int]:
    """Lets the bot play; returns the shape of every level that was cleared on the way."""
    player = bot(game)
    cleared: dict[int, int] = {}
    cycles, frames = int(game.fields["cycles"]), game.frames
    for _ in range(limit):
        state = game[STATE]
        if state in (OVER, ATTRACT) or game[LEVEL] + 1 >= until_level:
            break
        if immortal:
            game[LIVES] = 4
        if state == NEXT:
            cleared[game[LEVEL] + 1] = game[SHAPE]
        buttons, spin = next(player) if state in (PLAY, DESCENT, ZOOM) else (0, 0)
        game.step(buttons, spin)
    game.step(count=3)
    late = int(game.fields["cycles"]) - cycles - (game.frames - frames) * FRAME_CYCLES
    assert abs(late) < 20_000, "some frames took more than nine interrupts"
    assert game.fields["resets"] == 0, "the watchdog bit"
    return cleared


def test_a_game_through_all_sixteen_tubes():
    game = Game()
    game.start(1)
    invariants = Invariants(game)
    game.checks.append(invariants)
    cleared = play(game, until_level=17, limit=40_000)
    assert set(cleared) == set(range(1, 17))
    assert set(cleared.values()) == set(range(16))
    assert [cleared[level] for level in range(1, 9)] == list(range(8))
    assert {level for level, shape in cleared.items() if shape in OPEN_SHAPES} == OPEN_PLACES
    assert set(invariants.kinds) == {0, 2, 3, FUSEBALL}


def test_a_long_game_past_level_20():
    game = Game()
    game.phase(3)
    game.start(17)
    invariants = Invariants(game)
    game.checks.append(invariants)
    cleared = play(game, until_level=24, limit=40_000)
    assert set(cleared) == set(range(17, 24))
    assert set(invariants.kinds) == {0, 1, 2, 3, FUSEBALL}
    assert invariants.seen[DESCENT, NEXT] == 7


@pytest.mark.parametrize("level", [30, 33, 41, 49, 65, 81])
def test_high_levels_from_the_menu(level):
    game = Game()
    game.phase(level)
    game.start(level)
    invariants = Invariants(game)
    game.checks.append(invariants)
    play(game, until_level=level + 2, limit=4_000)
    assert level in invariants.levels
    assert (game[OPEN] == 0xFF) == (game[SHAPE] in OPEN_SHAPES)


def test_level_99_draws_its_tube_and_parameters_again_each_time():
    game = Game()
    game.start(81)
    shapes = set()
    for seed in range(12):
        game[LEVEL] = game[0x46] = 98
        game.phase(seed)
        game.clear_field(pending=0)
        game.ram[0x3AC:0x3BC] = 0
        game.until(NEXT)
        game.until(PLAY)
        assert game[LEVEL] == 98
        shapes.add(game[SHAPE])
        assert 35 <= game[0x15B] <= 58
    assert len(shapes) >= 6


@pytest.mark.parametrize("seed", [1, 2])
def test_a_mortal_game_ends(seed):
    game = Game()
    game.phase(seed)
    game.start(9)
    game.checks.append(Invariants(game))
    play(game, until_level=99, limit=30_000, immortal=False)
    assert game[LIVES] == 0
    assert game[STATE] in (SPARKLE, ATTRACT, DELAY)


@pytest.mark.parametrize("level", [1, 9, 17, 33])
def test_a_frame_needs_less_than_12000_busy_cycles_on_average(level):
    """Samples the program counter every few instructions: what is not in the idle loop is busy."""
    game = Game()
    game.start(level)
    game.fields["skip_idle"] = 0
    idle = bytes(game.boards.rom[0x9000:0xE000]).index(IDLE_LOOP) + 0x9000
    player = bot(game)
    busy = samples = frames = 0
    while frames < 150:
        game[LIVES] = 4
        playing_now = game[STATE] in (PLAY, DESCENT)
        buttons, game[SPINNER] = next(player) if playing_now else (0, 0)
        game.fields["buttons"] = buttons
        before = int(game.fields["bridges"])
        while game.fields["bridges"] == before:
            game.boards.run_one(0, 60)
            if playing_now:
                samples += 1
                busy += not idle <= game.fields["pc"] < idle + len(IDLE_LOOP)
        frames += playing_now
    assert busy / samples * FRAME_CYCLES < 12_000
