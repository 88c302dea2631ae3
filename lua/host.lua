-- Runs boards from bridge point to bridge point for the in-process machine. Under LuaJIT everything happens here, on
-- memory that Python owns, by FFI pointers; other Luas get strings and a function that runs the board.

local bridge = require("bridge")
local compat = require("compat")
local features = require("features")
local state = require("state")

local host = {}

host.MEMORY = bridge.MEMORY

-- Far longer than the longest way from one decision to the next, entering three initials by time-out: 96 * 32 frames.
local LONGEST_WAY = 20000

local NO_DECISION = -1

--- Act, run one board to its next bridge point and observe, until a decision frame, the end of the game or (if
-- wanted) a death. Rewards are summed over the way. Returns 0, the board's error code, or NO_DECISION.
--   run(ram, buttons, board): advances the board and brings `ram` up to date; returns 0 or an error code
--   poke(address, value, ram): writes a byte of the game's RAM
local function advance_row(run, poke, board, ram, mem, values, frame, fire, zap, spinner, stop_at_death, skip)
  local objective, subjective, died, frames = 0, 0, 0, 0
  repeat
    local buttons = bridge.act(ram, mem, poke, fire, zap, spinner)
    local code = run(ram, buttons, board)
    if code ~= 0 then
      return code
    end
    bridge.update(ram, mem, frame)
    frames = frames + 1
    objective = objective + frame.objective
    subjective = subjective + frame.subjective
    if frame.done == 1 then
      died = 1
    end
    skip = skip - frame.decision
    if frames == LONGEST_WAY then
      return NO_DECISION
    end
  until frame.over == 1
    or (died == 1 and stop_at_death == 1)
    or (frame.decision == 1 and (died == 1 or skip <= 0))
  frame.objective, frame.subjective = objective, subjective
  frame.done, frame.frames = died, frames
  features.write(ram, mem, values)
  return 0
end

--- Observe without advancing.
local function observe_row(ram, mem, values, frame)
  bridge.observe(ram, mem, values, frame)
  frame.frames = 0
end

--- The host for LuaJIT. `frame_definition` is the C type of a frame, `buttons` where a state row holds its buttons.
function host.native(frame_definition, buttons_at)
  local ffi = require("ffi")
  local cast = ffi.cast
  local bytes, numbers = ffi.typeof("uint8_t *"), ffi.typeof("double *")
  local floats, ints = ffi.typeof("float *"), ffi.typeof("const int32_t *")
  local runner = ffi.typeof("int32_t (*)(uint8_t *, const uint8_t *, int64_t)")
  local frame_type = ffi.typeof(frame_definition)
  local frame_pointer = ffi.typeof("$ *", frame_type)

  local function poke(address, value, ram)
    ram[address] = value
  end

  local function run(ram, buttons, board)
    ram[buttons_at] = buttons
    return board.run(ram, board.rom, board.max_cycles)
  end

  local native = { frame_bytes = ffi.sizeof(frame_type) }

  function native.init(memory, seed, start_level, game)
    bridge.init(cast(numbers, memory), seed, start_level, game)
  end

  function native.set_start_level(memory, start_level)
    bridge.set_start_level(cast(numbers, memory), start_level)
  end

  function native.observe(states, stride, memory, indices, count, values, frames)
    states, memory, indices = cast(bytes, states), cast(numbers, memory), cast(ints, indices)
    values, frames = cast(floats, values), cast(frame_pointer, frames)
    for i = 0, count - 1 do
      local row = indices[i]
      observe_row(states + row * stride, memory + row * bridge.MEMORY, values + row * features.COUNT, frames + row)
    end
  end

  --- All rows named by `indices`; addresses are numbers. Returns the first row that found no decision frame, else -1.
  -- A row whose board stopped on an error stays as it is: the board's state tells.
  function native.advance(
    run_address, rom, max_cycles, states, stride, memory, indices, count, fire, zap, spinner, values, frames,
    stop_at_death, skip
  )
    local board = { run = cast(runner, run_address), rom = cast(bytes, rom), max_cycles = max_cycles }
    states, memory, indices = cast(bytes, states), cast(numbers, memory), cast(ints, indices)
    fire, zap, spinner = cast(ints, fire), cast(ints, zap), cast(ints, spinner)
    values, frames = cast(floats, values), cast(frame_pointer, frames)
    local lost = -1
    for i = 0, count - 1 do
      local row = indices[i]
      local code = advance_row(
        run, poke, board,
        states + row * stride, memory + row * bridge.MEMORY, values + row * features.COUNT, frames + row,
        fire[row], zap[row], spinner[row], stop_at_death, skip
      )
      if code == NO_DECISION and lost < 0 then
        lost = row
      end
    end
    return lost
  end

  return native
end

--- The host for Lua 5.3 and 5.4. `frame_format` packs the fields named by `frame_fields`. One board per call: its
-- memory comes and goes as a string, its RAM comes as one.
function host.portable(frame_format, frame_fields)
  local memory_format = "=" .. string.rep("d", bridge.MEMORY)
  local values_format = "=" .. string.rep("f", features.COUNT)
  local pack, unpack = string.pack, compat.unpack

  local function load_ram(ram, image)
    for _, range in ipairs(state.RANGES) do
      for address = range[1], range[2] do
        ram[address] = string.byte(image, address + 1)
      end
    end
  end

  local function load_memory(packed)
    local numbers, mem = { string.unpack(memory_format, packed) }, {}
    for i = 0, bridge.MEMORY - 1 do
      mem[i] = numbers[i + 1]
    end
    return mem
  end

  local function packed_memory(mem)
    return pack(memory_format, unpack(mem, 0, bridge.MEMORY - 1))
  end

  local function results(mem, values, frame)
    local fields = {}
    for i, name in ipairs(frame_fields) do
      fields[i] = frame[name]
    end
    return packed_memory(mem), pack(values_format, unpack(values, 0, features.COUNT - 1)), pack(frame_format, unpack(fields))
  end

  local portable = {}

  function portable.init(seed, start_level, game)
    local mem = {}
    bridge.init(mem, seed, start_level, game)
    return packed_memory(mem)
  end

  function portable.set_start_level(memory, start_level)
    local mem = load_memory(memory)
    bridge.set_start_level(mem, start_level)
    return packed_memory(mem)
  end

  function portable.observe(memory, image)
    local ram, mem, values, frame = {}, load_memory(memory), {}, {}
    load_ram(ram, image)
    observe_row(ram, mem, values, frame)
    return results(mem, values, frame)
  end

  --- Returns the code, and after a code of 0 the new memory, features and frame.
  function portable.advance(run_board, poke_board, memory, image, fire, zap, spinner, stop_at_death, skip)
    local ram, mem, values, frame = {}, load_memory(memory), {}, {}
    local function run(_, buttons)
      local code, image_after = run_board(buttons)
      if code == 0 then
        load_ram(ram, image_after)
      end
      return code
    end
    local function poke(address, value)
      poke_board(address, value)
    end
    load_ram(ram, image)
    local code = advance_row(run, poke, nil, ram, mem, values, frame, fire, zap, spinner, stop_at_death, skip)
    if code ~= 0 then
      return code
    end
    return 0, results(mem, values, frame)
  end

  return portable
end

return host
