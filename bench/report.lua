-- With the argument "varied" no two requests are alike, so that nothing remembered of one helps the
-- next.
function init(args)
   if args[1] == "varied" then
      local count = 0
      request = function()
         count = count + 1
         return wrk.format(nil, "/" .. count)
      end
   end
end

-- The last line that wrk writes: what bench/load.py reads.  Latencies are microseconds.
function done(summary, latency, requests)
   local failed = {}
   for kind, count in pairs(summary.errors) do
      if count > 0 then
         failed[#failed + 1] = string.format('"%s": %d', kind, count)
      end
   end
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f, "errors": {%s}}\n',
      summary.requests, summary.duration / 1e6,
      latency:percentile(50), latency:percentile(99), table.concat(failed, ", ")))
end
