"""Squall's enemies, shots and scores obey ARCADE B, C and D."""

from __future__ import annotations

from itertools import pairwise

import pytest
from squall_driver import (
    AWAY,
    BALL,
    BALL_HOP,
    BALL_THRESHOLD,
    BEST_LEVEL,
    BONUS_STEP,
    CARGO_LIST,
    DEPTH,
    E_DEPTH,
    E_EDGE,
    E_FLAGS,
    E_FRACTION,
    E_LANE,
    E_LOOP,
    E_PROGRAM,
    E_SHOT_DEPTH,
    E_SHOT_EDGE,
    E_SHOT_LANE,
    E_TYPE,
    E_WAIT,
    EDGE,
    EIGHT,
    EXPLOSIONS,
    FAR,
    FIRE,
    FLIP_PROGRAM,
    FLIPPER,
    FLIPPING,
    FUSEBALL,
    HOLD_OFF,
    IN_TUBE,
    KNOB_ANGLE,
    LANE,
    LEVEL,
    LIVES,
    NYMPH_HEIGHT,
    NYMPH_LANE,
    ON_RIM,
    OPEN,
    PENDING,
    PLAY,
    PULSAR,
    PULSAR_WAIT,
    PULSE_PHASE,
    PULSE_RANGE,
    PULSE_STEP,
    PULSING,
    REACH,
    RIDER,
    RIM,
    RIM_HUNT,
    SCORE,
    SHOT_DEPTH,
    SHOT_EDGE,
    SHOT_LANE,
    SHOT_SPENT,
    SHOTS_ENEMY,
    SHOTS_ENEMY_MAX,
    SHOTS_PLAYER,
    SPEED_HIGH,
    SPEED_LOW,
    SPIKE,
    SPIKE_RUN,
    SPIKER,
    STATE,
    STRAIGHT,
    TANKER,
    TYPE_LIVE,
    TYPE_MAX,
    TYPE_MIN,
    ZAP,
    ZAP_CLOCK,
    ZAPS,
    ZIGZAG,
    Game,
    angle,
    playing,
)

CARGO_FLIPPERS, CARGO_PULSARS, CARGO_FUSEBALLS = 1, 2, 3
MAY_SHOOT, GOING_AWAY = 0x40, 0x80
UP, BETWEEN = 0x40, 0x80


def speed(game: Game, kind: int) -> int:
    """Signed speed of a type, 1/256 depth units per frame."""
    raw = game[SPEED_LOW + kind] | game[SPEED_HIGH + kind] << 8
    return raw - 0x10000 if raw & 0x8000 else raw


def at(game: Game, slot: int) -> int:
    """Depth of an enemy in 1/256."""
    return game[E_DEPTH + slot] << 8 | game[E_FRACTION + slot]


def flip_frames(game: Game, low: int) -> int:
    """Angle steps of a flip between lanes `low` and `low`+1."""
    return (angle(game, low) + 8 - angle(game, low + 1)) & 15


def shoot(game: Game, lane: int, depth: int, slot: int = 7) -> None:
    """A player's shot in flight that arrives at `depth` by its next move."""
    assert game[SHOT_DEPTH + slot] == 0
    game[SHOT_DEPTH + slot] = depth - 9
    game[SHOT_LANE + slot], game[SHOT_EDGE + slot] = lane, (lane + 1) & 15
    game[SHOT_SPENT + slot] = 0
    game[SHOTS_PLAYER] += 1


# --- the player


@pytest.mark.parametrize(("spin", "units"), [(16, -16), (-16, 16), (12, -12), (100, -31), (-100, 31), (0, 0)])
def test_sixteen_counts_turn_one_lane_and_a_frame_takes_31_at_most(spin, units):
    game = playing()
    game.go_to(8)
    start = game[KNOB_ANGLE]
    game.step(spinner=spin)
    assert game[KNOB_ANGLE] == start + units
    assert game[LANE] == game[KNOB_ANGLE] >> 4
    assert game[EDGE] == game[LANE] + 1


def test_a_closed_tube_wraps_and_an_open_one_ends():
    closed, opened = playing(1), playing(9)
    assert (closed[OPEN], opened[OPEN]) == (0, 0xFF)
    for spin, lane_closed, lane_open in ((31, 14, 0), (-31, 1, 14)):
        for game, start in ((closed, 0 if spin > 0 else 15), (opened, 0 if spin > 0 else 14)):
            game.go_to(start)
            game.step(spinner=spin, count=1)
        assert closed[LANE] == lane_closed
        assert opened[LANE] == lane_open
    opened.step(spinner=-31, count=10)
    assert (opened[LANE], opened[EDGE], opened[KNOB_ANGLE]) == (14, 15, 0xEF)


def test_eight_shots_fly_nine_units_a_frame_for_25_frames():
    game = playing()
    game.step(FIRE, count=3)
    fired = [slot for slot in range(8) if game[SHOT_DEPTH + slot]]
    assert fired
    assert max(fired) == 7
    game.step(FIRE, count=8)
    assert game[SHOTS_PLAYER] == 8
    game.boards.ram[0][SHOT_DEPTH : SHOT_DEPTH + 8] = 0
    game[SHOTS_PLAYER] = 0
    game.step()
    game.step()
    game.step()
    depths = []
    game.step(FIRE)
    for _ in range(30):
        game.step()
        depths.append(game[SHOT_DEPTH + 7])
    seen = [depth for depth in depths if depth]
    assert seen == list(range(seen[0], 0xF0, 9))
    assert (seen[0] - RIM) % 9 == 0


def test_the_flight_from_the_rim_takes_25_frames():
    game = playing()
    shoot(game, game[LANE], RIM + 9)
    frames = 0
    while game[SHOTS_PLAYER]:
        game.step()
        frames += 1
    assert frames == 25


# --- spikes


def test_a_shot_takes_two_bites_of_a_spike_and_is_used_up():
    game = playing()
    game[SPIKE + 5] = 0x80
    shoot(game, 5, 0x84)
    before = game.score
    game.step()
    assert (game[SPIKE + 5], game.score - before) == (0x84, 1)
    assert game[SHOTS_PLAYER] == 1
    game.step()
    assert (game[SPIKE + 5], game.score - before) == (0x89, 2)
    assert game[SHOTS_PLAYER] == 0


def test_the_last_bite_removes_the_spike():
    game = playing()
    game[SPIKE + 5] = 0xEE
    shoot(game, 5, 0xF0)
    game.step()
    assert (game[SPIKE + 5], game[SHOTS_PLAYER]) == (0, 0)


# --- flippers


def test_every_flip_steps_through_the_angles_of_its_lanes():
    game = playing()
    for low in range(16):
        for up in (True, False):
            game.clear_field()
            origin = low if up else (low + 1) & 15
            game.place(3, FLIPPER, origin, 0x90, FLIPPING, up=up)
            frames = 0
            game.step()
            while game[E_TYPE + 3] & BETWEEN:
                assert game[E_LANE + 3] == (low + 1) & 15  # destination going up, origin going down
                assert game[E_EDGE + 3] & 0xF0 == 0x80
                frames += 1
                game.step()
            assert frames + 1 == flip_frames(game, low)
            assert game[E_LANE + 3] == ((low + 1) & 15 if up else low)


def test_flips_turn_round_at_the_ends_of_an_open_tube():
    game = playing(9)
    for lane, up, there in ((14, True, 13), (0, False, 1)):
        game.clear_field()
        game.place(2, FLIPPER, lane, 0xA0, FLIPPING, up=up)
        game.step()
        while game[E_TYPE + 2] & BETWEEN:
            game.step()
        assert game[E_LANE + 2] == there


@pytest.mark.parametrize("program", [STRAIGHT, EIGHT, FLIPPING, ZIGZAG, RIDER, AWAY])
def test_flipper_habits(program):
    """Which frames advance and which flip, as ARCADE C.3 lists the programs."""
    game = playing()
    game.go_to(0)
    moves = 8 if program == EIGHT else 0
    game.place(4, FLIPPER, 6, 0xE0, program, up=1, loop=moves)
    trail = []  # per frame: (advanced, between lanes, lane)
    for _ in range(60):
        depth = at(game, 4)
        game.step()
        trail.append(
            (at(game, 4) - depth == speed(game, FLIPPER), bool(game[E_TYPE + 4] & BETWEEN), game[E_LANE + 4])
        )
    advanced = [moved for moved, _, _ in trail]
    lanes = [6, *(lane for _, between, lane in trail if not between)]
    changes = [b - a for a, b in pairwise(lanes) if a != b]
    steps = flip_frames(game, 6)
    if program == STRAIGHT:
        assert all(advanced)
        assert not changes
    elif program == EIGHT:
        assert advanced[:8] == [True] * 8
        assert advanced[8 : 8 + steps] == [False] * steps
        assert advanced[8 + steps : 16 + steps] == [True] * 8
        assert set(changes) == {1}
    elif program == FLIPPING:
        assert all(advanced)
        assert set(changes) == {1}
    elif program == ZIGZAG:
        assert changes[:5] == [1, 1, -1, -1, -1]
        starts = [i for i in range(60) if trail[i][1] and (i == 0 or not trail[i - 1][1])]
        assert [i for i, moved in enumerate(advanced) if not moved] == starts
    elif program == RIDER:
        assert set(changes) == {1}
        assert advanced[:steps] == [True] + [False] * (steps - 1)
    else:
        assert all(advanced)
        assert changes[0] == 1  # from lane 6 the player at 0 is nearer downwards
        first = next(i for i, (_, between, lane) in enumerate(trail) if lane == 7 and not between)
        assert all(not between for _, between, _ in trail[first + 1 : first + 5])
        assert trail[first + 5][1]


def test_the_spike_rider_climbs_straight_inside_a_spike():
    game = playing()
    game.go_to(0)
    game[SPIKE + 6] = 0x90
    game.place(4, FLIPPER, 6, 0xE0, RIDER, up=1)
    while game[E_DEPTH + 4] > 0x90:
        depth = at(game, 4)
        game.step()
        assert at(game, 4) - depth == speed(game, FLIPPER)
        assert not game[E_TYPE + 4] & BETWEEN
    game.step()
    assert game[E_TYPE + 4] & BETWEEN


def arrive(game: Game, slot: int, lane: int, **more: int) -> None:
    """A flipper reaches the rim in `lane`."""
    game.place(slot, FLIPPER, lane, RIM + 1, STRAIGHT, **more)
    for _ in range(3):
        game.step()
        if game[E_PROGRAM + slot] == RIM_HUNT:
            return
    raise AssertionError("did not arrive")


@pytest.mark.parametrize(("player", "up"), [(6, True), (14, False)])
def test_a_rim_flipper_hunts_the_player_and_grabs(player, up):
    game = playing()
    game.go_to(player)
    arrive(game, 6, 2)
    assert game[E_DEPTH + 6] == RIM
    assert (game[IN_TUBE], game[ON_RIM]) == (0, 1)
    lanes = [2]
    for _ in range(60):
        game.step()
        if game.dying:
            break
        if not game[E_TYPE + 6] & BETWEEN and game[E_LANE + 6] != lanes[-1]:
            lanes.append(game[E_LANE + 6])
    assert game[EDGE] == 0x80
    assert lanes[:4] == ([2, 3, 4, 5] if up else [2, 1, 0, 15])
    assert game[E_LANE + 6] == player


def test_a_rim_flipper_sits_four_frames_and_flips_two_steps_a_frame():
    game = playing()
    game.go_to(9)
    arrive(game, 6, 2)
    between = []
    for _ in range(24):
        game.step()
        between.append(bool(game[E_TYPE + 6] & BETWEEN))
    assert between[:3] == [False] * 3
    low = 2
    i = 3
    while i < 16:
        turning = (flip_frames(game, low) + 1) // 2
        assert between[i : i + turning] == [True] * (turning - 1) + [False]
        i += turning
        assert between[i : i + 4] == [False] * 4
        i += 4
        low += 1


def test_a_second_one_on_the_rim_goes_the_other_way():
    game = playing()
    game.go_to(8)
    arrive(game, 6, 1)
    first = game[E_TYPE + 6] & UP
    arrive(game, 5, 3)
    assert game[E_TYPE + 5] & UP == first ^ UP
    assert (game[IN_TUBE], game[ON_RIM]) == (0, 2)


def test_one_that_arrives_in_the_players_lane_grabs_at_once():
    game = playing()
    game.go_to(5)
    game.place(6, FLIPPER, 5, RIM + 1, STRAIGHT)
    game.step()
    assert game[EDGE] == 0x80


def test_a_flipper_lying_on_the_rim_cannot_be_shot_but_a_flipping_one_can_from_both_lanes():
    for offset in (0, -1):
        game = playing()
        game.go_to(12)
        arrive(game, 6, 2)
        shoot(game, 2, RIM + 9)
        game.step()
        assert game[E_DEPTH + 6] == RIM
        while not game[E_TYPE + 6] & BETWEEN:
            game.step()
        before = game.score
        lane = (game[E_LANE + 6] + offset) & 15
        shoot(game, lane, RIM + 5, slot=6)
        game.step()
        assert game[E_DEPTH + 6] == 0
        assert game.score - before == 150


def test_flippers_release_a_death_that_starts_a_new_life():
    game = playing()
    game.go_to(5)
    game.place(6, FLIPPER, 5, RIM + 1, STRAIGHT)
    game.place(5, FLIPPER, 9, 0x80, STRAIGHT)
    lives = game[LIVES]
    game.step()
    assert game[EDGE] == 0x80
    frames = 1
    while game[STATE] == PLAY:
        game.step()
        frames += 1
    assert frames == 6 + 15
    assert game[PENDING] == 1 + 2
    game.until(PLAY)
    assert game[LIVES] == lives - 1
    assert game[DEPTH] == RIM


# --- tankers


@pytest.mark.parametrize(
    ("cargo", "kind", "program"),
    [(CARGO_FLIPPERS, FLIPPER, EIGHT), (CARGO_PULSARS, PULSAR, PULSING), (CARGO_FUSEBALLS, FUSEBALL, BALL)],
)
def test_a_shot_tanker_gives_100_and_splits_into_its_cargo(cargo, kind, program):
    game = playing()
    game[FLIP_PROGRAM] = EIGHT
    game.place(6, TANKER, 7, 0x80, STRAIGHT, flags=cargo)
    shoot(game, 7, 0x80)
    before = game.score
    game.step()
    assert game.score - before == 100
    children = {game[E_LANE + slot]: slot for slot in game.used()}
    assert set(children) == {6, 8}
    for slot in children.values():
        assert game[E_TYPE + slot] & 7 == kind
        assert game[E_PROGRAM + slot] == program
        assert abs(game[E_DEPTH + slot] - 0x80) <= 6
    assert game[E_TYPE + children[8]] & UP
    assert game[TYPE_LIVE + kind] == 2


def test_a_tanker_opens_by_itself_near_the_rim_without_points():
    game = playing(9)
    game.go_to(8)
    for lane, beside in ((14, {13, 14}), (0, {0, 1}), (5, {4, 6})):
        game.clear_field()
        game.place(0, TANKER, lane, 0x21, STRAIGHT, flags=CARGO_FLIPPERS)
        before = game.score
        while game[TYPE_LIVE + TANKER]:
            game.step()
        assert game.score == before
        slots = game.used()
        assert {game[E_LANE + slot] for slot in slots} == beside
        assert all(game[E_PROGRAM + slot] == STRAIGHT for slot in slots)


def test_one_child_is_lost_when_one_slot_is_free():
    game = playing()
    for slot in range(6):
        game.place(slot, FLIPPER, slot, 0xE0, STRAIGHT)
    game.place(6, TANKER, 12, 0x60, STRAIGHT, flags=CARGO_FLIPPERS)
    shoot(game, 12, 0x60)
    game.step()
    assert len(game.used()) == 7
    assert game[TYPE_LIVE + FLIPPER] == 7


# --- spikers


def test_a_spiker_draws_its_spike_turns_and_moves_to_the_shortest():
    game = playing()
    game.go_to(0)
    for lane in range(16):
        game[SPIKE + lane] = 0x60
    game[SPIKE + 11] = 0x70
    game.place(6, SPIKER, 4, 0x62, SPIKE_RUN)
    game.step(count=3)
    assert game[SPIKE + 4] == game[E_DEPTH + 6] < 0x60
    while not game[E_FLAGS + 6] & GOING_AWAY:
        game.step()
    assert game[E_DEPTH + 6] == 0x20 == game[SPIKE + 4]
    while game[E_DEPTH + 6] != 0xF2:
        game.step()
        assert game[SPIKE + 4] == 0x20
    game.step()
    assert (game[E_LANE + 6], game[E_DEPTH + 6]) == (11, FAR)
    assert not game[E_FLAGS + 6] & GOING_AWAY


def test_no_spike_counts_as_the_shortest_and_lane_15_of_an_open_tube_does_not_count():
    game = playing(9)
    for lane in range(16):
        game[SPIKE + lane] = 0x60
    game[SPIKE + 15] = 0
    game[SPIKE + 3] = 0xE0
    game.place(6, SPIKER, 4, 0xEF, SPIKE_RUN, flags=GOING_AWAY)
    game.step(count=2)
    assert game[E_LANE + 6] == 3
    game.clear_field()
    game[SPIKE + 9] = 0
    game.place(6, SPIKER, 4, 0xEF, SPIKE_RUN, flags=GOING_AWAY)
    game.step(count=2)
    assert game[E_LANE + 6] == 9


def test_the_last_spiker_returns_as_a_tanker():
    game = playing()
    game.clear_field(pending=0)
    game.place(6, SPIKER, 4, 0xEF, SPIKE_RUN, flags=GOING_AWAY)
    game.step(count=2)
    assert game[E_TYPE + 6] & 7 == TANKER
    assert game[E_FLAGS + 6] & 3 == CARGO_FLIPPERS
    assert game.cells(TYPE_LIVE, 5) == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("kind", "program", "points"),
    [(FLIPPER, STRAIGHT, 150), (PULSAR, PULSING, 200), (TANKER, STRAIGHT, 100), (SPIKER, SPIKE_RUN, 50)],
)
def test_points_of_a_shot_and_of_the_superzapper_are_the_same(kind, program, points):
    game = playing()
    game.place(6, kind, 7, 0x90, program, loop=200)
    shoot(game, 7, 0x8B)  # short of a spiker's own spike
    before = game.score
    game.step()
    assert game.score - before == points
    assert not game.used()
    assert game[EXPLOSIONS] == 1
    game.clear_field()
    game.place(6, kind, 7, 0x90, program, loop=200)
    before = game.score
    game.step(ZAP, count=2)
    for _ in range(8):
        game.step()
    assert game.score - before == points


# --- fuseballs


def test_a_fuseball_hop_takes_27_frames_and_turns_it_back():
    game = playing()
    game.go_to(0)
    game[BALL_THRESHOLD] = 0  # hops at the first chance
    game.place(6, FUSEBALL, 8, 0xB0, BALL)
    while not game[E_TYPE + 6] & BETWEEN:
        game.step()
    down = bool(game[E_TYPE + 6] & UP)
    assert game[E_EDGE + 6] == (0x87 if down else 0x81)
    crossing = game[E_LANE + 6]
    assert crossing == (7 if down else 8)
    assert game[E_PROGRAM + 6] == BALL_HOP
    frames = 0
    depth = game[E_DEPTH + 6]
    while game[E_TYPE + 6] & BETWEEN:
        assert game[E_LANE + 6] == crossing
        assert game[E_DEPTH + 6] == depth
        game.step()
        frames += 1
    assert frames == 27
    assert game[E_LANE + 6] == (7 if down else 9)
    assert game[E_EDGE + 6] == 0x20
    assert game[E_FLAGS + 6] & GOING_AWAY


def test_a_receding_fuseball_hops_at_half_depth_and_rises_again():
    game = playing()
    game.go_to(0)
    game.place(6, FUSEBALL, 8, 0x70, BALL, flags=GOING_AWAY)
    while not game[E_TYPE + 6] & BETWEEN:
        game.step()
    assert 0x80 <= game[E_DEPTH + 6] < 0x84
    while game[E_TYPE + 6] & BETWEEN:
        game.step()
    assert not game[E_FLAGS + 6] & GOING_AWAY


def test_a_fuseball_can_be_shot_only_between_spokes():
    game = playing()
    game.place(6, FUSEBALL, 8, 0xD8, BALL)
    shoot(game, 8, 0xD6)
    game.step()
    assert game[E_DEPTH + 6]
    scores = set()
    for seed in range(60):
        game = playing()
        game.phase(seed + 1)
        game.go_to(0)
        game[BALL_THRESHOLD] = 0
        game.place(6, FUSEBALL, 8, 0xB0, BALL)
        while not game[E_TYPE + 6] & BETWEEN:
            game.step()
        shoot(game, game[E_LANE + 6], game[E_DEPTH + 6])
        before = game.score
        game.step()
        assert game[E_DEPTH + 6] == 0
        scores.add(game.score - before)
    assert scores == {250, 500, 750}


def test_a_zapped_fuseball_gives_150():
    game = playing()
    game.place(6, FUSEBALL, 8, 0xE0, BALL)
    before = game.score
    game.step(ZAP, count=2)
    game.step(count=8)
    assert game.score - before == 150


def test_a_fuseball_kills_at_the_rim_and_hops_towards_the_player_at_the_end():
    game = playing()
    game.clear_field(pending=0)
    game.go_to(12)
    game.place(6, FUSEBALL, 8, 0x14, BALL)
    game.place(5, SPIKER, 2, 0xE0, SPIKE_RUN)  # keeps the level going
    lanes = set()
    while not game.dying:
        game[E_DEPTH + 5] = 0xE0
        game.step()
        lanes.add(game[E_LANE + 6])
        assert len(lanes) <= 5
    assert game[EDGE] == 0x81
    assert game[E_LANE + 6] == 12
    assert lanes == {8, 9, 10, 11, 12}


# --- pulsars


@pytest.mark.parametrize(("level", "period", "deadly"), [(1, 40, 7), (49, 28, 5), (65, 20, 3)])
def test_the_pulse_has_its_period_and_deadly_time(level, period, deadly):
    game = playing(level)
    phases = []
    for _ in range(4 * period):
        game.clear_field()
        game.step()
        phases.append(game[PULSE_PHASE])
    assert phases[period:] == phases[:-period]
    cycle = phases[:period]
    assert sum(phase < 0x80 for phase in cycle) == deadly
    assert 0 not in cycle


def test_a_pulse_kills_in_its_lane_within_range():
    for lane, depth, deadly in ((5, 0x90, True), (6, 0x90, False), (5, 0xA8, False)):
        game = playing()
        game.go_to(5)
        game[PULSE_PHASE], game[PULSE_STEP] = 0xF9, 4
        game.place(6, PULSAR, lane, depth, PULSING, loop=200)
        game.step(count=3)
        assert game.dying == deadly
        if deadly:
            assert game[EDGE] == 0x81


def test_a_pulsar_bounces_while_others_are_pending():
    game = playing(17)
    game.go_to(0)
    game.place(6, PULSAR, 8, 0x14, PULSING, loop=250)
    while not game[E_FLAGS + 6] & GOING_AWAY:
        game.step()
    assert game[E_DEPTH + 6] == RIM
    assert game[ON_RIM] == 0
    depth = at(game, 6)
    game.step()
    assert at(game, 6) - depth == 352
    while game[E_FLAGS + 6] & GOING_AWAY:
        game[E_LOOP + 6] = 250
        game[NYMPH_HEIGHT] = 250
        game.step()
    assert game[PULSE_RANGE] <= game[E_DEPTH + 6] < game[PULSE_RANGE] + 2


def test_the_last_pulsar_hunts_on_the_rim_and_grabs_as_a_pulsar():
    game = playing(17)
    game.clear_field(pending=0)
    game.go_to(4)
    game.place(6, PULSAR, 8, 0x14, PULSING, loop=200)
    game.place(5, SPIKER, 12, 0xE0, SPIKE_RUN)  # keeps the level going
    while not game.dying:
        game[PULSE_PHASE] = 0xC0
        game[E_DEPTH + 5] = 0xE0
        game.step()
    assert game[EDGE] == 0x80
    assert game[E_TYPE + 6] & 7 == PULSAR


def test_a_pulsar_flips_towards_the_player_after_its_wait():
    game = playing(17)
    game.go_to(4)
    game[PULSE_PHASE], game[PULSE_STEP] = 0xF0, 0xFC
    wait = game[PULSAR_WAIT]
    assert wait == 40
    game.place(6, PULSAR, 8, 0xE0, PULSING, loop=3)
    game.step(count=3)
    assert not game[E_TYPE + 6] & BETWEEN
    depth = at(game, 6)
    game.step()
    assert game[E_TYPE + 6] & (BETWEEN | UP) == BETWEEN
    while game[E_TYPE + 6] & BETWEEN:
        game.step()
    assert at(game, 6) == depth
    assert game[E_LANE + 6] == 7
    assert game[E_LOOP + 6] == wait


# --- enemy shots


def test_an_enemy_shot_kills_in_its_lane_only():
    for lane, deadly in ((5, True), (6, False)):
        game = playing()
        game.go_to(5)
        game[E_SHOT_DEPTH], game[E_SHOT_LANE], game[E_SHOT_EDGE], game[SHOTS_ENEMY] = 0x18, lane, lane + 1, 1
        game.step(count=5)
        assert game.dying == deadly
        assert game[SHOTS_ENEMY] == 0


def test_shots_cancel_each_other_without_points():
    game = playing()
    game[E_SHOT_DEPTH], game[E_SHOT_LANE], game[E_SHOT_EDGE], game[SHOTS_ENEMY] = 0x80, 5, 6, 1
    shoot(game, 5, 0x7C)
    before = game.score
    game.step()
    assert (game[SHOTS_ENEMY], game[SHOTS_PLAYER], game.score) == (0, 0, before)


def test_an_enemy_fires_from_deep_only_and_waits_after_a_shot():
    game = playing()
    game.go_to(0)
    game.place(6, FLIPPER, 7, 0x2F, STRAIGHT, flags=MAY_SHOOT, wait=1)
    game.step(count=4)
    assert game[SHOTS_ENEMY] == 0
    game.clear_field()
    game.place(6, FLIPPER, 7, 0xC0, STRAIGHT, wait=1)
    game.step(count=4)
    assert game[SHOTS_ENEMY] == 0  # it may not
    game.clear_field()
    game.place(6, FLIPPER, 7, 0xC0, STRAIGHT, flags=MAY_SHOOT, wait=1)
    game.step()
    assert game[SHOTS_ENEMY] == 1
    assert game[E_SHOT_LANE + game[SHOTS_ENEMY_MAX]] == 7
    assert game[E_WAIT + 6] == game[HOLD_OFF] == 80


# --- the superzapper


def test_the_first_zap_takes_all_and_the_second_one():
    game = playing()
    for slot in range(7):
        game.place(slot, FLIPPER, 2 * slot, 0xE0, STRAIGHT)
    game[SPIKE + 3] = 0x80
    game[E_SHOT_DEPTH], game[E_SHOT_LANE], game[E_SHOT_EDGE], game[SHOTS_ENEMY] = 0xF0, 5, 6, 1
    game.go_to(0)
    before = game.score
    clocks = []
    left = []
    for _ in range(24):
        game.step(ZAP)
        clocks.append(game[ZAP_CLOCK])
        left.append(len(game.used()))
    start = clocks.index(1)
    assert clocks[start : start + 17] == [*range(1, 17), 0]
    assert [left[start + clock - 1] for clock in (3, 4, 5, 6, 16)] == [7, 6, 6, 5, 0]
    assert clocks[-1] == 0
    assert game.score - before == 7 * 150
    assert (game[SPIKE + 3], game[ZAPS]) == (0x80, 1)
    game.step(count=3)
    game.clear_field()
    for slot in range(3):
        game.place(slot, FLIPPER, 2 * slot, 0xE0, STRAIGHT)
    game.step(ZAP, count=12)
    assert game.used() == [0, 1]
    assert (game[ZAP_CLOCK], game[ZAPS]) == (0, 2)
    game.step(count=3)
    game.step(ZAP, count=12)
    assert game.used() == [0, 1]


def test_a_zapped_tanker_does_not_split_and_nothing_is_born_meanwhile():
    game = playing()
    game.place(6, TANKER, 4, 0xC0, STRAIGHT, flags=CARGO_FLIPPERS)
    game.place(5, FLIPPER, 9, 0xF0, STRAIGHT)
    game[NYMPH_HEIGHT] = 3
    game.step(ZAP, count=2)
    assert game[ZAP_CLOCK]
    while game[ZAP_CLOCK]:
        assert game[PENDING] == 1
        game.step()
    assert game[TYPE_LIVE + TANKER] == 0


# --- births


def test_nymphs_count_down_circle_above_the_band_and_are_born_at_the_far_end():
    game = playing()
    game.go_to(0)
    game[NYMPH_HEIGHT], game[NYMPH_LANE] = 0x50, 3
    lanes = [3]
    heights = []
    while game[PENDING]:
        game.step()
        heights.append(game[NYMPH_HEIGHT])
        if game[PENDING] and game[NYMPH_LANE] != lanes[-1]:
            lanes.append(game[NYMPH_LANE])
    assert heights == list(range(0x4F, -1, -1))
    assert len(lanes) == 1 + 8
    assert all((b - a) & 15 == 1 for a, b in pairwise(lanes))
    (slot,) = game.used()
    assert game[E_LANE + slot] == lanes[-1]
    assert game[E_DEPTH + slot] in (FAR, FAR - 1, FAR - 2)
    assert game[E_TYPE + slot] & 7 == FLIPPER


def test_no_more_than_the_maximum_of_a_type_is_born():
    game = playing()
    assert game.cells(TYPE_MAX, 5) == [4, 0, 0, 0, 0]
    for slot in range(4):
        game.place(slot, FLIPPER, 2 * slot, 0xE0, STRAIGHT)
    game[NYMPH_HEIGHT] = 2
    game.step(count=5)
    assert (game[NYMPH_HEIGHT], game[PENDING]) == (1, 1)
    game.clear_field()
    game[NYMPH_HEIGHT] = 2
    game.step(count=5)
    assert game[PENDING] == 0


def test_tankers_leave_room_for_their_cargo():
    game = playing(5)
    assert game.cells(TYPE_MIN, 5) == [0, 0, 1, 2, 0]
    assert game.cells(TYPE_MAX, 5) == [5, 0, 1, 3, 0]
    for slot in range(2):
        game.place(slot, SPIKER, 2 * slot, 0xE0, SPIKE_RUN)
    game[NYMPH_HEIGHT] = 1
    game.step()
    assert game[TYPE_LIVE + TANKER] == 1  # below its minimum, so it comes first
    (tanker,) = (slot for slot in game.used() if game[E_TYPE + slot] & 7 == TANKER)
    assert game[E_FLAGS + tanker] & 3 == CARGO_FLIPPERS


# --- bonus lives


@pytest.mark.parametrize(
    ("step", "before", "gets"),
    [
        (1, 0x009950, True),
        (2, 0x009950, False),
        (2, 0x019950, True),
        (3, 0x029950, True),
        (3, 0x039950, False),
        (7, 0x139950, True),
        (0, 0x019950, False),
    ],
)
def test_bonus_lives_are_given_at_multiples_of_the_step(step, before, gets):
    game = playing()
    game[BONUS_STEP] = step
    for i in range(3):
        game[SCORE + i] = before >> 8 * i
    game.checks.clear()
    lives = game[LIVES]
    game.place(6, FLIPPER, 7, 0x90, STRAIGHT)
    shoot(game, 7, 0x90)
    game.step()
    assert game[LIVES] == lives + gets


def test_no_more_than_six_lives():
    game = playing()
    game[LIVES] = 6
    game[BONUS_STEP] = 1
    game[SCORE], game[SCORE + 1], game[SCORE + 2] = 0x50, 0x99, 0x00
    game.checks.clear()
    game.place(6, FLIPPER, 7, 0x90, STRAIGHT)
    shoot(game, 7, 0x90)
    game.step()
    assert game[LIVES] == 6


# --- level parameters


@pytest.mark.parametrize(
    ("level", "flipper", "spiker", "hold", "shots", "wave", "reach", "minima", "maxima", "pulse", "tip"),
    [
        (1, -1.375, -1.375, 80, 2, 10, 7, (1, 0, 0, 0, 0), (4, 0, 0, 0, 0), 4, 0),
        (5, -2.0, -2.0, 68, 4, 20, 7, (0, 0, 1, 2, 0), (5, 0, 1, 3, 0), 4, 0xD8),
        (9, -2.531, -2.531, 56, 4, 27, 7, (0, 0, 1, 2, 0), (5, 0, 2, 4, 0), 4, 0xC0),
        (17, -2.531, -2.531, 32, 3, 20, 7, (0, 2, 1, 0, 0), (3, 5, 1, 0, 0), 4, 0),
        (33, -3.375, -4.625, 20, 3, 27, 8, (0, 1, 1, 0, 1), (5, 3, 2, 0, 4), 4, 0),
        (65, -5.0, -6.5, 10, 4, 35, 8, (0, 1, 1, 1, 1), (5, 3, 3, 1, 3), 8, 0),
        (81, -5.0, -6.5, 10, 4, 43, 8, (0, 1, 1, 1, 1), (5, 3, 3, 1, 3), 8, 0),
    ],
)
def test_parameters_at_the_sample_levels(
    level, flipper, spiker, hold, shots, wave, reach, minima, maxima, pulse, tip
):
    game = Game()
    game.start(level)
    assert game[LEVEL] == level - 1
    assert speed(game, FLIPPER) / 256 == pytest.approx(flipper, abs=0.001)
    assert speed(game, TANKER) == speed(game, FLIPPER)
    assert speed(game, SPIKER) / 256 == pytest.approx(spiker, abs=0.001)
    assert speed(game, FUSEBALL) == 2 * speed(game, FLIPPER)
    assert speed(game, PULSAR) / 256 == -1.375
    shot = (game[0x118] << 8 | game[0x120]) - 0x10000
    assert shot == speed(game, FLIPPER) - 512
    assert game[HOLD_OFF] == hold
    assert game[SHOTS_ENEMY_MAX] + 1 == shots
    assert game[PENDING] == game[0x15B] == wave
    assert game[REACH] == reach
    assert game[REACH + FUSEBALL] == 6
    assert tuple(game.cells(TYPE_MIN, 5)) == minima
    assert tuple(game.cells(TYPE_MAX, 5)) == maxima
    assert game[PULSE_STEP] == pulse
    assert game.cells(SPIKE, 16) == [tip] * 16
    assert game.cells(CARGO_LIST, 2) == [1, 1]


def test_the_menus_floor_is_level_9_and_a_better_game_raises_it():
    game = Game()
    game.step(count=4)
    game[0x06] = 2
    game[BEST_LEVEL] = 32
    game.step(0x20, count=3)
    game.until(0x16)
    assert game[0x127] == 14  # level 33
    assert game[BEST_LEVEL] == 0
