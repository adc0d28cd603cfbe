#!/usr/bin/env bash
# Started with stdin, stdout or stderr closed: no descriptor of ours may take one of those numbers,
# and what cannot be read or printed is an error. Item 4 of what a starter may do to us.
. "$(dirname "$0")/lib.sh"

# others: what the processes of the server hold at 0, 1 and 2 that is not /dev/null.
others() {
  local pid
  for pid in "$SERVER_PID" $(pgrep -P "$SERVER_PID"); do
    ls -l "/proc/$pid/fd/0" "/proc/$pid/fd/1" "/proc/$pid/fd/2" 2>&1 | grep -v -- '-> /dev/null$'
  done
}
answers() { redis PING; }

# With stdout closed there is no ready line, so the port is chosen here: the first that is free.
mkdir -p "$DIR"
for PORT in $(shuf -i 20000-29999 -n 20); do
  "$KV_SERVER" --pass "$PASS" --port "$PORT" --dir "$DIR" --persist 60 --verbose <&- >&- 2>&- &
  SERVER_PID=$!
  SERVERS+=("$SERVER_PID")
  wait_for 10 answers && break
done
exec 5<>"/dev/tcp/127.0.0.1/$PORT"
printf 'AUTH %s\r\nSET k v\r\nGET k\r\n' "$PASS" >&5
got=$(for _ in 1 2 3 4; do IFS= read -r -t 10 -u 5 line && echo "$line"; done | tr -d '\r' | tr '\n' ' ')
is "with 0, 1 and 2 closed a client gets its answers and no log line" "$got" '+OK +OK $1 v '
is "no process of it holds anything else at 0, 1 or 2" "$(others)" ""
is "the log on disk holds the write and nothing else of ours" "$(grep -ac 'msg\|sibling\|parent' "$DIR/kv.aof")" 0
exec 5<&-

exits "a client without stdout says that it could not print" 1 bash -c '"$@" >&-' - "$KV_CLIENT" --pass "$PASS" --port "$PORT" GET k
exits "and without stdin that it could not read" 3 bash -c '"$@" <&-' - "$KV_CLIENT" --pass "$PASS" --port "$PORT" SET k -- -
is "nothing was set to what could not be read" "$(redis GET k)" v
exits "without stderr it works" 0 bash -c '"$@" 2>&-' - "$KV_CLIENT" --pass "$PASS" --port "$PORT" GET k
is "and prints" "$(cat "$SCRATCH/out")" v
stop_server
done_testing
