-- Shows display lists on MAME's own monitor and saves its snapshots. RENDER_ORACLE: scenes file, output file, count.
-- A scene is 4,096 bytes of vector RAM, 16 of colour RAM and the byte for $4000. Without a scenes file the program
-- itself draws, and the snapshot of video frame `count` is saved.

local SCENE = 4096 + 16 + 1
local FRAMES = 6                                   -- video frames that each scene stands
local scenes_file, output_file, count = os.getenv("RENDER_ORACLE"):match("([^\n]*)\n([^\n]*)\n(%d+)")
count = tonumber(count)

local scenes
if scenes_file ~= "" then
  local input = assert(io.open(scenes_file, "rb"))
  scenes = input:read("a")
  input:close()
end
local output = assert(io.open(output_file, "wb"))
local space = manager.machine.devices[":maincpu"].spaces["program"]

local function show(scene)
  local first = scene * SCENE
  space:write_u8(0x5800, 0)
  for i = 0, 4095 do space:write_u8(0x2000 + i, scenes:byte(first + 1 + i)) end
  for i = 0, 15 do space:write_u8(0x0800 + i, scenes:byte(first + 4097 + i)) end
  space:write_u8(0x4000, scenes:byte(first + 4113))
end

local frame = 0
local function step()
  local scene, at = frame // FRAMES, frame % FRAMES
  if at == 0 then
    if scene > 0 then output:write(manager.machine.video:snapshot_pixels()) end
    if scene == count then
      output:close()
      os.exit(0)
    end
    show(scene)
  end
  if space:read_u8(0x0C00) & 0x40 ~= 0 then space:write_u8(0x4800, 0) end
  frame = frame + 1
end

local function watch()
  frame = frame + 1
  if frame == count then
    output:write(manager.machine.video:snapshot_pixels())
    output:close()
    os.exit(0)
  end
end

emu.register_frame_done(function()
  local fine, problem = pcall(scenes and step or watch)
  if not fine then
    io.stderr:write(problem, "\n")
    os.exit(1)
  end
end)
emu.register_stop(function() os.exit(0) end)
