-- The bridge inside MAME: at each bridge point it sends a frame, waits for the reply and applies it.
-- The only file that touches MAME. Runs as -autoboot_script in MAME 0.251 (Lua 5.3) and newer ones (5.4).
--
-- Exit codes: 3 an error, 4 no server, 5 sent away by the server, 6 the game hangs.
--
-- Environment variables (all optional):
--   TEMPEST_CONNECT      HOST:PORT of the server, default 127.0.0.1:9999
--   TEMPEST_TOKEN        shown to the server in the hello; or TEMPEST_TOKEN_FILE, a file that holds it
--   TEMPEST_GAME         name of the ROM set, if it is not the one MAME was started with
--   TEMPEST_SEED         whole number; fixes the random numbers and the expert's, default: the time
--   TEMPEST_START_LEVEL  1-81, default 1
--   TEMPEST_RANDOMNESS   "seed" (default) or "mame", which leaves MAME's own random numbers alone
--   TEMPEST_DIP2         option switches 2 (HARDWARE 1) in place of MAME's own, 0-255
--   TEMPEST_DIFFICULTY   0 medium, 1 easy, 2 hard, in place of MAME's own switch
--   TEMPEST_DEADLINE     seconds to wait for a reply before the server counts as gone, default 30; 0: for ever
--   TEMPEST_RECONNECT    seconds between attempts to reach the server, default 5; 0: end MAME instead
--   TEMPEST_PIPE         file to write to instead of a socket; replies are then read from standard input
--   TEMPEST_DISPLAY      anything: draw what the bridge sees over the picture
--   TEMPEST_FOLDER       private folder to remove when whoever started MAME is gone
--   TEMPEST_OWNER        seconds for which whoever started MAME may leave the file tempest-gym-private in that folder
--                        untouched before it counts as gone, default 0: any time

if TEMPEST_BRIDGE then
  return -- a reset of the machine runs the script again; everything is still in place
end
TEMPEST_BRIDGE = {} -- holds what MAME must not collect

local here = string.match(debug.getinfo(1, "S").source, "^@(.*)main%.lua$") or "lua/"
package.path = here .. "?.lua;" .. package.path

local bridge = require("bridge")
local packet = require("packet")
local polynomial = require("polynomial")
local state = require("state")
local wire = require("wire")

local PROTOCOL = 1
local START_BRIDGE = 4 -- changes of the frame counter since power-on until the first frame is sent
local PATIENCE = 20 -- seconds of game time without a bridge point until the game counts as hung
local CYCLES_PER_SECOND = 1e18 / 661375661375 -- MAME cuts the cycle of 1/1.512 MHz to whole attoseconds
local PHASES = 131071
local OWNER_LOOK = 2 -- seconds between looks whether whoever started us is still there
local FRAME_COUNTER = state.address.frame_counter
local BUTTON_BITS = 0x78
local DIFFICULTY_BITS = 0x03
local COMMAND_MARK = 0x80

local function setting(name, default)
  local value = os.getenv("TEMPEST_" .. name)
  return value ~= nil and value ~= "" and value or default
end

local function number_setting(name, default)
  local text = setting(name, default)
  return tonumber(text) or error("TEMPEST_" .. name .. " must be a number, is " .. text, 0)
end

--- Real time.
local function seconds()
  return emu.osd_ticks() / emu.osd_ticks_per_second()
end

local link -- how we talk to the server, nil while it is out of reach

local lfs = require("lfs") -- part of MAME

local function remove_tree(folder)
  for name in lfs.dir(folder) do
    if name ~= "." and name ~= ".." then
      local path = folder .. "/" .. name
      if lfs.symlinkattributes(path, "mode") == "directory" then
        remove_tree(path)
      else
        os.remove(path)
      end
    end
  end
  lfs.rmdir(folder)
end

--- End MAME at once. Its own way out is unsafe once a script has run.
local function finish(code, message)
  if message then
    io.stderr:write("tempest bridge: ", message, "\n")
    io.stderr:flush()
  end
  os.exit(code)
end

--- Wrap a callback: MAME drops errors in some of them silently.
local function guarded(callback)
  return function(...)
    local good, result = xpcall(callback, debug.traceback, ...)
    if not good then
      finish(3, "error: " .. tostring(result))
    end
    return result
  end
end

-- The machine ------------------------------------------------------------------------------------------

local machine = manager.machine
local cpu = machine.devices[":maincpu"] or error("this machine has no :maincpu; start MAME with a Tempest set", 0)
local space = cpu.spaces["program"]

local function now()
  return machine.time:as_double()
end

local function cycle()
  return math.floor(machine.time:as_double() * CYCLES_PER_SECOND + 0.5)
end

local function keep(object)
  TEMPEST_BRIDGE[#TEMPEST_BRIDGE + 1] = object
  return object
end

local function on_read(first, last, callback)
  return keep(space:install_read_tap(first, last, "tempest", guarded(callback)))
end

local function on_write(first, last, callback)
  return keep(space:install_write_tap(first, last, "tempest", guarded(callback)))
end

--- Register for an event of MAME by whichever name this version has.
local function on_event(notifier, register, callback)
  if emu[notifier] then
    keep(emu[notifier](guarded(callback)))
  elseif emu[register] then
    emu[register](guarded(callback))
  else
    error("this MAME has neither emu." .. notifier .. " nor emu." .. register, 0)
  end
end

--- Return a function that reads a stretch of RAM, `first` to `last`, as a string. What the CPU's save items call
-- the RAM is read in one go; where a MAME names it otherwise, byte by byte.
local function reader(first, last)
  local wanted = string.format("/%x-%x$", first, last)
  for name, index in pairs(cpu.items) do
    if string.find(name, wanted) then
      local item = emu.item(index)
      return function(from, to)
        return item:read_block(from - first, to - from + 1)
      end
    end
  end
  return function(from, to)
    return space:read_range(from, to, 8)
  end
end

local main_ram = reader(0x0000, 0x07FF)
local vector_ram = reader(0x2000, 0x2FFF)

-- What must be saved with a state, beside MAME's own and `mem`.
local MAMES_OWN = -1
local vital = {
  phase = 0,
  buttons = 0,
  release_1 = -1,
  release_2 = -1,
  audctl_1 = 0,
  audctl_2 = 0,
  dip2 = number_setting("DIP2", MAMES_OWN),
  difficulty = number_setting("DIFFICULTY", MAMES_OWN),
}
local VITAL = { "phase", "buttons", "release_1", "release_2", "audctl_1", "audctl_2", "dip2", "difficulty" }

-- Random numbers by the seed (HARDWARE 1) ---------------------------------------------------------------

local function install_random()
  local long, short = polynomial.long(), polynomial.short()
  for pokey, base in ipairs({ 0x60C0, 0x60D0 }) do
    local release, audctl = "release_" .. pokey, "audctl_" .. pokey
    on_write(base + 0x8, base + 0x8, function(_, data)
      vital[audctl] = data
    end)
    on_write(base + 0xF, base + 0xF, function(_, data)
      if data & 3 == 0 then
        vital[release] = -1
      elseif vital[release] < 0 then
        vital[release] = cycle()
      end
    end)
    if now() > 0 then
      vital[release] = 0 -- started late, so the release was missed: any fixed moment will do
    end
    on_read(base + 0xA, base + 0xA, function()
      local since = vital[release]
      if since < 0 then
        return 0xFF
      end
      local steps = math.floor(cycle() - since + vital.phase)
      if vital[audctl] >= 0x80 then
        return string.byte(short, steps % #short + 1)
      end
      return string.byte(long, steps % #long + 1)
    end)
  end
end

-- Talking to the server ---------------------------------------------------------------------------------

--- The first line of the token's file or variable, without the space and line ends around it.
local function read_token()
  local file, text = setting("TOKEN_FILE"), setting("TOKEN", "")
  if file then
    local stream = assert(io.open(file, "r"))
    text = stream:read("l") or ""
    stream:close()
  end
  return string.match(text, "^%s*(.-)%s*$")
end

--- Squall carries its name in its program; other sets go by MAME's name.
local function game_name()
  local program = space:read_range(0x9000, 0xDFFF, 8)
  return string.find(program, "SQUALL", 1, true) and "squall" or emu.romname()
end

local game = setting("GAME") or game_name()
local token = read_token()

local function hello()
  return wire.hello({
    { "protocol", PROTOCOL },
    { "token", token },
    { "rom", emu.romname() },
    { "game", game },
    { "mame", emu.app_version() },
  })
end

local folder = setting("FOLDER")

--- The process that started us is gone: leave nothing of it behind.
local function end_with_server()
  if folder and lfs.attributes(folder .. "/tempest-gym-private", "mode") == "file" then
    remove_tree(folder)
  end
  finish(4)
end

local address = setting("CONNECT", "127.0.0.1:9999")
local reconnect = number_setting("RECONNECT", 5)
local deadline = number_setting("DEADLINE", 30)
local next_attempt = 0
local owner = number_setting("OWNER", 0)
local next_look = seconds() + OWNER_LOOK

--- A client's server may live on when the client's owner has been killed.
local function look_for_owner()
  if owner > 0 and seconds() >= next_look then
    next_look = seconds() + OWNER_LOOK
    local touched = lfs.attributes(folder .. "/tempest-gym-private", "modification")
    if not touched or os.time() - touched > owner then
      end_with_server()
    end
  end
end

local function connect()
  if setting("PIPE") then
    link = wire.pipe(io.stdin, assert(io.open(setting("PIPE"), "wb")), hello(), end_with_server)
    return
  end
  if seconds() < next_attempt then
    return
  end
  next_attempt = seconds() + reconnect
  local socket = emu.file("rw")
  if not socket:open("socket." .. address) then
    link = wire.socket(socket, hello(), seconds, deadline, reconnect == 0 and end_with_server or nil)
  elseif reconnect == 0 then
    finish(4, "no server answers at " .. address)
  end
end

-- One bridge point --------------------------------------------------------------------------------------

local ram, mem, features, frame = {}, {}, {}, {}
local ranges = state.RANGES
local byte, move = string.byte, table.move
for i = 0, bridge.MEMORY - 1 do
  mem[i] = 0
end

local last_address = ranges[#ranges][2]

local function read_ram()
  local data = main_ram(0, last_address)
  for i = 1, #ranges do
    local first, last = ranges[i][1], ranges[i][2]
    move({ byte(data, first + 1, last + 1) }, 1, last - first + 1, first, ram)
  end
end

local function poke(where, value)
  ram[where] = value
  space:write_u8(where, value)
end

local function signed(value)
  return value < 128 and value or value - 256
end

local function start(seed, phase, start_level)
  vital.phase = phase
  bridge.init(mem, seed, start_level, game)
end

local take_orders -- defined below

local function observe()
  bridge.observe(ram, mem, features, frame)
  link.send(packet.encode(frame, features))
end

local suspended -- what to do once the CPU continues after the bridge point
local resume_tap -- the tap that notices it
local waited -- accesses since then
local loading -- a load was asked for and has not been seen yet
local at_rest -- name of the saved state that the machine is in, until the game continues

-- Written over the bottom of the stack before a load: gone once the load has taken place.
local POISON, POISONED = "\xA5load\x5Asave\x3Ctempest\xC3", 0x0100

local function still_poisoned()
  for i = 1, #POISON do
    if space:read_u8(POISONED + i - 1) ~= byte(POISON, i) then
      return false
    end
  end
  return true
end

--- End the CPU's time slice in this very cycle, so that a requested save or load takes place here; then continue
-- with `continue` before the game does anything. $60CC is a register of POKEY that does nothing.
local function suspend(continue)
  suspended, waited = continue, 0
  if resume_tap then
    resume_tap:reinstall()
  else
    resume_tap = on_read(0x9000, 0xFFFF, function()
      if not suspended then
        return
      end
      waited = waited + 1
      if waited == 1 or (loading and still_poisoned()) then
        -- What is left of the instruction, or the fetch of the next one, still belongs to the slice that ends.
        if waited > 100 then
          error("MAME did not load the state", 0)
        end
        return
      end
      local continue_now = suspended
      suspended, loading = nil, false
      resume_tap:remove()
      continue_now()
    end)
  end
  space:write_u8(0x60CC, 0)
end

--- Load a state of MAME's at once, then call `continue`.
local function load_state(name, continue)
  loading = true
  machine:load(name)
  for i = 1, #POISON do
    space:write_u8(POISONED + i - 1, byte(POISON, i))
  end
  suspend(function()
    at_rest = name
    continue()
  end)
end

--- Save MAME's state at once, then call `continue`.
local function save_state(name, continue)
  machine:save(name)
  suspend(function()
    at_rest = name
    continue()
  end)
end

local function lua_state()
  local values = { now() }
  for i, name in ipairs(VITAL) do
    values[i + 1] = vital[name]
  end
  move(mem, 0, bridge.MEMORY - 1, #values + 1, values)
  return string.pack(">" .. string.rep("d", #values), table.unpack(values))
end

local function restore_lua_state(data)
  local count = 1 + #VITAL + bridge.MEMORY
  local values = { string.unpack(">" .. string.rep("d", count), data) }
  if math.abs(now() - values[1]) > 1e-5 then
    error("MAME did not load the state: it is at " .. now() .. " s, not at " .. values[1] .. " s", 0)
  end
  for i, name in ipairs(VITAL) do
    vital[name] = values[i + 1]
  end
  move(values, 2 + #VITAL, count, 0, mem)
  read_ram()
end

local start_state -- the Lua's part of the state at the first frame

local function respond(command, payload)
  link.send(wire.response(command, payload))
end

-- By the command's number. They return true if they finish later, on their own.
local commands = {}

commands[1] = function(payload)
  local phase, seed, start_level = string.unpack(">I4I4B", payload)
  if not start_state then
    error("reset needs a start from power-on: -autoboot_delay 0", 0)
  end
  local function first_frame()
    restore_lua_state(start_state)
    start(seed, phase, start_level)
    observe()
  end
  if at_rest == "start" then
    first_frame()
    return false
  end
  load_state("start", function()
    first_frame()
    take_orders()
  end)
  return true
end

commands[2] = function(payload)
  bridge.set_start_level(mem, byte(payload))
end

commands[3] = function(payload)
  local function answer()
    respond(3, string.pack(">s1", at_rest) .. lua_state())
  end
  if at_rest then
    answer()
    return false
  end
  save_state(payload, function()
    answer()
    take_orders()
  end)
  return true
end

commands[4] = function(payload)
  local name, data = string.unpack(">s1", payload)
  load_state(name, function()
    restore_lua_state(string.sub(payload, data))
    respond(4, "")
    take_orders()
  end)
  return true
end

commands[5] = function()
  local video = machine.video
  video.frameskip = 0 -- pictures are wanted, so let none get old
  local width, height = video:snapshot_size()
  respond(5, string.pack(">HH", width, height) .. video:snapshot_pixels())
end

local function colour_ram()
  for tag, share in pairs(machine.memory.shares) do
    if string.find(tag, "colorram$") then
      local values = {}
      for i = 0, 15 do
        values[i + 1] = string.char(share:read_u8(i) & 0xF)
      end
      return table.concat(values)
    end
  end
  error("this MAME does not show the colour RAM", 0)
end

commands[6] = function()
  local data = main_ram(0, 0x7FF)
  -- In a bridge point the game's write to the frame counter is still on its way.
  data = string.sub(data, 1, FRAME_COUNTER) .. string.char(ram[FRAME_COUNTER]) .. string.sub(data, FRAME_COUNTER + 2)
  respond(6, data .. colour_ram() .. vector_ram(0x2000, 0x2FFF))
end

commands[7] = function(payload)
  finish(payload == "" and 0 or 5, payload ~= "" and "the server's reason: " .. payload or nil)
end

--- Take the reply to the last packet, and before it any commands.
function take_orders()
  while true do
    local reply = link.receive(3)
    if not reply then
      break
    end
    local fire, zap, spinner = byte(reply, 1, 3)
    if fire ~= COMMAND_MARK then
      at_rest = nil
      vital.buttons = bridge.act(ram, mem, poke, math.min(fire, 1), math.min(zap, 1), signed(spinner))
      return
    end
    local rest = link.receive(3)
    local length = rest and string.unpack(">I4", string.char(spinner) .. rest)
    local payload = rest and (length == 0 and "" or link.receive(length))
    if not payload then
      break
    end
    local command = commands[zap] or error("the server sent an unknown command: " .. zap, 0)
    if command(payload) then
      return -- it continues later
    end
  end
  local text = "no answer from " .. address .. " for " .. deadline .. " s"
  if reconnect == 0 then
    finish(4, text)
  end
  io.stderr:write("tempest bridge: ", text, "; the game continues without it\n")
  link, at_rest = nil, nil
  vital.buttons = 0
end

local bridges = now() > 0 and START_BRIDGE or 0
local last_bridge = now()

local function start_game()
  local seed = number_setting("SEED", os.time() + emu.osd_ticks()) % 2147483647
  start(seed, (seed * 81006 + 12345) % PHASES, number_setting("START_LEVEL", 1))
  observe()
  take_orders()
end

local function on_bridge_point(value)
  last_bridge = now()
  if bridges < START_BRIDGE then
    bridges = bridges + 1
    if bridges < START_BRIDGE then
      return
    end
    save_state("start", function()
      start_state = lua_state()
      connect()
      if link then
        read_ram()
        start_game()
      else
        at_rest = nil
      end
    end)
    return
  end
  local known = link
  if not known then
    connect()
  end
  if link then
    read_ram()
    ram[FRAME_COUNTER] = value
    if known then
      observe()
      take_orders()
    else
      start_game()
    end
  end
end

if setting("RANDOMNESS", "seed") == "seed" then
  install_random()
end

on_read(0x60D8, 0x60D8, function(_, data)
  if vital.difficulty ~= MAMES_OWN then
    data = data & ~DIFFICULTY_BITS | vital.difficulty
  end
  return data & ~BUTTON_BITS | vital.buttons
end)

on_read(0x0E00, 0x0E00, function(_, data)
  return vital.dip2 == MAMES_OWN and data or vital.dip2
end)

on_write(FRAME_COUNTER, FRAME_COUNTER, function(_, value)
  if not suspended and value ~= space:read_u8(FRAME_COUNTER) then
    on_bridge_point(value)
  end
end)

on_event("add_machine_frame_notifier", "register_frame_done", function()
  if now() - last_bridge > PATIENCE then
    finish(6, "the game has not changed its frame counter for " .. PATIENCE .. " seconds of its time")
  end
  look_for_owner()
end)

if setting("DISPLAY") then
  local draw = require("display").new()
  on_event("add_machine_frame_notifier", "register_frame_done", function()
    draw(machine.render.ui_container, ram, mem, frame)
  end)
end

on_event("add_machine_stop_notifier", "register_stop", function()
  finish(0)
end)
