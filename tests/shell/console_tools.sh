#!/usr/bin/env bash
# --scan, --bigkeys, --latency, --stat and --monitor: redis-cli's names and output, on kv and Redis.
. "$(dirname "$0")/lib.sh"

tools() {
  printf 'SET str:1 abcdef\nSET str:2 x\nRPUSH list a b c\nHSET hash f 1 g 2\n' | kv --quiet
  is "$1: --scan lists what matches" "$(kv --scan 'str:*' | sort | tr '\n' ' ')" "str:1 str:2 "
  is "$1: --scan with a pattern that matches nothing" "$(kv --scan 'nothing*')" ""
  is "$1: --scan -0 is safe for any key" "$(kv -0 --scan 'str:*' | sort -z | tr '\0' '|')" "str:1|str:2|"
  kv --bigkeys >"$SCRATCH/big"
  like "$1: --bigkeys: the largest text" "$(cat "$SCRATCH/big")" $'Biggest string found \'"str:1"\' has 6 bytes'
  like "$1: --bigkeys: the longest list" "$(cat "$SCRATCH/big")" $'Biggest   list found \'"list"\' has 3 items'
  like "$1: --bigkeys: how many" "$(cat "$SCRATCH/big")" '2 strings with 7 bytes'
  is "$1: --bigkeys counts as redis-cli does" \
    "$(grep -E '^Sampled|^Total|^Biggest (string|  list|  hash)' "$SCRATCH/big" | sort)" \
    "$(redis --bigkeys | sed -n '/summary/,$p' | grep -E '^Sampled|^Total|^Biggest (string|  list|  hash)' | sort)"
  like "$1: --latency: four figures" "$(kv --latency)" '^[0-9.]+ [0-9.]+ [0-9.]+ [0-9]+$'
  : >"$SCRATCH/stat"  # what the last one wrote is not this one's
  timeout 30 "$KV_CLIENT" --pass "$PASS" --port "$PORT" --stat >"$SCRATCH/stat" &
  local pid=$!
  wait_for 25 grep -qE '^4 +[0-9.]+[BKMG] ' "$SCRATCH/stat"
  kill "$pid" 2>/dev/null
  like "$1: --stat: keys and memory" "$(cat "$SCRATCH/stat")" $'\n4 +[0-9.]+[BKMG] +[0-9]+ '
}

# monitors NAME: on the server at PORT
monitors() {
  "$KV_CLIENT" --pass "$PASS" --port "$PORT" --monitor >"$SCRATCH/monitor" &
  local pid=$!
  wait_for 10 grep -q OK "$SCRATCH/monitor"
  kv SET seen yes >"$SCRATCH/out"
  local line='^[0-9]+\.[0-9]{6} \[0 .*[0-9]\] "SET" "seen" "yes"$'
  passes "$1: --monitor shows what others send" wait_for 10 grep -qE "$line" "$SCRATCH/monitor"
  kill "$pid"
}

start_server && tools kv && monitors kv
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --port "$PORT" --bind 127.0.0.1 --requirepass "$PASS" --save '' --dir "$SCRATCH" >"$SCRATCH/redis.out" 2>&1 &
SERVERS+=($!)
wait_for 20 redis PING
tools redis

monitors redis
for tool in --bigkeys --latency --stat '--scan *'; do
  exits "$tool on a full disk: 1" 1 bash -c "set -f; timeout 20 '$KV_CLIENT' --pass $PASS --port $PORT $tool >/dev/full"
  is "$tool: and why" "$(cat "$SCRATCH/err")" 'cannot write to standard output: No space left on device'
done
redis ACL SETUSER default -scan >"$SCRATCH/out"
exits "--bigkeys where SCAN is not allowed: refused, and not lost" 4 \
  "$KV_CLIENT" --pass "$PASS" --port "$PORT" --bigkeys
exits "a tool on a server that is not there: 3" 3 "$KV_CLIENT" --port 1 --stat
done_testing
