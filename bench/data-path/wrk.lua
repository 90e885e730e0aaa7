-- wrk.lua [BODY BYTES]: GETs, or POSTs with a body; tells what came of them as one line of JSON.
function init(args)
  local bytes = tonumber(args[1] or "0")
  wrk.headers["accept"] = "application/json"
  if bytes > 0 then
    wrk.method = "POST"
    wrk.headers["content-type"] = "application/octet-stream"
    wrk.body = string.rep("x", bytes)
  end
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"failures":%d,"seconds":%f,"p50":%f,"p99":%f}',
    summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
