-- Checks every page that wrk receives. Each thread has its own session, from the variable COOKIES.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

function init()
  local cookies = {}
  for cookie in os.getenv("COOKIES"):gmatch("%S+") do
    table.insert(cookies, cookie)
  end
  wrk.headers["Cookie"] = cookies[number]
  expected = "Logged in as wrk-" .. number .. "<"
  served, unavailable, wrong = 0, 0, 0
end

function response(status, headers, body)
  if status == 200 and body:find(expected, 1, true) then
    served = served + 1
  elseif status == 503 and headers["retry-after"] then
    unavailable = unavailable + 1
  else
    wrong = wrong + 1
  end
end

function done(summary)
  local function total(name)
    local sum = 0
    for _, thread in ipairs(threads) do
      sum = sum + thread:get(name)
    end
    return sum
  end
  local errors = summary.errors
  io.write("wrk: page 200\t", total("served"), "\n")
  io.write("wrk: page 503\t", total("unavailable"), "\n")
  io.write("wrk: connections closed by the server\t", errors.read + errors.write, "\n")
  if total("wrong") > 0 then
    io.write("wrong: wrk: another page or status\t", total("wrong"), "\n")
  end
  if errors.connect + errors.timeout > 0 then
    io.write("wrong: wrk: no response\t", errors.connect + errors.timeout, "\n")
  end
end
