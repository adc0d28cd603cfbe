#!/usr/bin/env bash
# The processes: titles, death in every order, signals, second starts. P1 to P17 of
# tests/README.md.
. "$(dirname "$0")/lib.sh"

titles() { ps -o args= --ppid "$SERVER_PID" -p "$SERVER_PID"; }
child_pids() { pgrep -P "$SERVER_PID" -f '^kv child [0-9u\[]'; }

start_server
like "the parent is named" "$(ps -o args= -p "$SERVER_PID")" "^kv parent :$PORT"
exec 5<>"/dev/tcp/127.0.0.1/$PORT"
printf 'AUTH %s\r\n' "$PASS" >&5
read -r -t 5 reply <&5
is "a connection can log in" "$reply" $'+OK\r'
like "the sibling is named" "$(titles)" "kv sibling"
like "a child is named after its client" "$(titles)" "kv child 127\.0\.0\.1:[0-9]+"
unlike "A4: no password in any command line" "$(titles)" "$PASS"
is "A4: no password in the environment" "$(tr '\0' '\n' <"/proc/$SERVER_PID/environ" 2>/dev/null | grep -c "$PASS")" 0

# A lone client is waited for awake, but only while it asks.
hundredths() { sed 's/.*) //' "/proc/$(sibling)/stat" "/proc/$(child_pids | head -n 1)/stat" | awk '{n += $12 + $13} END {print n}'; }
for _ in $(seq 1000); do printf 'PING\r\n' >&5; read -r -t 5 reply <&5; done
is "a thousand requests, one after the other" "$reply" $'+PONG\r'
before=$(hundredths)
sleep 2
passes "and then the processes sleep: $(($(hundredths) - before)) hundredths of a second in two" test $(($(hundredths) - before)) -lt 40

# P15: a child holds its control socket, two pipes, its loop and its clients, and no file.
child=$(child_pids | head -n 1)
files=$(ls -l "/proc/$child/fd" | grep -E ' -> /' | grep -vE "/dev/|$SCRATCH/server\.(out|err)|pipe_child_")
is "P15: a child holds no file" "$files" ""
run_folder=$(ls -d "${TMPDIR:-/tmp}"/kv-run.* | while read -r f; do [ -p "$f/pipe_sibling" ] && ls -l "/proc/$(sibling)/fd" | grep -q "$f/" && echo "$f"; done)
is "F1: the folder of the pipes is private" "$(stat -c %a "$run_folder")" 700
is "F1: the sibling's pipe is private" "$(stat -c %a "$run_folder/pipe_sibling")" 600
is "the names of a child's pipes are gone once both ends are open" "$(ls "$run_folder" | grep -c pipe_child)" 0

# P1: a child's death is its own clients' affair.
printf 'SET before x\r\n' >&5; read -r -t 5 reply <&5
kill -KILL "$child"
is "P1: its client is hung up on" "$(timeout 5 cat <&5 | wc -c)" 0
exec 5<&-
is "P1: others are served" "$(redis GET before)" x

# P3: the sibling dies; the parent starts another from the disk.
old=$(sibling)
kill -KILL "$old"
new_sibling() { local now; now=$(sibling) && [ -n "$now" ] && [ "$now" != "$old" ]; }
passes "P3: the sibling is started again" wait_for 10 new_sibling
passes "P3: and serves" wait_for 10 redis PING
like "P3: the parent says so on stderr" "$(cat "$SCRATCH/server.err")" "sibling ended by signal 9"

# P6: a server that starts sweeps what the dead left, never a living one's folder, not even while
# that one's sibling is being started again.
kill -STOP "$SERVER_PID"
kill -KILL "$(sibling)"
"$KV_SERVER" --pass x --port 0 --dir "$SCRATCH" >"$SCRATCH/second.out" 2>&1 &
second=$!
wait_for 10 grep -q ^ready "$SCRATCH/second.out"
passes "P6: a starting server leaves a living one's folder" test -p "$run_folder/pipe_sibling"
kill -TERM "$second"; wait "$second"
kill -CONT "$SERVER_PID"
passes "P6: which goes on" wait_for 10 redis PING

# P8: one port, one folder, one server.
exits "a second server on the port is refused with status 1" 1 "$KV_SERVER" --pass x --port "$PORT" --dir "$SCRATCH"
like "and told why" "$(cat "$SCRATCH/err")" "cannot listen on 127.0.0.1 port $PORT: Address already in use"
exits "P8: a second server in the folder is refused" 1 "$KV_SERVER" --pass x --port 0 --dir "$DIR"
like "P8: and told who has it" "$(cat "$SCRATCH/err")" "already in use"
ln -s "$DIR" "$SCRATCH/link"
exits "P8: through a symbolic link as well" 1 "$KV_SERVER" --pass x --port 0 --dir "$SCRATCH/link"

# P17: an orderly end.
kill -TERM "$SERVER_PID"; wait "$SERVER_PID"
is "P17: SIGTERM ends it with status 0" $? 0
is "nothing is left of the run folder" "$(ls -d "$run_folder" 2>/dev/null)" ""
is "no process is left" "$(pgrep -f "^kv (parent :$PORT|sibling|child)" | while read -r p; do [ "$(readlink "/proc/$p/exe")" = "$KV_SERVER" ] && tr '\0' ' ' <"/proc/$p/cmdline"; done | grep -c ":$PORT")" 0

start_server
kill -INT "$SERVER_PID"; wait "$SERVER_PID"
is "SIGINT ends it with status 0" $? 0

# P5, P6: the parent dies without a word.
start_server
sibling=$(sibling)
exec 5<>"/dev/tcp/127.0.0.1/$PORT"
printf 'AUTH %s\r\n' "$PASS" >&5; read -r -t 5 reply <&5
child=$(child_pids | head -n 1)
kill -KILL "$SERVER_PID"; wait "$SERVER_PID" 2>/dev/null
passes "P5: the sibling ends by itself" wait_gone "$sibling" 20
passes "P5: so does the child" wait_gone "$child" 20
exec 5<&-
old_port=$PORT
is "P5: nothing listens any more" "$(redis-cli -p "$old_port" PING 2>&1 | grep -c refused)" 1
"$KV_SERVER" --pass "$PASS" --port "$old_port" --dir "$DIR" >"$SCRATCH/server.out" 2>"$SCRATCH/server.err" &
SERVER_PID=$!; SERVERS+=("$SERVER_PID")
passes "P6: the next start at once works, on the same port and folder" wait_for 10 grep -q ^ready "$SCRATCH/server.out"
stop_server

# P5, P3: the same while the data is restored, and a restore that is refused.
start_server --persist 36000 --fsync no
seq 400000 | awk '{print "RPUSH list" $1 % 5000 " " $1}' | redis --pipe >"$SCRATCH/out" 2>&1
kill_server
# start_restoring: the sibling stands still before it has restored everything.
start_restoring() {
  : >"$SCRATCH/server.out"
  "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --persist 36000 >"$SCRATCH/server.out" 2>"$SCRATCH/server.err" &
  SERVER_PID=$!; SERVERS+=("$SERVER_PID")
  while ! sibling=$(sibling) || [ -z "$sibling" ]; do sleep 0.01; done
  sleep 0.05
  kill -STOP "$sibling"
  sleep 0.2
  is "$1: it is still restoring" "$(cat "$SCRATCH/server.out")" ""
}
start_restoring "P5"
kill -KILL "$SERVER_PID"; wait "$SERVER_PID" 2>/dev/null
passes "P5: a sibling that restores ends at once" wait_gone "$sibling" 5
kill -KILL "$sibling" 2>/dev/null
start_restoring "P17"
kill -TERM "$SERVER_PID"; kill -CONT "$sibling"; wait "$SERVER_PID"
is "P17: SIGTERM while it restores ends it with status 0" $? 0
is "P17: and it was never ready" "$(cat "$SCRATCH/server.out")" ""
start_server --persist 36000
is "P5: nothing is missing" "$(redis DBSIZE)" 5000
printf 'x' | dd of="$DIR/kv.aof" bs=1 seek=5000 conv=notrunc 2>/dev/null
kill -KILL "$(sibling)"
passes "P3: a sibling that refuses the files ends the server" wait_gone "$SERVER_PID" 50
wait "$SERVER_PID"
is "P3: with status 1" $? 1
is "P3: it was started again once" "$(grep -c 'starting it again' "$SCRATCH/server.err")" 1
like "P3: and said why, and what to do" "$(tail -n 1 "$SCRATCH/server.err")" "kv.aof line [0-9]+.*--repair"
DIR=$SCRATCH/data2

# P3: a sibling whose files are gone does not begin anew.
# ends_without_files NAME COMMAND...: the command takes the files away.
ends_without_files() {
  local name="P3: $1" status
  shift
  "$@"
  kill -KILL "$(sibling)"
  passes "$name: the server ends" wait_gone "$SERVER_PID" 50
  kill -TERM "$SERVER_PID" 2>/dev/null; wait "$SERVER_PID"
  is "$name: with status 1" $? 1
  like "$name: and says what is missing and what to do" "$(cat "$SCRATCH/server.err")" "no data in $DIR any more.*put the folder back"
  is "$name: no file was made" "$(ls "$DIR" 2>/dev/null | grep -v kv.lock)" ""
}
start_with_a_key() {
  rm -rf "$DIR" "$DIR.away"
  start_server "$@"
  redis SET a 1 >/dev/null
}
DIR=$SCRATCH/gone
start_with_a_key --persist 36000
ends_without_files "its files are removed" eval 'rm "$DIR"/*'
start_with_a_key --persist 36000
ends_without_files "its folder is moved" mv "$DIR" "$DIR.away"
start_with_a_key --persist 36000
ends_without_files "its folder is replaced by an empty one" eval 'mv "$DIR" "$DIR.away"; mkdir "$DIR"'
start_with_a_key
old=$(sibling)
kill -KILL "$old"
passes "P3: without --persist and without a save" wait_for 10 new_sibling
passes "P3: it serves" wait_for 10 redis PING
is "P3: and is empty, as there never was a file" "$(redis DBSIZE)" 0
redis SAVE >/dev/null
ends_without_files "what SAVE has written is removed" eval 'rm "$DIR"/*'
DIR=$SCRATCH/data2

# P8: a lock file that was removed is not the lock.
start_server
rm "$DIR/kv.lock"
exits "P8: without the lock file the folder is still in use" 1 "$KV_SERVER" --pass x --port 0 --dir "$DIR"
like "P8: and the second server is told so" "$(cat "$SCRATCH/err")" "already in use"
stop_server

# P16: signals that mean nothing do nothing.
start_server
kill -HUP "$SERVER_PID"; kill -PIPE "$SERVER_PID"
is "P16: SIGHUP and SIGPIPE change nothing" "$(redis PING)" PONG
for _ in $(seq 200); do (printf 'PING\r\n' >"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; done
no_zombie() { [ "$(ps -o stat= --ppid "$SERVER_PID" | grep -c Z)" -eq 0 ]; }
passes "P16: no zombies after 200 connections" wait_for 5 no_zombie
stop_server

# --children 0: a process each, always.
start_server --children 0
for i in 1 2 3 4 5; do eval "exec 1$i<>/dev/tcp/127.0.0.1/$PORT"; eval "printf 'PING\r\n' >&1$i"; eval "read -r -t 5 reply <&1$i"; done
is "--children 0: five connections, five children" "$(child_pids | wc -l)" 5
for i in 1 2 3 4 5; do eval "exec 1$i<&-"; done
none_left() { [ -z "$(pgrep -P "$SERVER_PID" -f '^kv child')" ]; }
passes "--children 0: each ends with its client" wait_for 5 none_left
stop_server

start_server --children 2
for i in 1 2 3 4 5; do eval "exec 1$i<>/dev/tcp/127.0.0.1/$PORT"; eval "printf 'PING\r\n' >&1$i"; eval "read -r -t 5 reply <&1$i"; done
is "--children 2: five connections share two children" "$(child_pids | wc -l)" 2
for i in 1 2 3 4 5; do eval "exec 1$i<&-"; done
# An idle child is dismissed after ten seconds, also one that cannot hear of it.
idle_child() { idle=$(pgrep -P "$SERVER_PID" -f '^kv child idle' | head -n 1); [ -n "$idle" ]; }
passes "a child whose clients have gone is idle" wait_for 5 idle_child
kill -STOP "$idle"
passes "a dismissed child that is stopped ends all the same" wait_gone "$idle" 150
kill -CONT "$idle" 2>/dev/null
stop_server
done_testing
