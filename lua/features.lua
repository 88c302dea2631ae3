-- The 195 features of a frame, each within [-1, 1] (ARCADE F.2): values are clamped, never an error.
-- Corrections: enemy shot fractions from $02EE-$02F1; half-way round a closed tube is +8; open tubes have 15 lanes.

local state = require("state")

local min, max = math.min, math.max

local features = {}

-- Names and sizes in order; tempest_gym/features.py holds the same table.
features.LAYOUT = {
  { "game_state", 1 },
  { "game_mode", 1 },
  { "countdown", 1 },
  { "lives", 1 },
  { "player_level", 1 },
  { "player_lane", 1 },
  { "player_alive", 1 },
  { "player_edge", 1 },
  { "player_depth", 1 },
  { "zapper_uses", 1 },
  { "zapper_clock", 1 },
  { "shots_left", 1 },
  { "shot_depth", 8 },
  { "shot_lane", 8 },
  { "level", 1 },
  { "open", 1 },
  { "level_place", 1 },
  { "spike_height", 16 },
  { "lane_angle", 16 },
  { "enemy_count", 5 },
  { "enemy_room", 5 },
  { "in_tube", 1 },
  { "on_rim", 1 },
  { "pending", 1 },
  { "pulsar_flip_wait", 1 },
  { "pulse_step", 1 },
  { "pulse_phase", 1 },
  { "flipper_program", 1 },
  { "hop_threshold", 1 },
  { "enemy_speed", 5 },
  { "enemy_info", 42 }, -- by slot: type, direction, between lanes, away, may shoot, cargo
  { "enemy_lane", 7 },
  { "enemy_depth", 7 },
  { "rim_lane", 7 },
  { "enemy_shot_depth", 4 },
  { "enemy_shot_lane", 4 },
  { "pulsar_depth", 7 },
  { "pulsar_lane", 7 },
  { "top_lane", 7 },
  { "threat_depth", 3 }, -- own lane, the next lower, the next higher
  { "lane_change", 7 },
  { "depth_change", 7 },
}

local at = {}
local count = 0
for _, group in ipairs(features.LAYOUT) do
  at[group[1]] = count
  count = count + group[2]
end
features.COUNT = count

local A, M = state.address, state.memory
local RIM, FAR, PULSAR, PLAY = state.RIM, state.FAR, state.PULSAR, state.PLAY
local relative, signed, bit, at_most, equal = state.relative, state.signed, state.bit, state.at_most, state.equal
local each_lane, each_slot, each_shot, each_enemy_shot =
  state.each_lane, state.each_slot, state.each_shot, state.each_enemy_shot

--- min(byte, limit) / limit, the most common formula.
local function scaled(byte, limit)
  return min(byte, limit) / limit
end

--- x clamped to -limit..limit, over limit; never -0, so that all Lua versions give the same bytes.
local function signed_scaled(x, limit)
  return (max(-limit, min(x, limit)) + 0) / limit
end

--- A relative lane, or -1 where `used` is 0.
local function relative_lane(used, offset)
  return (used * max(-15, min(offset, 15)) - 15 * (1 - used)) / 15
end

-- Local names let LuaJIT take indices and addresses as constants: F_ is the feature, the rest are addresses.
local F_GAME_STATE, GAME_STATE = at.game_state, A.game_state
local F_GAME_MODE, GAME_MODE = at.game_mode, A.game_mode
local F_COUNTDOWN, COUNTDOWN = at.countdown, A.countdown
local F_LIVES, LIVES = at.lives, A.lives
local F_PLAYER_LEVEL, PLAYER_LEVEL = at.player_level, A.player_level
local F_PLAYER_LANE, PLAYER_LANE = at.player_lane, A.player_lane
local F_ALIVE, F_EDGE, EDGE = at.player_alive, at.player_edge, A.player_edge
local F_PLAYER_DEPTH, PLAYER_DEPTH = at.player_depth, A.player_depth
local F_ZAPPER_USES, ZAPPER_USES = at.zapper_uses, A.zapper_uses
local F_ZAPPER_CLOCK, ZAPPER_CLOCK = at.zapper_clock, A.zapper_clock
local F_SHOTS_LEFT, SHOTS_FLYING = at.shots_left, A.shots_flying
local F_SHOT_DEPTH, SHOT_DEPTH = at.shot_depth, A.shot_depth
local F_SHOT_LANE, SHOT_LANE = at.shot_lane, A.shot_lane

local function write_shot(shot, ram, out, player, open)
  local depth = ram[SHOT_DEPTH + shot]
  out[F_SHOT_DEPTH + shot] = depth / 256
  out[F_SHOT_LANE + shot] = relative_lane(min(depth, 1), relative(player, ram[SHOT_LANE + shot] % 16, open))
end

local function write_player(ram, out, player, open)
  out[F_GAME_STATE] = scaled(ram[GAME_STATE], 36)
  out[F_GAME_MODE] = ram[GAME_MODE] / 255
  out[F_COUNTDOWN] = ram[COUNTDOWN] / 255
  out[F_LIVES] = scaled(ram[LIVES], 6)
  out[F_PLAYER_LEVEL] = scaled(ram[PLAYER_LEVEL], 98)
  out[F_PLAYER_LANE] = scaled(ram[PLAYER_LANE], 15)
  out[F_ALIVE] = 1 - bit(ram[EDGE], 128)
  out[F_EDGE] = ram[EDGE] % 16 / 15
  out[F_PLAYER_DEPTH] = ram[PLAYER_DEPTH] / 255
  out[F_ZAPPER_USES] = scaled(ram[ZAPPER_USES], 2)
  out[F_ZAPPER_CLOCK] = scaled(ram[ZAPPER_CLOCK], 19)
  out[F_SHOTS_LEFT] = (8 - min(ram[SHOTS_FLYING], 8)) / 8
  each_shot(write_shot, ram, out, player, open)
end

local F_LEVEL, LEVEL, F_PLACE, F_OPEN = at.level, A.level, at.level_place, at.open
local F_SPIKE, SPIKE = at.spike_height, A.spike
local F_ANGLE, ANGLE = at.lane_angle, A.lane_angle

local function write_lane(lane, ram, out)
  local tip = ram[SPIKE + lane]
  out[F_SPIKE + lane] = (255 - tip) * min(tip, 1) / 255
  out[F_ANGLE + lane] = scaled(ram[ANGLE + lane], 15)
end

local F_COUNT, COUNT = at.enemy_count, A.enemy_count
local F_ROOM, ROOM = at.enemy_room, A.enemy_room
local F_SPEED, SPEED_LOW, SPEED_HIGH = at.enemy_speed, A.speed_low, A.speed_high

local function write_type(kind, ram, out)
  out[F_COUNT + kind] = scaled(ram[COUNT + kind], 7)
  out[F_ROOM + kind] = scaled(ram[ROOM + kind], 7)
  out[F_SPEED + kind] = signed_scaled(256 * signed(ram[SPEED_HIGH + kind]) + ram[SPEED_LOW + kind], 2560)
end

local F_IN_TUBE, IN_TUBE = at.in_tube, A.in_tube
local F_ON_RIM, ON_RIM = at.on_rim, A.on_rim
local F_PENDING, PENDING = at.pending, A.pending
local F_FLIP_WAIT, FLIP_WAIT = at.pulsar_flip_wait, A.pulsar_flip_wait
local F_PULSE_STEP, PULSE_STEP = at.pulse_step, A.pulse_step
local F_PULSE_PHASE, PULSE_PHASE = at.pulse_phase, A.pulse_phase
local F_PROGRAM, PROGRAM = at.flipper_program, A.flipper_program
local F_HOP, HOP = at.hop_threshold, A.hop_threshold

local function write_level(ram, out, open)
  out[F_LEVEL] = scaled(ram[LEVEL], 98)
  out[F_OPEN] = open
  out[F_PLACE] = ram[LEVEL] % 16 / 15
  each_lane(write_lane, ram, out)
  write_type(0, ram, out)
  write_type(1, ram, out)
  write_type(2, ram, out)
  write_type(3, ram, out)
  write_type(4, ram, out)
  out[F_IN_TUBE] = scaled(ram[IN_TUBE], 7)
  out[F_ON_RIM] = scaled(ram[ON_RIM], 7)
  out[F_PENDING] = scaled(ram[PENDING], 63)
  out[F_FLIP_WAIT] = scaled(ram[FLIP_WAIT], 40)
  out[F_PULSE_STEP] = signed_scaled(signed(ram[PULSE_STEP]), 12)
  out[F_PULSE_PHASE] = ram[PULSE_PHASE] / 255
  out[F_PROGRAM] = scaled(ram[PROGRAM], 135)
  out[F_HOP] = ram[HOP] / 255
end

local F_INFO, INFO, FLAGS = at.enemy_info, A.enemy_info, A.enemy_flags

local function write_info(slot, ram, out)
  local used, info, flags = min(ram[A.enemy_depth + slot], 1), ram[INFO + slot], ram[FLAGS + slot]
  local place = F_INFO + 6 * slot
  out[place] = used * (info % 8) / 7
  out[place + 1] = used * bit(info, 64)
  out[place + 2] = used * bit(info, 128)
  out[place + 3] = used * bit(flags, 128)
  out[place + 4] = used * bit(flags, 64)
  out[place + 5] = used * (flags % 4) / 3
end

local TYPE, DEPTH, OFFSET = M.enemy_type, M.enemy_depth, M.enemy_offset
local F_LANE, F_DEPTH, F_RIM, F_TOP = at.enemy_lane, at.enemy_depth, at.rim_lane, at.top_lane
local F_PULSAR_DEPTH, F_PULSAR_LANE = at.pulsar_depth, at.pulsar_lane

local function write_place(slot, mem, out)
  local kind, depth, offset = mem[TYPE + slot], mem[DEPTH + slot], mem[OFFSET + slot]
  local used = min(depth, 1)
  local pulsar = used * equal(kind, PULSAR)
  local flips = used * at_most(kind, PULSAR) -- a flipper or a pulsar
  out[F_LANE + slot] = relative_lane(used, offset)
  out[F_DEPTH + slot] = depth / 255
  out[F_RIM + slot] = relative_lane(used * equal(depth, RIM), offset)
  out[F_PULSAR_DEPTH + slot] = pulsar * depth / 255
  out[F_PULSAR_LANE + slot] = relative_lane(pulsar, offset)
  out[F_TOP + slot] = relative_lane(flips * at_most(depth, RIM), offset)
end

local LANE, LAST_TYPE, LAST_LANE, LAST_DEPTH = M.enemy_lane, M.last_type, M.last_lane, M.last_depth
local F_LANE_CHANGE, F_DEPTH_CHANGE = at.lane_change, at.depth_change

local function write_change(slot, mem, out, open, playing)
  local depth, last = mem[DEPTH + slot], mem[LAST_DEPTH + slot]
  local same = playing * min(depth, 1) * min(last, 1) * equal(mem[TYPE + slot], mem[LAST_TYPE + slot])
  out[F_LANE_CHANGE + slot] = signed_scaled(same * relative(mem[LAST_LANE + slot], mem[LANE + slot], open), 8)
  out[F_DEPTH_CHANGE + slot] = signed_scaled(same * (depth - last), 128)
end

local F_ENEMY_SHOT_DEPTH, ENEMY_SHOT_DEPTH, ENEMY_SHOT_FRACTION =
  at.enemy_shot_depth, A.enemy_shot_depth, A.enemy_shot_fraction
local F_ENEMY_SHOT_LANE, ENEMY_SHOT_LANE = at.enemy_shot_lane, A.enemy_shot_lane

local function write_enemy_shot(shot, ram, out, player, open)
  local depth = ram[ENEMY_SHOT_DEPTH + shot]
  local used, lane = min(depth, 1), ram[ENEMY_SHOT_LANE + shot] % 16
  out[F_ENEMY_SHOT_DEPTH + shot] = used * (depth + ram[ENEMY_SHOT_FRACTION + shot] / 256) / 256
  out[F_ENEMY_SHOT_LANE + shot] = relative_lane(used, relative(player, lane, open))
end

local NEAREST, F_THREAT = M.nearest, at.threat_depth

--- Least depth of spike tip, enemies and enemy shots in a lane; FAR for none and beyond the ends of an open tube.
local function threat(ram, mem, lane, open)
  local off, place = state.off_board(lane, open), lane % 16
  local tip = ram[SPIKE + place]
  local depth = min(mem[NEAREST + place], tip + FAR * (1 - min(tip, 1)))
  return depth + off * (FAR - depth)
end

--- Write all features of the frame that `state.decode` has just decoded.
function features.write(ram, mem, out)
  local open, player = min(ram[A.open], 1), ram[PLAYER_LANE] % 16
  write_player(ram, out, player, open)
  write_level(ram, out, open)
  each_slot(write_info, ram, out)
  each_slot(write_place, mem, out)
  each_enemy_shot(write_enemy_shot, ram, out, player, open)
  out[F_THREAT] = threat(ram, mem, player, open) / 255
  out[F_THREAT + 1] = threat(ram, mem, player - 1, open) / 255
  out[F_THREAT + 2] = threat(ram, mem, player + 1, open) / 255
  each_slot(write_change, mem, out, open, equal(ram[GAME_STATE], PLAY))
end

return features
