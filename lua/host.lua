-- Runs boards from bridge point to bridge point for the in-process machine. Under LuaJIT everything happens here, on
-- memory that Python owns, by FFI pointers; other Luas get strings and a function that runs the board.

local bridge = require("bridge")
local compat = require("compat")
local features = require("features")
local state = require("state")

local min = math.min

local host = {}

host.MEMORY = bridge.MEMORY
host.observer = bridge.observer
host.RANDOM = state.memory.random

-- Far longer than the longest way from one decision to the next, entering three initials by time-out: 96 * 32 frames.
local LONGEST_WAY = 20000
host.LONGEST_WAY = LONGEST_WAY

local LATE_DESCENT = 0xE0 -- depth from which the far end, $F0, may be reached on the next frame (ARCADE C.10)

local GOING, DONE, NO_DECISION = 0, 1, 2
host.NO_DECISION = NO_DECISION

-- What a call for many rows returns, or the row that found no decision frame.
local ALL_WELL, BAD_ROW = -1, -2
host.ALL_WELL, host.BAD_ROW = ALL_WELL, BAD_ROW

local GAME_STATE, PLAYER_DEPTH = state.address.game_state, state.address.player_depth
local M = state.memory
local PASSED, DECISIONS, DEATHS, OBJECTIVE, SUBJECTIVE = M.passed, M.decisions, M.deaths, M.objective, M.subjective

--- Whether a board has arrived at a decision after a frame; sums on the way are kept in its memory.
local function progress(mem, frame, stop_at_death, skip, limit)
  local passed, decision = mem[PASSED] + 1, frame.decision
  local decisions, deaths = mem[DECISIONS] + decision, mem[DEATHS] + frame.life_lost
  local objective, subjective = mem[OBJECTIVE] + frame.objective, mem[SUBJECTIVE] + frame.subjective
  mem[PASSED], mem[DECISIONS], mem[DEATHS] = passed, decisions, deaths
  mem[OBJECTIVE], mem[SUBJECTIVE] = objective, subjective
  if
    (decision == 1 and (decisions >= skip or deaths > 0))
    or frame.over == 1
    or (deaths > 0 and stop_at_death == 1)
    or passed >= limit
  then
    frame.frames = passed
    frame.life_lost = min(deaths, 1)
    frame.objective = objective
    frame.subjective = subjective
    mem[PASSED], mem[DECISIONS], mem[DEATHS] = 0, 0, 0
    mem[OBJECTIVE], mem[SUBJECTIVE] = 0, 0
    return passed >= LONGEST_WAY and NO_DECISION or DONE
  end
  return GOING
end

--- Whether a board reaches the end of a descent, from where the next decision is far.
local function near_the_end(ram)
  return ram[GAME_STATE] == state.DESCENT and ram[PLAYER_DEPTH] >= LATE_DESCENT
end

--- The host for LuaJIT. `observe` is a function of `bridge.observer`, `frame_definition` the C type of a frame,
-- `buttons_at` where a state row holds its buttons.
function host.native(observe, frame_definition, buttons_at)
  -- A frame is one long trace without loops; the default limits are made for short ones.
  jit.opt.start(
    "-loop", "maxrecord=16000", "maxirconst=8000", "maxsnap=4000", "maxside=2000", "maxtrace=8000", "maxmcode=65536",
    "sizemcode=1024"
  )
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

  local native = { frame_bytes = ffi.sizeof(frame_type) }

  function native.init(memory, seed, start_level, game)
    bridge.init(cast(numbers, memory), seed, start_level, game)
  end

  function native.set_start_level(memory, start_level)
    bridge.set_start_level(cast(numbers, memory), start_level)
  end

  function native.observe(states, boards, stride, memory, indices, count, values, frames)
    states, memory, indices = cast(bytes, states), cast(numbers, memory), cast(ints, indices)
    values, frames = cast(floats, values), cast(frame_pointer, frames)
    local i = 0
    while true do -- with the test inside, LuaJIT can close the loop it records even over a single row
      if i >= count then
        return ALL_WELL
      end
      local row = indices[i]
      if row < 0 or row >= boards then
        return BAD_ROW
      end
      local frame = frames + row
      observe(states + row * stride, memory + row * bridge.MEMORY, values + row * features.COUNT, frame)
      frame.frames = 0
      i = i + 1
    end
  end

  --- The rows named by `indices` that `claim(counter)` gives, from its first number below `count` on; the rest as below.
  local function play(
    claim, counter, run, rom, max_cycles, states, boards, stride, memory, indices, count, fire, zap, spinner, values,
    frames, stop_at_death, skip, limit
  )
    local lost, i = ALL_WELL, claim(counter)
    while true do -- as above
      if i >= count then
        return lost
      end
      local row = indices[i]
      if row < 0 or row >= boards then
        return BAD_ROW
      end
      local ram, mem, frame = states + row * stride, memory + row * bridge.MEMORY, frames + row
      ram[buttons_at] = bridge.act(ram, mem, poke, fire[row], zap[row], spinner[row])
      local code = DONE
      if run(ram, rom, max_cycles) == 0 then
        observe(ram, mem, values + row * features.COUNT, frame)
        code = progress(mem, frame, stop_at_death, skip, limit)
      end
      if code == NO_DECISION and lost == ALL_WELL then
        lost = row
      end
      if code ~= GOING then
        i = claim(counter)
      end
    end
  end

  local alone = ffi.new("int32_t[1]")

  local function next_row(counter)
    local i = counter[0]
    counter[0] = i + 1
    return i
  end

  --- All rows named by `indices`; addresses are numbers. Returns ALL_WELL, BAD_ROW, or the first row that found no
  -- decision frame. A row whose board stopped on an error stays as it is: the board's state holds the error.
  function native.advance(
    run_address, rom, max_cycles, states, boards, stride, memory, indices, count, fire, zap, spinner, values, frames,
    stop_at_death, skip, limit
  )
    alone[0] = 0
    return play(
      next_row, alone, cast(runner, run_address), cast(bytes, rom), max_cycles, cast(bytes, states), boards, stride,
      cast(numbers, memory), cast(ints, indices), count, cast(ints, fire), cast(ints, zap), cast(ints, spinner),
      cast(floats, values), cast(frame_pointer, frames), stop_at_death, skip, limit
    )
  end

  --- What lets several threads, each with a host of its own, share the rows of a step. `words` is the address of their
  -- int64 words: `tempest_gym.machines.worker_threads` explains each; the next four addresses are those of the functions
  -- of `tempest_gym.board.atomics`, the rest is as above.
  function native.crew(
    words, claim_address, exchange_address, compare_address, wait_address, run_address, rom, max_cycles, states, boards,
    stride, memory, fire, zap, spinner, values, frames
  )
    words = cast("int64_t *", words)
    local run = cast(runner, run_address)
    rom = cast(bytes, rom)
    states, memory = cast(bytes, states), cast(numbers, memory)
    fire, zap, spinner = cast(ints, fire), cast(ints, zap), cast(ints, spinner)
    values, frames = cast(floats, values), cast(frame_pointer, frames)
    local claim_word = cast("int32_t (*)(int64_t *)", claim_address)
    local exchange = cast("int32_t (*)(int64_t *, int64_t)", exchange_address)
    local compare_exchange = cast("int32_t (*)(int64_t *, int64_t, int64_t)", compare_address)
    local wait_while = cast("int32_t (*)(int64_t *, int64_t, int64_t)", wait_address)
    local READY, WORK, ASLEEP, WATCHED = 0, 1, 2, 3
    local LINE = 8 -- words of a cache line; what different threads write lies on different ones
    local plan, crew = words + LINE, {}
    local order = ffi.new("int32_t[?]", boards)

    local function claim(counter)
      return claim_word(counter)
    end

    local function share()
      return play(
        claim, words, run, rom, max_cycles, states, boards, stride, memory, cast(ints, tonumber(plan[0])),
        tonumber(plan[1]), fire, zap, spinner, values, frames, tonumber(plan[2]), tonumber(plan[3]), LONGEST_WAY
      )
    end

    --- Publish the plan to advance `count` rows, those first that will probably have a long way to their next decision,
    -- and signal it to the first `helpers`. Returns how many of them are asleep and have to be woken.
    function crew.plan(rows, count, stop_at_death, skip, helpers)
      rows = cast(ints, rows)
      local first, last = 0, count
      for i = count - 1, 0, -1 do
        local row = rows[i]
        if near_the_end(states + row * stride) then
          order[first] = row
          first = first + 1
        else
          last = last - 1
          order[last] = row
        end
      end
      plan[0], plan[1], plan[2], plan[3] = tonumber(cast("intptr_t", order)), count, stop_at_death, skip
      words[0] = 0
      local asleep = 0
      for helper = 1, helpers do
        local helper_words = words + (1 + helper) * LINE
        local slept = exchange(helper_words, WORK) == ASLEEP and 1 or 0
        helper_words[2] = slept
        asleep = asleep + slept
      end
      return asleep
    end

    --- The leader's part of a step; then it polls `looks` times whether `helpers` are done. Returns as `native.advance`.
    function crew.lead(helpers, looks)
      local result = share()
      for helper = 1, helpers do
        wait_while(words + (1 + helper) * LINE, WORK, looks)
      end
      return result
    end

    --- A helper's part of every step from now on. Returns true when the leader sleeps until it is woken, and false
    -- when no work arrived in `looks` polls.
    function crew.serve(helper, looks)
      local helper_words = words + (1 + helper) * LINE
      while true do
        if
          wait_while(helper_words, READY, looks) == READY
          and compare_exchange(helper_words, READY, ASLEEP) == READY
        then
          return false
        end
        helper_words[1] = share()
        if exchange(helper_words, READY) == WATCHED then
          return true
        end
      end
    end

    return crew
  end

  return native
end

--- The host for Lua 5.3 and 5.4. `frame_format` packs the fields named by `frame_fields`. One board per call: its
-- memory is passed to and fro as a string, its RAM as another.
function host.portable(observe, frame_format, frame_fields)
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
    local packed_values = pack(values_format, unpack(values, 0, features.COUNT - 1))
    return packed_memory(mem), packed_values, pack(frame_format, unpack(fields))
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
    observe(ram, mem, values, frame)
    frame.frames = 0
    return results(mem, values, frame)
  end

  --- Returns DONE alone if the board stopped on an error; otherwise DONE or NO_DECISION with the new memory, features and
  -- frame.
  function portable.advance(run_board, poke_board, memory, image, fire, zap, spinner, stop_at_death, skip, limit)
    local ram, mem, values, frame = {}, load_memory(memory), {}, {}
    local function poke(address, value)
      poke_board(address, value)
    end
    local code, failed
    load_ram(ram, image)
    repeat
      failed, image = run_board(bridge.act(ram, mem, poke, fire, zap, spinner))
      if failed ~= 0 then
        return DONE
      end
      load_ram(ram, image)
      observe(ram, mem, values, frame)
      code = progress(mem, frame, stop_at_death, skip, limit)
    until code ~= GOING
    return code, results(mem, values, frame)
  end

  return portable
end

return host
