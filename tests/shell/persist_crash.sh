#!/usr/bin/env bash
# D1, D9, D15, S1, S8 of the failure list with real processes: killed with -9 at every write of the log, in
# the middle of saves, with a failing sync and a deleted log. What was acknowledged must be there.
# It never kills anything but the processes it started.
. "$(dirname "$0")/lib.sh"

counter() { redis get counter 2>/dev/null; }


# count_up N: INCRs counter up to N times, stops at the first failure; sets ACKED.
count_up() {
  local i reply
  for ((i = 0; i < $1; i++)); do
    reply=$(redis incr counter 2>/dev/null)
    [[ $reply =~ ^[0-9]+$ ]] || return 0
    ACKED=$reply
  done
}

# within NAME: the counter is what was acknowledged, or one more that was under way.
within() {
  wait_for 20 eval '[[ $(counter) =~ ^[0-9]+$ ]]'
  local now
  now=$(counter)
  if [ "$now" = "$ACKED" ] || [ "$now" = "$((ACKED + 1))" ]; then ok "$1"
  else not_ok "$1" "acknowledged $ACKED, found $now"; fi
  ACKED=$now
}

# --- kill -9 of the sibling, the parent, the snapshot writer ---
ACKED=0
start_server --persist 3600 --fsync always
for round in 1 2 3; do
  count_up 20
  kill -KILL "$(sibling)"
  within "D1 sibling killed, round $round: nothing acknowledged is lost or done twice"
done
count_up 10
SIBLING=$(sibling)
kill -KILL "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
wait_gone "$SIBLING" 50 || not_ok "the sibling ends with its parent"
start_server --persist 3600 --fsync always
within "D1 parent killed and the server started again"

for i in $(seq 200); do echo "SET filler$i $(printf '%01000d' "$i")"; done | redis >/dev/null
for round in 1 2 3; do
  redis bgsave >/dev/null
  writer=$(pgrep -P "$(sibling)" -f 'kv snapshot writer' | head -n 1)
  [ -n "$writer" ] && kill -KILL "$writer" 2>/dev/null
  count_up 5
done
kill -KILL "$(sibling)"
within "S1 S3 snapshot writers killed, then the sibling: all is there once"
exits "S1 check finds the folder good" 0 "$KV_SERVER" --check --dir "$DIR"
stop_server

# --- kill -9 at the Nth write of the log ---
REAL=$KV_SERVER
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
  for n in 1 2 3 5 8; do
    rm -rf "$DIR"
    ACKED=0
    printf '#!/bin/sh\nexec strace -D -f -o %s/trace -P %s/kv.aof -e trace=write -e inject=write:signal=KILL:when=%d %s "$@"\n' \
      "$SCRATCH" "$DIR" "$n" "$REAL" >"$SCRATCH/traced"
    chmod +x "$SCRATCH/traced"
    KV_SERVER=$SCRATCH/traced
    start_server --persist 3600 --fsync always
    KV_SERVER=$REAL
    count_up 12
    kill_server
    start_server --persist 3600 --fsync always
    if [ "$ACKED" = 0 ]; then
      now=$(counter)
      like "D1 killed at write $n of the log: nothing invented" "${now:-0}" '^[01]$'
    else
      within "D1 killed at write $n of the log"
    fi
    stop_server
  done

  # --- D9: the sync fails ---
  rm -rf "$DIR"
  ACKED=0
  printf '#!/bin/sh\nexec strace -D -f -o %s/trace -P %s/kv.aof -e trace=fdatasync -e inject=fdatasync:error=EIO:when=4+ %s "$@"\n' \
    "$SCRATCH" "$DIR" "$REAL" >"$SCRATCH/traced"
  KV_SERVER=$SCRATCH/traced
  start_server --persist 3600 --fsync always
  KV_SERVER=$REAL
  count_up 12
  isnt "D9 a write whose sync failed is not acknowledged" "$ACKED" 12
  kill_server
  start_server --persist 3600 --fsync always
  within "D9 and what was acknowledged before is there"
  stop_server
fi

# --- D15: the log is removed while in use ---
rm -rf "$DIR"
start_server --persist 3600
redis set a 1 >/dev/null
rm "$DIR/kv.aof"
if wait_for 5 eval 'redis set probe 2 2>&1 | grep -q removed'; then
  ok "D15 a removed log is noticed and writes are refused"
else
  not_ok "D15 a removed log is noticed and writes are refused"
fi
is "D15 reads go on" "$(redis get a)" 1
redis bgsave >/dev/null
passes "D15 a save heals it" wait_for 10 eval '[ "$(redis set a 3 2>&1)" = OK ]'
stop_server
start_server --persist 3600
is "D15 and a restart finds everything" "$(redis get a)" 3

# A log that is not ours any more is left as it is at the end, also when nobody can be told.
redis set b 1 >/dev/null
echo '# my comment' >>"$DIR/kv.aof"
before=$(sha256sum <"$DIR/kv.aof")
wait_for 5 eval 'redis info persistence | grep -q "^aof_last_write_status.*removed"'
sibling=$(sibling)
kill -KILL "$SERVER_PID"; wait "$SERVER_PID" 2>/dev/null
passes "D15 the parent is killed, the sibling ends" wait_gone "$sibling" 50
is "D15 and writes nothing behind what somebody added" "$(sha256sum <"$DIR/kv.aof")" "$before"
like "D15 and says so" "$(tail -n 1 "$SCRATCH/server.err")" "kv.aof was removed .*no save has succeeded since.*--check"
start_server --persist 3600
is "D15 the next start has everything" "$(redis mget a b | tr '\n' ' ')" "3 1 "

# ends_with STATUS NAME HOW...: how a server ends whose log was removed.
ends_with() {
  local status=$1 name="D15 $2"
  shift 2
  "$@" >/dev/null 2>&1
  wait_gone "$SERVER_PID" 100
  wait "$SERVER_PID"
  is "$name: status $status" $? "$status"
}
# without_log savable|unsavable [saved]: a server whose log is gone; a save would succeed, or fail. Its data
# is in the snapshot, or was in the log only.
without_log() {
  stop_server
  rm -rf "$DIR"
  start_server --persist 3600
  redis set a 1 >/dev/null
  [ "${2:-}" != saved ] || redis save >/dev/null
  rm "$DIR/kv.aof"
  [ "$1" = savable ] || mkdir "$DIR/kv.aof.new"
}
for how in 'kill -TERM $SERVER_PID' 'redis shutdown' 'redis shutdown nosave'; do
  without_log unsavable
  ends_with 1 "$how without a log, and a save that fails" eval "$how"
  is "D15 $how: the sibling is not started again" "$(grep -c 'starting it again' "$SCRATCH/server.err")" 0
  like "D15 $how says that the data was not saved" "$(tail -n 1 "$SCRATCH/server.err")" "kv.aof was removed .*no save has succeeded since"
done
without_log savable saved
ends_with 0 "SIGTERM without a log that a save replaces" eval 'kill -TERM $SERVER_PID'
start_server --persist 3600
is "D15 and everything is there" "$(redis get a)" 1

# --- S8: a point in time ---
for i in $(seq 50); do redis set "key$i" "$i" >/dev/null; done
redis bgsave >/dev/null
for i in $(seq 51 100); do redis set "key$i" "$i" >/dev/null; done
before=$(redis debug digest)
kill -KILL "$(sibling)"
wait_for 20 eval '[ "$(redis ping 2>/dev/null)" = PONG ]'
wait_for 20 eval '[[ $(redis dbsize 2>/dev/null) =~ ^[0-9]+$ ]]'
is "S8 writes during a save are there after a crash" "$(redis debug digest)" "$before"
stop_server
exits "S7 check finds every snapshot good" 0 "$KV_SERVER" --check --dir "$DIR"

# --- S10: the end during a save; the folder removed while running ---
start_server --persist 3600
for i in $(seq 300); do echo "SET big$i $(printf '%05000d' "$i")"; done | redis --pipe >/dev/null 2>&1
digest=$(redis debug digest)
redis bgsave >/dev/null
kill -TERM "$SERVER_PID"
if wait_gone "$SERVER_PID" 150; then ok "S10 SIGTERM during a save ends the server in time"
else not_ok "S10 SIGTERM during a save ends the server in time"; fi
start_server --persist 3600
is "S10 and everything is there" "$(redis debug digest)" "$digest"
rm -rf "$DIR"
if wait_for 5 eval 'redis set probe 2 2>&1 | grep -q removed'; then ok "S10 a removed folder is noticed"
else not_ok "S10 a removed folder is noticed"; fi
redis save >"$SCRATCH/out" 2>&1
like "S10 a save into it fails with a reason" "$(cat "$SCRATCH/out")" 'No such file|cannot'
is "S10 reads go on" "$(redis exists big1)" 1
kill -TERM "$SERVER_PID"
if wait_gone "$SERVER_PID" 150; then ok "S10 and the server still ends"
else not_ok "S10 and the server still ends"; fi
wait "$SERVER_PID"
is "S10 with status 1, as nothing was saved" $? 1

done_testing
