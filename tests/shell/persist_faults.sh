#!/usr/bin/env bash
# Faults from outside, with real processes: D11 a full disk, D9 a sync that fails under everysec and always,
# S9 a fork that fails, S10 a data folder that is removed, loading on a terminal and LOADING to clients.
# It needs a small disk of its own for D11 (root or a user namespace) and says so where it cannot have one.
. "$(dirname "$0")/lib.sh"

info() { redis info persistence | tr -d '\r' | sed -n "s/^$1://p"; }
# inject OPTIONS...: strace puts faults into the running sibling, until heal.
inject() {
  rm -f "$SCRATCH/strace.err"
  strace -f -p "$(sibling)" -o "$SCRATCH/trace" "$@" 2>"$SCRATCH/strace.err" &
  TRACER=$!
  wait_for 10 grep -q attached "$SCRATCH/strace.err"
}
heal() { kill "$TRACER" 2>/dev/null; wait "$TRACER" 2>/dev/null; }
can_trace=no
strace -o /dev/null true 2>/dev/null && can_trace=yes

# --- D11: a disk of 2 MiB, in a mount namespace of its own ---
cat >"$SCRATCH/full_disk" <<'SH'
mount -t tmpfs -o size=2m,mode=700 none "$DIR" || exit 77
exec "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --persist 3600 --fsync "$1" --verbose
SH
full_disk() {
  local spaces=-m acked=0 i reply fill fits
  [ "$(id -u)" = 0 ] || spaces=-Urm
  mkdir -p "$DIR"
  : >"$SCRATCH/server.out"
  DIR=$DIR KV_SERVER=$KV_SERVER PASS=$PASS unshare $spaces bash "$SCRATCH/full_disk" "$1" \
    >"$SCRATCH/server.out" 2>"$SCRATCH/server.err" &
  SERVER_PID=$!
  SERVERS+=("$SERVER_PID")
  if ! wait_for 20 grep -q '^ready' "$SCRATCH/server.out"; then
    wait "$SERVER_PID"
    ok "D11 ($1) # SKIP no small disk can be mounted here: $(head -n 1 "$SCRATCH/server.err")"
    return
  fi
  PORT=$(sed -n 's/^ready.*port \([0-9]*\).*/\1/p' "$SCRATCH/server.out" | head -n 1)
  fill=/proc/$SERVER_PID/root$DIR/fill
  head -c 1500000 /dev/zero >"$fill"
  for ((i = 1; i <= 200; i++)); do
    reply=$(redis set "key$i" "$(printf '%08000d' "$i")" 2>&1)
    [ "$reply" = OK ] && acked=$i || break
  done
  isnt "D11 ($1) some writes fit" "$acked" 0
  isnt "D11 ($1) some do not" "$acked" 200
  like "D11 ($1) a refused write says why" "$reply" 'MISCONF.*kv.aof.*No space'
  is "D11 ($1) and was not applied" "$(redis exists "key$((acked + 1))")" 0
  is "D11 ($1) reads go on" "$(redis strlen "key$acked")" 8000
  like "D11 ($1) INFO says why" "$(info aof_last_write_status)" 'No space'
  # A pipeline is one batch: all of it is refused, none of it applied.
  for i in 1 2 3 4 5; do echo "SET piped$i $(printf '%08000d' "$i")"; done | redis >"$SCRATCH/out" 2>&1
  unlike "D11 ($1) a pipeline of writes is refused as well" "$(cat "$SCRATCH/out")" OK
  digest=$(redis debug digest)
  like "D11 ($1) a save fails with the reason" "$(redis save 2>&1)" 'No space'
  is "D11 ($1) and leaves everything as it was" "$(redis debug digest)" "$digest"
  rm "$fill"
  is "D11 ($1) writes resume by themselves" "$(redis set after room 2>&1)" OK
  like "D11 ($1) INFO has forgotten it" "$(info aof_last_write_status)" '^ok'
  digest=$(redis debug digest)
  kill -KILL "$(sibling)"
  wait_for 20 eval '[[ $(redis dbsize 2>/dev/null) =~ ^[0-9]+$ ]]'
  is "D11 ($1) nothing acknowledged is lost" "$(redis debug digest)" "$digest"
  is "D11 ($1) every key is there" "$(redis dbsize)" "$((acked + 1))"
  is "D11 ($1) and a save works again" "$(redis save 2>&1)" OK
  stop_server
}
full_disk always
full_disk everysec

# --- S9: no process for the snapshot writer ---
if [ "$can_trace" = yes ]; then
  # libc forks with clone and makes threads with clone3; the sibling's only fork is the writer.
  rm -rf "$DIR"
  start_server --persist 1 --fsync no
  redis set a 1 >/dev/null
  inject -e trace=clone -e inject=clone:error=EAGAIN
  digest=$(redis debug digest)
  like "S9 a fork that fails is an error that says why" "$(redis bgsave 2>&1)" 'ERR.*no process.*Resource temporarily unavailable'
  is "S9 everything is as it was" "$(redis debug digest)" "$digest"
  is "S9 INFO says it" "$(info rdb_last_bgsave_status)" err
  is "S9 writes go on" "$(redis set b 2)" OK
  passes "S9 the timer tries again" wait_for 10 eval '[ "$(grep -c "saving failed" "$SCRATCH/server.err")" -ge 3 ]'
  sleep 4  # a second apart without back-off
  tries=$(grep -c 'saving failed' "$SCRATCH/server.err")
  like "S9 later each time" "$tries" '^[3-5]$'
  is "S9 SAVE needs no process" "$(redis save)" OK
  redis set c 3 >/dev/null
  heal
  redis bgsave >/dev/null
  passes "S9 and a save works again by itself" wait_for 10 grep -q '"c"' "$DIR/kv.db"
  digest=$(redis debug digest)
  kill_server
  exits "S9 check is content" 0 "$KV_SERVER" --check --dir "$DIR"
  like "S9 nothing is lost" "$(cat "$SCRATCH/out")" "digest $digest"

  # --- the snapshot writer stands back for requests ---
  rm -rf "$DIR"
  start_server --children 1
  exec 7<>"/dev/tcp/127.0.0.1/$PORT" 8<>"/dev/tcp/127.0.0.1/$PORT"
  printf 'AUTH %s\r\n' "$PASS" >&7; printf 'PING\r\n' >&8
  read -r -t 5 reply <&7 && read -r -t 5 reply <&8
  niceness() { ps -o ni= -p "$1" | tr -d ' '; }
  writer() { pgrep -P "$(sibling)" -f 'kv snapshot writer'; }
  turns_are() { [ "$(ps -o cls= -p "$(pgrep -P "$SERVER_PID" -f '^kv child')" | tr -d ' ')" = "$1" ]; }
  passes "a child of two connections interrupts nobody (SCHED_BATCH)" wait_for 5 turns_are B
  inject -e trace=fdatasync -e inject=fdatasync:delay_enter=2000000  # so that it can be looked at
  printf 'BGSAVE\r\n' >&7
  passes "a snapshot writer is there" wait_for 5 writer
  is "it leaves the processor to who answers" "$(niceness "$(writer)")" "$(($(niceness "$(sibling)") + 10))"
  passes "and may be interrupted by the child" wait_for 5 turns_are TS
  heal
  passes "which is as before when it has ended" wait_for 10 turns_are B
  exec 7<&- 8<&-
  kill_server

  # --- D9 under everysec: writes are refused, INFO says why, reads go on ---
  rm -rf "$DIR"
  start_server --persist 3600
  redis set before 1 >/dev/null
  inject -P "$DIR/kv.aof" -e trace=fdatasync -e inject=fdatasync:error=EIO
  redis set unsure 1 >/dev/null
  passes "D9 everysec: after a failed sync writes are refused" wait_for 10 eval 'redis set probe 1 2>&1 | grep -q "MISCONF.*sync"'
  like "D9 everysec: INFO says why" "$(info aof_last_write_status)" 'sync.*Input/output error'
  is "D9 everysec: reads go on" "$(redis get before)" 1
  like "D9 everysec: WAITAOF does not pretend" "$(redis waitaof 1 0 0 2>&1)" 'MISCONF.*sync'
  heal
  like "D9 everysec: and is not asked again" "$(redis set probe 1 2>&1)" 'MISCONF'
  kill_server

  # --- D9 under always: no answer before the sync, however long it takes ---
  rm -rf "$DIR"
  start_server --persist 3600 --fsync always
  redis set before 1 >/dev/null
  inject -P "$DIR/kv.aof" -e trace=fdatasync -e inject=fdatasync:delay_enter=3000000
  redis set slow 1 >"$SCRATCH/slow" &
  writer=$!
  passes "D9 always: the write is in the log" wait_for 10 grep -q '"slow"' "$DIR/kv.aof"
  redis get slow >"$SCRATCH/read" &
  reader=$!
  sleep 1
  is "D9 always: it is not acknowledged while its sync is under way" "$(cat "$SCRATCH/slow")" ""
  is "D9 always: nor shown to others" "$(cat "$SCRATCH/read")" ""
  wait "$writer" "$reader"
  is "D9 always: then it is, and a read sees it" "$(cat "$SCRATCH/slow" "$SCRATCH/read" | tr '\n' ' ')" "OK 1 "
  # The policy of the moment of the write counts, also when it changes before the answer.
  exec 8<>"/dev/tcp/127.0.0.1/$PORT"
  printf 'AUTH %s\r\n' "$PASS" >&8 && read -r -t 20 <&8
  printf 'SET late 1\r\nCONFIG SET appendfsync everysec\r\n' >&8
  passes "D9 always: a write before CONFIG SET appendfsync is in the log" wait_for 10 grep -q '"late"' "$DIR/kv.aof"
  is "D9 always: it is not acknowledged before its sync" "$(timeout 1 head -n 1 <&8)" ""
  like "D9 always: then it is" "$(timeout 20 head -n 1 <&8)" '^.OK'
  exec 8<&-
  heal
  stop_server

  # --- D9 under always: when a sync fails the server ends ---
  for others in no yes; do
    rm -rf "$DIR"
    start_server --persist 3600 --fsync always
    [ $others = yes ] && exec 7<>"/dev/tcp/127.0.0.1/$PORT" && printf 'PING\r\n' >&7 && read -r -t 20 <&7
    redis set before 1 >/dev/null
    inject -P "$DIR/kv.aof" -e trace=fdatasync -e inject=fdatasync:error=EIO
    isnt "D9 always, $others others: a write whose sync failed is not acknowledged" "$(redis set lost 1 2>&1)" OK
    passes "D9 always, $others others: the server ends" wait_gone "$SERVER_PID" 50
    kill -KILL "$SERVER_PID" 2>/dev/null
    wait "$SERVER_PID"
    is "D9 always, $others others: with status 1" "$?" 1
    like "D9 always, $others others: and says why" "$(cat "$SCRATCH/server.err")" 'could not be forced to the disk'
    heal
    start_server --persist 3600 --fsync always
    is "D9 always, $others others: what was acknowledged is there" "$(redis get before)" 1
    is "D9 always, $others others: WAITAOF is content" "$(redis waitaof 1 0 0 | tr '\n' ' ')" "1 0 "
    stop_server
  done
  exec 7>&-
fi

# --- another server starts while this one's sibling is away ---
rm -rf "$DIR"
start_server --persist 3600
redis set a 1 >/dev/null
first=$SERVER_PID first_port=$PORT first_dir=$DIR
killed=$(sibling)
kill -STOP "$first"  # the sibling stays away until the other one has started
kill -KILL "$killed"
DIR=$SCRATCH/other
start_server --persist 3600
stop_server
kill -CONT "$first"
SERVER_PID=$first PORT=$first_port DIR=$first_dir
passes "a server that starts leaves the pipes of one whose sibling is away" wait_for 10 eval '[ "$(redis get a)" = 1 ]'
stop_server

# --- loading: a bar on a terminal, LOADING to clients ---
rm -rf "$DIR"
start_server --persist 3600 --fsync no
python3 -c '
for i in range(1000000): print(f"SET key:{i} {i:0100d}")' | redis --pipe >/dev/null 2>&1
size=$(redis dbsize)
is "a log worth waiting for" "$size" 1000000
kill_server
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
script -qfec "'$KV_SERVER' --pass '$PASS' --port $PORT --dir '$DIR' --persist 3600" "$SCRATCH/terminal" >/dev/null 2>&1 </dev/null &
SCRIPT=$!
# Both questions at once: it may be done a moment later.
is_loading() {
  printf 'GET key:1\nINFO persistence\n' | redis 2>&1 | tr -d '\r' >"$SCRATCH/loading"
  grep -q LOADING "$SCRATCH/loading" && grep -q loading:1 "$SCRATCH/loading"
}
passes "a client is told LOADING meanwhile" wait_for 10 is_loading
like "INFO says that it loads" "$(cat "$SCRATCH/loading")" 'loading:1'
like "and how far it is" "$(cat "$SCRATCH/loading")" 'loading_total_bytes:[1-9].*loading_loaded_bytes:[1-9].*loading_eta_seconds:'
passes "then it serves" wait_for 60 eval '[ "$(redis dbsize)" = 1000000 ]'
like "a terminal shows a bar with percent" "$(tr '\r' '\n' <"$SCRATCH/terminal")" 'loading kv.aof  \[#*\.*\] [0-9]+ %'
parent=$(ps -o ppid= -p "$(redis info server | tr -d '\r' | sed -n 's/^process_id://p')" | tr -d ' ')
# A save that lasts shows one as well; here each piece written lasts a tenth of a second.
if [ "$can_trace" = yes ]; then
  SERVER_PID=$parent
  : >"$SCRATCH/terminal"
  inject -P "$DIR/kv.db.tmp" -e trace=write -e inject=write:delay_enter=100000
  redis bgsave >/dev/null
  passes "INFO says how far a save is" wait_for 20 eval 'redis info persistence | grep -q "current_save_keys_processed:[1-9]"'
  is "and how far it goes" "$(redis info persistence | tr -d '\r' | sed -n 's/^current_save_keys_total://p')" 1000000
  passes "a terminal shows a bar for a save that lasts" \
    wait_for 20 eval 'tr "\r" "\n" <"$SCRATCH/terminal" | grep -aqE "saving kv.db  \[#*\.*\] [0-9]+ %, "'
  passes "the save ends" wait_for 60 eval '[ "$(info rdb_bgsave_in_progress)" = 0 ]'
  heal
  is "well" "$(info rdb_last_bgsave_status)" ok
fi
kill -TERM "$parent"
passes "SIGTERM ends that one too" wait_gone "$parent" 300
wait "$SCRIPT" 2>/dev/null
start_server --persist 3600
if [ "$can_trace" = yes ]; then
  inject -P "$DIR/kv.db.tmp" -e trace=write -e inject=write:delay_enter=20000
  redis save >/dev/null
  heal
fi
unlike "nothing of it goes into a file" "$(cat "$SCRATCH/server.err")" 'loading|saving'
stop_server

done_testing
