-- What happens at a bridge point, the moment the game changes its frame counter: observe RAM, then act on it.

local expert = require("expert")
local features = require("features")
local pilot = require("pilot")
local reward = require("reward")
local state = require("state")

local min, max = math.min, math.max
local bit, equal = state.bit, state.equal

local A, M = state.address, state.memory
local PLAY, DESCENT = state.PLAY, state.DESCENT
local GAME_OVER, INITIALS, SCORE_SHOW = state.GAME_OVER, state.INITIALS, state.SCORE_SHOW
local GAME_STATE, GAME_MODE, LIVES, EDGE, LANE = A.game_state, A.game_mode, A.lives, A.player_edge, A.player_lane
local RAM_LEVEL, SPINNER = A.level, A.spinner
local FRAMES, IN_GAME, REAL, ALIVE, DECISION = M.frames, M.in_game, M.real, M.alive, M.decision
local MOVED, PLAYER_LANE = M.moved, M.player_lane
local FIRE, ZAP, TURN, START_LEVEL, MENU = M.fire, M.zap, M.spinner, M.start_level, M.menu
local SCORE, MILLION = M.score, M.million

local bridge = {}

--- Doubles of memory per environment.
bridge.MEMORY = state.MEMORY

--- Number of features.
bridge.FEATURES = features.COUNT

--- Start at power-on: `seed` a whole number from 0 to 2^53; `start_level` 1-81 (or the next lower one of the game's
-- menu); `game` the name of the ROM set, "squall" or one of Tempest's.
function bridge.init(mem, seed, start_level, game)
  for i = 0, state.MEMORY - 1 do
    mem[i] = 0
  end
  mem[START_LEVEL] = start_level
  mem[MENU] = pilot.menu_of(game)
  state.seed(mem, seed)
end

--- Set the start level of later games.
function bridge.set_start_level(mem, start_level)
  mem[START_LEVEL] = start_level
end

--- 1 in the frame that ends a real game, however it ends; the next can end only after another decision frame.
local function game_over(ram, mem, game_state)
  local in_game = mem[IN_GAME]
  local off = max(equal(game_state, GAME_OVER), max(equal(game_state, INITIALS), equal(game_state, SCORE_SHOW)))
  local ended = max(max(1 - mem[REAL], 1 - min(ram[LIVES], 1)), off)
  mem[IN_GAME] = in_game * (1 - ended) + (1 - in_game) * mem[DECISION]
  return in_game * ended
end

--- Observe a bridge point, once, for what needs no decoding. Returns whether the agent may act.
local function observe_game(ram, mem, frame)
  local game_state, lane = ram[GAME_STATE], ram[LANE] % 16
  local was_real, was_alive = mem[REAL], mem[ALIVE]
  local real, alive = bit(ram[GAME_MODE], 128), 1 - bit(ram[EDGE], 128)
  local decision = real * alive * max(equal(game_state, PLAY), equal(game_state, DESCENT))
  mem[REAL] = real
  mem[ALIVE] = alive
  mem[DECISION] = decision
  mem[MOVED] = 1 - equal(mem[PLAYER_LANE], lane)
  mem[PLAYER_LANE] = lane
  mem[FRAMES] = mem[FRAMES] + 1

  frame.objective, frame.life_lost = reward.objective(ram, mem, game_state, was_real, was_alive)
  frame.subjective = 0
  frame.score = mem[SCORE] + mem[MILLION]
  frame.frame = mem[FRAMES] % 65536
  frame.spinner = mem[TURN]
  frame.fire = mem[FIRE]
  frame.zap = mem[ZAP]
  frame.save = 0
  frame.game_state = game_state
  frame.game_mode = ram[GAME_MODE]
  frame.player_lane = lane
  frame.open = state.is_open(ram)
  frame.level = ram[RAM_LEVEL]
  frame.lives = ram[LIVES]
  frame.alive = alive
  frame.decision = decision
  frame.over = game_over(ram, mem, game_state)
  frame.expert_target, frame.expert_fire, frame.expert_zap = -1, 0, 0
  return decision == 1
end

--- Return what observes a bridge point, once: `values` gets the features, `frame` the rest. It writes nothing into the
-- game. Without a teacher there is neither advice nor lane shaping; without features `values` stays as it is.
function bridge.observer(with_features, with_teacher)
  return function(ram, mem, values, frame)
    local decides = observe_game(ram, mem, frame)
    state.decode(ram, mem)
    if with_features then
      features.write(ram, mem, values)
    end
    if with_teacher then
      frame.subjective = reward.subjective(ram, mem)
      if decides then
        frame.expert_target, frame.expert_fire, frame.expert_zap = expert.advise(ram, mem)
      end
    end
  end
end

--- Observe everything.
bridge.observe = bridge.observer(true, true)

--- Act after `observe`: the player's controls in decision frames, the pilot's elsewhere. `poke(address, value, ram)`
-- writes a byte of RAM; the returned buttons ($08 zap, $10 fire, $20 start) are held until the next bridge point.
function bridge.act(ram, mem, poke, fire, zap, spinner)
  if mem[DECISION] == 1 then
    mem[FIRE] = fire
    mem[ZAP] = zap
    mem[TURN] = spinner
    poke(SPINNER, spinner % 256, ram)
    return fire * pilot.FIRE + zap * pilot.ZAP
  end
  mem[FIRE] = 0
  mem[ZAP] = 0
  mem[TURN] = 0
  poke(SPINNER, 0, ram)
  return pilot.act(ram, mem, poke)
end

return bridge
