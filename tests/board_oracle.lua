-- Records RAM, vector RAM, colour RAM and the exact cycle at each change of $03, then leaves.
-- Serves RANDOM as the hardware has it, with a phase, and the buttons of player 1.
if board_oracle_runs then return end
board_oracle_runs = true

local function fail(message)
  io.stderr:write("board oracle: " .. tostring(message) .. "\n")
  os.exit(3)
end

local function guarded(f)
  return function(...)
    local results = table.pack(pcall(f, ...))
    if not results[1] then fail(results[2]) end
    return table.unpack(results, 2, results.n)
  end
end

local settings = {}
for line in (os.getenv("BOARD_ORACLE") .. "\n"):gmatch("([^\n]*)\n") do settings[#settings + 1] = line end
local output = assert(io.open(settings[1], "wb"))
local bridges, phase = tonumber(settings[2]), tonumber(settings[3])
local buttons = {}
for value in settings[4]:gmatch("%d+") do buttons[#buttons + 1] = tonumber(value) end
local setup = assert(loadfile(settings[5]))

local space = manager.machine.devices[":maincpu"].spaces["program"]
local colour
for tag, share in pairs(manager.machine.memory.shares) do
  if tag:match("colorram") then colour = share end
end
assert(colour, "no colour RAM")

local ATTOSECONDS_PER_CYCLE = 661375661375
local function cycle_now()
  local now = manager.machine.time
  return now.seconds * 1512000 + (now.attoseconds + now.seconds * 1000000) // ATTOSECONDS_PER_CYCLE
end

local seventeen, nine = {}, {}
local register = 0x1FFFF
for index = 0, 131070 do
  seventeen[index] = (register >> 8) & 0xFF
  local mixed = ((register >> 8) ~ (register >> 13)) & 1
  register = ((register >> 1) & ~0x80) | ((register & 1) << 16) | (mixed << 7)
end
register = 0x1FF
for index = 0, 510 do
  nine[index] = register & 0xFF
  register = (register >> 1) | (((register ~ (register >> 5)) & 1) << 8)
end

local taps = {}
for which = 0, 1 do
  local base = 0x60C0 + 0x10 * which
  local skctl, audctl, release = 0, 0, 0
  taps[#taps + 1] = space:install_write_tap(base + 0xF, base + 0xF, "skctl" .. which, guarded(function(_, data)
    if skctl & 3 == 0 and data & 3 ~= 0 then release = cycle_now() end
    skctl = data
  end))
  taps[#taps + 1] = space:install_write_tap(base + 0x8, base + 0x8, "audctl" .. which, guarded(function(_, data)
    audctl = data
  end))
  taps[#taps + 1] = space:install_read_tap(base + 0xA, base + 0xA, "random" .. which, guarded(function(_, data)
    if skctl & 3 == 0 then return data end
    local steps = cycle_now() - release + phase
    if audctl & 0x80 ~= 0 then return nine[steps % 511] end
    return seventeen[steps % 131071]
  end))
end

local count = 0
taps[#taps + 1] = space:install_read_tap(0x60D8, 0x60D8, "buttons", guarded(function(_, data)
  local pressed = 0
  if count > 0 and #buttons > 0 then pressed = buttons[math.min(count, #buttons)] end
  return (data & ~0x78) | pressed
end))

local present = 0
taps[#taps + 1] = space:install_write_tap(0x0003, 0x0003, "bridge", guarded(function(_, data)
  if data == present then return end
  present = data
  local ram = space:read_range(0x0000, 0x07FF, 8)
  local colours = {}
  for index = 0, 15 do colours[index + 1] = string.char(colour:read_u8(index) & 0x0F) end
  output:write(string.pack("<i8", cycle_now()), ram:sub(1, 3), string.char(data), ram:sub(5),
    space:read_range(0x2000, 0x2FFF, 8), table.concat(colours))
  count = count + 1
  if count == bridges then
    output:close()
    os.exit(0)
  end
end))

guarded(setup)()
board_oracle_taps = taps
