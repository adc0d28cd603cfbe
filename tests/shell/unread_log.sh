#!/usr/bin/env bash
# Nobody reads what the server prints: it drops lines and says how many, and goes on serving.
. "$(dirname "$0")/lib.sh"

# The reader of stdout and stderr takes the ready line and then nothing until it is told to go on.
mkdir -p "$DIR"
mkfifo "$SCRATCH/printed"
timeout 300 "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --verbose >"$SCRATCH/printed" 2>&1 &
SERVER_PID=$!
SERVERS+=("$SERVER_PID")
exec 6<"$SCRATCH/printed"
PORT=
while IFS= read -r -t 20 -u 6 line; do
  [[ $line =~ ^ready.*127.0.0.1\ port\ ([0-9]+) ]] && PORT=${BASH_REMATCH[1]} && break
done
isnt "the server prints its ready line" "$PORT" ""

# 5,000 requests are some 700 KB of log; the pipe holds 64 KiB.
many() { for _ in $(seq 5000); do echo "SET key value"; done; }
client() { timeout 60 redis-cli -p "$PORT" -a "$PASS" --no-auth-warning "$@"; }
is "5,000 verbose requests are answered though nobody reads" "$(many | client | grep -c OK)" 5000
is "new clients are as well" "$(client GET key)" value

cat <&6 >"$SCRATCH/read" &
reader=$!
told() { client PING && grep -aE 'kv: [0-9]+ lines before this one had no room' "$SCRATCH/read"; }
passes "once it is read again it says how many lines were dropped" wait_for 20 told
is "no line is half there" "$(grep -avcE '^(\[[0-9T:-]+\] |ready|kv: )' "$SCRATCH/read")" 0
kill -TERM "$(pgrep -P "$SERVER_PID" -f '^kv parent')" 2>/dev/null || kill -TERM "$SERVER_PID"
wait "$SERVER_PID"
wait "$reader"
done_testing
