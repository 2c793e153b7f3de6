-- Load for wrk: "POST file" sends the bodies in a file, one on each line, each time under a new
-- Idempotency-Key; "GET file" asks for the paths in a file.  Both go round.  With several addresses
-- in the environment variable ADDRESSES, each thread takes one.  Prints one line of JSON at the end.

local counter, run, lines, posting = 0, "", {}, false

function setup(thread)
   local addresses = {}
   for host, port in string.gmatch(os.getenv("ADDRESSES") or "", "([%d.]+):(%d+)") do
      addresses[#addresses + 1] = wrk.lookup(host, port)[1]
   end
   counter = counter + 1
   thread:set("id", counter)
   if #addresses > 0 then thread.addr = addresses[(counter - 1) % #addresses + 1] end
end

function init(args)
   posting = args[1] == "POST"
   run = string.format("%s-%d", args[3], id)
   for line in io.lines(args[2]) do lines[#lines + 1] = line end
   -- Threads begin at different places, so that they do not ask for the same things together.
   counter = (id - 1) * math.floor(#lines / 2)
   if posting then
      wrk.method = "POST"
      wrk.headers["Content-Type"] = "application/json"
   end
   if args[4] then wrk.headers["Authorization"] = "Bearer " .. args[4] end
end

function request()
   counter = counter + 1
   local line = lines[counter % #lines + 1]
   if not posting then return wrk.format(nil, line) end
   wrk.headers["Idempotency-Key"] = string.format('"%s-%d"', run, counter)
   return wrk.format(nil, nil, nil, line)
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '\nRESULT {"requests": %d, "microseconds": %d, "failed": %d, "p50": %d, "p99": %d}\n',
      summary.requests, summary.duration, e.status + e.connect + e.read + e.write + e.timeout,
      latency:percentile(50), latency:percentile(99)))
end
