-- What differs between LuaJIT, Lua 5.3 and Lua 5.4, so that no other file needs to know.

local compat = {}

compat.luajit = type(jit) == "table"
compat.unpack = table.unpack or unpack

local function make_ffi_pack()
  local ffi = require("ffi")
  local kinds = {
    B = { ffi.typeof("uint8_t[1]"), 1 },
    H = { ffi.typeof("uint16_t[1]"), 2 },
    h = { ffi.typeof("int16_t[1]"), 2 },
    I = { ffi.typeof("uint32_t[1]"), 4 },
    f = { ffi.typeof("float[1]"), 4 },
    d = { ffi.typeof("double[1]"), 8 },
  }

  --- `string.pack` for the letters B H h I f d in big-endian order, all that the packet needs.
  return function(format, ...)
    assert(string.sub(format, 1, 1) == ">", "only big-endian formats are supported")
    local parts = {}
    for i = 2, #format do
      local kind = kinds[string.sub(format, i, i)]
      local bytes = ffi.string(kind[1]((select(i - 1, ...))), kind[2])
      parts[i - 1] = string.reverse(bytes)
    end
    return table.concat(parts)
  end
end

--- Pack numbers into a string; see `string.pack` of Lua 5.3.
compat.pack = string.pack or make_ffi_pack()

return compat
