"""Plays Squall on the in-process board by RAM and buttons, for the tests of its rules.

Names of RAM cells follow tempest_gym/squall/src/ram.inc; their meanings are ARCADE A.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from tempest_gym.board import Boards
from tempest_gym.roms import squall_rom

ZAP, FIRE, START1, START2 = 0x08, 0x10, 0x20, 0x40

STATE, SCREEN, FRAME, COUNTDOWN, MODE, CREDITS = 0x00, 0x01, 0x03, 0x04, 0x05, 0x06
PLAYER_UP, TWO_PLAYERS, SCORE, LEVEL_OF, LIVES = 0x3D, 0x3E, 0x40, 0x46, 0x48
SPINNER, KNOB_ANGLE, LEVEL, SHOTS_ENEMY, PULSAR_WAIT = 0x50, 0x51, 0x9F, 0xA6, 0xB2
CHOICE, DESCENDING, IN_TUBE, ON_RIM, OPEN, SHAPE, EXPLOSIONS = 0x102, 0x106, 0x108, 0x109, 0x111, 0x112, 0x116
HOLD_OFF, SHOTS_ENEMY_MAX, WARNING, ZAP_CLOCK, BEST_LEVEL, MENU_LIMIT = (
    0x119,
    0x11A,
    0x123,
    0x125,
    0x126,
    0x127,
)
TYPE_MIN, TYPE_MAX, SHOTS_PLAYER, TYPE_ROOM, TYPE_LIVE = 0x129, 0x12E, 0x135, 0x13D, 0x142
PULSE_STEP, PULSE_PHASE, CARGO_LIST, REACH, BONUS_STEP = 0x147, 0x148, 0x149, 0x151, 0x156
PULSE_RANGE, BALL_HABITS, FLIP_PROGRAM, BALL_THRESHOLD = 0x157, 0x159, 0x15D, 0x15F
SPEED_LOW, SPEED_HIGH = 0x160, 0x165
LANE, EDGE, DEPTH, NYMPH_LANE, NYMPH_HEIGHT = 0x200, 0x201, 0x202, 0x203, 0x243
E_TYPE, E_FLAGS, E_PROGRAM, E_LOOP, E_FRACTION, E_WAIT = 0x283, 0x28A, 0x291, 0x298, 0x29F, 0x2A6
SHOT_LANE, E_SHOT_LANE, E_LANE, SHOT_EDGE, E_SHOT_EDGE = 0x2AD, 0x2B5, 0x2B9, 0x2C0, 0x2C8
E_EDGE, SHOT_DEPTH, E_SHOT_DEPTH, E_DEPTH, SHOT_SPENT = 0x2CC, 0x2D3, 0x2DB, 0x2DF, 0x2F2
ZAPS, PENDING, SPIKE, ANGLE = 0x3AA, 0x3AB, 0x3AC, 0x3EE
E_STAGE, E_TURN = 0x540, 0x547
RANKS, ENTRY_LETTER, INITIALS, HIGH_SCORES = 0x600, 0x602, 0x606, 0x706

FLIPPER, PULSAR, TANKER, SPIKER, FUSEBALL = range(5)
STRAIGHT, EIGHT, FLIPPING, ZIGZAG, RIM_HUNT, RIDER, AWAY = 0x07, 0x0B, 0x19, 0x24, 0x42, 0x53, 0x87
SPIKE_RUN, BALL, BALL_HOP, PULSING = 0x00, 0x61, 0x67, 0x72
RIM, FAR = 0x10, 0xF0

START, LOAD, PLAY, LIFE, END, DELAY, NEXT = 0x00, 0x02, 0x04, 0x06, 0x08, 0x0A, 0x0E
OVER, INITIALS_ENTRY, ATTRACT, SELECT, ZOOM, LOGO, SELECT2, PAUSE, DESCENT, SERVICE, SPARKLE = range(
    0x10, 0x26, 2
)

MENU = (
    1,
    3,
    5,
    7,
    9,
    11,
    13,
    15,
    17,
    20,
    22,
    24,
    27,
    30,
    33,
    35,
    38,
    41,
    43,
    46,
    49,
    52,
    55,
    58,
    62,
    65,
    73,
    81,
)

NEXT_STATES = {
    START: {SELECT, LOAD},
    LOAD: {PAUSE, DELAY},
    PLAY: {LIFE, DESCENT, DELAY},
    LIFE: {DELAY, OVER, ATTRACT},
    END: {OVER, ATTRACT},
    DELAY: {LOAD, PLAY, DESCENT, PAUSE, LOGO, START, SELECT2, ATTRACT},
    NEXT: {ZOOM},
    OVER: {SPARKLE, ATTRACT},
    INITIALS_ENTRY: {SPARKLE, ATTRACT},
    ATTRACT: {DELAY},
    SELECT: {LOAD},
    ZOOM: {PLAY, END},
    LOGO: {DELAY},
    SELECT2: {SELECT},
    PAUSE: {DELAY},
    DESCENT: {NEXT, LIFE},
    SERVICE: {START},
    SPARKLE: {INITIALS_ENTRY},
}
"""Transitions of ARCADE A.2. Beside these a start button leads to START from anywhere outside play, and the
test switch to SERVICE from everywhere."""

KILL_POINTS = (50, 100, 150, 200, 250, 500, 750)


def bcd(cells: NDArray[np.uint8]) -> int:
    """Three BCD bytes, low first, as a number; ValueError if a digit is not decimal."""
    digits = "".join(f"{int(cell):02x}" for cell in reversed(cells))
    return int(digits)


class Game:
    """One board with Squall, stepped by game frames."""

    def __init__(self, dip1: int = 0, dip2: int = 0) -> None:
        self.boards = Boards(squall_rom(), 1)
        self.ram: NDArray[np.uint8] = self.boards.ram[0]
        self.fields = self.boards.fields[0]
        self.fields["dip1"], self.fields["dip2"] = dip1, dip2
        self.frames = 0
        self.checks: list[Callable[[], None]] = []

    def __getitem__(self, address: int) -> int:
        return int(self.ram[address])

    def __setitem__(self, address: int, value: int) -> None:
        self.ram[address] = value & 0xFF

    def cells(self, address: int, count: int) -> list[int]:
        return [int(cell) for cell in self.ram[address : address + count]]

    @property
    def score(self) -> int:
        return bcd(self.ram[SCORE : SCORE + 3])

    @property
    def dying(self) -> bool:
        return self[EDGE] >= 0x80

    def phase(self, seed: int) -> None:
        """Shift the random numbers."""
        self.fields["phase"] = seed * 7919 % 131_071

    def step(self, buttons: int = 0, spinner: int = 0, count: int = 1) -> None:
        """`count` game frames with these controls; runs the checks after each."""
        for _ in range(count):
            self[SPINNER] = spinner
            self.fields["buttons"] = buttons
            self.boards.run()
            error = self.boards.error_text(0)
            if error is not None:
                raise AssertionError(error)
            self.frames += 1
            for check in self.checks:
                check()

    def until(self, state: int, limit: int = 2000, buttons: int = 0) -> None:
        """Steps until the game is in `state`."""
        for _ in range(limit):
            if self[STATE] == state:
                return
            self.step(buttons)
        raise AssertionError(f"state {state:02X} not reached in {limit} frames, now {self[STATE]:02X}")

    def start(self, level: int = 1, players: int = 1) -> None:
        """From attract through the menu to the first frame of play. `level` is one of MENU."""
        self.step(count=4)
        self[CREDITS] = 2
        self.step(START1 if players == 1 else START2, count=2)
        self.step()
        self.until(SELECT)
        self.choose(level)
        self.until(PLAY)

    def choose(self, level: int) -> None:
        """Confirms `level` in the menu."""
        self[LANE] = MENU.index(level)
        self[MENU_LIMIT] = max(self[MENU_LIMIT], MENU.index(level))
        self.step(count=2)
        while self[STATE] == SELECT:
            self.step(FIRE)

    def clear_field(self, pending: int = 1) -> None:
        """No enemies, shots or explosions; `pending` enemies that stay away for long."""
        for address, count in (
            (E_DEPTH, 7),
            (SHOT_DEPTH, 12),
            (TYPE_LIVE, 5),
            (0x30A, 8),
            (NYMPH_HEIGHT, 64),
        ):
            self.ram[address : address + count] = 0
        for address in (IN_TUBE, ON_RIM, SHOTS_PLAYER, SHOTS_ENEMY, EXPLOSIONS):
            self[address] = 0
        self.ram[NYMPH_HEIGHT : NYMPH_HEIGHT + pending] = 0xFF
        self[PENDING] = pending

    def place(self, slot: int, kind: int, lane: int, depth: int, program: int, **more: int) -> None:
        """An enemy in an empty slot, as a birth leaves it; `more`: flags, loop, up (direction bit)."""
        assert self[E_DEPTH + slot] == 0
        self[E_TYPE + slot] = kind | (0x40 if more.get("up") else 0)
        self[E_FLAGS + slot] = more.get("flags", 0)
        self[E_PROGRAM + slot] = program
        self[E_LOOP + slot] = more.get("loop", 0)
        self[E_STAGE + slot] = self[E_TURN + slot] = 1
        self[E_FRACTION + slot] = 0
        self[E_WAIT + slot] = more.get("wait", 255)
        self[E_LANE + slot] = lane
        self[E_EDGE + slot] = 0x20 if kind == FUSEBALL else (lane + 1) & 15
        self[E_DEPTH + slot] = depth
        self[TYPE_LIVE + kind] += 1
        self[ON_RIM if program == RIM_HUNT else IN_TUBE] += 1

    def go_to(self, lane: int) -> None:
        """Puts the player into `lane` at once."""
        self[KNOB_ANGLE] = 16 * lane + 8
        self[LANE], self[EDGE] = lane, (lane + 1) & 15

    def used(self) -> list[int]:
        """Used enemy slots."""
        return [slot for slot in range(7) if self[E_DEPTH + slot]]


_SNAPSHOTS: dict[tuple[int, int, int], bytes] = {}


def playing(level: int = 1, dip1: int = 0, dip2: int = 0) -> Game:
    """A game at the first frame of play of `level`, chosen in the menu; no enemy is near."""
    key = (level, dip1, dip2)
    game = Game(dip1, dip2)
    if key in _SNAPSHOTS:
        game.boards.restore(0, _SNAPSHOTS[key])
    else:
        game.start(level)
        _SNAPSHOTS[key] = game.boards.snapshot(0)
    game.clear_field()
    game.checks.append(Invariants(game))
    return game


class Invariants:
    """What must hold at every bridge point; add it to `Game.checks`."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.state = game[STATE]
        self.score = game.score
        self.spikes_bitten = 0
        self.seen: Counter[tuple[int, int]] = Counter()
        self.levels: set[int] = set()
        self.kinds: Counter[int] = Counter()
        self.frame = game[FRAME]

    def __call__(self) -> None:
        game = self.game
        state = game[STATE]
        assert game[FRAME] == (self.frame + 1) & 0xFF
        self.frame = game[FRAME]
        if state != self.state:
            assert state in NEXT_STATES[self.state] or state in (START, SERVICE), (
                f"{self.state:02X} -> {state:02X}"
            )
            self.seen[self.state, state] += 1
        self.check_scores(state)
        self.state = state
        assert game[LIVES] <= 6
        assert game[LEVEL] <= 98
        if state in (PLAY, DESCENT, DELAY, ZOOM, PAUSE) and game[SCREEN] == 0 and game[PENDING] < 64:
            self.check_field(state)

    def check_scores(self, state: int) -> None:
        game = self.game
        for address in (SCORE, SCORE + 3, *range(HIGH_SCORES, HIGH_SCORES + 24, 3)):
            bcd(game.ram[address : address + 3])
        best = [bcd(game.ram[a : a + 3]) for a in range(HIGH_SCORES, HIGH_SCORES + 24, 3)]
        assert best == sorted(best)
        gain = game.score - self.score
        self.score = game.score
        if gain == 0 or (state in (SELECT, SELECT2) and game.score == 0):
            return
        if state == ZOOM and self.state == NEXT:
            assert gain in START_BONUS
            return
        assert self.state in (PLAY, DESCENT), f"{gain} points in state {self.state:02X}"
        assert is_sum(gain), f"{gain} points in one frame"

    def check_field(self, state: int) -> None:
        cells = self.game.ram.tobytes()
        dying = cells[EDGE] >= 0x80
        last = 14 if cells[OPEN] else 15
        assert cells[OPEN] in (0, 0xFF)
        assert cells[SHAPE] < 16
        assert cells[LANE] <= (15 if state in (DELAY, PAUSE) else last)
        assert dying or cells[EDGE] == (cells[LANE] + 1) & 15
        assert cells[DEPTH] >= RIM
        assert cells[ZAPS] <= 2
        assert cells[ZAP_CLOCK] < 19 or cells[ZAP_CLOCK] == 0xFF
        live = [0] * 5
        on_rim = used = 0
        for slot in range(7):
            depth = cells[E_DEPTH + slot]
            if depth == 0:
                continue
            used += 1
            kind, lane, edge = cells[E_TYPE + slot], cells[E_LANE + slot], cells[E_EDGE + slot]
            assert kind & 0x18 == 0
            live[kind & 7] += 1
            self.kinds[kind & 7] += 1
            assert lane <= (15 if kind & 7 == FUSEBALL else last)
            assert RIM <= depth <= 0xF2
            if kind & 0x80:
                assert edge & 0x80
            elif kind & 7 == FUSEBALL:
                assert edge == 0x20
            else:
                assert edge == (lane + 1) & 15
            on_rim += cells[E_PROGRAM + slot] == RIM_HUNT
        assert list(cells[TYPE_LIVE : TYPE_LIVE + 5]) == live
        assert cells[ON_RIM] == on_rim
        assert cells[IN_TUBE] + cells[ON_RIM] == used
        assert 64 - cells[NYMPH_HEIGHT : NYMPH_HEIGHT + 64].count(0) == cells[PENDING]
        assert max(cells[NYMPH_LANE : NYMPH_LANE + 64]) < 16
        assert 8 - cells[SHOT_DEPTH : SHOT_DEPTH + 8].count(0) == cells[SHOTS_PLAYER]
        assert 4 - cells[E_SHOT_DEPTH : E_SHOT_DEPTH + 4].count(0) == cells[SHOTS_ENEMY]
        for slot in range(12):
            depth = cells[SHOT_DEPTH + slot]
            assert depth == 0 or RIM <= depth <= FAR
            assert depth == 0 or cells[SHOT_LANE + slot] <= last
        assert all(tip == 0 or RIM <= tip < FAR for tip in cells[SPIKE : SPIKE + 16])
        assert 8 - cells[0x30A:0x312].count(0) == cells[EXPLOSIONS]
        self.levels.add(cells[LEVEL] + 1)


_THOUSANDS = (
    *(0, 6, 16, 32, 54, 74, 94, 114, 134, 156, 178, 200, 222, 244),
    *(266, 294, 322, 351, 380, 409, 439, 482, 525, 568, 612, 656, 766, 898),
)
START_BONUS = tuple(1000 * thousands for thousands in _THOUSANDS)
"""Bonus of each entry of MENU."""


def is_sum(points: int) -> bool:
    """Whether some kills and spike hits of one frame make up these points."""
    bites = points % 50
    rest = points - bites
    return bites <= 16 and 0 <= rest <= 7 * 750


def bot(game: Game) -> Iterator[tuple[int, int]]:
    """Buttons and spinner of a player that hunts the nearest enemy, always shoots, zaps those on the rim."""
    while True:
        lane, closed = game[LANE], not game[OPEN]

        def distance(other: int, lane: int = lane, closed: bool = closed) -> int:
            return (other - lane + 8) % 16 - 8 if closed else other - lane

        target, best = lane, 999
        if game[STATE] == DESCENT:
            for candidate, tip in enumerate(game.cells(SPIKE, 16 if closed else 15)):
                cost = (256 - tip if tip else 0) + abs(distance(candidate))
                if cost < best:
                    target, best = candidate, cost
        else:
            for slot in game.used():
                depth, kind = game[E_DEPTH + slot], game[E_TYPE + slot]
                where = game[E_LANE + slot]
                if kind & 7 == FUSEBALL and depth < 0x40:
                    if abs(distance(where)) <= 1:  # nothing else matters: away from it
                        target, best = lane + (3 if distance(where) <= 0 else -3), -1
                        if not closed and not 0 <= target <= 14:
                            target = lane - (3 if distance(where) <= 0 else -3)
                    continue
                if depth <= RIM and not kind & 0x80:
                    depth = 200
                if depth < best:
                    target, best = where, depth
        buttons = FIRE
        if game[ON_RIM] >= 1 and game[FRAME] & 2:
            buttons |= ZAP
        yield buttons, max(-31, min(31, -16 * distance(target)))


def angle(game: Game, lane: int) -> int:
    """Direction of a lane in 22.5 degree steps."""
    return game[ANGLE + (lane & 15)]
