-- Sends each line of a file once: "name: value|name: value<TAB>body", signed beforehand.
-- Arguments: vendor, folder with one file a thread, mean pause in milliseconds.
local threads = 0

function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end

function init(args)
  path = "/webhooks/" .. args[1]
  lines = io.lines(args[2] .. "/" .. id .. ".txt")
  local pause = tonumber(args[3])
  if pause > 0 then
    math.randomseed(id + 1)
    function delay() return math.random(0, 2 * pause) end
  end
end

function request()
  local line = lines()
  if line == nil then
    -- Nothing may be sent twice by accident: the run ends early, and is refused.
    print("exhausted")
    os.exit(3)
  end
  local headers, body = line:match("^([^\t]*)\t(.*)$")
  return "POST " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    .. "Content-Type: application/json\r\nContent-Length: " .. #body .. "\r\n"
    .. headers:gsub("|", "\r\n") .. "\r\n\r\n" .. body
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.3f,"refused":%d,"broken":%d,"p50":%.3f,"p99":%.3f,"p999":%.3f}\n',
    summary.requests, summary.duration / 1e6, e.status,
    e.connect + e.read + e.write + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    latency:percentile(99.9) / 1000))
end
