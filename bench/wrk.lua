-- What wrk sends, by the arguments behind "--", and the JSON line that bench/load.py reads.
--   varied [N]      a path of its own for each request, so that nothing remembered of one helps the
--                   next; with N, below the prefixes of so many routes in turn
--   post OCTETS     a body
--   close           a new connection for each request
--   get PATH        one path
--   paced MS        a pause before each request, of that length on average: were all alike, the
--                   connections would go on in step, and each wait for all others
function init(args)
   local head = "Host: " .. wrk.headers["Host"] .. "\r\n"
   if args[1] == "varied" then
      local count, routes = 0, tonumber(args[2] or 0)
      local behind = " HTTP/1.1\r\n" .. head .. "\r\n"
      request = function()
         count = count + 1
         local prefix = routes > 0 and "/r" .. (count * 7919) % routes or ""
         return "GET " .. prefix .. "/" .. count .. behind
      end
      return
   elseif args[1] == "post" then
      wrk.method, wrk.body = "POST", string.rep("x", tonumber(args[2]))
   elseif args[1] == "close" then
      wrk.headers["Connection"] = "close"
   elseif args[1] == "get" then
      wrk.path = args[2]
   elseif args[1] == "paced" then
      local ms = tonumber(args[2])
      delay = function() return math.random(ms / 2, ms * 3 / 2) end
   end
   local always = wrk.format()
   request = function() return always end
end

-- Latencies are microseconds.
function done(summary, latency, requests)
   local failed = {}
   for kind, count in pairs(summary.errors) do
      if count > 0 then
         failed[#failed + 1] = string.format('"%s": %d', kind, count)
      end
   end
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "octets": %d, "p50_us": %.1f, "p99_us": %.1f, ' ..
      '"p999_us": %.1f, "errors": {%s}}\n',
      summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50),
      latency:percentile(99), latency:percentile(99.9), table.concat(failed, ", ")))
end
