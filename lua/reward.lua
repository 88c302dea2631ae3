-- Rewards of a frame (ARCADE H): objective in points, subjective within -5..5. Attract mode and menus give none.

local state = require("state")

local A, M = state.address, state.memory
local PLAY, DESCENT, START, SELECT = state.PLAY, state.DESCENT, state.START, state.SELECT
local GAME_STATE, OPEN = A.game_state, A.open
local LEVEL, SCORE, USES, WAVE, WAVE_OPEN = M.level, M.score, M.zapper_uses, M.wave, M.wave_open
local REAL, ALIVE, PLAYER_LANE, MOVED, NEAREST = M.real, M.alive, M.player_lane, M.moved, M.nearest
local RAM_SCORE, RAM_LEVEL, RAM_USES, PENDING = A.score, A.level, A.zapper_uses, A.pending

local DEATH = -1000
local ZAP_PENALTY = 1000 -- for a zap when the whole wave is still to come
local LARGEST_CHANGE = 1000 -- bonuses and resets are at least this
local SCORE_WRAP = 1000000
local DANGER_DEPTH = 0x80
local LANE_WORTH = 2.0

local reward = {}

--- Keep the number of enemies a level began with: it follows the game until the level is first played.
local function follow_wave(ram, mem, new_game)
  if new_game or ram[RAM_LEVEL] ~= mem[LEVEL] then
    mem[WAVE_OPEN] = 1
  end
  if mem[WAVE_OPEN] == 1 then
    mem[WAVE] = ram[PENDING]
    if ram[GAME_STATE] == PLAY then
      mem[WAVE_OPEN] = 0
    end
  end
  mem[LEVEL] = ram[RAM_LEVEL]
end

--- The objective reward and 1 if the player died in this frame. Remembers this frame's score, level and zaps.
function reward.objective(ram, mem, was_real, was_alive)
  local real = mem[REAL] == 1
  local new_game = real and (was_real == 0 or ram[GAME_STATE] == START or ram[GAME_STATE] == SELECT)
  local score, uses = state.score(ram, RAM_SCORE), ram[RAM_USES]
  local before, used = new_game and score or mem[SCORE], mem[USES]
  follow_wave(ram, mem, new_game)
  mem[SCORE] = score
  mem[USES] = uses
  if not real then
    return 0, 0
  end
  if was_real == 1 and was_alive == 1 and mem[ALIVE] == 0 then
    return DEATH, 1
  end
  local points = 0
  local change = (score - before) % SCORE_WRAP
  if change < LARGEST_CHANGE then
    points = change
  end
  if uses > used and mem[WAVE] > 0 then
    points = points - ZAP_PENALTY * ram[PENDING] / mem[WAVE]
  end
  return points, 0
end

local function worth(mem, lane, open, weight)
  if open == 1 and (lane < 0 or lane > 14) then
    return 0
  end
  return mem[NEAREST + lane % 16] <= DANGER_DEPTH and -weight or weight
end

--- The subjective reward: safe lanes around the player count for, dangerous ones against; half for standing still.
function reward.subjective(ram, mem)
  local game_state = ram[GAME_STATE]
  if mem[REAL] == 0 or mem[ALIVE] == 0 or (game_state ~= PLAY and game_state ~= DESCENT) then
    return 0
  end
  local lane, open = mem[PLAYER_LANE], state.is_open(ram)
  local sum = worth(mem, lane, open, 1)
    + worth(mem, lane - 1, open, 0.5)
    + worth(mem, lane + 1, open, 0.5)
    + worth(mem, lane - 2, open, 0.25)
    + worth(mem, lane + 2, open, 0.25)
  return LANE_WORTH * sum * (mem[MOVED] == 1 and 1 or 0.5)
end

return reward
