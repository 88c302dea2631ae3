-- An overlay for a MAME window: what the bridge sees and what the expert would do. main.lua loads this only if
-- TEMPEST_DISPLAY is set, so that it costs nothing otherwise.

local state = require("state")

local A, M = state.address, state.memory

local display = {}

local STATES = {
  [state.START] = "START",
  [state.LOAD] = "LOAD",
  [state.PLAY] = "PLAY",
  [state.LIFE_LOST] = "LIFE LOST",
  [state.DEMO_END] = "DEMO END",
  [state.DELAY] = "DELAY",
  [state.NEXT_LEVEL] = "NEXT LEVEL",
  [state.GAME_OVER] = "GAME OVER",
  [state.INITIALS] = "INITIALS",
  [state.ATTRACT] = "ATTRACT",
  [state.SELECT] = "SELECT",
  [state.ZOOM] = "ZOOM",
  [state.LOGO] = "LOGO",
  [state.SELECT_SECOND] = "SELECT",
  [state.PAUSE] = "PAUSE",
  [state.DESCENT] = "DESCENT",
  [state.SCORE_SHOW] = "HIGH SCORE",
}

local LETTERS = { [0] = "F", "P", "T", "S", "B" } -- by enemy type; B is the fuseball

-- Where and how it is drawn: fractions of the screen, colours as ARGB. The score is at the top, the tube in the middle.
local LEFT, TOP, LINE = 0.01, 0.84, 0.028
local LANES_LEFT, LANE_WIDTH, LANES_HEIGHT = 0.66, 0.02, 0.1
local MARK = 0.01
local TEXT, SHADE = 0xffe0e0e0, 0x90000000
local EMPTY, CALM, DANGER = 0xff303040, 0xff5462a0, 0xffe04040
local PLAYER, TARGET = 0xffffd640, 0xff40e0d0
local NEAR = 0.75 -- a bar higher than this is danger

local format = string.format

--- "fire zap -9" or "-".
local function controls(fire, zap, turn)
  local parts = {}
  if fire == 1 then
    parts[#parts + 1] = "fire"
  end
  if zap == 1 then
    parts[#parts + 1] = "zap"
  end
  if turn then
    parts[#parts + 1] = turn
  end
  return #parts > 0 and table.concat(parts, " ") or "-"
end

--- The enemies in use, as type, lane and depth; a flipping one has a sign of its direction.
local function enemies(ram, mem)
  local parts = {}
  for slot = 0, 6 do
    local depth, info = mem[M.enemy_depth + slot], ram[A.enemy_info + slot]
    if depth ~= 0 then
      local turning = info < 128 and "" or (info % 128 >= 64 and ">" or "<")
      local letter = LETTERS[mem[M.enemy_type + slot]] or "?"
      parts[#parts + 1] = format("%s%d%s:%02X", letter, mem[M.enemy_lane + slot], turning, depth)
    end
  end
  return #parts > 0 and table.concat(parts, " ") or "-"
end

--- A bar a lane, the higher the nearer the nearest enemy is; below it, the player and the expert's target.
local function draw_lanes(container, mem, frame)
  local floor = TOP + LANES_HEIGHT
  for lane = 0, state.LANES - 1 - frame.open do
    local left = LANES_LEFT + lane * LANE_WIDTH
    local right = left + 0.7 * LANE_WIDTH
    local depth = mem[M.nearest + lane]
    local share = depth >= state.FAR and 0 or 1 - math.max(depth - state.RIM, 0) / (state.FAR - state.RIM)
    container:draw_box(left, TOP, right, floor, EMPTY, EMPTY)
    if share > 0 then
      local colour = share > NEAR and DANGER or CALM
      container:draw_box(left, floor - share * LANES_HEIGHT, right, floor, colour, colour)
    end
    if lane == frame.player_lane then
      container:draw_box(left, floor + 0.5 * MARK, right, floor + 1.5 * MARK, PLAYER, PLAYER)
    end
    if lane == frame.expert_target then
      container:draw_box(left, floor + 2 * MARK, right, floor + 3 * MARK, TARGET, TARGET)
    end
  end
end

--- The lines of text for a frame that the bridge has observed; `total` is the objective reward of the game so far.
function display.lines(ram, mem, frame, total)
  local place = STATES[frame.game_state] or "?"
  local target = frame.expert_target < 0 and "-" or format("%d", frame.expert_target)
  return {
    format("%s  level %d  score %d  lives %d", place, frame.level + 1, frame.score, frame.lives),
    format("last action  %s", controls(frame.fire, frame.zap, format("%d", frame.spinner))),
    format("expert  lane %s  %s", target, controls(frame.expert_fire, frame.expert_zap)),
    format("reward  %+.0f  %+.2f  game %+.0f", frame.objective, frame.subjective, total),
    format("enemies  %s  coming %d", enemies(ram, mem), ram[A.pending]),
  }
end

--- An overlay: a function to call whenever MAME has drawn its picture, with the render container to draw into.
function display.new()
  local total, last = 0, nil
  return function(container, ram, mem, frame)
    if frame.frame == nil then
      return -- nothing observed yet
    end
    if frame.frame ~= last then
      local attract = frame.game_mode < 128
      total = attract and 0 or total + frame.objective
      last = frame.frame
    end
    local lines = display.lines(ram, mem, frame, total)
    container:draw_box(0, TOP - LINE / 2, 1, TOP + #lines * LINE, SHADE, SHADE)
    draw_lanes(container, mem, frame)
    for i = 1, #lines do
      container:draw_text(LEFT, TOP + (i - 1) * LINE, lines[i], TEXT)
    end
  end
end

return display
