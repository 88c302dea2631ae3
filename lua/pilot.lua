-- Brings the game to where a player can act: credit, start button, level select, initials (ARCADE E). Buttons
-- are latched by the game as edges of their debounced level ($4D), so a press is held until the level shows
-- it and then let go: one press every second frame, never one lost.

local state = require("state")

local A, M = state.address, state.memory
local GAME_STATE, GAME_MODE, CREDITS, BUTTONS = A.game_state, A.game_mode, A.credits, A.buttons
local CURSOR, LIMIT = A.player_lane, A.select_limit
local MENU, START_LEVEL = M.menu, M.start_level

local pilot = {}

pilot.ZAP, pilot.FIRE, pilot.START = 0x08, 0x10, 0x20

-- The levels of the start menus, in the order of their cursor.
pilot.MENUS = {
  { -- Tempest, every revision
    1, 3, 5, 7, 9, 11, 13, 15, 17, 20, 22, 24, 26, 28, 31, 33, 36, 40, 44, 47, 49, 52, 56, 60, 63, 65, 73, 81,
  },
  { -- Squall
    1, 3, 5, 7, 9, 11, 13, 15, 17, 20, 22, 24, 27, 30, 33, 35, 38, 41, 43, 46, 49, 52, 55, 58, 62, 65, 73, 81,
  },
}

--- The number of a game's menu by the name of its ROM set.
function pilot.menu_of(game)
  return game == "squall" and 2 or 1
end

-- States in which the attract mode may be left by the start button; elsewhere in it the pilot waits.
local STARTABLE = {}
for _, game_state in ipairs({
  state.START, state.LOAD, state.PLAY, state.LIFE_LOST, state.DEMO_END, state.DELAY, state.NEXT_LEVEL,
  state.ATTRACT, state.ZOOM, state.LOGO, state.PAUSE, state.DESCENT,
}) do
  STARTABLE[game_state] = true
end

local CREDITS_NEEDED = 2 -- one starts a game, unless the switches ask for two

--- The menu entry (0-27) of the last start level not above `level`.
function pilot.menu_entry(menu, level)
  local levels, entry = pilot.MENUS[menu], 0
  for i = 1, #levels do
    if levels[i] <= level then
      entry = i - 1
    end
  end
  return entry
end

--- The button's bit while the game has not seen it pressed, else 0.
local function pulse(ram, button)
  local level = ram[BUTTONS] % (2 * button)
  return level < button and button or 0
end

--- Act in a frame where no player can; returns the buttons to hold until the next frame.
function pilot.act(ram, mem, poke)
  local game_state, mode = ram[GAME_STATE], ram[GAME_MODE]
  if game_state == state.SELECT then
    local entry = pilot.menu_entry(mem[MENU], mem[START_LEVEL])
    if ram[LIMIT] < entry then
      poke(LIMIT, entry, ram)
    end
    if ram[CURSOR] ~= entry then
      poke(CURSOR, entry, ram)
    end
    return pulse(ram, pilot.FIRE)
  end
  if game_state == state.INITIALS then
    return pulse(ram, pilot.FIRE)
  end
  if mode < 0x40 and STARTABLE[game_state] then
    if ram[CREDITS] < CREDITS_NEEDED then
      poke(CREDITS, CREDITS_NEEDED, ram)
    end
    return pulse(ram, pilot.START)
  end
  return 0
end

return pilot
