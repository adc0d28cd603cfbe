#!/usr/bin/env bash
# The benchmarks' front, which no figure tells of: parts, what is missing, a server that does not start,
# which rounds are kept, what a plot says of itself.
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

# Rounds in which the host took the processor are measured again, of all servers alike, whatever they gave.
rounds() { # the host's percent in each round
  PYTHONPATH=$KV_TOP/tests/bench /usr/bin/python3 -B - "$@" <<'PYTHON'
import sys, types, machine, results
host, asked = iter(map(float, sys.argv[1:])), []
machine.Stolen = lambda: types.SimpleNamespace(percent=lambda: next(host))
def measure(server):
    asked.append(server.name)
    return len(asked)
got = results.alternate([types.SimpleNamespace(name=n) for n in 'ab'], 3, measure)
print(''.join(asked), sorted(got['a']), sorted(got['b']), got.stolen)
PYTHON
}
is "quiet rounds: as many as asked for, in turns" "$(rounds 0 4 2)" "abbaab [1, 4, 5] [2, 3, 6] 2.0"
is "a disturbed round is measured again and left out" "$(rounds 0 30 1 2)" "abbaabba [1, 5, 8] [2, 6, 7] 1.0"
is "half as many more at most; the quietest are kept" "$(rounds 20 9 30 10)" "abbaabba [1, 4, 8] [2, 3, 7] 13.0"

# A plot is looked at without the table: it says itself what was measured, and where.
caption() {
  PYTHONPATH=$KV_TOP/tests/bench KV_SERVER=$KV_TOP/server /usr/bin/python3 -B - <<'PYTHON'
import machine, plots, servers
print(plots.caption(machine.description(servers.Kv.program) | {'date': '2026-11-29'}))
PYTHON
}
caption >"$SCRATCH/caption"
for what in "kv [0-9.]*, redis-server 7\.[0-9.]*, " "[0-9] cores" "Linux $(uname -r), 2026-11-29"; do
  like "a plot names $what" "$(cat "$SCRATCH/caption")" "$what"
done
done_testing
