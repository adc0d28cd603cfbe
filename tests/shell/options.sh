#!/usr/bin/env bash
# The server's command line: passwords, ports, wrong words, the ready line, systemd.
. "$(dirname "$0")/lib.sh"

exits "no password: status 2" 2 env -u KV_PASS "$KV_SERVER" --port 0 --dir "$SCRATCH"
like "no password: told what to do" "$(cat "$SCRATCH/err")" "^kv: a password is needed: --pass PASSWORD, --pass-file FILE or KV_PASS"
is "one line on stderr" "$(wc -l <"$SCRATCH/err")" 1
is "nothing on stdout" "$(cat "$SCRATCH/out")" ""
for wrong in "--bogus" "--port abc" "--port 70000" "--persist" "--persist 0" "--persist abc" "--fsync sometimes" "--children -1" "word" "--databases 0" \
  "--port 07320" "--port 0x1CA8" "--port +1" "--max-clients 0b11" "--persist 010" "--children 1e2" "--keep-logs 99999999999999999999"; do
  exits "$wrong: status 2" 2 "$KV_SERVER" --pass x $wrong
  is "$wrong: one line on stderr" "$(wc -l <"$SCRATCH/err")" 1
done
for wrong in "--persist:wants SECONDS" "--dir:wants FOLDER" "--dir a --dir b:given only once" "--into x:with --until" "--json:with --check"; do
  exits "refused: ${wrong%%:*}" 2 timeout 5 "$KV_SERVER" --pass x --port 0 ${wrong%%:*}
  like "and it says so: ${wrong##*:}" "$(cat "$SCRATCH/err")" "${wrong##*:} "
done
exits "a number is decimal" 2 "$KV_SERVER" --pass x --port 07320
is "and that is said" "$(cat "$SCRATCH/err")" "kv: --port: 07320 is not a decimal number from 0 to 65535 (see server --help)"
exits "--help: status 0" 0 "$KV_SERVER" --help
like "--help: on stdout" "$(cat "$SCRATCH/out")" "--persist SECONDS"
exits "-h: status 0" 0 "$KV_SERVER" -h
like "-h: the same" "$(cat "$SCRATCH/out")" "--persist SECONDS"
exits "an unknown option" 2 "$KV_SERVER" --pass x --po 7320 more
is "is named, and nothing behind it" "$(cat "$SCRATCH/err")" "kv: --po is not an option (see server --help)"
exits "an unknown option with a value" 2 "$KV_SERVER" --pas=hidden
is "is named without that" "$(cat "$SCRATCH/err")" "kv: --pas is not an option (see server --help)"
exits "a stray word" 2 "$KV_SERVER" --pass x serve
is "is named" "$(cat "$SCRATCH/err")" "kv: serve is not expected: options begin with -- (see server --help)"
exits "--version: status 0" 0 "$KV_SERVER" --version
like "--version" "$(cat "$SCRATCH/out")" "^kv [0-9]+\.[0-9]+\.[0-9]+$"

mkdir -p "$DIR"
for option in --help --version "--check --dir $DIR" "--check --json --dir $DIR"; do
  exits "$option: a full disk is an error" 1 bash -c "'$KV_SERVER' $option >/dev/full"
  like "$option: and told" "$(cat "$SCRATCH/err")" "cannot write .*: No space left on device"
done

# A5: a password file.
printf 'filepass\r\n' >"$SCRATCH/pw"; chmod 644 "$SCRATCH/pw"
exits "A5: a password file that others can read is refused" 2 "$KV_SERVER" --pass-file "$SCRATCH/pw" --port 0 --dir "$DIR"
like "A5: and it says what to do" "$(cat "$SCRATCH/err")" "chmod 600"
exits "A5: a folder as password file" 2 "$KV_SERVER" --pass-file "$DIR" --port 0 --dir "$DIR"
like "A5: is called one" "$(cat "$SCRATCH/err")" "the password file $DIR is a folder"
exits "A5: a missing password file" 2 "$KV_SERVER" --pass-file "$SCRATCH/none" --port 0 --dir "$DIR"
: >"$SCRATCH/empty"; chmod 600 "$SCRATCH/empty"
exits "A5: an empty password file" 2 "$KV_SERVER" --pass-file "$SCRATCH/empty" --port 0 --dir "$DIR"
chmod 600 "$SCRATCH/pw"
up() { : >"$SCRATCH/server.out"; "$@" >"$SCRATCH/server.out" 2>"$SCRATCH/server.err" & SERVER_PID=$!; SERVERS+=("$SERVER_PID"); wait_for 10 grep -q '^ready' "$SCRATCH/server.out"; PORT=$(sed -n 's/^ready.*port \([0-9]*\).*/\1/p' "$SCRATCH/server.out"); }
up "$KV_SERVER" --pass-file "$SCRATCH/pw" --port 0 --dir "$DIR"
is "A5: a private one is read, without its line end" "$(redis-cli -p "$PORT" -a filepass --no-auth-warning PING)" PONG
stop_server
KV_PASS=envpass up "$KV_SERVER" --port 0 --dir "$DIR"
is "KV_PASS works" "$(redis-cli -p "$PORT" -a envpass --no-auth-warning PING)" PONG
is "A4: and is gone from the environment ps shows" "$(tr '\0' '\n' <"/proc/$SERVER_PID/environ" | grep -c envpass)" 0
stop_server

up "$KV_SERVER" --pass-file "$SCRATCH/pw" --pass "$PASS" --port 0 --dir "$DIR"
is "--pass goes before --pass-file" "$(redis PING)" PONG
stop_server

for few in 5 6 7 8 9; do
  exits "$few descriptors are too few" 1 bash -c "ulimit -n $few; exec '$KV_SERVER' --pass x --port 0 --dir '$DIR'"
  like "$few: and that is said" "$(cat "$SCRATCH/err")" "kv: [a-z .'/A-Z0-9-]+: Too many open files \(ulimit -n allows too few\)$"
done
few_for() { up bash -c "ulimit -n 200; exec \"\$@\"" _ "$KV_SERVER" --pass x --port 0 --dir "$DIR" "$@"; stop_server; cat "$SCRATCH/server.err"; }
like "more clients than descriptors are told of at the start" "$(few_for --max-clients 300 --children 2)" \
  "--max-clients 300 does not fit into 200 descriptors a process \(ulimit -Hn\): it serves about 272$"
like "with a process each, too" "$(few_for --max-clients 100 --children 0)" "--max-clients 100 does not fit .* about 68$"
is "as many as fit are not" "$(few_for --max-clients 272 --children 2; few_for --max-clients 68 --children 0)" ""

start_server
like "the ready line says where" "$(cat "$SCRATCH/server.out")" "^ready: kv [0-9.]+ listens on 127\.0\.0\.1 port $PORT"
is "one line on stdout" "$(wc -l <"$SCRATCH/server.out")" 1
is "nothing on stderr" "$(cat "$SCRATCH/server.err")" ""
is "before AUTH nothing is answered" "$(redis-cli -p "$PORT" GET k 2>&1)" "NOAUTH Authentication required."
like "a wrong password" "$(redis-cli -p "$PORT" AUTH wrong 2>&1)" "^WRONGPASS "
stop_server

# A name with several addresses, one of them twice; only where a file may be put over /etc/hosts.
printf '%s many\n' 127.0.0.1 127.0.0.1 127.0.0.3 >"$SCRATCH/hosts"
elsewhere() { unshare -rm bash -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' _ "$SCRATCH/hosts" "$@"; }
if elsewhere getent ahosts many >/dev/null 2>&1; then
  up elsewhere "$KV_SERVER" --pass "$PASS" --port 0 --bind many --bind 127.0.0.1 --dir "$DIR"
  is "--bind NAME takes each of its addresses once" \
    "$(grep -o '[0-9.:]\+ port' "$SCRATCH/server.out" | sort | tr '\n' ' ')" "127.0.0.1 port 127.0.0.3 port "
  kill -TERM "$(pgrep -P "$SERVER_PID" -f "^kv parent" || echo "$SERVER_PID")"; wait "$SERVER_PID"
fi

# A Unix socket, for this user only from its first instant.
start_server --unixsocket "$SCRATCH/kv.sock"
is "--unixsocket serves" "$(redis-cli -s "$SCRATCH/kv.sock" -a "$PASS" --no-auth-warning PING)" PONG
is "F1: --unixsocket is private" "$(stat -c %a "$SCRATCH/kv.sock")" 700
stop_server
is "and gone afterwards" "$(ls "$SCRATCH/kv.sock" 2>/dev/null)" ""

printf 'port=0\ndatabases=3\n' >"$SCRATCH/kv.conf"
up "$KV_SERVER" --pass "$PASS" --config "$SCRATCH/kv.conf" --dir "$DIR"
is "--config is read" "$(redis CONFIG GET databases | tail -n 1)" 3
like "SELECT knows the limit" "$(redis SELECT 3 2>&1)" "out of range"
stop_server

# A misspelt line is refused, as a misspelt option is; so is a file that shows others the password.
printf 'persit=60\n' >"$SCRATCH/kv.conf"
exits "--config: an unknown name is refused" 2 "$KV_SERVER" --pass x --port 0 --dir "$DIR" --config "$SCRATCH/kv.conf"
like "--config: the name is in the message" "$(cat "$SCRATCH/err")" "^kv: --config $SCRATCH/kv.conf line 1: persit is not an option"
is "--config: one line on stderr" "$(wc -l <"$SCRATCH/err")" 1
printf 'port=0\npass=confpass\n' >"$SCRATCH/kv.conf"; chmod 644 "$SCRATCH/kv.conf"
exits "A5: a password in a --config that others can read is refused" 2 "$KV_SERVER" --dir "$DIR" --config "$SCRATCH/kv.conf"
like "A5: and it says what to do about it" "$(cat "$SCRATCH/err")" "chmod 600"
chmod 600 "$SCRATCH/kv.conf"
up "$KV_SERVER" --config "$SCRATCH/kv.conf" --dir "$DIR"
is "A5: a private one is read" "$(redis-cli -p "$PORT" -a confpass --no-auth-warning PING)" PONG
stop_server

# What is written behind the = is the value, whatever it looks like.
chmod 600 "$SCRATCH/kv.conf"
with_pass() { printf '%s\n' '# a remark' '' ' ; another' 'verbose=false' binary 'port = 0' 'bind=127.0.0.1' 'bind=127.0.0.2' "pass=$1" >"$SCRATCH/kv.conf"; }
for word in 'Tr0ub4dor#3' '[ab]' 'a b' 'a,b' 'a=b;c' "don't" '"' $'tab\tin it'; do
  with_pass "$word"
  up "$KV_SERVER" --config "$SCRATCH/kv.conf" --dir "$DIR"
  is "--config: $word is a password" "$(redis-cli -p "$PORT" -a "$word" --no-auth-warning PING)" PONG
  stop_server
done
like "--config: bind may be given twice" "$(cat "$SCRATCH/server.out")" "listens on 127\.0\.0\.1 port $PORT, 127\.0\.0\.2 port $PORT"
for word in '"in quotes "' "'in quotes '" $' \t"in quotes " \r'; do
  with_pass "$word"
  up "$KV_SERVER" --config "$SCRATCH/kv.conf" --dir "$DIR"
  is "--config: quotes are taken off a value, and blanks around it" "$(redis-cli -p "$PORT" -a "in quotes " --no-auth-warning PING)" PONG
  stop_server
done
while IFS=: read -r line why; do
  printf '# first\n%b\n' "$line" >"$SCRATCH/kv.conf"
  exits "--config: refused: $line" 2 timeout 5 "$KV_SERVER" --pass x --dir "$DIR" --config "$SCRATCH/kv.conf"
  like "--config: and told where: $line" "$(cat "$SCRATCH/err")" "^kv: --config $SCRATCH/kv.conf line [23]: $why"
  is "--config: in one line: $line" "$(wc -l <"$SCRATCH/err")" 1
done <<'WRONG'
-:- is not an option
\xff\xfe:\\xff\\xfe is not an option
[default]:\[default\] is not an option
port:port wants N
port=:port wants N
port=0x1CA8:--port. 0x1CA8 is not a decimal number
verbose=perhaps:verbose is true or false
verbose=:verbose wants true or false
port=1\nport=2:port may be given only once
config=other:config is not for
dir=a\000b:a NUL byte
fsync=sometimes:--fsync
WRONG
printf 'port=1\npass=x\n' >"$SCRATCH/kv.conf"
up "$KV_SERVER" --config "$SCRATCH/kv.conf" --pass "$PASS" --port 0 --dir "$DIR"
is "the command line goes before --config" "$(redis PING)" PONG
stop_server

# systemd: a datagram when it serves.
/usr/bin/python3 - "$SCRATCH/notify" <<'PY' >"$SCRATCH/notified" &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(15)
print(s.recv(1000).decode())
PY
listener=$!
wait_for 5 test -S "$SCRATCH/notify"
NOTIFY_SOCKET=$SCRATCH/notify up "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR"
wait "$listener"
like "systemd is told READY=1" "$(cat "$SCRATCH/notified")" "^READY=1"
stop_server

start_server --max-clients 2
exec 5<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT" 7<>"/dev/tcp/127.0.0.1/$PORT"
read -r -t 5 reply <&7
is "--max-clients turns the third away with a reason" "$reply" $'-ERR max number of clients reached\r'
exec 5<&- 6<&- 7<&-
stop_server

# N8: who only holds a place is sent away.
start_server --login-grace 2
exec 5<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT"
printf 'AUTH %s\r\n' "$PASS" >&6; read -r -t 5 reply <&6
is "N8: a guest is hung up on after --login-grace" "$(timeout 10 cat <&5; echo $?)" 0
printf 'PING\r\n' >&6; read -r -t 5 reply <&6
is "N8: who has logged in stays" "$reply" $'+PONG\r'
printf 'RESET\r\n' >&6; read -r -t 5 reply <&6; sleep 1.2
printf 'AUTH %s\r\n' "$PASS" >&6; read -r -t 5 reply <&6
is "N8: and is no guest of long ago after RESET" "$reply" $'+OK\r'
exec 5<&- 6<&-
stop_server

start_server --verbose
redis SET verbosekey "$(printf 'long%.0s' $(seq 100))" >/dev/null
wait_for 5 grep -q verbosekey "$SCRATCH/server.out"
like "--verbose shows requests" "$(cat "$SCRATCH/server.out")" '\[msg\] from client: \(pid: [0-9]+\) 127\.0\.0\.1:[0-9]+ \("SET" "verbosekey"'
like "--verbose shows replies" "$(cat "$SCRATCH/server.out")" '\[msg\]    to child: \+OK'
is "--verbose shortens values" "$(grep -c "$(printf 'long%.0s' $(seq 50))" "$SCRATCH/server.out")" 0
is "--verbose never shows the password" "$(grep -c "$PASS" "$SCRATCH/server.out")" 0
stop_server
done_testing
