-- Rewards of a frame (ARCADE H): objective in points, subjective within -5..5. Attract mode and menus give none.

local state = require("state")

local min, max = math.min, math.max

local A, M = state.address, state.memory
local PLAY, START, SELECT = state.PLAY, state.START, state.SELECT
local at_most, equal, off_board = state.at_most, state.equal, state.off_board
local RAM_SCORE, RAM_LEVEL, RAM_USES, PENDING = A.score, A.level, A.zapper_uses, A.pending
local LEVEL, SCORE, MILLION, USES = M.level, M.score, M.million, M.zapper_uses
local WAVE, WAVE_OPEN = M.wave, M.wave_open
local REAL, ALIVE, DECISION = M.real, M.alive, M.decision
local PLAYER_LANE, MOVED, NEAREST = M.player_lane, M.moved, M.nearest

local DEATH = 1000
local ZAP_PENALTY = 1000 -- for a zap before the wave has started
local LARGEST_GAIN = 999 -- greater changes are bonuses and resets
local SCORE_WRAP = 1000000
local LARGEST_DROP = 500000 -- a score that falls by more within a game has passed its last digit
local DANGER_DEPTH = 0x80
local LANE_WORTH = 2.0

local reward = {}

--- The number of enemies at the level's start: it follows the game until the level is first played.
local function follow_wave(ram, mem, game_state, new_game)
  local level, pending = ram[RAM_LEVEL], ram[PENDING]
  local open = max(mem[WAVE_OPEN], max(new_game, 1 - equal(level, mem[LEVEL])))
  local wave = open * pending + (1 - open) * mem[WAVE]
  mem[LEVEL] = level
  mem[WAVE] = wave
  mem[WAVE_OPEN] = open * (1 - equal(game_state, PLAY))
  return wave, pending
end

--- The objective reward, and 1 if the player died in this frame. Remembers this frame's score, level and zaps;
-- `was_real` and `was_alive` are those of the frame before.
function reward.objective(ram, mem, game_state, was_real, was_alive)
  local real = mem[REAL]
  local starting = max(1 - was_real, max(equal(game_state, START), equal(game_state, SELECT)))
  local wave, pending = follow_wave(ram, mem, game_state, real * starting)
  local score, uses = state.score(ram, RAM_SCORE), ram[RAM_USES]
  local gain = (score - mem[SCORE]) % SCORE_WRAP
  local zapped = min(1, max(0, uses - mem[USES]))
  local wrapped = real * was_real * (1 - starting) * (1 - at_most(mem[SCORE] - score, LARGEST_DROP))
  mem[MILLION] = (1 - real * starting) * mem[MILLION] + wrapped * SCORE_WRAP
  mem[SCORE] = score
  mem[USES] = uses
  local died = real * was_real * was_alive * (1 - mem[ALIVE])
  local penalty = zapped * min(wave, 1) * ZAP_PENALTY * pending / max(wave, 1)
  local points = (1 - starting) * gain * at_most(gain, LARGEST_GAIN) - penalty
  return real * (1 - died) * points - DEATH * died + 0, died
end

--- What one lane counts for: its weight if it is safe, minus its weight if an enemy or a shot is near in it.
local function worth(mem, lane, open, weight)
  local danger = at_most(mem[NEAREST + lane % 16], DANGER_DEPTH)
  return (1 - off_board(lane, open)) * weight * (1 - 2 * danger)
end

--- The subjective reward of a decision frame: the safety of the lanes around; half as much for standing still.
function reward.subjective(ram, mem)
  local lane, open = mem[PLAYER_LANE], state.is_open(ram)
  local sum = worth(mem, lane, open, 1)
    + worth(mem, lane - 1, open, 0.5)
    + worth(mem, lane + 1, open, 0.5)
    + worth(mem, lane - 2, open, 0.25)
    + worth(mem, lane + 2, open, 0.25)
  return mem[DECISION] * LANE_WORTH * sum * (0.5 + 0.5 * mem[MOVED]) + 0
end

return reward
