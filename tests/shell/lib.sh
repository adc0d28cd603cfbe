# What every black-box script starts with: a scratch folder, servers that end by themselves, TAP.
#   . "$(dirname "$0")/lib.sh"
#   start_server --persist 60         # sets PORT, SERVER_PID, DIR
#   is "GET gives back what SET took" "$(kv GET k)" v
#   done_testing
set -u
: "${KV_TOP:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${KV_SERVER:=$KV_TOP/server}" "${KV_CLIENT:=$KV_TOP/client}"
: "${KV_BUILD:=$KV_TOP/.build/release}"
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/kv-test.XXXXXX")
DIR=$SCRATCH/data
PASS=secret
TESTS=0 FAILURES=0 SERVERS=()
umask 022

# A number of a process that has ended may be another's by now, also one of another suite.
is_ours() { [ "$(ps -o ppid= -p "$1" | tr -d ' ')" = "$$" ]; }
cleanup() {
  local pid ours=()
  [ "$BASHPID" = "$$" ] || return  # a subshell that was ended must not take all this away
  for pid in "${SERVERS[@]}"; do is_ours "$pid" && ours+=("$pid") && kill -TERM "$pid"; done 2>/dev/null
  for pid in "${ours[@]}"; do wait_gone "$pid" 50 || kill -KILL "$pid" 2>/dev/null; done
  rm -rf "$SCRATCH"
}
trap cleanup EXIT

# --- TAP ---
ok() { TESTS=$((TESTS + 1)); echo "ok $TESTS - $1"; }
not_ok() { TESTS=$((TESTS + 1)); FAILURES=$((FAILURES + 1)); echo "not ok $TESTS - $1"; shift; printf '#   %s\n' "$@"; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got:      $2" "expected: $3"; fi; }
isnt() { if [ "$2" != "$3" ]; then ok "$1"; else not_ok "$1" "got:      $2, and must not"; fi; }
like() { if [[ $2 =~ $3 ]]; then ok "$1"; else not_ok "$1" "got:        $2" "must match: $3"; fi; }
unlike() { if [[ $2 =~ $3 ]]; then not_ok "$1" "got:            $2" "must not match: $3"; else ok "$1"; fi; }
# passes NAME COMMAND...: the command succeeds.
passes() { local name=$1; shift; if "$@" >"$SCRATCH/out" 2>&1; then ok "$name"; else not_ok "$name" "$*" "$(tail -n 5 "$SCRATCH/out")"; fi; }
# exits NAME STATUS COMMAND...: the command ends with that status; output in $SCRATCH/out and err.
exits() {
  local name=$1 want=$2 got limit=(timeout 60)
  shift 2
  [ "$(type -t "$1")" = function ] && limit=()  # timeout runs programs only
  "${limit[@]}" "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
  got=$?
  is "$name" "$got" "$want"
}
done_testing() { echo "1..$TESTS"; [ "$FAILURES" -eq 0 ]; exit; }

# --- processes ---
# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() { local end=$((SECONDS + $1 + 1)); shift; while ! "$@" >/dev/null 2>&1; do [ "$SECONDS" -lt "$end" ] || return 1; sleep 0.05; done; }
# wait_gone PID TENTHS: until the process has ended.
# One that has ended and is not reaped yet (its parent was killed) has ended.
has_ended() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c 1)" = Z ]; }
wait_gone() { local i; for ((i = 0; i < $2; i++)); do has_ended "$1" && return 0; sleep 0.1; done; has_ended "$1"; }

# start_server OPTIONS...: a server on a free port in $DIR; waits for its ready line.
start_server() {
  mkdir -p "$DIR"
  : >"$SCRATCH/server.out"  # the last server's ready line is not this one's
  "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" "$@" >"$SCRATCH/server.out" 2>"$SCRATCH/server.err" &
  SERVER_PID=$!
  SERVERS+=("$SERVER_PID")
  if ! wait_for 20 grep -q '^ready' "$SCRATCH/server.out"; then
    not_ok "server starts: $*" "$(cat "$SCRATCH/server.out" "$SCRATCH/server.err")"
    return 1
  fi
  PORT=$(sed -n 's/^ready.*port \([0-9]*\).*/\1/p' "$SCRATCH/server.out" | head -n 1)
}
stop_server() { kill -TERM "$SERVER_PID" 2>/dev/null; wait "$SERVER_PID" 2>/dev/null; }
sibling() { pgrep -P "$SERVER_PID" -f '^kv sibling' | head -n 1; }
# kill_server: every process of it ends at once, as in a power cut. The parent is frozen first and
# killed last: it would start a new sibling, and a sibling whose parent is gone closes its log.
kill_server() {
  local children pid
  kill -STOP "$SERVER_PID"
  children=$(pgrep -P "$SERVER_PID")
  kill -KILL $children "$SERVER_PID" 2>/dev/null
  wait "$SERVER_PID" 2>/dev/null
  for pid in $children; do wait_gone "$pid" 50; done
}

# --- clients ---
kv() { "$KV_CLIENT" --pass "$PASS" --port "$PORT" "$@"; }
redis() { redis-cli -p "$PORT" -a "$PASS" --no-auth-warning "$@"; }
