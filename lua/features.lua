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
local SLOTS, RIM, FAR, LANES = state.SLOTS, state.RIM, state.FAR, state.LANES
local PULSAR, PLAY = state.PULSAR, state.PLAY
local relative, signed = state.relative, state.signed

-- Features that are min(byte, limit) / limit: name, address, number of bytes, limit.
local BYTES = {
  { "game_state", A.game_state, 1, 36 },
  { "game_mode", A.game_mode, 1, 255 },
  { "countdown", A.countdown, 1, 255 },
  { "lives", A.lives, 1, 6 },
  { "player_level", A.player_level, 1, 98 },
  { "player_lane", A.player_lane, 1, 15 },
  { "player_depth", A.player_depth, 1, 255 },
  { "zapper_uses", A.zapper_uses, 1, 2 },
  { "zapper_clock", A.zapper_clock, 1, 19 },
  { "shot_depth", A.shot_depth, 8, 256 },
  { "level", A.level, 1, 98 },
  { "open", A.open, 1, 1 },
  { "lane_angle", A.lane_angle, 16, 15 },
  { "enemy_count", A.enemy_count, 5, 7 },
  { "enemy_room", A.enemy_room, 5, 7 },
  { "in_tube", A.in_tube, 1, 7 },
  { "on_rim", A.on_rim, 1, 7 },
  { "pending", A.pending, 1, 63 },
  { "pulsar_flip_wait", A.pulsar_flip_wait, 1, 40 },
  { "pulse_phase", A.pulse_phase, 1, 255 },
  { "flipper_program", A.flipper_program, 1, 135 },
  { "hop_threshold", A.hop_threshold, 1, 255 },
}
local byte_feature, byte_address, byte_limit, byte_count = {}, {}, {}, 0
for _, entry in ipairs(BYTES) do
  for i = 0, entry[3] - 1 do
    byte_count = byte_count + 1
    byte_feature[byte_count] = at[entry[1]] + i
    byte_address[byte_count] = entry[2] + i
    byte_limit[byte_count] = entry[4]
  end
end

--- x clamped to -m..m, over m; never -0, so that all Lua versions give the same bytes.
local function signed_scaled(x, m)
  return (max(-m, min(x, m)) + 0) / m
end

--- A relative lane, or -1 where `used` is 0: one formula without branches, exact for both.
local function relative_lane(used, offset)
  return (used * max(-15, min(offset, 15)) - 15 * (1 - used)) / 15
end

local PLAYER_LANE, PLAYER_EDGE, SHOTS_FLYING, LEVEL, PULSE_STEP = A.player_lane, A.player_edge, A.shots_flying, A.level, A.pulse_step
local OUT_ALIVE, OUT_EDGE, OUT_SHOTS_LEFT = at.player_alive, at.player_edge, at.shots_left
local OUT_PLACE, OUT_PULSE_STEP = at.level_place, at.pulse_step
local SPEED_LOW, SPEED_HIGH, OUT_SPEED = A.speed_low, A.speed_high, at.enemy_speed
local SHOT_DEPTH, SHOT_LANE, OUT_SHOT_LANE = A.shot_depth, A.shot_lane, at.shot_lane
local SPIKE, OUT_SPIKE = A.spike, at.spike_height

--- The game, the player and the level: whatever is no enemy.
local function write_scene(ram, open, player, out)
  for i = 1, byte_count do
    out[byte_feature[i]] = min(ram[byte_address[i]], byte_limit[i]) / byte_limit[i]
  end
  local edge = ram[PLAYER_EDGE]
  out[OUT_ALIVE] = 1 - (edge - edge % 128) / 128
  out[OUT_EDGE] = edge % 16 / 15
  out[OUT_SHOTS_LEFT] = (8 - min(ram[SHOTS_FLYING], 8)) / 8
  out[OUT_PLACE] = ram[LEVEL] % 16 / 15
  out[OUT_PULSE_STEP] = signed_scaled(signed(ram[PULSE_STEP]), 12)
  for kind = 0, 4 do
    local speed = 256 * signed(ram[SPEED_HIGH + kind]) + ram[SPEED_LOW + kind]
    out[OUT_SPEED + kind] = signed_scaled(speed, 2560)
  end
  for shot = 0, state.SHOTS - 1 do
    local used = min(ram[SHOT_DEPTH + shot], 1)
    out[OUT_SHOT_LANE + shot] = relative_lane(used, relative(player, ram[SHOT_LANE + shot] % 16, open))
  end
  for lane = 0, LANES - 1 do
    local depth = ram[SPIKE + lane]
    out[OUT_SPIKE + lane] = (255 - depth) * min(depth, 1) / 255
  end
end

local ENEMY_INFO, ENEMY_FLAGS, ENEMY_DEPTH = A.enemy_info, A.enemy_flags, A.enemy_depth
local OUT_INFO = at.enemy_info
local TYPE, LANE, DEPTH, OFFSET = M.enemy_type, M.enemy_lane, M.enemy_depth, M.enemy_offset
local LAST_TYPE, LAST_LANE, LAST_DEPTH = M.last_type, M.last_lane, M.last_depth
local OUT_LANE, OUT_DEPTH, OUT_RIM, OUT_TOP = at.enemy_lane, at.enemy_depth, at.rim_lane, at.top_lane
local OUT_PULSAR_DEPTH, OUT_PULSAR_LANE = at.pulsar_depth, at.pulsar_lane
local OUT_LANE_CHANGE, OUT_DEPTH_CHANGE = at.lane_change, at.depth_change

--- The seven enemy slots. Comparisons are arithmetic on 0 and 1, so that a compiled trace never branches on the data.
local function write_enemies(ram, mem, open, playing, out)
  for slot = 0, SLOTS - 1 do
    local info, flags = ram[ENEMY_INFO + slot], ram[ENEMY_FLAGS + slot]
    local used = min(ram[ENEMY_DEPTH + slot], 1)
    local place = OUT_INFO + 6 * slot
    local low = info % 128
    out[place] = used * (info % 8) / 7
    out[place + 1] = used * (low - low % 64) / 64
    out[place + 2] = used * (info - low) / 128
    low = flags % 128
    out[place + 3] = used * (flags - low) / 128
    out[place + 4] = used * (low - low % 64) / 64
    out[place + 5] = used * (flags % 4) / 3

    local kind, depth, offset = mem[TYPE + slot], mem[DEPTH + slot], mem[OFFSET + slot]
    local at_rim = used * (1 - min(max(depth - RIM, RIM - depth), 1))
    local above_rim = used * (1 - min(max(depth - RIM, 0), 1))
    local pulsar = used * (1 - min(max(kind - PULSAR, PULSAR - kind), 1))
    local flips = used * (1 - min(max(kind - PULSAR, 0), 1)) -- flipper or pulsar
    out[OUT_LANE + slot] = relative_lane(used, offset)
    out[OUT_DEPTH + slot] = depth / 255
    out[OUT_RIM + slot] = relative_lane(at_rim, offset)
    out[OUT_PULSAR_DEPTH + slot] = pulsar * depth / 255
    out[OUT_PULSAR_LANE + slot] = relative_lane(pulsar, offset)
    out[OUT_TOP + slot] = relative_lane(flips * above_rim, offset)

    local was, last = mem[LAST_TYPE + slot], mem[LAST_DEPTH + slot]
    local same = playing * used * min(last, 1) * (1 - min(max(kind - was, was - kind), 1))
    out[OUT_LANE_CHANGE + slot] = signed_scaled(same * relative(mem[LAST_LANE + slot], mem[LANE + slot], open), 8)
    out[OUT_DEPTH_CHANGE + slot] = signed_scaled(same * (depth - last), 128)
  end
end

local ENEMY_SHOT_LANE, ENEMY_SHOT_DEPTH, ENEMY_SHOT_FRACTION = A.enemy_shot_lane, A.enemy_shot_depth, A.enemy_shot_fraction
local OUT_ENEMY_SHOT_LANE, OUT_ENEMY_SHOT_DEPTH = at.enemy_shot_lane, at.enemy_shot_depth
local NEAREST, OUT_THREAT = M.nearest, at.threat_depth

local function write_enemy_shots(ram, open, player, out)
  for shot = 0, state.ENEMY_SHOTS - 1 do
    local depth = ram[ENEMY_SHOT_DEPTH + shot]
    local used = min(depth, 1)
    local lane = ram[ENEMY_SHOT_LANE + shot] % 16
    out[OUT_ENEMY_SHOT_DEPTH + shot] = used * (depth + ram[ENEMY_SHOT_FRACTION + shot] / 256) / 256
    out[OUT_ENEMY_SHOT_LANE + shot] = relative_lane(used, relative(player, lane, open))
  end
end

--- Least depth of spike tip, enemies and enemy shots in a lane; FAR for none and beyond the ends of an open tube.
local function threat(ram, mem, open, lane)
  if open == 1 and (lane < 0 or lane > 14) then
    return FAR
  end
  lane = lane % 16
  local tip = ram[SPIKE + lane]
  return min(mem[NEAREST + lane], tip + FAR * (1 - min(tip, 1)))
end

--- Write all features of the frame that `state.decode` has just decoded.
function features.write(ram, mem, out)
  local open, player = state.is_open(ram), ram[PLAYER_LANE] % 16
  local playing = ram[A.game_state] == PLAY and 1 or 0
  write_scene(ram, open, player, out)
  write_enemies(ram, mem, open, playing, out)
  write_enemy_shots(ram, open, player, out)
  out[OUT_THREAT] = threat(ram, mem, open, player) / 255
  out[OUT_THREAT + 1] = threat(ram, mem, open, player - 1) / 255
  out[OUT_THREAT + 2] = threat(ram, mem, open, player + 1) / 255
end

return features
