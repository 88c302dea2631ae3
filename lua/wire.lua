-- How a bridge in MAME talks to its server: the hello, and a link that sends strings and receives a number of bytes.
-- What it needs from outside is passed in.

local wire = {}

local CHUNK = 4096 -- bytes asked of a socket at once; MAME buffers smaller reads itself
local PROBE = 2 -- seconds of waiting between signs of life
local RESPONSE_MARK, ALIVE = 0xFFFF, 8

local function json_value(value)
  if type(value) == "number" then
    return string.format("%d", value)
  end
  local escaped = string.gsub(value, '[%c"\\]', function(c)
    return string.format("\\u%04x", string.byte(c))
  end)
  return '"' .. escaped .. '"'
end

--- The first message: a JSON object of the fields, pairs of name and value, with its 16-bit length.
function wire.hello(fields)
  local parts = {}
  for i, field in ipairs(fields) do
    parts[i] = json_value(field[1]) .. ":" .. json_value(field[2])
  end
  return string.pack(">s2", "{" .. table.concat(parts, ",") .. "}")
end

--- The answer to a command.
function wire.response(command, payload)
  return string.pack(">HBI4", RESPONSE_MARK, command, #payload) .. payload
end

--- Two files that are pipes: reads block, and end when the server does; then `lost` is called.
function wire.pipe(input, output, hello, lost)
  input:setvbuf("no")
  output:setvbuf("no")
  local link = {}

  function link.send(data)
    if not output:write(data) then
      lost()
    end
  end

  function link.receive(count)
    local data = input:read(count)
    if not data or #data < count then
      lost()
    end
    return data
  end

  link.send(hello)
  return link
end

--- A socket of MAME's. Its reads never block, and a server that is gone looks like a slow one: `receive`
-- returns nothing after `deadline` seconds (0: never). With `lost`, signs of life are sent while it waits, and `lost`
-- is called when they cannot be delivered. `seconds` returns the time.
-- The hello goes with the first packet: a second write to a server that has closed could kill MAME (SIGPIPE).
function wire.socket(socket, hello, seconds, deadline, lost)
  local link, greeting = {}, hello
  local pending = "" -- received and not yet taken; MAME's own buffer forgets its content at a write

  function link.send(data)
    data, greeting = greeting .. data, ""
    local written = socket:write(data)
    if lost and written and written < #data then
      lost()
    end
  end

  function link.receive(count)
    local started, probes = seconds(), 0
    while #pending < count do
      pending = pending .. socket:read(CHUNK)
      local waited = seconds() - started
      if lost and waited > PROBE * (probes + 1) then
        probes = probes + 1
        link.send(wire.response(ALIVE, ""))
      end
      if deadline > 0 and waited > deadline then
        return nil
      end
    end
    local data = string.sub(pending, 1, count)
    pending = string.sub(pending, count + 1)
    return data
  end

  return link
end

return wire
