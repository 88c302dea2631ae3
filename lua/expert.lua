-- The scripted teacher: names a lane to steer for, and whether to fire and to zap. It marks the lanes that
-- are about to become deadly, leaves them first of all, and otherwise hunts by type: fuseballs, flippers, tankers,
-- spikers, and pulsars when nothing else is left.

local state = require("state")

local min, max = math.min, math.max

local A, M = state.address, state.memory
local SLOTS, ENEMY_SHOTS, LANES, RIM = state.SLOTS, state.ENEMY_SHOTS, state.LANES, state.RIM
local PULSAR, FUSEBALL = state.PULSAR, state.FUSEBALL
local DESCENT = state.DESCENT
local relative, signed, random = state.relative, state.signed, state.random
local GAME_STATE, SPIKE, PENDING, SHOTS_FLYING = A.game_state, A.spike, A.pending, A.shots_flying
local INFO, FLAGS = A.enemy_info, A.enemy_flags
local SHOT_LANE, SHOT_DEPTH = A.enemy_shot_lane, A.enemy_shot_depth
local PULSE_STEP, PULSE_PHASE, PULSE_REACH = A.pulse_step, A.pulse_phase, A.pulse_reach
local ZAP_CLOCK, USES = A.zapper_clock, A.zapper_uses
local TYPE, LANE, DEPTH = M.enemy_type, M.enemy_lane, M.enemy_depth
local PLAYER_LANE, UNSAFE, NEAREST, ZAP_WAIT = M.player_lane, M.unsafe, M.nearest, M.zap_wait

local FIRE_CHANCE = 0.95
local SHOT_AVOID = 0x40 -- enemy shots above this depth make their lane unsafe
local FUSEBALL_NEAR = 0x50 -- fuseballs above this depth do so for their lane and two on either side
local FUSEBALL_REACH = 2
local PULSE_WARNING = 5 -- frames before a pulse in which its lanes count as unsafe
local RIM_NEAR = 0x18 -- flippers above this depth count as on the rim
local ARRIVING = 0x24 -- those above this depth are about to be
local FREE_SHOTS = 2 -- of 8: with as many left a flipper on its way in can be shot
local CROWD = 3 -- enemies near the rim that are worth the superzapper
local CROWD_DEPTH = 0x20
local ZAP_PAUSE = 60 -- frames

local SAFE, RISKY, DEADLY = 0, 1, 2

-- Hunting order by type.
local RANK = { [0] = 1, 4, 2, 3, 0 }

local expert = {}

local function mark(mem, lane, danger, open)
  if open == 0 or (lane >= 0 and lane <= 14) then
    local place = UNSAFE + lane % 16
    mem[place] = max(mem[place], danger)
  end
end

--- Danger of one flipper or rim-hunting pulsar.
local function mark_flipper(ram, mem, slot, open, no_shots)
  local depth, lane, info = mem[DEPTH + slot], mem[LANE + slot], ram[INFO + slot]
  local flipping, rising = info >= 128, info % 128 >= 64
  if depth <= RIM_NEAR then
    if not flipping then
      mark(mem, lane, DEADLY, open)
      if no_shots then
        mark(mem, rising and lane + 1 or lane - 1, RISKY, open)
      end
    elseif no_shots then
      mark(mem, lane, RISKY, open)
      mark(mem, rising and lane or lane - 1, DEADLY, open)
    end
  elseif depth <= ARRIVING and no_shots then
    mark(mem, lane, RISKY, open)
  end
end

--- 1 if a pulse is on or due within PULSE_WARNING frames.
local function pulse_due(ram)
  local phase, step = signed(ram[PULSE_PHASE]), signed(ram[PULSE_STEP])
  return phase >= 0 or (step > 0 and phase + PULSE_WARNING * step >= 0)
end

local function mark_dangers(ram, mem, open)
  local no_shots = ram[SHOTS_FLYING] > 8 - FREE_SHOTS
  local pulse, reach = pulse_due(ram), ram[PULSE_REACH]
  for lane = 0, LANES - 1 do
    mem[UNSAFE + lane] = SAFE
  end
  for slot = 0, SLOTS - 1 do
    local depth, kind, lane = mem[DEPTH + slot], mem[TYPE + slot], mem[LANE + slot]
    if depth ~= 0 then
      if kind == FUSEBALL then
        if depth <= RIM_NEAR or (depth <= FUSEBALL_NEAR and ram[FLAGS + slot] < 128) then
          for side = -FUSEBALL_REACH, FUSEBALL_REACH do
            mark(mem, lane + side, RISKY, open)
          end
          if depth <= RIM_NEAR then
            mark(mem, lane, DEADLY, open)
          end
        end
      elseif kind <= PULSAR then
        mark_flipper(ram, mem, slot, open, no_shots)
        if kind == PULSAR and pulse and depth < reach then
          mark(mem, lane, DEADLY, open)
        end
      end
    end
  end
  for shot = 0, ENEMY_SHOTS - 1 do
    local depth = ram[SHOT_DEPTH + shot]
    if depth ~= 0 and depth <= SHOT_AVOID then
      mark(mem, ram[SHOT_LANE + shot] % 16, RISKY, open)
    end
  end
end

--- Distance 1-8 to the nearest safe lane in a direction, or 99 if a deadly lane or an end comes first.
local function way_out(mem, lane, direction, open)
  for distance = 1, 8 do
    local next_lane = lane + direction * distance
    if open == 1 and (next_lane < 0 or next_lane > 14) then
      return 99
    end
    local danger = mem[UNSAFE + next_lane % 16]
    if danger == SAFE then
      return distance
    elseif danger == DEADLY then
      return 99
    end
  end
  return 99
end

--- The nearest safe lane and true, or the present one and false if there is no way out.
local function flee(mem, lane, open)
  local up, down = way_out(mem, lane, 1, open), way_out(mem, lane, -1, open)
  if up == 99 and down == 99 then
    return lane, false
  end
  local higher = up < down
  if up == down then
    higher = mem[NEAREST + (lane + up) % 16] >= mem[NEAREST + (lane - down) % 16]
  end
  return (higher and lane + up or lane - down) % 16, true
end

--- The lane from which to shoot an enemy: where a flip ends, if it is flipping.
local function aim(ram, mem, slot)
  local info, lane = ram[INFO + slot], mem[LANE + slot]
  if info >= 128 and info % 128 < 64 and mem[TYPE + slot] ~= FUSEBALL then
    lane = (lane - 1) % 16
  end
  return lane
end

--- Steps (signed) to the lane of the best prey, 0 if there is none.
local function prey(ram, mem, lane, open)
  local best, steps = math.huge, 0
  for slot = 0, SLOTS - 1 do
    local depth, kind = mem[DEPTH + slot], mem[TYPE + slot]
    local rank = RANK[kind]
    if depth ~= 0 and rank and not (kind == FUSEBALL and depth <= FUSEBALL_NEAR) then
      local distance = relative(lane, aim(ram, mem, slot), open)
      local cost = rank * 16384 + math.abs(distance) * 256 + depth
      if cost < best then
        best, steps = cost, distance
      end
    end
  end
  return steps
end

--- Walk up to `steps` lanes, but not on to an unsafe one.
local function approach(mem, lane, steps, open)
  local direction = steps < 0 and -1 or 1
  for _ = 1, math.abs(steps) do
    local next_lane = lane + direction
    if open == 1 then
      if next_lane < 0 or next_lane > 14 then
        return lane
      end
    else
      next_lane = next_lane % 16
    end
    if mem[UNSAFE + next_lane] ~= SAFE then
      return lane
    end
    lane = next_lane
  end
  return lane
end

--- The lane with no spike, or the shortest; the nearest of several.
local function descent_lane(ram, lane, open)
  local best, target = math.huge, lane
  for candidate = 0, LANES - 1 - open do
    local tip = ram[SPIKE + candidate]
    local height = (255 - tip) * min(tip, 1)
    local cost = height * 16 + math.abs(relative(lane, candidate, open))
    if cost < best then
      best, target = cost, candidate
    end
  end
  return target
end

--- Enemies near the rim, and all enemies.
local function crowd(mem)
  local near, alive = 0, 0
  for slot = 0, SLOTS - 1 do
    local depth = mem[DEPTH + slot]
    if depth ~= 0 then
      alive = alive + 1
      if depth <= CROWD_DEPTH then
        near = near + 1
      end
    end
  end
  return near, alive
end

--- 1 if the superzapper pays now: no way out, a crowd at the rim, or the last of the wave there.
local function zap(ram, mem, cornered)
  mem[ZAP_WAIT] = max(mem[ZAP_WAIT] - 1, 0)
  local uses = ram[USES]
  if uses >= 2 or ram[ZAP_CLOCK] ~= 0 or mem[ZAP_WAIT] > 0 then
    return 0
  end
  local near, alive = crowd(mem)
  local pays = alive > 0 and (cornered or (uses == 0 and (near >= CROWD or (near > 0 and ram[PENDING] == 0))))
  if pays then
    mem[ZAP_WAIT] = ZAP_PAUSE
    return 1
  end
  return 0
end

--- Advice for a decision frame: lane to steer for, fire 0/1, zap 0/1.
function expert.advise(ram, mem)
  local open, lane = state.is_open(ram), mem[PLAYER_LANE]
  local fire = random(mem) < FIRE_CHANCE and 1 or 0
  if ram[GAME_STATE] == DESCENT then
    return descent_lane(ram, lane, open), fire, 0
  end
  mark_dangers(ram, mem, open)
  local target, cornered = lane, false
  if mem[UNSAFE + lane] ~= SAFE then
    local found
    target, found = flee(mem, lane, open)
    cornered = not found
  else
    target = approach(mem, lane, prey(ram, mem, lane, open), open)
  end
  return target, fire, zap(ram, mem, cornered)
end

return expert
