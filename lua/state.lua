-- The game's RAM by name, what the Lua remembers between frames, and the decoding that features, expert
-- and reward share. Facts: ARCADE A (addresses), F.1 (relative and fractional lanes).
--
-- `ram` is indexed by address from 0; `mem` holds one environment's memory, doubles indexed from 0. Both may
-- be FFI pointers or tables. No module keeps anything of its own between calls.

local min, max, floor = math.min, math.max, math.floor

local state = {}

state.LANES = 16
state.RIM = 0x10 -- depth of the rim
state.FAR = 255 -- "nothing in this lane"

state.FLIPPER, state.PULSAR, state.TANKER, state.SPIKER, state.FUSEBALL = 0, 1, 2, 3, 4

-- Game states (ARCADE A.2).
state.START, state.LOAD, state.PLAY, state.LIFE_LOST, state.DEMO_END = 0x00, 0x02, 0x04, 0x06, 0x08
state.DELAY, state.NEXT_LEVEL, state.GAME_OVER, state.INITIALS = 0x0A, 0x0E, 0x10, 0x12
state.ATTRACT, state.SELECT, state.ZOOM, state.LOGO = 0x14, 0x16, 0x18, 0x1A
state.SELECT_SECOND, state.PAUSE, state.DESCENT, state.SCORE_SHOW = 0x1C, 0x1E, 0x20, 0x24

state.address = {
  game_state = 0x00,
  frame_counter = 0x03,
  countdown = 0x04,
  game_mode = 0x05,
  credits = 0x06,
  score = 0x40, -- three BCD bytes, low first
  player_level = 0x46,
  lives = 0x48,
  buttons = 0x4D,
  spinner = 0x50,
  level = 0x9F,
  pulsar_flip_wait = 0xB2,
  in_tube = 0x0108,
  on_rim = 0x0109,
  open = 0x0111,
  zapper_clock = 0x0125,
  select_limit = 0x0127,
  shots_flying = 0x0135,
  enemy_room = 0x013D,
  enemy_count = 0x0142,
  pulse_step = 0x0147,
  pulse_phase = 0x0148,
  pulse_reach = 0x0157,
  flipper_program = 0x015D,
  hop_threshold = 0x015F,
  speed_low = 0x0160,
  speed_high = 0x0165,
  player_lane = 0x0200,
  player_edge = 0x0201,
  player_depth = 0x0202,
  enemy_info = 0x0283,
  enemy_flags = 0x028A,
  shot_lane = 0x02AD,
  enemy_shot_lane = 0x02B5,
  enemy_lane = 0x02B9,
  enemy_angle = 0x02CC,
  shot_depth = 0x02D3,
  enemy_shot_depth = 0x02DB,
  enemy_depth = 0x02DF,
  enemy_shot_fraction = 0x02EE,
  zapper_uses = 0x03AA,
  pending = 0x03AB,
  spike = 0x03AC,
  lane_angle = 0x03EE,
}

-- First and last address of every stretch of RAM that any module reads: a caller that fills a table needs only these.
state.RANGES = {
  { 0x00, 0x06 },
  { 0x40, 0x50 },
  { 0x9F, 0x9F },
  { 0xB2, 0xB2 },
  { 0x0108, 0x0169 },
  { 0x0200, 0x0202 },
  { 0x0283, 0x02F1 },
  { 0x03AA, 0x03BB },
  { 0x03EE, 0x03FD },
}

-- Names and sizes of what lies in `mem`.
local MEMORY = {
  { "random", 1 }, -- state of the random generator
  { "start_level", 1 }, -- 1-based level to choose in the level select
  { "menu", 1 }, -- number of the game's level select in the pilot's table
  { "frames", 1 }, -- frames processed so far
  { "in_game", 1 }, -- 1 between the first decision frame of a game and its end
  { "real", 1 }, -- this frame belongs to a real game, not to the attract mode
  { "alive", 1 },
  { "decision", 1 }, -- the player may act in this frame
  { "player_lane", 1 },
  { "moved", 1 }, -- the player's lane differs from the last frame's
  { "score", 1 }, -- of the six digits that the game keeps
  { "million", 1 }, -- points beyond these: a million for each time they passed 999,999
  { "zapper_uses", 1 },
  { "level", 1 },
  { "wave", 1 }, -- enemies pending at the start of the level
  { "wave_open", 1 }, -- 1 until the level is played, while `wave` still follows the game
  { "zap_wait", 1 }, -- frames until the expert may use the superzapper again
  { "fire", 1 }, -- commanded last, as are the next two
  { "zap", 1 },
  { "spinner", 1 },
  { "enemy_type", 7 },
  { "enemy_lane", 7 },
  { "enemy_depth", 7 },
  { "enemy_offset", 7 }, -- fractional lane relative to the player
  { "last_type", 7 },
  { "last_lane", 7 },
  { "last_depth", 7 },
  { "passed", 1 }, -- of one call of the in-process host: frames, decision frames, deaths, and sums of rewards
  { "decisions", 1 },
  { "deaths", 1 },
  { "objective", 1 },
  { "subjective", 1 },
  { "nearest", 16 }, -- least depth of enemies and enemy shots by lane, FAR if none
  { "unsafe", 16 }, -- the expert's: marks of lanes to keep away from
  { "crowd", 1 }, -- enemies near the rim
  { "prey", 1 }, -- the cost of the best prey and the way to it
}

state.memory = {}
local size = 0
for _, field in ipairs(MEMORY) do
  state.memory[field[1]] = size
  size = size + field[2]
end
state.MEMORY = size

-- Arithmetic in the place of branches and loops: LuaJIT compiles a frame into one stretch of straight code, and a
-- branch that depends on the data would cost it another stretch for each way things can go. The functions below
-- give 0 or 1 for whole numbers; the ones after them call `f(i, ...)` for every slot, shot or lane.

--- Bit of a byte by its weight, as 0 or 1.
function state.bit(byte, weight)
  local low = byte % (2 * weight)
  return (low - low % weight) / weight
end

--- 1 if x <= limit.
function state.at_most(x, limit)
  return 1 - min(1, max(0, x - limit))
end

--- 1 if x == y.
function state.equal(x, y)
  return 1 - min(1, max(x - y, y - x))
end

function state.each_enemy_shot(f, a, b, c, d, e)
  f(0, a, b, c, d, e)
  f(1, a, b, c, d, e)
  f(2, a, b, c, d, e)
  f(3, a, b, c, d, e)
end

function state.each_slot(f, a, b, c, d, e)
  f(0, a, b, c, d, e)
  f(1, a, b, c, d, e)
  f(2, a, b, c, d, e)
  f(3, a, b, c, d, e)
  f(4, a, b, c, d, e)
  f(5, a, b, c, d, e)
  f(6, a, b, c, d, e)
end

function state.each_shot(f, a, b, c, d, e)
  state.each_slot(f, a, b, c, d, e)
  f(7, a, b, c, d, e)
end

function state.each_lane(f, a, b, c, d, e)
  state.each_shot(f, a, b, c, d, e)
  f(8, a, b, c, d, e)
  f(9, a, b, c, d, e)
  f(10, a, b, c, d, e)
  f(11, a, b, c, d, e)
  f(12, a, b, c, d, e)
  f(13, a, b, c, d, e)
  f(14, a, b, c, d, e)
  f(15, a, b, c, d, e)
end

local A, M = state.address, state.memory
local FAR, FUSEBALL = state.FAR, state.FUSEBALL
local OPEN, PLAYER_LANE = A.open, A.player_lane
local ENEMY_INFO, ENEMY_LANE, ENEMY_DEPTH, ENEMY_ANGLE = A.enemy_info, A.enemy_lane, A.enemy_depth, A.enemy_angle
local ENEMY_SHOT_LANE, ENEMY_SHOT_DEPTH, LANE_ANGLE = A.enemy_shot_lane, A.enemy_shot_depth, A.lane_angle
local TYPE, LANE, DEPTH, OFFSET = M.enemy_type, M.enemy_lane, M.enemy_depth, M.enemy_offset
local LAST_TYPE, LAST_LANE, LAST_DEPTH, NEAREST = M.last_type, M.last_lane, M.last_depth, M.nearest
local RANDOM = M.random
local bit, equal = state.bit, state.equal
local each_lane, each_slot, each_enemy_shot = state.each_lane, state.each_slot, state.each_enemy_shot

--- 1 for an open tube, else 0.
function state.is_open(ram)
  local open = min(ram[OPEN], 1)
  return open
end

--- Lanes from `origin` to `lane`: on a closed tube (open = 0) the shorter way, -7..8; on an open one -15..15.
function state.relative(origin, lane, open)
  local distance = lane - origin
  local wrapped = (distance + 7) % 16 - 7
  return wrapped + open * (distance - wrapped)
end
local relative = state.relative

--- 1 for a lane that does not exist: beyond the ends of an open tube, whose lanes are 0-14.
function state.off_board(lane, open)
  return open * min(1, max(0, -lane) + max(0, lane - 14))
end

--- A score in points from its three BCD bytes, low first.
function state.score(ram, address)
  local low, mid, high = ram[address], ram[address + 1], ram[address + 2]
  return low - 6 * floor(low / 16) + 100 * (mid - 6 * floor(mid / 16)) + 10000 * (high - 6 * floor(high / 16))
end

--- A byte as a signed number.
function state.signed(byte)
  return (byte + 128) % 256 - 128
end

--- How far, 0..1, a flipping enemy has turned from its old lane into its new one (ARCADE F.1).
local function flip_progress(ram, angle, lane, rising)
  local here = ram[LANE_ANGLE + lane]
  local turned = ram[LANE_ANGLE + (lane - 1) % 16] + 8
  local total = (turned - here) % 16
  local travelled = rising * ((turned - angle) % 16) + (1 - rising) * ((angle - here) % 16)
  local turns = min(total, 1)
  return turns * min(travelled / (total + 1 - turns), 1)
end

local function clear_lane(lane, mem)
  mem[NEAREST + lane] = FAR
end

local function note_depth(mem, lane, depth)
  local place = NEAREST + lane
  mem[place] = min(mem[place], depth + 256 * (1 - min(depth, 1))) -- an unused slot counts as beyond FAR
end

local function decode_slot(slot, ram, mem, open, player)
  mem[LAST_TYPE + slot] = mem[TYPE + slot]
  mem[LAST_LANE + slot] = mem[LANE + slot]
  mem[LAST_DEPTH + slot] = mem[DEPTH + slot]
  local info, lane, depth = ram[ENEMY_INFO + slot], ram[ENEMY_LANE + slot] % 16, ram[ENEMY_DEPTH + slot]
  local kind, rising = info % 8, bit(info, 64)
  local flipping = bit(info, 128) * (1 - equal(kind, FUSEBALL)) * min(depth, 1)
  local progress = flip_progress(ram, ram[ENEMY_ANGLE + slot] % 16, lane, rising)
  local offset = relative(player, lane, open) + flipping * (rising * (progress - 1) - (1 - rising) * progress)
  if open == 0 and offset <= -8 then
    offset = offset + 16
  end
  mem[TYPE + slot] = kind
  mem[LANE + slot] = lane
  mem[DEPTH + slot] = depth
  mem[OFFSET + slot] = offset
  note_depth(mem, lane, depth)
end

local function decode_enemy_shot(shot, ram, mem)
  note_depth(mem, ram[ENEMY_SHOT_LANE + shot] % 16, ram[ENEMY_SHOT_DEPTH + shot])
end

--- Decode enemies and enemy shots from `ram` into `mem`; what was there becomes the last frame's.
function state.decode(ram, mem)
  each_lane(clear_lane, mem)
  each_slot(decode_slot, ram, mem, min(ram[OPEN], 1), ram[PLAYER_LANE] % 16)
  each_enemy_shot(decode_enemy_shot, ram, mem)
end

--- Start the random generator from any whole number of 0 or more.
function state.seed(mem, seed)
  mem[RANDOM] = seed % 2147483646 + 1
  for _ = 1, 4 do
    state.random(mem)
  end
end

--- A random number within (0, 1): Park and Miller's generator with multiplier 48271, exact in doubles.
function state.random(mem)
  local value = mem[RANDOM] * 48271 % 2147483647
  mem[RANDOM] = value
  return value / 2147483647
end

return state
