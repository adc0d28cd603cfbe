#!/usr/bin/env bash
# SUBSCRIBE in the shell: a line a message as they come, and how it ends.
. "$(dirname "$0")/lib.sh"
start_server || done_testing
export KV_PASS=$PASS KV_PORT=$PORT

# listens FILE ARGUMENT...: a client in the background whose output goes there, once it listens.
listens() {
  local file=$1 before
  shift
  before=$(kv CLIENT LIST TYPE pubsub | grep -c id=)
  # What runs in the background ignores SIGINT, unless it is told otherwise.
  env --default-signal=INT "$KV_CLIENT" "$@" >"$SCRATCH/$file" 2>"$SCRATCH/$file.err" &
  LISTENER=$!
  wait_for 10 eval "[ \$(kv CLIENT LIST TYPE pubsub | grep -c id=) -gt $before ]"
}
has_lines() { [ "$(wc -l <"$SCRATCH/$1")" -ge "$2" ]; }

listens one SUBSCRIBE news
one=$LISTENER
listens two SUBSCRIBE news jobs
listens patterns PSUBSCRIBE 'n*'
listens json --json SUBSCRIBE news
listens lines --lines PSUBSCRIBE 'n*'
listens shard SSUBSCRIBE news
is "PUBLISH tells how many it was for" "$(kv PUBLISH news 'hello world')" 5
is "and SPUBLISH" "$(kv SPUBLISH news shard)" 1
passes "a message is printed at once" wait_for 5 has_lines one 1
kv PUBLISH jobs 'run, now' >/dev/null
wait_for 5 has_lines two 2
wait_for 5 has_lines lines 2
is "of one channel the messages alone" "$(cat "$SCRATCH/one")" "hello world"
is "of several where each was said" "$(cat "$SCRATCH/two")" "news,hello world
jobs,run, now"
is "so with patterns" "$(cat "$SCRATCH/patterns")" "news,hello world"
is "--lines" "$(tr '\n' '|' <"$SCRATCH/lines")" "news|hello world|"
is "--json has all of it" "$(cat "$SCRATCH/json")" '["message","news","hello world"]'
is "a channel of the shard" "$(cat "$SCRATCH/shard")" shard

kill -INT "$one"
wait "$one"
is "SIGINT ends it" "$?" 130
passes "and it is forgotten" wait_for 5 eval '[ "$(kv PUBLISH news x)" = 4 ]'
"$KV_CLIENT" SUBSCRIBE pipe 2>"$SCRATCH/err" | head -n 1 >"$SCRATCH/head" &
wait_for 10 eval '[ "$(kv PUBLISH pipe first)" = 1 ]'
passes "a pipe that nobody reads ends it" wait_for 5 eval '[ "$(kv PUBLISH pipe more)" = 0 ]'
is "without a word" "$(cat "$SCRATCH/head" "$SCRATCH/err")" first
"$KV_CLIENT" SUBSCRIBE work | while read -r job; do [ "$job" = end ] && break; echo "did $job"; done >"$SCRATCH/done" &
wait_for 10 eval '[ "$(kv PUBLISH work one)" = 1 ]'
kv PUBLISH work two >/dev/null
passes "a loop over messages" wait_for 5 has_lines done 2
is "runs for each" "$(cat "$SCRATCH/done")" "did one
did two"
listens redis SUBSCRIBE nothing
timeout 10 redis-cli -p "$PORT" -a "$PASS" --no-auth-warning SUBSCRIBE cli >"$SCRATCH/redis-cli" &
wait_for 10 eval '[ "$(kv PUBLISH cli hello)" = 1 ]'
passes "redis-cli SUBSCRIBE hears" wait_for 5 grep -q hello "$SCRATCH/redis-cli"
exits "--watch is for commands that end" 2 "$KV_CLIENT" --watch 1 SUBSCRIBE x
exits "--decrypt is for values" 2 "$KV_CLIENT" --decrypt SUBSCRIBE x
exits "SUBSCRIBE without a channel" 1 "$KV_CLIENT" SUBSCRIBE
exits "UNSUBSCRIBE ends with its answer" 0 "$KV_CLIENT" UNSUBSCRIBE x

listens last SUBSCRIBE end
stop_server
wait "$LISTENER"
is "the server's end is status 3" "$? $(cat "$SCRATCH/last.err")" "3 the server closed the connection"
done_testing
