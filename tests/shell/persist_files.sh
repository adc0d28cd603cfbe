#!/usr/bin/env bash
# The files as people meet them: PicoLisp's own read, picolisp-kv's files, a full disk, edits by hand, dumps
# into a real redis-server, a point in time.
. "$(dirname "$0")/lib.sh"

# Without a clean end, which would save: the log must hold the last lines.

start_server --persist 3600
redis set name 'he said "hi"' >/dev/null
redis rpush list a b c >/dev/null
redis hset hash f v g w >/dev/null
redis sadd set a b c >/dev/null
redis sadd numbers 3 1 2 >/dev/null
redis sadd large $(seq -f 'member:%g' 1000) >/dev/null
redis zadd board 7.5 Ann 12 Bob >/dev/null
redis zadd sorted $(seq 1000 | sed 's/.*/&.25 member:&/') >/dev/null
redis set n 5 >/dev/null
redis -n 3 set elsewhere x >/dev/null
redis bgsave >/dev/null
wait_for 10 grep -q elsewhere "$DIR/kv.db"
digest=$(redis debug digest)

# --- PicoLisp reads our files ---
cat >"$SCRATCH/read.l" <<'L'
(in "kv.db" (until (eof) (let? X (read) (println X))))
(bye)
L
lines=$(cd "$DIR" && picolisp "$SCRATCH/read.l" -bye 2>&1)
like "PicoLisp's read takes a string of kv.db" "$lines" '\("name" "he said \\"hi\\""\)'
like "PicoLisp's read takes a list of kv.db" "$lines" '\("list" \("a" "b" "c"\)\)'
like "PicoLisp's read takes a hash of kv.db" "$lines" '\("hash" \(\("f" \. "v"\) \("g" \. "w"\)\)\)'
like "PicoLisp's read takes a set of kv.db" "$lines" '\("set" \("a" "b" "c"\) \(type set\)\)'
like "PicoLisp's read takes a sorted set of kv.db" "$lines" '\("board" \(\("Ann" \. "7.5"\) \("Bob" \. "12"\)\) \(type zset\)\)'
sed 's/kv.db/kv.aof/' "$SCRATCH/read.l" >"$SCRATCH/read_log.l"
redis set after 'a save' >/dev/null
lines=$(cd "$DIR" && picolisp "$SCRATCH/read_log.l" -bye 2>&1)
like "PicoLisp's read takes a line of kv.aof" "$lines" '"set" \("after" "a save"\)'
redis set last line >/dev/null
digest=$(redis debug digest)
kill_server

# --- dumps ---
for form in text json resp; do
  "$KV_SERVER" --dump "$form" --dir "$DIR" >"$SCRATCH/dump.$form"
  exits "a $form dump loads" 0 "$KV_SERVER" --load "$SCRATCH/dump.$form" --dir "$SCRATCH/from_$form"
  "$KV_SERVER" --check --dir "$SCRATCH/from_$form" >"$SCRATCH/checked"
  like "and gives the same data ($form)" "$(cat "$SCRATCH/checked")" "digest $digest"
done
redis-server --enable-debug-command yes --port 0 --unixsocket "$SCRATCH/redis.sock" --save '' --dir "$SCRATCH" >/dev/null &
REDIS=$!
wait_for 10 redis-cli -s "$SCRATCH/redis.sock" ping
redis-cli -s "$SCRATCH/redis.sock" --pipe <"$SCRATCH/dump.resp" >/dev/null 2>&1
is "a resp dump fills a real Redis with the same data" "$(redis-cli -s "$SCRATCH/redis.sock" debug digest)" "$digest"
is "and every key is there" "$(redis-cli -s "$SCRATCH/redis.sock" hget hash g)" w
kill "$REDIS"
wait "$REDIS" 2>/dev/null

# --- an edit by hand (D8) ---
sed -i 's/"a save"/"by hand"/' "$DIR/kv.aof"
exits "D8 an edited log is refused by check" 1 "$KV_SERVER" --check --dir "$DIR"
timeout 20 "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --persist 3600 >"$SCRATCH/out" 2>"$SCRATCH/err"
isnt "D8 and by the start" "$?" 0
like "D8 which says what to do" "$(cat "$SCRATCH/err")" 'reseal'
exits "D8 reseal" 0 "$KV_SERVER" --reseal --dir "$DIR"
start_server --persist 3600
is "D8 the edit is there" "$(redis get after)" "by hand"
stop_server

# --- a lost line (D7), repair ---
start_server --persist 3600
for i in 1 2 3 4 5; do redis rpush counted "$i" >/dev/null; done
kill_server
sed -i '/"counted" "3"/d' "$DIR/kv.aof"
exits "D7 a lost line is noticed" 1 "$KV_SERVER" --check --json --dir "$DIR"
like "D7 and named in JSON" "$(cat "$SCRATCH/out")" '"verdict":"corrupt_middle"'
exits "repair" 0 "$KV_SERVER" --repair --dir "$DIR"
start_server --persist 3600
like "repair keeps the other lines" "$(redis lrange counted 0 -1 | tr '\n' ' ')" '^1 2 .*5 $'
stop_server

# --- a full disk (D11): the log may not grow over a limit ---
rm -rf "$DIR"
: >"$SCRATCH/server.out"  # the last server's ready line is not this one's
(ulimit -f 16; trap '' XFSZ; exec "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --persist 3600 --fsync always) \
  >"$SCRATCH/server.out" 2>"$SCRATCH/server.err" &
SERVER_PID=$!
SERVERS+=("$SERVER_PID")
mkdir -p "$DIR"
if wait_for 20 grep -q '^ready' "$SCRATCH/server.out"; then
  PORT=$(sed -n 's/^ready.*port \([0-9]*\).*/\1/p' "$SCRATCH/server.out" | head -n 1)
  acked=0
  for i in $(seq 40); do
    [ "$(redis set "key$i" "$(printf '%0900d' "$i")" 2>/dev/null)" = OK ] && acked=$i || break
  done
  isnt "D11 some writes fit" "$acked" 0
  isnt "D11 and some do not" "$acked" 40
  like "D11 a refused write says why" "$(redis set x "$(printf '%0900d' 1)" 2>&1)" 'kv.aof'
  is "D11 reads go on" "$(redis exists "key$acked")" 1
  is "D11 a small write fits again" "$(redis set small s)" OK
  stop_server
  start_server --persist 3600
  is "D11 nothing acknowledged is lost" "$(redis dbsize)" "$((acked + 1))"
  stop_server
else
  not_ok "D11 server starts under a file size limit" "$(cat "$SCRATCH/server.err")"
fi

# --- a point in time ---
rm -rf "$DIR"
start_server --persist 3600 --keep-logs 9
for i in 1 2 3; do
  redis set moment "$i" >/dev/null
  sleep 1.1
  moments[i]=$(date +%s)
  redis save >/dev/null
done
stop_server
for i in 1 2 3; do
  exits "--until moment $i" 0 "$KV_SERVER" --dir "$DIR" --until "${moments[i]}" --into "$SCRATCH/then$i"
  like "is the state of that moment" "$("$KV_SERVER" --dump json --dir "$SCRATCH/then$i")" "\"value\":\"$i\""
done

# --- picolisp-kv's files ---
rm -rf "$DIR" && mkdir -m 700 "$DIR"
printf '("m1" "1")\n("l" (1 NIL ("x" 2) "b c"))\n("h" (("f" . "v") ("g" . 7)))\n' >"$DIR/kv.db"
printf '("1596099036.281142829" 54042 ("RPUSH" ("mytestlist" "four" "five" "six")))\n' >"$DIR/kv.aof"
start_server --persist 3600
is "a string of picolisp-kv" "$(redis get m1)" 1
is "a hash of picolisp-kv" "$(redis hget h g)" 7
is "a line of its log" "$(redis lrange mytestlist 0 -1 | tr '\n' ' ')" "four five six "
is "its list" "$(redis llen l)" 4
redis rpush mytestlist seven >/dev/null
stop_server
start_server --persist 3600
is "and once more, nothing twice" "$(redis lrange mytestlist 0 -1 | tr '\n' ' ')" "four five six seven "
stop_server

done_testing
