-- The message sent for each frame (ARCADE F.3): a 16-bit length, 39 bytes of scalars, 195 big-endian floats.

local compat = require("compat")
local features = require("features")

local pack, unpack = compat.pack, compat.unpack

local packet = {}

local LENGTH = ">H"
local HEADER = ">HddBBBHIBBBhhBBBBB"
local VALUES = ">" .. string.rep("f", features.COUNT)

packet.BODY_BYTES = 39 + 4 * features.COUNT

--- The whole message of a frame, length included. `values` is a table indexed from 0.
function packet.encode(frame, values)
  return pack(LENGTH, packet.BODY_BYTES)
    .. pack(
      HEADER,
      features.COUNT,
      frame.subjective,
      frame.objective,
      frame.game_state,
      frame.game_mode,
      frame.life_lost,
      frame.frame,
      frame.score,
      frame.save,
      frame.fire,
      frame.zap,
      frame.spinner,
      frame.expert_target,
      frame.player_lane,
      frame.open,
      frame.expert_fire,
      frame.expert_zap,
      frame.level
    )
    .. pack(VALUES, unpack(values, 0, features.COUNT - 1))
end

return packet
