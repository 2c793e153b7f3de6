-- Load for wrk: "POST path" sends one body under a new Idempotency-Key each time, "GET file" asks
-- for the paths in a file, one after the other.  Prints one line of JSON at the end.

local counter, run, paths, body = 0, "", {}, nil

function setup(thread)
   counter = counter + 1
   thread:set("id", counter)
end

function init(args)
   local file = assert(io.open(args[2]))
   if args[1] == "POST" then
      body = file:read("*a")
      run = string.format("%s-%d", args[3], id)
      wrk.method = "POST"
      wrk.headers["Content-Type"] = "application/json"
   else
      for line in file:lines() do paths[#paths + 1] = line end
   end
   if args[4] then wrk.headers["Authorization"] = "Bearer " .. args[4] end
   file:close()
end

function request()
   counter = counter + 1
   if body then
      wrk.headers["Idempotency-Key"] = string.format('"%s-%d"', run, counter)
      return wrk.format(nil, nil, nil, body)
   end
   return wrk.format(nil, paths[counter % #paths + 1])
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '\nRESULT {"requests": %d, "microseconds": %d, "failed": %d, "p50": %d, "p99": %d}\n',
      summary.requests, summary.duration, e.status + e.connect + e.read + e.write + e.timeout,
      latency:percentile(50), latency:percentile(99)))
end
