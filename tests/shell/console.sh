#!/usr/bin/env bash
# The console at a real terminal (a pseudo terminal made by python3): editing, completion, hints,
# ^C, reconnecting, history. And: who does not need it does not load it.
. "$(dirname "$0")/lib.sh"
start_server || done_testing
export KV_HISTORY=$SCRATCH/history TERM=xterm
# libedit never gives back the names of added functions (EL_ADDFN), six small texts in all.
echo leak:wcsdup >"$SCRATCH/known-leaks"
export LSAN_OPTIONS=suppressions=$SCRATCH/known-leaks:print_suppressions=0

# at_terminal STEP...: types each step into the console once it is quiet; prints all that was shown.
# The step "wait TEXT" waits for a text instead; "run COMMAND" runs a shell command.
cat >"$SCRATCH/terminal.py" <<'PY'
import os, pty, re, select, subprocess, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "--pass", os.environ["P"], "--port", os.environ["PORT"], *os.environ.get("OPTIONS", "").split()])
shown = b""
def read(seconds):
    global shown
    while select.select([fd], [], [], seconds)[0]:
        try: data = os.read(fd, 65536)
        except OSError: return False
        if not data: return False
        shown += data
        seconds = 0.05
    return True
def wait(text, start, seconds=10):
    end = time.time() + seconds
    while text not in shown[start:]:
        if time.time() > end or not read(0.1): break
wait(b"> ", 0)
for step in sys.argv[2:]:
    start = len(shown)
    if step.startswith("wait "):
        wait(step[5:].encode(), 0)
    elif step.startswith("run "):
        subprocess.run(step[4:], shell=True)
    else:
        os.write(fd, step.encode())
        wait(b"> ", start, 3) if step.endswith("\r") else read(0.2)
os.write(fd, b"\x04")
end = time.time() + 15
while time.time() < end and read(0.5): pass
os.close(fd)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).replace(b"\r", b"")
sys.stdout.buffer.write(text + b"\nstatus %d\n" % status)
PY
at_terminal() { P=$PASS PORT=$PORT python3 "$SCRATCH/terminal.py" "$KV_CLIENT" "$@"; }

shown=$(at_terminal $'SET k "two words"\r' $'GET k\r' $'RPUSH l a b\r' $'LRANGE l 0 -1\r' $'HSET h f v\r' \
  $'HGETALL h\r' $'GET nothing\r' $'NOSUCH\r' $'GET "k\r')
like "texts are quoted" "$shown" $'\n"two words"\n'
like "numbers are named" "$shown" $'\n\(integer\) 2\n'
like "lists are numbered" "$shown" $'\n1\) "a"\n2\) "b"\n'
like "maps show pairs" "$shown" $'\n1# "f" => "v"\n'
like "nil" "$shown" $'\n\(nil\)\n'
like "errors" "$shown" $'\n\(error\) ERR unknown command'
like "an open quote is refused, nothing sent" "$shown" 'the quotes do not match'
like "^D ends it well" "$shown" 'status 0'

shown=$(at_terminal 'HGETA' $'\t' $'h\r' 'GET ' $'\x03' $'PING\r')
like "Tab completes a command" "$shown" $'HGETALL +.*\n1# "f" => "v"'
like "the arguments still to come are shown" "$shown" 'GET *key'
like "^C forgets a line, the session goes on" "$shown" $'\^C.*PING.*\nPONG'

shown=$(at_terminal 'SET ' $'\x03')
like "as many of them as fit on the line" "$shown" 'SET *key value .*\.\.\.'

kv SET a-long-key-name 1 >"$SCRATCH/out"
shown=$(at_terminal $'GET a-lo\t\r')
like "Tab completes a key" "$shown" $'\n"1"\n'
shown=$(at_terminal $'help hget\r' $'timing on\r' $'PING\r')
like "help shows the command table's words" "$shown" 'HGET key field'
like "timing on request" "$shown" $'PONG\n\([0-9.]+ s\)'

start=$SECONDS
shown=$(at_terminal $'DEBUG SLEEP 20\r' $'\x03' 'wait not connected> ')
like "^C ends a running command" "$shown" 'cancelled; DEBUG was sent and may still be carried out'
like "and ^D afterwards the session" "$shown" 'status 0'
passes "and at once" test $((SECONDS - start)) -lt 15
DIR=$SCRATCH/another
start_server || done_testing
shown=$(at_terminal $'PING\r' \
  "run '$KV_CLIENT' --pass $PASS --port $PORT CLIENT KILL TYPE normal >/dev/null 2>&1" $'PING\r')
is "after a lost connection the next command works" "$(grep -c '^PONG' <<<"$shown")" 2
like "and it is said that there was one" "$shown" "the server closed the connection; connecting again"

shown=$(at_terminal $'SHUTDOWN NOSAVE\r')
unlike "SHUTDOWN that succeeds is no error" "$shown" 'error|unknown'
like "and shown by the prompt" "$shown" 'not connected> '
start_server || done_testing

# --- options that say how a reply is written ---
kv RPUSH forms a $'b\033c' >"$SCRATCH/out"
shown=$(OPTIONS=--json at_terminal $'LRANGE forms 0 -1\r')
like "--json" "$shown" $'\n\["a","b\\\\u001bc"\]\n'
shown=$(OPTIONS=--lines at_terminal $'LRANGE forms 0 -1\r')
like "--lines, and nothing that steers the terminal" "$shown" $'\na\nb\\\\x1bc\n'
shown=$(OPTIONS=--raw at_terminal $'ECHO text\r')
like "--raw, with the prompt on a line of its own" "$shown" $'\ntext\nlocalhost'
shown=$(OPTIONS=--quiet at_terminal $'ECHO "te\\x78t"\r' $'NOSUCH\r')
unlike "--quiet: no replies" "$shown" 'text'
like "but errors" "$shown" 'ERR unknown command'
for option in -0 --fail-nil; do
  like "$option is refused" "$(OPTIONS=$option at_terminal)" "^$option is not for the console"$'\n'".*status 2"
done

# --- messages ---
published="run $KV_CLIENT --pass $PASS --port $PORT"
shown=$(at_terminal $'SUBSCRIBE news\r' "$published PUBLISH news 'tea is ready'" 'wait ready' $'\x03' $'GET k\r')
like "messages are shown until ^C" "$shown" $'waiting for messages.*"tea is ready".*GET'
unlike "which is no error" "$shown" '\(error\)'
shown=$(at_terminal $'SUBSCRIBE news\r' "$published CLIENT KILL TYPE pubsub" 'wait closed' $'PING\r')
like "the end of the connection is told" "$shown" 'error\) the server closed the connection.*PONG'
shown=$(at_terminal $'UNSUBSCRIBE\r' $'PING\r')
like "who listens to nothing does not wait" "$shown" $'\nPONG\n'
shown=$(at_terminal $'MULTI\r' $'SUBSCRIBE news\r' $'PING\r' $'EXEC\r' 'wait messages' $'\x03')
like "nor does MULTI, before EXEC" "$shown" 'SUBSCRIBE.*QUEUED.*QUEUED.*EXEC.*waiting for messages'

# --- other locales ---
for locale in C POSIX; do
  shown=$(LC_ALL=$locale at_terminal $'SET name J\u00fcrgen\r')
  is "LC_ALL=$locale: no character is dropped" "$(kv GET name)" $'J\u00fcrgen'
  kv DEL name >"$SCRATCH/out"
done

# --- history ---
rm -f "$KV_HISTORY"
at_terminal $'SET kept 1\r' $'AUTH hidden-password\r' $' SET blank hidden-line\r' >"$SCRATCH/out"
is "A4: the history's mode" "$(stat -c %a "$KV_HISTORY")" 600
like "what was typed is kept" "$(cat "$KV_HISTORY")" 'kept'
unlike "A4: but no password" "$(cat "$KV_HISTORY")" 'hidden'
shown=$(at_terminal $'\x1b[A\r')
like "the arrow key brings it back" "$shown" $'SET kept 1.*\nOK'

# --- what a plain command loads ---
strace -f -e trace=openat -o "$SCRATCH/trace" "$KV_CLIENT" --pass "$PASS" --port "$PORT" GET k \
  >"$SCRATCH/out" 2>&1
is "a plain GET loads neither GPGME nor libedit nor the resolver's files" \
  "$(grep -cE 'libgpg|libedit|libncurses|libtinfo|resolv.conf|nsswitch|/hosts' "$SCRATCH/trace")" 0
done_testing
