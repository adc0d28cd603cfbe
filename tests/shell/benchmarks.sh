#!/usr/bin/env bash
# The benchmarks' front, which no figure tells of: parts, what is missing, a server that does not start.
# Nothing is measured here.
. "$(dirname "$0")/lib.sh"

bench() { "$KV_TOP/tests/bench/run" --out "$SCRATCH/bench" "$@"; }
documented=$(sed -n 's/^    tests\/bench\/run .*--only \([a-z_,]*\).*/\1/p' "$KV_TOP/tests/bench/README.md")
bench --help >"$SCRATCH/help"
isnt "the README's example names parts" "$documented" ""
for part in ${documented//,/ }; do
  passes "the part $part is there" grep -qw -- "$part" "$SCRATCH/help"
done
exits "a part that is not there" 2 bench --only memory,nothing
like "is named" "$(cat "$SCRATCH/err")" "no such part: nothing"

# Without the peers nothing is begun.
mkdir "$SCRATCH/bin"
ln -s "$(command -v env)" "$(command -v bash)" "$(command -v dirname)" "$(command -v mkdir)" "$SCRATCH/bin"
without_peers() (PATH=$SCRATCH/bin; bench --only memory)
exits "without redis-server and memcached" 2 without_peers
like "they are named, and what installs them" "$(cat "$SCRATCH/err")" "redis-server.* memcached .*make bench installs"

# What a server says that does not start is told, not only that its folder has gone meanwhile.
printf '#!/bin/sh\necho "I do not want to" >&2\nexit 1\n' >"$SCRATCH/unwilling"
chmod +x "$SCRATCH/unwilling"
starts_unwilling() {
  PYTHONPATH=$KV_TOP/tests/bench KV_SERVER=$SCRATCH/unwilling /usr/bin/python3 -B -c 'import servers
with servers.Kv(): pass'
}
exits "a server that does not start ends the run" 1 starts_unwilling
like "with what it said" "$(cat "$SCRATCH/err")" "kv does not start: I do not want to"
done_testing
