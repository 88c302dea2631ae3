-- The values of POKEY's RANDOM register in order, from the release of the reset on
-- (HARDWARE 1). Strings of bytes; no bit operators, so that every Lua can make them.

local polynomial = {}

local floor, char = math.floor, string.char

--- Shift a register, all ones (`full`) at first, through its period; return the eight bits from the one worth `unit`
-- on. `feedback(register)` gives the register one step on.
local function values(full, unit, feedback)
  local register, parts = full, {}
  for i = 1, full do
    parts[i] = char(floor(register / unit) % 256)
    register = feedback(register)
  end
  return table.concat(parts)
end

--- The 17-bit register: bit 16 is fed by bit 0, bit 7 by bits 8 and 13, the rest shift down.
function polynomial.long()
  return values(131071, 256, function(register)
    local low, bit_8, bit_13 = register % 2, floor(register / 256) % 2, floor(register / 8192) % 2
    -- Bit 8 has moved to bit 7; its new value there differs if bit 13 is set.
    return (register - low) / 2 + low * 65536 + bit_13 * (1 - 2 * bit_8) * 128
  end)
end

--- The 9-bit register: bit 8 is fed by bits 0 and 5, the rest shift down.
function polynomial.short()
  return values(511, 1, function(register)
    local low, bit_5 = register % 2, floor(register / 32) % 2
    return (register - low) / 2 + (low + bit_5) % 2 * 256
  end)
end

return polynomial
