-- The scripted teacher: names a lane to steer for, and whether to fire and to zap. It marks the lanes that
-- are about to become deadly and leaves them first of all; otherwise it hunts by type, straight at its prey whatever
-- lies on the way: fuseballs, flippers, tankers, spikers, and pulsars when nothing else is left. To look where it goes
-- would make it five times as good; it is a teacher, not a champion. Arithmetic instead of branches: see state.lua.

local state = require("state")

local min, max, abs, floor = math.min, math.max, math.abs, math.floor

local A, M = state.address, state.memory
local LANES, FLIPPER_LIKE, PULSAR, FUSEBALL, DESCENT = state.LANES, state.PULSAR, state.PULSAR, state.FUSEBALL, state.DESCENT
local relative, signed, random = state.relative, state.signed, state.random
local bit, at_most, equal, off_board = state.bit, state.at_most, state.equal, state.off_board
local each_lane, each_slot, each_enemy_shot = state.each_lane, state.each_slot, state.each_enemy_shot
local GAME_STATE, SPIKE, PENDING, SHOTS_FLYING = A.game_state, A.spike, A.pending, A.shots_flying
local INFO, FLAGS = A.enemy_info, A.enemy_flags
local SHOT_LANE, SHOT_DEPTH = A.enemy_shot_lane, A.enemy_shot_depth
local PULSE_STEP, PULSE_PHASE, PULSE_REACH = A.pulse_step, A.pulse_phase, A.pulse_reach
local ZAPPER_CLOCK, ZAPPER_USES = A.zapper_clock, A.zapper_uses
local TYPE, LANE, DEPTH = M.enemy_type, M.enemy_lane, M.enemy_depth
local PLAYER_LANE, UNSAFE, NEAREST, ZAP_WAIT = M.player_lane, M.unsafe, M.nearest, M.zap_wait
local CROWD, PREY = M.crowd, M.prey

local MISS_CHANCE = 0.05 -- frames without fire
local SHOT_AVOID = 0x40 -- enemy shots above this depth make their lane unsafe
local FUSEBALL_NEAR = 0x50 -- fuseballs above this depth do so for their lane and two on either side
local PULSE_WARNING = 5 -- frames before a pulse in which its lanes count as unsafe
local RIM_NEAR = 0x18 -- flippers above this depth count as on the rim
local ARRIVING = 0x24 -- those above this depth are about to be
local FREE_SHOTS = 2 -- of 8: with as many left a flipper on its way in can be shot
local CROWD_SIZE = 3 -- enemies near the rim that are worth the superzapper
local CROWD_DEPTH = 0x20
local ZAP_PAUSE = 60 -- frames

local RISKY, DEADLY = 1, 2 -- marks of lanes not to stay in and not even to cross; 0 is safe

-- Hunting order by type number; the last three do not exist.
local RANK = { [0] = 1, 4, 2, 3, 0, 8, 8, 8 }
local NO_PREY = 8 * 2 ^ 20

local expert = {}

local function mark(mem, lane, danger)
  local place = UNSAFE + lane % 16
  mem[place] = max(mem[place], danger)
end

--- Mark a lane beside another, if there is one.
local function mark_beside(mem, lane, danger, open)
  mark(mem, lane, danger * (1 - off_board(lane, open)))
end

local function clear_lane(lane, mem)
  mem[UNSAFE + lane] = 0
end

--- 1 if a pulse is on or due within PULSE_WARNING frames.
local function pulse_due(ram)
  local phase, step = signed(ram[PULSE_PHASE]), signed(ram[PULSE_STEP])
  return max(at_most(0, phase), at_most(1, step) * at_most(0, phase + PULSE_WARNING * step))
end

local function mark_slot(slot, ram, mem, open, no_shots, pulse)
  local kind, depth, lane = mem[TYPE + slot], mem[DEPTH + slot], mem[LANE + slot]
  local info, used = ram[INFO + slot], min(depth, 1)
  local rising, flipping = bit(info, 64), bit(info, 128)

  local fuseball = used * equal(kind, FUSEBALL)
  local near = fuseball * at_most(depth, FUSEBALL_NEAR) * (1 - bit(ram[FLAGS + slot], 128))
  local touching = fuseball * at_most(depth, RIM_NEAR)
  near = max(near, touching)
  mark_beside(mem, lane - 2, RISKY * near, open)
  mark_beside(mem, lane - 1, RISKY * near, open)
  mark_beside(mem, lane + 1, RISKY * near, open)
  mark_beside(mem, lane + 2, RISKY * near, open)

  local flipper = used * at_most(kind, FLIPPER_LIKE)
  local on_rim = flipper * at_most(depth, RIM_NEAR)
  local flat = on_rim * (1 - flipping)
  local turning = on_rim * flipping * no_shots -- harmless while there are shots to meet it with
  local arriving = flipper * at_most(depth, ARRIVING) * no_shots
  local pulsing = used * equal(kind, PULSAR) * pulse * at_most(depth + 1, ram[PULSE_REACH])
  mark(mem, lane, max(max(near + touching, DEADLY * max(flat, pulsing)), max(turning * (1 + rising), arriving)))
  -- Where a flat one turns next; where one that turns to lower lanes ends.
  mark_beside(mem, lane + 2 * rising - 1, max(RISKY * flat * no_shots, DEADLY * turning * (1 - rising)), open)
  mem[CROWD] = mem[CROWD] + used * at_most(depth, CROWD_DEPTH)
end

local function mark_shot(shot, ram, mem)
  local depth = ram[SHOT_DEPTH + shot]
  mark(mem, ram[SHOT_LANE + shot] % 16, RISKY * min(depth, 1) * at_most(depth, SHOT_AVOID))
end

local function mark_dangers(ram, mem, open)
  local no_shots = at_most(9 - FREE_SHOTS, ram[SHOTS_FLYING])
  each_lane(clear_lane, mem)
  mem[UNSAFE + 15] = DEADLY * open -- no such lane; the lanes beside it are 14 and 0, the ends
  mem[CROWD] = 0
  each_slot(mark_slot, ram, mem, open, no_shots, pulse_due(ram))
  each_enemy_shot(mark_shot, ram, mem)
end

--- One step of looking for a safe lane: `path` is 1 while no deadly lane was met, `found` the distance of the
-- first safe one.
local function look(mem, lane, distance, path, found)
  local danger = mem[UNSAFE + lane % 16]
  path = path * (1 - at_most(DEADLY, danger))
  return path, found + distance * path * (1 - min(found, 1)) * (1 - min(danger, 1))
end

--- Distance 1-8 to the nearest safe lane in a direction, 0 if a deadly lane is nearer.
local function way_out(mem, lane, direction)
  local path, found = look(mem, lane + direction, 1, 1, 0)
  path, found = look(mem, lane + 2 * direction, 2, path, found)
  path, found = look(mem, lane + 3 * direction, 3, path, found)
  path, found = look(mem, lane + 4 * direction, 4, path, found)
  path, found = look(mem, lane + 5 * direction, 5, path, found)
  path, found = look(mem, lane + 6 * direction, 6, path, found)
  path, found = look(mem, lane + 7 * direction, 7, path, found)
  path, found = look(mem, lane + 8 * direction, 8, path, found)
  return found
end

--- The nearest safe lane and 0, or the present one and 1 if there is no way out.
local function flee(mem, lane)
  local up, down = way_out(mem, lane, 1), way_out(mem, lane, -1)
  if up == 0 and down == 0 then
    return lane, 1
  end
  local higher = down == 0 or (up ~= 0 and up < down)
  if up == down then
    higher = mem[NEAREST + (lane + up) % 16] >= mem[NEAREST + (lane - down) % 16]
  end
  return (higher and lane + up or lane - down) % 16, 0
end

--- Note a slot if it is better prey than those before: by type, then distance, then depth. An enemy that turns
-- towards lower lanes is met where it will end. The distance (+15) lies in the last five bits.
local function note_prey(slot, ram, mem, player, open)
  local kind, depth, info = mem[TYPE + slot], mem[DEPTH + slot], ram[INFO + slot]
  local falling = bit(info, 128) * (1 - bit(info, 64)) * (1 - equal(kind, FUSEBALL))
  local lane = mem[LANE + slot] - falling
  lane = open * max(0, min(lane, 14)) + (1 - open) * (lane % 16)
  local distance = relative(player, lane, open)
  local too_near = equal(kind, FUSEBALL) * at_most(depth, FUSEBALL_NEAR)
  local none = max(1 - min(depth, 1), too_near)
  local cost = RANK[kind] * 2 ^ 20 + abs(distance) * 2 ^ 14 + depth * 2 ^ 5 + distance + 15
  mem[PREY] = min(mem[PREY], cost + none * NO_PREY)
end

--- The lane of the best prey, or the present one without any.
local function hunt(ram, mem, lane, open)
  mem[PREY] = NO_PREY + 15
  each_slot(note_prey, ram, mem, lane, open)
  return (lane + mem[PREY] % 32 - 15) % 16
end

--- The lane with no spike, or the shortest; the nearest of several.
local function descent_lane(ram, lane, open)
  local best, target = math.huge, lane
  for candidate = 0, LANES - 1 - open do
    local tip = ram[SPIKE + candidate]
    local height = (255 - tip) * min(tip, 1)
    local cost = height * 16 + abs(relative(lane, candidate, open))
    if cost < best then
      best, target = cost, candidate
    end
  end
  return target
end

--- 1 if the superzapper pays now: no way out, a crowd at the rim, or the last of the wave there.
local function zap(ram, mem, cornered)
  local wait = max(mem[ZAP_WAIT] - 1, 0)
  local uses, near = ram[ZAPPER_USES], mem[CROWD]
  local last = at_most(1, near) * equal(ram[PENDING], 0)
  local first_use = equal(uses, 0) * max(at_most(CROWD_SIZE, near), last)
  local ready = at_most(uses, 1) * equal(ram[ZAPPER_CLOCK], 0) * equal(wait, 0)
  local now = ready * max(cornered, first_use)
  mem[ZAP_WAIT] = max(wait, now * ZAP_PAUSE)
  return now
end

--- Advice for a decision frame: lane to steer for, fire 0/1, zap 0/1.
function expert.advise(ram, mem)
  local open, lane = state.is_open(ram), mem[PLAYER_LANE]
  local fire = 1 - floor(random(mem) + MISS_CHANCE)
  if ram[GAME_STATE] == DESCENT then
    return descent_lane(ram, lane, open), fire, 0
  end
  mark_dangers(ram, mem, open)
  if mem[UNSAFE + lane] == 0 then
    return hunt(ram, mem, lane, open), fire, zap(ram, mem, 0)
  end
  local target, cornered = flee(mem, lane)
  return target, fire, zap(ram, mem, cornered)
end

return expert
