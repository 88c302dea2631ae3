"""Squall's game states, their order and what happens around play: ARCADE A.2, A.12, B.2-B.4, C.10-C.13."""

from __future__ import annotations

from itertools import pairwise

import pytest
from squall_driver import (
    ATTRACT,
    BEST_LEVEL,
    CHOICE,
    COUNTDOWN,
    CREDITS,
    DELAY,
    DEPTH,
    DESCENDING,
    DESCENT,
    E_DEPTH,
    EDGE,
    END,
    ENTRY_LETTER,
    FIRE,
    FLIPPER,
    FRAME,
    HIGH_SCORES,
    IN_TUBE,
    INITIALS,
    INITIALS_ENTRY,
    LANE,
    LEVEL,
    LEVEL_OF,
    LIFE,
    LIVES,
    LOAD,
    LOGO,
    MENU,
    MENU_LIMIT,
    MODE,
    NEXT,
    NEXT_STATES,
    NYMPH_HEIGHT,
    OPEN,
    OVER,
    PAUSE,
    PENDING,
    PLAY,
    PLAYER_UP,
    RANKS,
    RIM,
    SCORE,
    SCREEN,
    SELECT,
    SELECT2,
    SERVICE,
    SHOT_DEPTH,
    SPARKLE,
    SPIKE,
    START,
    START1,
    START_BONUS,
    STATE,
    STRAIGHT,
    TWO_PLAYERS,
    WARNING,
    ZAP,
    ZAP_CLOCK,
    ZAPS,
    ZOOM,
    Game,
    Invariants,
    bcd,
    playing,
)

SELF_TEST, COIN_1, COIN_2, COIN_3, TILT = 0x10, 0x04, 0x02, 0x01, 0x08


def fresh() -> Game:
    """A game switched on, in the attract ring."""
    game = Game()
    game.step(count=3)
    game.checks.append(Invariants(game))
    return game


def trail(game: Game, frames: int, buttons: int = 0) -> list[tuple[int, int]]:
    """Runs of states: (state, frames)."""
    runs: list[tuple[int, int]] = []
    for _ in range(frames):
        game.step(buttons)
        state = game[STATE]
        if runs and runs[-1][0] == state:
            runs[-1] = (state, runs[-1][1] + 1)
        else:
            runs.append((state, 1))
    return runs


def die(game: Game) -> None:
    """Kills the player by an enemy shot and waits for $06."""
    game.clear_field()
    game[0x2DB], game[0x2B5], game[0x2C8], game[0xA6] = 0x12, game[LANE], game[EDGE], 1
    game.step()
    assert game[EDGE] == 0x81
    game.until(LIFE)


def lose(game: Game) -> None:
    """Plays on until the game is over."""
    while True:
        die(game)
        game.step()
        if game[STATE] == OVER:
            return
        game.until(PLAY)


# --- attract


def test_the_machine_starts_in_the_attract_ring():
    game = Game()
    game.step(count=1)
    assert game[MODE] == 0
    frames = [game[FRAME]]
    for _ in range(300):
        game.step()
        frames.append(game[FRAME])
    assert all((b - a) & 0xFF == 1 for a, b in pairwise(frames))
    cycles = int(game.fields["cycles"])
    game.step(count=20)
    assert abs(int(game.fields["cycles"]) - cycles - 20 * 9 * 6144) < 2000


def test_the_attract_ring_has_its_order_and_times():
    game = fresh()
    runs = trail(game, 4000)
    states = [state for state, _ in runs]
    first = states.index(LOGO)
    assert runs[first + 1] == (DELAY, 223)
    assert states[first : first + 7] == [LOGO, DELAY, START, LOAD, PAUSE, DELAY, PLAY]
    assert runs[first + 5] == (DELAY, 20)
    again = states.index(ATTRACT, first)
    assert runs[again + 1][0] == DELAY
    assert runs[again + 1][1] in (319, 320)  # every second frame counts
    assert states[again + 2] == LOGO
    assert set(states) <= {LOGO, DELAY, START, LOAD, PAUSE, PLAY, LIFE, ATTRACT, DESCENT, NEXT, ZOOM, END}
    assert game.score == 0
    assert game[MODE] == 0


def test_a_demo_that_clears_its_level_ends_by_08():
    game = fresh()
    game.until(PLAY)
    game.clear_field(pending=0)
    states = [state for state, _ in trail(game, 160)]
    states = states[: states.index(ATTRACT) + 1]
    assert [state for state in states if state != DELAY] == [DESCENT, NEXT, ZOOM, END, ATTRACT]


def test_a_turned_knob_shows_press_start_for_32_frames():
    game = fresh()
    game[CREDITS] = 1
    game.step(spinner=20)
    game.step()
    frames = 0
    while game[SCREEN] == 0x10:
        game.step()
        frames += 1
    assert 31 <= frames <= 34
    assert game[SCREEN] == 0x0A


# --- coins and options


def press(game: Game, mask: int, frames: int = 3) -> None:
    """Closes inputs of $0C00 for some frames."""
    game.fields["in0"] = 0x3F & ~mask
    game.step(count=frames)
    game.fields["in0"] = 0x3F
    game.step(count=2)


@pytest.mark.parametrize(("dip1", "coins", "credit"), [(0, 3, 3), (1, 3, 1), (1, 4, 2), (3, 2, 4), (2, 0, 2)])
def test_coins_buy_credits(dip1, coins, credit):
    game = Game(dip1=dip1)
    game.step(count=3)
    for _ in range(coins):
        press(game, COIN_1)
    assert game[CREDITS] == credit


def test_a_tilt_swallows_coins():
    game = fresh()
    press(game, TILT | COIN_1, 3)
    press(game, COIN_1, 3)
    assert game[CREDITS] == 0


def test_a_start_needs_a_credit_and_takes_it():
    game = fresh()
    game.step(START1, count=3)
    assert game[MODE] == 0
    game.step(count=2)
    game[CREDITS] = 1
    game.step(START1, count=3)
    assert (game[MODE], game[CREDITS], game[STATE]) == (0xC0, 0, SELECT)


@pytest.mark.parametrize(("dip2", "lives", "step"), [(0x00, 3, 2), (0x48, 4, 1), (0x90, 5, 3), (0xF8, 2, 0)])
def test_switches_set_lives_and_bonus(dip2, lives, step):
    game = playing(dip2=dip2)
    assert game[LIVES] == lives
    assert game[0x156] == step


def test_two_credits_minimum():
    game = Game(dip2=0x01)
    game.step(count=3)
    game[CREDITS] = 1
    game.step(START1, count=3)
    assert (game[MODE], game[SCREEN]) == (0, 0x16)
    game.step(count=2)
    game[CREDITS] = 2
    game.step(START1, count=3)
    assert game[MODE] == 0xC0


def test_the_service_switch_shows_its_screen_and_returns_to_attract():
    game = fresh()
    game.fields["in0"] = 0x3F & ~SELF_TEST
    game.step(count=3)
    assert (game[STATE], game[SCREEN], game[MODE]) == (SERVICE, 0x02, 0)
    game.fields["in0"] = 0x3F
    game.step(count=2)
    assert game[STATE] in (START, LOAD)


# --- level select


def test_the_menu_follows_the_spinner_and_its_limit():
    game = fresh()
    game[CREDITS] = 2
    game.step(START1, count=3)
    game.until(SELECT)
    assert (game[LANE], game[MENU_LIMIT], game[OPEN]) == (0, 4, 0xFF)
    for _ in range(2):
        game.step(spinner=16)
    assert game[LANE] == 1
    game.step(spinner=64)
    assert game[LANE] == 3
    game.step(spinner=64)
    assert game[LANE] == 4
    game.step(spinner=-32)
    game.step(spinner=-32)
    assert game[LANE] in (2, 3)
    game.step(spinner=-96, count=3)
    assert game[LANE] == 0


def test_the_menu_times_out_after_ten_seconds_of_21_frames():
    game = fresh()
    game[CREDITS] = 2
    game.step(START1, count=3)
    game.until(SELECT)
    assert game[COUNTDOWN] == 0x10
    seconds = []
    frames = 0
    while game[STATE] == SELECT:
        game.step()
        frames += 1
        if not seconds or seconds[-1] != game[COUNTDOWN]:
            seconds.append(game[COUNTDOWN])
    assert seconds == [0x10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert 208 <= frames <= 210
    assert game[LEVEL_OF] == 0


@pytest.mark.parametrize("level", MENU)
def test_every_entry_of_the_menu_starts_its_level(level):
    game = fresh()
    game.start(level)
    assert game[LEVEL] == game[LEVEL_OF] == level - 1
    assert MENU[game[CHOICE]] == level
    assert (game[DEPTH], game[ZAPS], game[MODE]) == (RIM, 0, 0xC0)
    assert game[LANE] in (14, 15)


def test_start_confirms_only_below_eight_seconds():
    game = fresh()
    game[CREDITS] = 2
    game.step(START1, count=3)
    game.until(SELECT)
    game.step(count=3)
    game.step(START1, count=3)
    assert game[STATE] == SELECT
    game.step()
    while game[COUNTDOWN] >= 8:
        game.step()
    game.step(START1, count=4)
    assert game[STATE] != SELECT


# --- play to the next level


@pytest.mark.parametrize(("level", "frames"), [(1, 47), (9, 36), (13, 33), (15, 33)])
def test_the_descent_takes_its_time(level, frames):
    game = playing(level)
    for lane in range(16):
        game[SPIKE + lane] = 0
    game.clear_field(pending=0)
    game.step()
    assert game[STATE] == DESCENT
    assert (game[ZAP_CLOCK], game[DESCENDING]) == (0xFF, 0x80)
    count = 0
    while game[STATE] == DESCENT:
        count += 1
        game.step()
    assert game[STATE] == NEXT
    assert count == pytest.approx(frames, abs=1)
    game.step()
    assert (game[STATE], game[LEVEL], game[DEPTH]) == (ZOOM, level, RIM)
    zoom = 0
    while game[STATE] == ZOOM:
        zoom += 1
        game.step()
    assert zoom == pytest.approx(63, abs=2)
    assert (game[STATE], game[ZAPS], game[ZAP_CLOCK]) == (PLAY, 0, 0)


def test_spikes_are_announced_on_the_first_levels_and_kill():
    game = playing(1)
    game[SPIKE + 3] = 0x60
    game.go_to(3)
    game.clear_field(pending=0)
    game.step()
    assert (game[STATE], game[WARNING] & 0x80) == (DELAY, 0x80)
    wait = 0
    while game[STATE] == DELAY:
        wait += 1
        game.step()
    assert wait == 30
    assert game[STATE] == DESCENT
    while not game.dying:
        game.step()
    assert game[EDGE] == 0x81
    assert game[DEPTH] > 0x60
    while game[STATE] == DESCENT:
        game.step()
    assert game[STATE] == LIFE
    lives = game[LIVES]
    game.until(PLAY)
    assert (game[LIVES], game[PENDING], game[DEPTH]) == (lives - 1, 0, RIM)
    game.step(count=2)
    assert game[STATE] in (DELAY, DESCENT)


def test_shots_clear_the_way_through_a_spike():
    game = playing(15)
    for lane in range(16):
        game[SPIKE + lane] = 0xD8
    game.clear_field(pending=0)
    game.step()
    while game[STATE] == DESCENT:
        game.step(FIRE)
        assert not game.dying
    assert game[STATE] == NEXT


def test_an_enemy_on_the_rim_does_not_hold_the_level_up_but_one_below_does():
    game = playing()
    game.go_to(9)
    game.clear_field(pending=0)
    game.place(6, FLIPPER, 2, 0x80, STRAIGHT)
    game.step(count=5)
    assert game[STATE] == PLAY
    while game[E_DEPTH + 6] > RIM:
        game.step()
    assert game[STATE] == DESCENT


def test_the_starting_bonus_is_paid_once_after_the_first_level():
    game = playing(5)
    for lane in range(16):
        game[SPIKE + lane] = 0
    lives = game[LIVES]
    for expected in (START_BONUS[2], START_BONUS[2]):
        game.clear_field(pending=0)
        game.until(NEXT)
        game.step()
        assert game.score == expected
        game.until(PLAY)
        for lane in range(16):
            game[SPIKE + lane] = 0
    assert game[CHOICE] == 0
    assert game[LIVES] == lives  # 16,000 is less than the step of 20,000


def test_a_big_starting_bonus_gives_exactly_one_life():
    game = playing(17)
    lives = game[LIVES]
    game.clear_field(pending=0)
    for lane in range(16):
        game[SPIKE + lane] = 0
    game.until(NEXT)
    game.step()
    assert game.score == START_BONUS[MENU.index(17)]
    assert game[LIVES] == lives + 1


def test_level_99_repeats():
    game = playing(81)
    game[LEVEL] = game[LEVEL_OF] = 98
    game.checks.clear()
    game.clear_field(pending=0)
    for lane in range(16):
        game[SPIKE + lane] = 0
    game.until(NEXT)
    game.step()
    assert game[LEVEL] == game[LEVEL_OF] == 98
    game.until(PLAY)


# --- death and the end


def test_a_death_keeps_zapper_and_spikes_and_turns_enemies_into_pending_ones():
    game = playing(5)
    game[SPIKE + 4] = 0x55
    game[ZAPS] = 1
    game.clear_field(pending=7)
    game.place(6, FLIPPER, 2, 0x90, STRAIGHT)
    game.place(5, FLIPPER, 3, 0x90, STRAIGHT)
    game[0x2DB], game[0x2B5], game[0x2C8], game[0xA6] = 0x12, game[LANE], game[EDGE], 1
    lives = game[LIVES]
    frames = 1
    game.step()
    while game[STATE] == PLAY:
        game.step()
        frames += 1
    assert frames == 21 + 15
    assert (game[STATE], game[PENDING], game[IN_TUBE], game[DEPTH]) == (LIFE, 9, 0, 0xFF)
    states = [state for state, _ in trail(game, 26)]
    assert states[:5] == [DELAY, LOAD, PAUSE, DELAY, PLAY]
    assert game[LIVES] == lives - 1
    assert (game[SPIKE + 4], game[ZAPS]) == (0x55, 1)


def test_nothing_moves_or_fires_while_dying():
    game = playing()
    game.place(6, FLIPPER, 2, 0x90, STRAIGHT, flags=0x40, wait=0)
    game[0x2DB], game[0x2B5], game[0x2C8], game[0xA6] = 0x12, game[LANE], game[EDGE], 1
    game.step()
    lane, depth = game[LANE], game[E_DEPTH + 6]
    heights = game.cells(NYMPH_HEIGHT, 64)
    for _ in range(15):
        game.step(FIRE | ZAP, spinner=20)
        assert (game[LANE], game[E_DEPTH + 6]) == (lane, depth)
        assert game.cells(SHOT_DEPTH, 8) == [0] * 8
    assert game.cells(NYMPH_HEIGHT, 64) == heights


def test_a_game_without_points_ends_in_attract():
    game = playing()
    lose(game)
    assert game[LIVES] == 0
    assert game[MODE] == 0xC0
    game.step()
    assert (game[MODE], game[STATE]) == (0x80, ATTRACT)
    game.step()
    assert game[MODE] == 0
    assert game[RANKS] == 0


def test_the_last_life_pulls_the_view_back():
    game = playing()
    game[LIVES] = 1
    game.clear_field()
    game[0x2DB], game[0x2B5], game[0x2C8], game[0xA6] = 0x12, game[LANE], game[EDGE], 1
    eyes = []
    game.step()
    while game[STATE] == PLAY:
        game.step()
        eyes.append(game[0x5B] << 8 | game[0x5F])
    pulls = [(a - b) & 0xFFFF for a, b in pairwise(eyes) if a != b]
    assert len(pulls) == pytest.approx(40, abs=1)
    assert set(pulls) == {32}


def end_with(game: Game, score: int) -> None:
    """Ends the game with this score."""
    for i in range(3):
        game[SCORE + i] = int(f"{score:06d}"[4 - 2 * i : 6 - 2 * i], 16)
    game.checks.clear()
    lose(game)


def best(game: Game) -> list[int]:
    """The list, best first."""
    return [bcd(game.ram[a : a + 3]) for a in range(HIGH_SCORES + 21, HIGH_SCORES - 1, -3)]


def test_a_score_among_the_eight_best_enters_the_list_with_initials():
    game = playing()
    before = best(game)
    score = before[1] + 10
    end_with(game, score)
    game.step()
    assert (game[STATE], game[RANKS]) == (SPARKLE, 2)
    assert best(game) == [before[0], score, *before[1:-1]]
    game.until(INITIALS_ENTRY)
    assert game[ENTRY_LETTER] == 2
    place = INITIALS + 3 * (8 - 2)
    for turns, letter in ((2, 2), (26, 26), (-1, 26)):
        for _ in range(abs(turns)):
            game.step(spinner=32 if turns > 0 else -32)
        position = game[ENTRY_LETTER]
        assert game[place + position] == letter
        game.step(FIRE, count=2)
        game.step(count=3)
        assert game[STATE] == ATTRACT or game[STATE] == DELAY or game[ENTRY_LETTER] == position - 1
    assert game[MODE] == 0
    assert game.cells(place, 3) == [26, 26, 2]
    assert game[BEST_LEVEL] == 0


def test_initials_have_a_time_limit():
    game = playing()
    end_with(game, 990_000)
    game.until(INITIALS_ENTRY)
    frames = 0
    while game[STATE] == INITIALS_ENTRY:
        game.step()
        frames += 1
    assert frames == pytest.approx(96 * 32, abs=33)
    assert game[STATE] == ATTRACT


def test_start_works_while_initials_are_entered():
    game = playing()
    end_with(game, 990_000)
    game.until(INITIALS_ENTRY)
    game[CREDITS] = 1
    game.step(START1, count=4)
    assert (game[STATE], game[MODE]) == (SELECT, 0xC0)
    assert game.score == 0


def test_the_three_best_survive_a_power_cycle():
    game = playing()
    end_with(game, 990_000)
    game.until(INITIALS_ENTRY)
    for _ in range(3):
        game.step(FIRE, count=2)
        game.step(count=3)
    game.step(count=80)
    kept = best(game)[:3]
    assert kept[0] == 990_000
    earom = game.fields["earom"].copy()
    again = Game()
    again.fields["earom"] = earom
    again.step(count=2)
    assert best(again)[:3] == kept
    assert again.cells(INITIALS + 15, 9) == game.cells(INITIALS + 15, 9)
    earom[4] ^= 1
    spoilt = Game()
    spoilt.fields["earom"] = earom
    spoilt.step(count=2)
    assert best(spoilt) == best(fresh())


def test_the_best_level_of_the_game_seeds_the_next_menu():
    game = playing(22)
    lose(game)
    assert game[BEST_LEVEL] == 20
    game.until(ATTRACT)
    game.step(count=3)
    game[CREDITS] = 1
    game.step(START1, count=3)
    game.until(SELECT)
    assert MENU[game[MENU_LIMIT]] == 20


# --- two players


def test_two_players_take_turns_with_their_own_levels_and_spikes():
    game = fresh()
    game.checks.clear()
    game.start(3, players=2)
    assert (game[TWO_PLAYERS], game[PLAYER_UP], game[LIVES], game[LIVES + 1]) == (1, 0, 3, 3)
    game[SPIKE + 4] = 0x44
    die(game)
    game.until(SELECT2)
    game.until(SELECT)
    assert game[PLAYER_UP] == 1
    game.choose(5)
    assert game[LEVEL_OF] == 2
    assert game[LEVEL_OF + 1] == 4
    game.until(PLAY)
    assert (game[LEVEL], game[SPIKE + 4]) == (4, 0xD8)
    score = game.score
    game.clear_field()
    game.place(6, FLIPPER, 7, 0x90, STRAIGHT)
    game.go_to(7)
    game.step(FIRE, count=30)
    assert bcd(game.ram[SCORE + 3 : SCORE + 6]) >= 150
    assert game.score == score
    die(game)
    game.until(PLAY)
    assert (game[PLAYER_UP], game[LEVEL], game[SPIKE + 4]) == (0, 2, 0x44)
    assert (game[LIVES], game[LIVES + 1]) == (2, 2)
    for _ in range(4):
        die(game)
        game.step()
        if game[STATE] != OVER:
            game.until(PLAY)
    assert game[STATE] == OVER


def test_every_transition_of_the_table_is_reached_somewhere():
    """The transitions that the tests above stage, in one place: the union over scripted games."""
    seen: set[tuple[int, int]] = set()

    def watch(game: Game) -> None:
        state = {"now": game[STATE]}

        def note() -> None:
            if game[STATE] != state["now"]:
                seen.add((state["now"], game[STATE]))
                state["now"] = game[STATE]

        game.checks[:] = [note]

    demo = fresh()
    watch(demo)
    demo.step(count=3500)
    demo.until(PLAY)
    demo.clear_field(pending=0)
    demo.step(count=200)
    demo[CREDITS] = 1
    demo.step(spinner=30, count=40)
    demo.fields["in0"] = 0x3F & ~SELF_TEST
    demo.step(count=3)
    demo.fields["in0"] = 0x3F
    demo.step(count=3)
    game = fresh()
    watch(game)
    game.start(1, players=2)
    game[SPIKE + 3] = 0x60
    game.go_to(3)
    game.clear_field(pending=0)
    game.until(LIFE)
    game.until(SELECT)
    game.choose(9)
    game.until(PLAY)
    for lane in range(16):
        game[SPIKE + lane] = 0
    game.clear_field(pending=0)
    game.until(ZOOM)
    game.until(PLAY)
    game[SCORE + 2] = game[SCORE + 5] = 0x70
    game[LIVES] = 1
    while game[STATE] != OVER:
        die(game)
        game.step()
        if game[STATE] != OVER:
            game.until(PLAY)
    game.until(INITIALS_ENTRY)
    for _ in range(6):
        game.step(FIRE, count=2)
        game.step(count=3)
        if game[STATE] == SPARKLE:
            game.until(INITIALS_ENTRY)
    plain = playing()
    watch(plain)
    lose(plain)
    plain.step(count=2)
    wanted = {(a, b) for a, following in NEXT_STATES.items() for b in following}
    wanted -= {
        (DELAY, PAUSE),
        (END, OVER),
    }  # checked by the two-player test; never a state of its own in a real game
    assert wanted - seen <= {(DELAY, ATTRACT), (LIFE, ATTRACT), (DELAY, START)}
