#!/usr/bin/env bash
# --pipe PATH: requests by echo, replies by cat.
. "$(dirname "$0")/lib.sh"

start_server --pipe "$SCRATCH/pipe"
is "F1: the pipe is private" "$(stat -c %a "$SCRATCH/pipe")" 600
mkdir -m 700 "$SCRATCH/second"
exits "a second server on the same pipe is refused" 1 \
  timeout 20 "$KV_SERVER" --pass x --port 0 --dir "$SCRATCH/second" --pipe "$SCRATCH/pipe"
like "and told why" "$(cat "$SCRATCH/err")" 'is served by another server'
echo 'RPUSH jobs a "b c"' >"$SCRATCH/pipe"
two_jobs() { [ "$(redis LLEN jobs)" = 2 ]; }
passes "a line is a request" wait_for 5 two_jobs
mkfifo "$SCRATCH/answer"
echo '@answer LRANGE jobs 0 -1' >"$SCRATCH/pipe"
is "@NAME gets the reply, an element a line" "$(timeout 5 cat "$SCRATCH/answer")" $'a\nb c'
echo '@answer LPUSH' >"$SCRATCH/pipe"
like "an error is told by its word" "$(timeout 5 cat "$SCRATCH/answer")" "^ERR wrong number of arguments"
echo '@answer GET none' >"$SCRATCH/pipe"
is "nil is an empty line" "$(timeout 5 cat "$SCRATCH/answer" | od -An -c | tr -d ' ')" '\n'
echo "@answer GET 'open" >"$SCRATCH/pipe"
is "unbalanced quotes are told" "$(timeout 5 cat "$SCRATCH/answer")" "ERR Protocol error: unbalanced quotes in request"
echo secret-file >"$SCRATCH/plain"
echo '@plain GET jobs' >"$SCRATCH/pipe"
echo '@../x GET jobs' >"$SCRATCH/pipe"
echo '@answer PING' >"$SCRATCH/pipe"
is "what is not a pipe is never written to" "$(timeout 5 cat "$SCRATCH/answer"; cat "$SCRATCH/plain")" $'PONG\nsecret-file'
for request in "CLIENT REPLY SKIP" 'client "reply" off' RESET QUIT "AUTH wrong" "HELLO 3 AUTH default wrong" "blpop none 0" \
  "BLMPOP 0 1 none LEFT"; do
  echo "@answer $request" >"$SCRATCH/pipe"
  like "$request, which would change or hold up the replies of all lines, is refused" \
    "$(timeout 5 cat "$SCRATCH/answer")" "^ERR .*connection of one's own"
  echo "@answer ECHO after-${request%% *}" >"$SCRATCH/pipe"
  is "and the next line gets its own answer" "$(timeout 5 cat "$SCRATCH/answer")" "after-${request%% *}"
done
sleep 1.1  # complaints come once a second
told() { grep -q "$1" "$SCRATCH/server.err"; }
echo 'NOSUCH hidden-word' >"$SCRATCH/pipe"
passes "an error that nobody asked for is told to the operator" wait_for 5 told "pipe: ERR unknown command"
unlike "without what was given with it" "$(cat "$SCRATCH/server.err")" hidden-word
sleep 1.1
echo '*3' >"$SCRATCH/pipe"
passes "a line that is RESP is told" wait_for 5 told "a line is one request as a person types it"
sleep 1.1
echo "GET 'open" >"$SCRATCH/pipe"
passes "unbalanced quotes are told to the operator, too" wait_for 5 told "pipe: ERR Protocol error: unbalanced"
sleep 1.1
echo '@plain GET jobs' >"$SCRATCH/pipe"
passes "an answer for what is not a pipe is told" wait_for 5 told "pipe: ERR the answer for @plain is lost: that is not a pipe"
sleep 1.1
echo '@nope GET jobs' >"$SCRATCH/pipe"
passes "an answer for a pipe that does not come is told" wait_for 15 told "pipe: ERR the answer for @nope is lost: No such file"
mkfifo "$SCRATCH/unread"
echo '@unread GET jobs' >"$SCRATCH/pipe"
passes "and one for a pipe that nobody reads" wait_for 15 told "pipe: ERR the answer for @unread is lost: nobody reads"
sleep 1.1
{ head -c 70000 /dev/zero | tr '\0' x; echo; echo 'SET after-it 1'; } >"$SCRATCH/pipe"
after() { [ "$(redis GET after-it)" = 1 ]; }
passes "the line after one that is too long is a request" wait_for 5 after
passes "the long one is told" wait_for 5 told "a line longer than"
{ head -c 69632 /dev/zero | tr '\0' ' '; echo 'SET long-tail 1'; echo 'SET after-it 2'; } >"$SCRATCH/pipe"
after_two() { [ "$(redis GET after-it)" = 2 ]; }
passes "and so is the one after the next" wait_for 5 after_two
is "the end of a long line is no request" "$(redis EXISTS long-tail)" 0
(timeout 10 "$KV_CLIENT" --pass "$PASS" --port "$PORT" SUBSCRIBE news | head -n 1 >"$SCRATCH/heard") &
listening() { [ "$(redis PUBSUB NUMSUB news | tail -n 1)" = 1 ]; }
wait_for 5 listening
printf 'SUBSCRIBE news\nPUBLISH news piped\n' >"$SCRATCH/pipe"
passes "PUBLISH through the pipe" wait_for 5 grep -qx piped "$SCRATCH/heard"
is "but no SUBSCRIBE" "$(redis PUBSUB NUMSUB news | tail -n 1)" 1
for i in $(seq 500); do echo "INCR n"; done >"$SCRATCH/pipe"
all_counted() { [ "$(redis GET n)" = 500 ]; }
passes "five hundred lines at once" wait_for 5 all_counted

# The process that reads the pipe ends with its connection; the pipe is served again all the same.
process() { pgrep -P "$SERVER_PID" -f "^kv $1"; }
is_new() { local now; now=$(process "command pipe") && [ "$now" != "$1" ] && process "child pipe:0"; }
counted() { [ "$(redis GET m)" = 1 ]; }
for victim in sibling "child pipe:0" "command pipe"; do
  reader=$(process "command pipe")
  kill -KILL "$(process "$victim")"
  passes "a new process reads the pipe after the end of the $victim" wait_for 5 is_new "$reader"
  timeout 5 bash -c 'echo "SET m 0" >"$1"; echo "INCR m" >"$1"' _ "$SCRATCH/pipe"
  passes "and what is written to it is carried out" wait_for 5 counted
  redis DEL m >/dev/null
done
stop_server

# While the next sibling restores the data it could only refuse.
start_server --persist 36000 --fsync no --pipe "$SCRATCH/pipe"
seq 400000 | awk '{print "RPUSH list" $1 % 5000 " " $1}' | redis --pipe >"$SCRATCH/out" 2>&1
reader=$(process "command pipe")
kill -KILL "$(sibling)"
wait_gone "$reader" 50
exec 9<>"$SCRATCH/pipe"
for i in $(seq 100); do echo "RPUSH meanwhile $i" >&9; sleep 0.02; done
exec 9>&-
all_pushed() { [ "$(redis LLEN meanwhile)" = 100 ]; }
passes "lines that come while the data is restored wait until it is" wait_for 10 all_pushed
stop_server

echo text >"$SCRATCH/file"
exits "F2: a file in its place is refused" 1 "$KV_SERVER" --pass x --port 0 --dir "$DIR" --pipe "$SCRATCH/file"
like "F2: with the reason" "$(cat "$SCRATCH/err")" "something else is there"
done_testing
