#!/usr/bin/env bash
# The tutorial on real input: the packages of this machine, loaded in one go by the awk program of the
# README, then asked from the shell, from redis-cli and from python3-redis at the same time.
. "$(dirname "$0")/lib.sh"

status=/var/lib/dpkg/status
sed -n '/<!-- packages.awk -->/,/<!-- end -->/p' "$KV_TOP/README.md" | grep -vE '^(```|<!--)' >"$SCRATCH/packages.awk"
awk -f "$SCRATCH/packages.awk" "$status" >"$SCRATCH/commands"
packages=$(grep -c '^Package: ' "$status")
sections=$(grep '^Section: ' "$status" | sort -u | wc -l)

start_server --persist 60
passes "the whole index goes in, in one go" kv --quiet <"$SCRATCH/commands"
"$KV_CLIENT" --pass "$PASS" --port "$PORT" --quiet <"$SCRATCH/commands" >"$SCRATCH/out" 2>&1 &
is "a key for each package and each section" "$(kv DBSIZE)" "$((packages + sections))"
wait $!
kv FLUSHALL >/dev/null
kv --quiet <"$SCRATCH/commands"

# Three kinds of clients at the same time.
dpkg-query -W -f '${Package}\t${Version}\n' | sort >"$SCRATCH/truth"
cut -f 1 "$SCRATCH/truth" | sed 's/.*/HGET package:& version/' >"$SCRATCH/questions"
kv --lines <"$SCRATCH/questions" >"$SCRATCH/by_kv" & askers=($!)
redis <"$SCRATCH/questions" >"$SCRATCH/by_redis" & askers+=($!)
/usr/bin/python3 - "$PORT" "$PASS" "$SCRATCH/truth" >"$SCRATCH/by_python" <<'PY' &
import redis, sys
r = redis.Redis(port=int(sys.argv[1]), password=sys.argv[2])
for line in open(sys.argv[3]):
    print(r.hget("package:" + line.split("\t")[0], "version").decode())
PY
wait "${askers[@]}" $!
cut -f 2 "$SCRATCH/truth" >"$SCRATCH/versions"
for who in kv redis python; do
  passes "every version as dpkg knows it, asked by $who" cmp "$SCRATCH/versions" "$SCRATCH/by_$who"
done
is "a section's list is as long as dpkg says" "$(kv LLEN section:libs)" "$(grep -c '^Section: libs$' "$status")"
is "in dpkg's order" "$(kv LRANGE section:libs 0 4)" "$(awk '/^Package: /{p=$2} /^Section: libs$/{print p}' "$status" | head -n 5 | paste -sd,)"
digest=$(redis DEBUG DIGEST)
kill -KILL "$(pgrep -P "$SERVER_PID" -f '^kv sibling')"
same_digest() { [ "$(redis DEBUG DIGEST 2>/dev/null)" = "$digest" ]; }
passes "all of it is there after the sibling was killed" wait_for 20 same_digest
stop_server
start_server --persist 60
is "and after a restart" "$(redis DEBUG DIGEST)" "$digest"
stop_server
done_testing
