#!/usr/bin/env bash
# The shell client as a script uses it: arguments, forms of output, exit status; the same against
# kv and against a real redis-server, since it promises to work with both.
. "$(dirname "$0")/lib.sh"

start_redis() {
  PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  redis-server --port "$PORT" --bind 127.0.0.1 --requirepass "$PASS" --save '' --dir "$SCRATCH" \
    >"$SCRATCH/redis.out" 2>&1 &
  SERVERS+=($!)
  wait_for 20 redis PING
}

# kv as a program, for those who cannot run a function.
program() {
  printf '#!/bin/sh\nexec "%s" --pass "%s" --port "%s" "$@"\n' "$KV_CLIENT" "$PASS" "$PORT" >"$SCRATCH/kv"
  chmod 755 "$SCRATCH/kv"
}

arguments_are_data() {
  is "$1: SET answers" "$(kv SET k v)" OK
  kv SET k -5 >"$SCRATCH/out"
  is "$1: a value may look like an option" "$(kv GET k)" -5
  kv SET k --help >"$SCRATCH/out"
  is "$1: even like --help" "$(kv GET k)" --help
  kv SET k -h >"$SCRATCH/out"
  is "$1: or like -h" "$(kv GET k)" -h
  kv SET k '' >"$SCRATCH/out"
  is "$1: an empty value is a value" "$(kv EXISTS k) $(kv STRLEN k)" "1 0"
  kv SET '' empty >"$SCRATCH/out"
  is "$1: an empty key is a key" "$(kv GET '')" empty
  kv SET k -- <(printf %s --) >"$SCRATCH/out"
  is "$1: a literal -- comes from a file" "$(kv GET k)" --
}

files_are_arguments() {
  printf 'a\0b\n\n\xff' >"$SCRATCH/binary"
  kv SET k -- "$SCRATCH/binary" >"$SCRATCH/out"
  kv --raw GET k >"$SCRATCH/back"
  passes "$1: N10: a file of any bytes comes back as it was" cmp "$SCRATCH/binary" "$SCRATCH/back"
  kv SET k -- <(echo v) >"$SCRATCH/out"
  is "$1: one newline at the end is dropped" "$(kv STRLEN k)" 1
  printf 'from stdin\n' | kv SET k -- - >"$SCRATCH/out"
  is "$1: - is standard input" "$(kv GET k)" "from stdin"
  is "$1: and so it is where no file is named, all of it" \
    "$(printf 'a\nb\n' | kv SET k -- && kv STRLEN k)" $'OK\n3'
  is "$1: but a word in a piped line" "$(echo 'ECHO --' | kv)" --
  kv SET k 'from stdin' >"$SCRATCH/out"
  is "$1: files anywhere, even for the command" "$(kv -- <(echo GET) -- <(echo k))" "from stdin"
  exits "$1: a file that is not there: usage" 2 "$SCRATCH/kv" SET k -- /nonexistent
  like "$1: and says which" "$(cat "$SCRATCH/err")" '/nonexistent: No such file'
  exits "$1: standard input over the limit: usage" 2 bash -c "head -c 540000000 /dev/zero | '$SCRATCH/kv' SET k -- -"
  is "$1: and called so" "$(cat "$SCRATCH/err")" 'standard input is over 512.00M'
  is "$1: and sends nothing" "$(kv GET k)" "from stdin"
}

forms_of_output() {
  kv DEL l h >"$SCRATCH/out"
  kv RPUSH l a 'b c' '' >"$SCRATCH/out"
  kv HSET h one 11 two 2 >"$SCRATCH/out"
  is "$1: a list is joined with commas" "$(kv LRANGE l 0 -1)" "a,b c,"
  is "$1: and so is a map, keys and values" "$(kv HGETALL h)" "one,11,two,2"
  is "$1: and what lists hold lists of" "$(kv SCAN 0 MATCH 'l?' COUNT 1000),$(kv HSCAN h 0)" "0,0,one,11,two,2"
  is "$1: SADD tells how many are new" "$(kv DEL t),$(kv SADD t a a),$(kv SADD t a)" "0,1,0"
  is "$1: a set is written as a list is" "$(kv SMEMBERS t) $(kv SINTER t l2)" "a "
  is "$1: its JSON is a list" "$(kv --json SMEMBERS t) $(kv --json SUNION nothing)" '["a"] []'
  is "$1: ZADD tells how many are new" "$(kv DEL t),$(kv ZADD t 1 a 0.1 b),$(kv ZADD t 2 a)" "1,2,0"
  is "$1: members and scores are joined with commas" "$(kv ZRANGE t 0 -1 WITHSCORES) $(kv ZSCORE t b)" "b,0.1,a,2 0.1"
  is "$1: nil is an empty line" "$(kv GET nothing | od -An -c | tr -d ' ')" '\n'
  is "$1: nil among elements is empty" "$(kv MGET nothing nothing)" ","
  is "$1: JSON of a list" "$(kv --json LRANGE l 0 -1)" '["a","b c",""]'
  is "$1: JSON of a hash" "$(kv --json HGETALL h)" '{"one":"11","two":"2"}'
  is "$1: JSON of nil and of a number" "$(kv --json GET nothing) $(kv --json LLEN l)" "null 3"
  kv SET k -- <(printf 'q"\\\n\xff\xc3\xa9') >"$SCRATCH/out"
  is "$1: JSON loses no byte" "$(kv --json GET k | python3 -c 'import json, sys
print(json.load(sys.stdin).encode("utf-8", "surrogateescape"))')" "b'q\"\\\\\\n\\xff\\xc3\\xa9'"
  is "$1: --lines" "$(kv --lines HGETALL h | tr '\n' '|')" "one|11|two|2|"
  is "$1: -0" "$(kv -0 LRANGE l 0 -1 | tr '\0' '|')" "a|b c||"
  is "$1: --raw adds nothing" "$(kv --raw LLEN l | od -An -c | tr -d ' ')" 3
  is "$1: --quiet" "$(kv --quiet GET k)" ""
}

exit_status() {
  exits "$1: 0: success" 0 "$SCRATCH/kv" PING
  is "$1: nothing on standard error" "$(cat "$SCRATCH/err")" ""
  kv SET text abc >"$SCRATCH/out"
  exits "$1: 1: an error reply" 1 "$SCRATCH/kv" LLEN text
  like "$1: its text is on standard error" "$(cat "$SCRATCH/err")" '^WRONGTYPE '
  is "$1: and nothing on standard output" "$(cat "$SCRATCH/out")" ""
  exits "$1: 2: an unknown option" 2 "$SCRATCH/kv" --bogus GET k
  exits "$1: 2: an option without its value" 2 "$SCRATCH/kv" --port
  exits "$1: 3: nobody listens" 3 "$KV_CLIENT" --port 1 PING
  exits "$1: 4: a wrong password" 4 "$KV_CLIENT" --pass wrong --port "$PORT" PING
  unlike "$1: A4: which is not repeated" "$(cat "$SCRATCH/err" "$SCRATCH/out")" wrong
  exits "$1: 4: no password" 4 "$KV_CLIENT" --port "$PORT" PING
  is "$1: and how to give one" "$(cat "$SCRATCH/err")" "the server wants a password: --pass, --pass-file or KV_PASS"
  exits "$1: 6: nil with --fail-nil" 6 "$SCRATCH/kv" --fail-nil GET nothing
  exits "$1: 0: nil without" 0 "$SCRATCH/kv" GET nothing
  exits "$1: a full disk is an error" 1 bash -c "'$KV_CLIENT' --pass $PASS --port $PORT GET text >/dev/full"
}

ways_to_the_server() {
  is "$1: KV_PASS and KV_PORT" "$(KV_PASS=$PASS KV_PORT=$PORT "$KV_CLIENT" GET text)" abc
  is "$1: KV_URL" "$(KV_URL="kv://:$PASS@127.0.0.1:$PORT" "$KV_CLIENT" GET text)" abc
  is "$1: --url" "$("$KV_CLIENT" --url "redis://:$PASS@localhost:$PORT/0" GET text)" abc
  rm -f "$SCRATCH/pass"
  (umask 077 && echo "$PASS" >"$SCRATCH/pass")
  is "$1: --pass-file" "$("$KV_CLIENT" --pass-file "$SCRATCH/pass" --port "$PORT" GET text)" abc
  printf '%s\r\n' "$PASS" >"$SCRATCH/pass"
  is "$1: --pass-file with a DOS line end" "$("$KV_CLIENT" --pass-file "$SCRATCH/pass" --port "$PORT" GET text)" abc
  printf '%s\nsecond\n' "$PASS" >"$SCRATCH/pass"
  exits "$1: --pass-file of two lines: usage" 2 "$KV_CLIENT" --pass-file "$SCRATCH/pass" --port "$PORT" GET text
  like "$1: and says so" "$(cat "$SCRATCH/err")" 'must hold one line, the password$'
  chmod 644 "$SCRATCH/pass"
  exits "$1: A5: a password file others can read is refused" 2 \
    "$KV_CLIENT" --pass-file "$SCRATCH/pass" --port "$PORT" GET text
  is "$1: the password from a pipe" \
    "$("$KV_CLIENT" --pass-file <(echo "$PASS") --port "$PORT" GET text)" abc
  is "$1: an address in brackets" "$("$KV_CLIENT" --pass "$PASS" --host '[127.0.0.1]' --port "$PORT" GET text)" abc
  like "$1: --name" "$(kv --name me CLIENT LIST)" ' name=me '
  kv --database 3 SET elsewhere 1 >"$SCRATCH/out"
  is "$1: --database" "$(kv EXISTS elsewhere) $(kv --database 3 EXISTS elsewhere)" "0 1"
}

polling() {
  kv RPUSH queue a b c >"$SCRATCH/out"
  is "$1: --poll fetches until there is nothing" "$(kv --poll 0.01 LPOP queue | tr '\n' ' ')" "a b c "
  exits "$1: and ends well" 0 "$SCRATCH/kv" --poll 0 LPOP queue
  "$KV_CLIENT" --pass "$PASS" --port "$PORT" --watch 0.01 INCR counter >"$SCRATCH/watch" &
  local pid=$!
  wait_for 10 grep -qx 3 "$SCRATCH/watch"
  kill "$pid"
  is "$1: --watch goes on" "$(head -n 3 "$SCRATCH/watch" | tr '\n' ' ')" "1 2 3 "
}

# A4: what ps and /proc show while a command runs.
secrets() {
  "$KV_CLIENT" --pass "$PASS" --port "$PORT" --watch 60 PING >"$SCRATCH/watch" &
  local pid=$!
  wait_for 10 grep -q PONG "$SCRATCH/watch"
  unlike "$1: A4: the password is not in the process's arguments" \
    "$(tr '\0' ' ' <"/proc/$pid/cmdline")" "$PASS"
  kill "$pid"
  : >"$SCRATCH/watch"
  KV_PASS=$PASS "$KV_CLIENT" --port "$PORT" --watch 60 PING >"$SCRATCH/watch" &
  pid=$!
  wait_for 10 grep -q PONG "$SCRATCH/watch"
  unlike "$1: A4: nor in its environment" "$(tr '\0' ' ' <"/proc/$pid/environ")" "KV_PASS=$PASS"
  kill "$pid"
}

everything() {
  program
  arguments_are_data "$1"
  files_are_arguments "$1"
  forms_of_output "$1"
  exit_status "$1"
  ways_to_the_server "$1"
  polling "$1"
  secrets "$1"
}

start_redis && everything redis
start_server && everything kv

like "--help names every option" "$("$KV_CLIENT" --help)" '--allow-moved.*--monitor'
exits "--help is a success" 0 "$KV_CLIENT" --help
for option in --help --version --commands; do
  exits "$option on a full disk: 1" 1 bash -c "'$KV_CLIENT' $option >/dev/full"
  is "$option: and why" "$(cat "$SCRATCH/err")" 'cannot write to standard output: No space left on device'
done
exits "standard input that cannot be read: 3" 3 bash -c "'$KV_CLIENT' --pass $PASS --port $PORT </"
is "and why" "$(cat "$SCRATCH/err")" 'cannot read standard input: Is a directory'
like "--commands lists the commands" "$("$KV_CLIENT" --commands)" 'HGETALL key '
like "--version" "$("$KV_CLIENT" --version)" '^kv client [0-9]+\.[0-9]+'
exits "two tasks at once are refused" 2 "$SCRATCH/kv" --keys GET k
exits "also two of options" 2 "$SCRATCH/kv" --keys --bigkeys
like "and it says so" "$(cat "$SCRATCH/err")" '^two options .* cannot go together$'
exits "--help goes with all" 0 "$SCRATCH/kv" --help --bigkeys

# localhost is 127.0.0.1, whose listener takes nobody here, and ::1, where somebody answers.
/usr/bin/python3 - >"$SCRATCH/port" 2>"$SCRATCH/err" <<'PY' &
import socket
there, silent = socket.create_server(("::1", 0), family=socket.AF_INET6), socket.socket()
silent.bind(("127.0.0.1", there.getsockname()[1]))
silent.listen(0)
callers = [socket.socket() for _ in range(4)]  # more than may wait there
for caller in callers:
    caller.setblocking(False)
    caller.connect_ex(silent.getsockname())
print(there.getsockname()[1], flush=True)
client = there.accept()[0]
for answer in b"%0\r\n", b"+PONG\r\n":
    client.recv(1000)
    client.sendall(answer)
client.recv(1000)
PY
SERVERS+=($!)
if wait_for 10 test -s "$SCRATCH/port"; then
  is "an address that does not answer leaves time for the next one" \
    "$(echo PING | "$KV_CLIENT" --timeout 4 --host localhost --port "$(cat "$SCRATCH/port")" 2>&1)" PONG
else
  ok "several addresses need IPv6 # SKIP"
fi
done_testing
