#!/usr/bin/env bash
# Commands a line from a pipe: many under way at once, replies in order, failing lines named.
. "$(dirname "$0")/lib.sh"
start_server || done_testing
# kv as a program, for those who cannot run a function.
printf '#!/bin/sh\nexec "%s" --pass "%s" --port "%s" "$@"\n' "$KV_CLIENT" "$PASS" "$PORT" >"$SCRATCH/kv"
chmod 755 "$SCRATCH/kv"

is "a command a line, replies in order" \
  "$(printf 'SET a 1\nGET a\n\nINCR a\nGET a\n' | kv | tr '\n' ' ')" "OK 1 2 2 "
is "quotes as in redis-cli" "$(printf 'SET b "x\\x41\\n\x27y"\nGET b\n' | kv --json | tail -n 1)" "\"xA\\n'y\""
is "a last line without its end counts" "$(printf 'GET a' | kv)" 2
is "lines from a DOS file" "$(printf 'GET a\r\n' | kv)" 2
exits "no lines at all are a success" 0 "$SCRATCH/kv" </dev/null

printf 'SET a 1\nNOSUCH x\nGET "a\nGET a\nLLEN a\n' >"$SCRATCH/lines"
exits "a failing line: status 1" 1 bash -c "'$KV_CLIENT' --pass $PASS --port $PORT <'$SCRATCH/lines'"
is "the others have run" "$(tr '\n' ' ' <"$SCRATCH/out")" "OK 1 "
like "an error names its line" "$(cat "$SCRATCH/err")" 'line 2: ERR unknown command'
like "also one that was never sent" "$(cat "$SCRATCH/err")" 'line 3: the quotes do not match'
is "in the order of the lines" "$(cut -d: -f1 "$SCRATCH/err" | tr '\n' ' ')" "line 2 line 3 line 5 "
exits "--fail-nil" 6 bash -c "echo GET nothing | '$KV_CLIENT' --fail-nil --pass $PASS --port $PORT"
exits "a command without an answer is refused" 2 \
  bash -c "echo SUBSCRIBE c | '$KV_CLIENT' --pass $PASS --port $PORT"

exits "QUIT ends it well, however late the input ends" 0 bash -c "(echo QUIT; sleep 1) | '$SCRATCH/kv'"
is "with its answer" "$(cat "$SCRATCH/out" "$SCRATCH/err")" OK
exits "lines behind QUIT are not carried out: 3" 3 bash -c "printf 'SET q 1\nquit\n\nSET q 2\n' | '$SCRATCH/kv'"
is "and named" "$(cat "$SCRATCH/err") $(tr '\n' ' ' <"$SCRATCH/out")" \
  "QUIT closed the connection; what follows was not carried out, from line 4 on OK OK "
is "as is said" "$(kv GETDEL q)" 1

# A reply must not wait for the next line.
mkfifo "$SCRATCH/slow"
kv <"$SCRATCH/slow" >"$SCRATCH/slow.out" &
client=$!
exec 9>"$SCRATCH/slow"
echo 'SET slow 1' >&9
passes "a line from a slow writer is answered at once" wait_for 10 grep -q OK "$SCRATCH/slow.out"
exec 9>&-
wait "$client"

seq 1 60000 | sed 's/.*/HSET pkg:& name "package &" version 1.0-& section misc/' >"$SCRATCH/load"
start=$(date +%s%N)
kv --quiet <"$SCRATCH/load"
is "60,000 lines in one go" "$? $(kv DBSIZE)" "0 $((60000 + $(printf 'EXISTS a\nEXISTS b\nEXISTS slow\n' | kv | paste -sd+ | bc)))"
echo "# 60,000 lines took $((($(date +%s%N) - start) / 1000000)) ms"
is "and what they stored" "$(kv --json HGETALL pkg:54321)" \
  '{"name":"package 54321","version":"1.0-54321","section":"misc"}'
is "60,000 replies, each in its place" \
  "$(seq 1 60000 | sed 's/.*/ECHO &/' | kv | cmp - <(seq 1 60000) && echo same)" same

# A server that dies half-way: what is known of each line.
kv SET n 0 >"$SCRATCH/replies"
kv <"$SCRATCH/slow" >"$SCRATCH/replies" 2>"$SCRATCH/err" &
client=$!
exec 9>"$SCRATCH/slow"
seq 1 1000 | sed 's/.*/INCR n/' >&9
passes "the first lines are answered" wait_for 10 grep -qx 1000 "$SCRATCH/replies"
kill -STOP $(pgrep -P "$SERVER_PID") "$SERVER_PID"
printf 'INCR n\nINCR n\n' >&9
exec 9>&-
# They are under way once they lie unread in the stopped server's socket (column rx_queue).
wait_for 10 awk -v port="$(printf ':%04X$' "$PORT")" \
  '$2 ~ port && $4 == "01" && $5 !~ /:00000000$/ {found = 1} END {exit !found}' /proc/net/tcp
kill -KILL $(pgrep -P "$SERVER_PID") "$SERVER_PID"
wait "$client"
is "a lost connection: status 3" "$?" 3
like "the lines in doubt are named" "$(cat "$SCRATCH/err")" 'lines 1001 to 1002 had been sent.*1000 answered'

# --- a transaction, of which one command fails by itself ---
start_server || done_testing
printf 'DEL tx\nMULTI\nSET tx v\nLPUSH tx x\nEXEC\nGET tx\n' >"$SCRATCH/lines"
exits "an error in the answer to EXEC: 1" 1 "$KV_CLIENT" --pass "$PASS" --port "$PORT" --lines <"$SCRATCH/lines"
like "named with its line" "$(cat "$SCRATCH/err")" '^line 5: WRONGTYPE '
is "the lines behind it go on" "$(tail -n 1 "$SCRATCH/out")" v
exits "with --quiet, too: 1" 1 "$KV_CLIENT" --pass "$PASS" --port "$PORT" --quiet <"$SCRATCH/lines"
like "which says it all the same" "$(cat "$SCRATCH/err")" '^line 5: WRONGTYPE '
stop_server

# --- SHUTDOWN, whose answer is that the connection ends ---
shut_down() {  # shut_down NAME COMMAND...: on a server of its own
  DIR=$SCRATCH/$RANDOM start_server || return
  printf '#!/bin/sh\nexec "%s" --pass "%s" --port "%s" "$@"\n' "$KV_CLIENT" "$PASS" "$PORT" >"$SCRATCH/kv"
  exits "SHUTDOWN, $1: 0" 0 "${@:2}"
  is "SHUTDOWN, $1: without a word" "$(cat "$SCRATCH/out" "$SCRATCH/err")" "${said:-}"
  passes "SHUTDOWN, $1: the server has ended" wait_gone "$SERVER_PID" 100
}
shut_down "alone" "$SCRATCH/kv" SHUTDOWN NOSAVE
said=OK shut_down "as the last line" bash -c "printf 'SET a 1\nshutdown nosave\n\n' | '$SCRATCH/kv'"
start_server || done_testing
exits "SHUTDOWN, behind a nil with --fail-nil: 6" 6 \
  bash -c "printf 'GET nothing\nSHUTDOWN NOSAVE\n' | '$KV_CLIENT' --fail-nil --pass $PASS --port $PORT"
/usr/bin/python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
c = s.accept()[0]
c.recv(1000)
c.close()' >"$SCRATCH/port" &
SERVERS+=($!)
wait_for 10 test -s "$SCRATCH/port"
exits "SHUTDOWN to who hangs up before the login: 3" 3 \
  "$KV_CLIENT" --pass "$PASS" --port "$(cat "$SCRATCH/port")" SHUTDOWN
start_server || done_testing
exits "lines behind SHUTDOWN are not carried out: 3" 3 \
  bash -c "printf 'SHUTDOWN NOSAVE\nSET a 1\n' | '$KV_CLIENT' --pass $PASS --port $PORT"
like "and named" "$(cat "$SCRATCH/err")" '^the server was shut down; what follows was not carried out, from line 2 on$'
done_testing
