-- The last event of a stream whose host dies, in the dialect of its path and in the proxy's own form (proxy/errors/dialect.ts).
--
-- HAProxy 2.6 asks no filter once a connection has failed (http_response_forward_body), but sends what it holds. So the event is there before anything
-- fails, and is the end of the message: in HAProxy's buffer, behind what the client was sent, and each piece of the stream that comes goes in front of it.
-- When the host ends the stream the event is taken out. HAProxy 2.8 and 3.0 do ask, with the input closed. Run with 2.6.12, 2.8.0 and 3.0.0.

-- HAProxy makes three coroutines for a request that has a filter. What they leave is collected at ten times of what is in use, not at twice: two MB more a thread,
-- and 10 µs for a request instead of 35, since a collection looks at all that Lua has.
collectgarbage("setpause", 1000)

local message = "The host that had this request failed before its answer was complete. Ask again."

-- Anthropic's clients take "overloaded_error" for what may be asked again in the middle of a stream.
local events = {
  messages = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"%s"}}\n\n',
  chat = 'data: {"error":{"message":"%s","type":"server_error","param":null,"code":"host_failed"}}\n\n',
  responses = 'event: response.failed\ndata: {"type":"response.failed","response":{"id":"%s","object":"response","status":"failed","output":[],'
    .. '"error":{"code":"host_failed","message":"%s"}}}\n\n',
}

-- What waits behind the event is little, or HAProxy 2.6 would read no more from a host once its buffer was full. So where more is there, of a client that is slow
-- or of a large event, the stream goes on without one, and is only cut when its host dies then.
local most = 32768

local Guard = { id = "cut-streams", flags = filter.FLT_CFG_FL_HTX }
Guard.__index = Guard

-- Of each of HAProxy's streams, which has a coroutine for what is not a filter's.
local guards = setmetatable({}, { __mode = "k" })

-- `held`: bytes in front of what comes next that are ours. `half`: the half event that they hide. `lost`: the stream went on without us and may be inside an event.
function Guard:new()
  local guard = setmetatable({ held = 0, half = "", lost = false }, Guard)
  guards[coroutine.running()] = guard
  return guard
end

-- An action, because a filter that wants to see heads is called four times for every answer, which doubles what HAProxy needs for a request.
local function watch(txn)
  local guard = guards[coroutine.running()]
  local path = txn:get_var("txn.path")
  if path == "/v1/responses" then
    guard.event = events.responses:format("resp_unknown", message)
    guard.unnamed = true
  else
    guard.event = events[path:find("^/v1/messages") and "messages" or "chat"]:format(message)
  end
  filter.register_data_filter(guard, txn.res)
end

-- Returns how many bytes of what is there go on.
function Guard:http_payload(txn, answer)
  if self.held > 0 then
    if answer:input() == self.held then
      -- Of a full buffer may_recv says the same as of a closed input.
      local open = answer:output() + self.held > most or answer.channel:may_recv()
      return open and 0 or self.held
    end
    -- The host's own end is no data.
    if answer:body(-1) then answer:unset_eom() end
    answer:remove(0, self.held)
    if self.half ~= "" then answer:insert(self.half, 0) end
    self.held, self.half = 0, ""
  end

  local whole = answer:input()
  if answer:eom() or answer:output() + whole > most then
    self.lost = true
    return whole
  end
  local last = self:between(answer, whole)
  if last == nil then return whole end
  if self.unnamed and whole > 0 then self:name(answer:body(0, 512), last) end
  self.lost = answer:insert(self.event, last) ~= #self.event
  if self.lost then return whole end
  self.held = #self.event
  if last < whole then self:hide(answer, last) end
  answer:set_eom()
  return last
end

-- Where the last whole event ends, nil where that is not known.
function Guard:between(answer, whole)
  if whole == 0 then return not self.lost and 0 or nil end
  if answer:body(-3):find("\n\r?\n$") then return whole end
  local _, last = answer:body():find("^.*\n\r?\n")
  return last or not self.lost and 0 or nil
end

-- The first event says which response this is.
function Guard:name(beginning, last)
  local id = beginning:match('"id"%s*:%s*"(resp_[%w_-]+)"')
  if id then self.event = events.responses:format(id, message) end
  self.unnamed = id == nil and last == 0
end

-- Half an event after ours would be read all the same by a client that reads on: OpenAI's says that its JSON is malformed. So a comment of its length stands there.
function Guard:hide(answer, last)
  local at = last + self.held
  self.half = answer:body(at)
  answer:remove(at, #self.half)
  answer:insert(":" .. ("."):rep(#self.half - 1), at)
  self.held = self.held + #self.half
end

core.register_filter("cut-streams", Guard, function(class) return class end)
core.register_action("guard", { "http-res" }, watch)
