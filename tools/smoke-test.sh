#!/usr/bin/env bash
# npm start in a data directory of its own until every cluster is Healthy, the README's request against it, then Ctrl-C: all
# has to be gone within 10 s. bash tools/smoke-test.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

healthy_seconds=120
deployed_seconds=180
ended_seconds=10

work=$(mktemp -d "${TMPDIR:-/tmp}/hotswap-smoke.XXXXXX")
# Postgres runs as another user when this is root, and has to get in.
chmod 755 "$work"
export HOTSWAP_DATA_DIR=$work/data
# None that the system gives to who asks for any, as all that is started before the API does.
PORT=$(PATH=$PWD/node_modules/.bin:$PATH node --input-type=module -e "import { freePort } from './tools/free-port.ts'; console.log(await freePort())")
export PORT
output=$work/output
launcher=''

finish() {
  local code=$?
  if [[ $code -ne 0 ]]; then
    echo '-- what npm start said:' >&2
    cat "$output" >&2 || true
    tail -n 8 "$HOTSWAP_DATA_DIR"/log/*.log | cut -c 1-400 >&2 || true
  fi
  if [[ -n $launcher ]] && kill -0 "$launcher" 2>/dev/null; then
    kill -TERM "$launcher" || true
    wait "$launcher" || true
  fi
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT

# Until the command succeeds, for at most so many seconds.
await() {
  local seconds=$1 what=$2
  shift 2
  local until=$((SECONDS + seconds))
  until "$@"; do
    if ((SECONDS >= until)); then
      echo "-- not $what after $seconds s" >&2
      return 1
    fi
    if [[ -n $launcher ]] && ! kill -0 "$launcher" 2>/dev/null; then
      echo "-- npm start ended before it was $what" >&2
      return 1
    fi
    sleep 0.5
  done
}

npm run --silent build
# What npm start runs, without npm and its shell in between: background jobs of a script ignore the terminal's SIGINT, a trap in
# the launcher brings it back.
PATH=$PWD/node_modules/.bin:$PATH node apps/local-cluster/dist/main.js >"$output" 2>&1 &
launcher=$!
echo "-- started on port $PORT, data in $HOTSWAP_DATA_DIR"
await "$healthy_seconds" 'Healthy' grep -q 'Every cluster is Healthy' "$output"
echo "-- every cluster is Healthy after $SECONDS s"

answer=$(curl --fail-with-body --silent --show-error --max-time 20 -X POST "http://localhost:$PORT/api/v1/deployments" \
  -H 'Content-Type: application/json' \
  -d '{"moduleName":"payment-processor","version":"2.1.0","targetEnvironment":"Production","requesterEmail":"user@example.com"}') || {
  echo "-- the README's request was refused: $answer" >&2
  exit 1
}
id=$(node -e 'console.log(JSON.parse(process.argv[1]).id)' "$answer")
echo "-- deployment $id was accepted"

status_is_final() {
  status=$(curl --fail --silent --max-time 20 "http://localhost:$PORT/api/v1/deployments/$id" |
    node -e 'process.stdin.setEncoding("utf8").toArray().then((parts) => console.log(JSON.parse(parts.join("")).status))')
  [[ $status =~ ^(Succeeded|Failed|RolledBack|Cancelled|Superseded)$ ]]
}
await "$deployed_seconds" 'deployed' status_is_final
if [[ $status != Succeeded ]]; then
  echo "-- the deployment ended $status" >&2
  exit 1
fi
echo "-- it Succeeded after $SECONDS s"

pids=()
for file in "$HOTSWAP_DATA_DIR"/run/*.pid; do pids+=("$(head -n 1 "$file")"); done
[[ ${#pids[@]} -eq 12 ]] || { echo "-- ${#pids[@]} pid files instead of 12" >&2; exit 1; }
kill -INT "$launcher"
interrupted=$SECONDS
while kill -0 "$launcher" 2>/dev/null; do
  ((SECONDS - interrupted <= ended_seconds)) || { echo "-- still running $ended_seconds s after Ctrl-C" >&2; exit 1; }
  sleep 0.1
done
wait "$launcher"
launcher=''
for pid in "${pids[@]}"; do
  while kill -0 "$pid" 2>/dev/null; do
    ((SECONDS - interrupted <= ended_seconds)) || {
      echo "-- pid $pid outlives npm start, $ended_seconds s after Ctrl-C: $(cut -c 1-80 "/proc/$pid/stat")" >&2
      exit 1
    }
    sleep 0.1
  done
done
echo "-- Ctrl-C ended everything in $((SECONDS - interrupted)) s"
