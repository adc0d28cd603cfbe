#!/usr/bin/env bash
# What a person does by hand, as kv.aof(5) says it: CONVERT and which file counts afterwards, SIGTERM saves,
# a save that fails, points in time, kept logs, mending with an editor, files that PicoLisp itself wrote.
# Every command is the one the manual shows.
. "$(dirname "$0")/lib.sh"

info() { redis info persistence | tr -d '\r' | sed -n "s/^$1://p"; }
saved() { [ "$(info rdb_bgsave_in_progress)" = 0 ]; }

# --- SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF ---
start_server --persist 3600
redis set n 1 >/dev/null
before=$(redis lastsave)
sleep 1.1
is "SAVE answers when the file is there" "$(redis save && grep -c '^("n" ' "$DIR/kv.db")" "$(printf 'OK\n1')"
isnt "LASTSAVE has moved" "$(redis lastsave)" "$before"
redis incr n >/dev/null
is "BGSAVE" "$(redis bgsave)" "Background saving started"
wait_for 10 saved
is "BGREWRITEAOF" "$(redis bgrewriteaof)" "Background append only file rewriting started"
wait_for 10 saved
is "nothing is applied twice: INCR" "$(redis get n)" 2

# --- CONVERT: which file counts? ---
is "CONVERT" "$(redis convert)" OK
wait_for 10 test -e "$DIR/kv.bin"
wait_for 10 saved
is "CONVERT's format is INFO's" "$(info db_format)" binary
redis incr n >/dev/null
redis rpush l a b >/dev/null
redis config set appendfsync always >/dev/null
kill -KILL "$(sibling)"
passes "a sibling started again still knows of CONVERT" wait_for 20 eval '[ "$(info db_format)" = binary ]'
is "and of CONFIG SET appendfsync" "$(redis config get appendfsync | tail -n 1)" always
kill_server
start_server --persist 3600
is "after CONVERT and kill -9: all is there, once" "$(redis get n) $(redis lrange l 0 -1 | tr '\n' ' ')" "3 a b "
redis save >/dev/null
is "a server started without --binary saves as text" "$(ls "$DIR" | grep -c '^kv.db$')" 1
is "and the other format is no longer in the way" "$(ls "$DIR" | grep -c '^kv.bin$')" 0
redis incr n >/dev/null
stop_server
is "SIGTERM saves" "$(grep -c '^("n" "4")' "$DIR/kv.db")" 1
start_server --persist 3600 --binary
is "text is read by a server of --binary" "$(redis get n)" 4
redis incr n >/dev/null
kill -KILL "$(sibling)"
passes "a sibling started again still knows of --binary" wait_for 20 eval '[ "$(info db_format)" = binary ]'
kill_server
exits "check" 0 "$KV_SERVER" --check --dir "$DIR"

# --- a save that fails ---
rm -rf "$DIR"
start_server --persist 1
redis set a 1 >/dev/null
wait_for 10 grep -q '^("a" ' "$DIR/kv.db"
wait_for 10 saved
mkdir "$DIR/kv.db.tmp"
before=$(cat "$DIR/kv.db")
redis set a 2 >/dev/null
passes "S2 a failing save says why" wait_for 10 grep -q 'saving failed.*kv.db.tmp' "$SCRATCH/server.err"
is "S2 INFO says so" "$(info rdb_last_bgsave_status)" err
like "S2 SAVE's error too" "$(redis save 2>&1)" 'ERR.*kv.db.tmp'
is "S2 the snapshot is as it was" "$(cat "$DIR/kv.db")" "$before"
rmdir "$DIR/kv.db.tmp"
passes "S2 and the timer's next try succeeds" wait_for 15 grep -q '^("a" "2")' "$DIR/kv.db"
stop_server

# --- --keep-logs and --until ---
rm -rf "$DIR"
start_server --persist 3600 --keep-logs 2
for i in 1 2 3 4 5 6; do redis rpush numbers "$i" >/dev/null; redis save >/dev/null; done
is "--keep-logs 2: two, and the one behind .old" "$(ls "$DIR" | grep -c '^kv\.aof\.[0-9.]*$')" 3
redis set moment before >/dev/null
sleep 1.1
now=$(date +%s)
redis set moment after >/dev/null
stop_server
until_is() {
  rm -rf "$SCRATCH/then"
  exits "--until '$1'" 0 "$KV_SERVER" --dir "$DIR" --until "$1" --into "$SCRATCH/then"
  like "is that moment's state" "$("$KV_SERVER" --dump json --dir "$SCRATCH/then")" "\"moment\".*\"before\""
}
until_is "$(date -d "@$now" +%Y-%m-%dT%H:%M:%S)"
until_is "$(date -u -d "@$now" +%Y-%m-%dT%H:%M:%SZ)"
until_is "$(TZ=UTC-1 date -d "@$now" +%Y-%m-%dT%H:%M:%S+01:00)"
until_is "$now"
exits "--until a moment before the kept logs is refused" 1 "$KV_SERVER" --dir "$DIR" --until 2020-01-01 --into "$SCRATCH/never"
like "with a reason" "$(cat "$SCRATCH/err")" 'reaches back to 2020-01-01.*the earliest moment is 20.*--keep-logs'
exits "--until into a folder that has something is refused" 2 "$KV_SERVER" --dir "$DIR" --until "$now" --into "$SCRATCH/then"
exits "--until nonsense" 2 "$KV_SERVER" --dir "$DIR" --until gestern --into "$SCRATCH/never"
KV_OLD=$DIR DIR=$SCRATCH/then
start_server --persist 3600
is "a server goes on from there" "$(redis get moment)" before
stop_server
DIR=$KV_OLD

# --- fewer databases than the files need: nothing is damaged, and nobody is told to repair it ---
for form in "" --binary; do
  rm -rf "$DIR"
  start_server --persist 3600 --databases 40 $form
  redis -n 30 set x 1 >/dev/null
  redis save >/dev/null
  redis -n 31 set y 1 >/dev/null
  kill_server
  exits "a start with too few databases is refused $form" 1 timeout 20 "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --persist 60
  like "with what it needs" "$(cat "$SCRATCH/err")" 'database 30: start with --databases 31'
  exits "of the log too" 1 timeout 20 "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --persist 60 --databases 31
  like "by line" "$(cat "$SCRATCH/err")" 'kv.aof line 2: .*database 31: start with --databases 32'
  unlike "and without a word of repair" "$(cat "$SCRATCH/err")" 'repair'
  exits "check finds all well" 0 "$KV_SERVER" --check --dir "$DIR"
  like "with every key" "$(cat "$SCRATCH/out")" 'with 2 keys'
done

# --- mending with an editor, as kv.aof(5) says ---
rm -rf "$DIR"
start_server --persist 3600
redis set name An >/dev/null
redis save >/dev/null
redis set city Bern >/dev/null
kill_server
sed -i 's/"An"/"Ann"/' "$DIR/kv.db"
printf '("%s.000000000" 0000000000 ("SET" ("added" "by hand")))\n' "$(($(date +%s) + 1))" >>"$DIR/kv.aof"
exits "D8 check names the edited files" 1 "$KV_SERVER" --check --dir "$DIR"
like "D8 with file and line of a log" "$(tr '\n' ' ' <"$SCRATCH/out")" 'kv.aof: log.*line 3 \(byte [0-9]+\): the checksum is wrong'
like "D8 with the name of a snapshot" "$(cat "$SCRATCH/out")" 'kv.db: the checksum is wrong.*--reseal'
exits "D8 --reseal" 0 "$KV_SERVER" --reseal --dir "$DIR"
exits "D8 then all is well" 0 "$KV_SERVER" --check --dir "$DIR"
like "D8 the old files are kept" "$(ls "$DIR")" 'before-reseal-'
start_server --persist 3600
is "D8 both edits count" "$(redis get name) $(redis get added) $(redis get city)" "Ann by hand Bern"
stop_server

# --- a backup made of hard links: the log needs a file of its own, and is told how ---
cp -al "$DIR" "$SCRATCH/backup"
exits "check says that the log has a second name" 1 "$KV_SERVER" --check --dir "$DIR"
like "and what to run" "$(cat "$SCRATCH/out")" "kv.aof has a second name.*: cp -p $DIR/kv.aof "
exits "so does the start" 1 timeout 20 "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --persist 60
advice=$(sed -n 's/.*a file of its own: //p' "$SCRATCH/err")
passes "it helps" bash -c "$advice"
exits "then all is well" 0 "$KV_SERVER" --check --dir "$DIR"

# --- check says what a start says of what cannot be removed or written to ---
# refused_alike NAME: by both, with the same file named.
refused_alike() {
  exits "check is not content with $1" 1 "$KV_SERVER" --check --dir "$DIR"
  like "and names it" "$(cat "$SCRATCH/out")" "a server does not start from this: .*/$1"
  exits "a start is refused" 1 timeout 20 "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --persist 60
  like "and names it as well" "$(cat "$SCRATCH/err")" "/$1"
}
for name in kv.db.tmp kv.aof.new; do
  mkdir "$DIR/$name"
  refused_alike "$name"
  rmdir "$DIR/$name"
done
for name in kv.aof kv.lock; do  # root may write whatever the mode, but not to what is another user's
  if [ "$(id -u)" = 0 ]; then chown 65534 "$DIR/$name"; else chmod 0400 "$DIR/$name"; fi
  refused_alike "$name"
  if [ "$(id -u)" = 0 ]; then chown 0 "$DIR/$name"; else chmod 0600 "$DIR/$name"; fi
done
if [ "$(id -u)" = 0 ]; then
  chown -R 65534 "$DIR"
  exits "root may look at another user's folder" 0 "$KV_SERVER" --check --dir "$DIR"
  chown -R 0 "$DIR"
fi
exits "all is well again" 0 "$KV_SERVER" --check --dir "$DIR"
start_server --persist 3600
redis set city Basel >/dev/null
kill_server
exits "and the backup is as it was" 1 grep -q Basel "$SCRATCH/backup/kv.aof"

# --- what stands in the place of a file is no damage: repair says so and changes nothing ---
for name in kv.db kv.bin kv.aof; do
  for what in folder link; do
    rm -rf "$SCRATCH/odd" && cp -a "$DIR" "$SCRATCH/odd"
    [ ! -e "$SCRATCH/odd/$name" ] || mv "$SCRATCH/odd/$name" "$SCRATCH/elsewhere"
    if [ $what = folder ]; then mkdir "$SCRATCH/odd/$name"; else ln -s "$SCRATCH/elsewhere" "$SCRATCH/odd/$name"; fi
    before=$(ls "$SCRATCH/odd")
    exits "repair refuses a $what named $name" 1 "$KV_SERVER" --repair --dir "$SCRATCH/odd"
    like "with its name" "$(cat "$SCRATCH/err")" "odd/$name is not a regular file"
    is "and leaves everything" "$(ls "$SCRATCH/odd")" "$before"
  done
done

# --- files that PicoLisp wrote ---
rm -rf "$DIR" && mkdir -m 700 "$DIR"
cat >"$SCRATCH/write.l" <<'L'
(setq *Db (quote
  ("m1" "1") ("u" "é€😀") ("esc" "^[[0m^?^A") ("nl" "a^Jb") ("q" "a\"b") ("n" -42)
  ("big" 1180591620717411303424) ("l" (1 NIL ("x" 2) "b c")) ("h" (("f" . "v") ("g" . 7))) ))
(out "kv.db" (for X *Db (println X)))
(out "kv.bin.later" (for X *Db (pr X)))
(out "kv.aof"
  (for X (quote ("RPUSH" ("l" "end")) ("SET" ("n" 43)) ("APPEND" ("m1" "2")))
    (println (list (pack "1795167368." (+ 731108250 (inc (0))) ) (hash X) X)) ) )
(bye)
L
(cd "$DIR" && picolisp "$SCRATCH/write.l" -bye >"$SCRATCH/out" 2>&1)
mv "$DIR/kv.bin.later" "$SCRATCH/kv.bin"
exits "check reads files that PicoLisp wrote" 0 "$KV_SERVER" --check --dir "$DIR"
like "and counts what is in them" "$(cat "$SCRATCH/out")" 'kv.db: snapshot of picolisp-kv, clean, 9 keys'
start_server --persist 3600
is "their snapshot and log" "$(redis get m1) $(redis get n) $(redis lindex l -1) $(redis hget h g)" "12 43 end 7"
is "bytes as they were" "$(redis get esc | head -c 7 | od -An -tx1)" " 1b 5b 30 6d 7f 01 0a"
is "a big number" "$(redis get big)" 1180591620717411303424
kill_server
start_server --persist 3600
is "and once only" "$(redis get m1) $(redis llen l)" "12 5"
stop_server
rm -rf "$DIR" && mkdir -m 700 "$DIR" && cp "$SCRATCH/kv.bin" "$DIR/kv.bin"
start_server --persist 3600 --binary
is "their kv.bin" "$(redis get n) $(redis llen l) $(redis get u)" "-42 4 é€😀"
stop_server
exits "D20 is replaced by ours" 0 "$KV_SERVER" --check --dir "$DIR"
rm -rf "$DIR" && mkdir -m 700 "$DIR"
printf '("a" `(out "%s/executed" (prin 1)))\n' "$SCRATCH" >"$DIR/kv.db"
exits "D20 a backquote is refused by check" 1 "$KV_SERVER" --check --dir "$DIR"
like "D20 by name" "$(cat "$SCRATCH/out")" 'read-macro'
exits "D20 and by the start" 1 timeout 20 "$KV_SERVER" --pass "$PASS" --port 0 --dir "$DIR" --persist 60
is "D20 nothing is executed" "$(ls "$SCRATCH/executed" 2>/dev/null)" ""

# --- lines and commands that only get an error are named, wherever they come from ---
rm -rf "$DIR"
start_server --persist 3600
for line in "set a 1" "set d 4" "set e 5" "set f 6" "del nothing" "set last 7"; do redis $line >"$SCRATCH/out"; done
kill_server
sed -i 's/("d" "4")/("d")/; s/("set" ("e" "5"))/("get" ("e"))/; s/("set" ("f" "6"))/("rpush" ("a" "6"))/' "$DIR/kv.aof"
exits "reseal takes them, since their form is right" 0 "$KV_SERVER" --reseal --dir "$DIR"
said=$(cat "$SCRATCH/err")
like "and names a wrong number of arguments" "$said" "kv.aof line 3 does nothing: wrong number of arguments for set"
like "a read" "$said" "kv.aof line 4 does nothing: get is not a write"
like "and an error" "$said" "kv.aof line 5 does nothing: rpush: WRONGTYPE"
is "and no other line" "$(grep -c 'does nothing' "$SCRATCH/err")" 3
exits "check finds that something is wrong" 1 "$KV_SERVER" --check --dir "$DIR"
is "and names the three as well" "$(grep -c 'note: kv.aof line [345] does nothing' "$SCRATCH/out")" 3
start_server --persist 3600
is "a start names them and goes on" "$(grep -c 'does nothing' "$SCRATCH/server.err")" 3
is "with the other lines" "$(redis dbsize) $(redis get a) $(redis get last)" "2 1 7"
stop_server
rm -rf "$DIR"
printf 'SET a 1\r\nSET b\r\nRPUSH a 2\r\nGET a\r\nDEL nothing\r\nSET c 3\r\n' >"$SCRATCH/commands"
exits "a load of commands that fail ends with status 1" 1 "$KV_SERVER" --load "$SCRATCH/commands" --dir "$DIR"
is "says how many it took" "$(cat "$SCRATCH/out")" "loaded 3 entries"
said=$(cat "$SCRATCH/err")
like "names the first that failed" "$said" "command 2, byte 9: wrong number of arguments for set"
like "the second" "$said" "command 3, byte 16: rpush: WRONGTYPE"
like "the third" "$said" "command 4, byte 27: get is not a write"
like "and how many there are" "$said" "ERROR: 3 entries of .* were not loaded"
is "and has the others" "$("$KV_SERVER" --dump resp --dir "$DIR" | tr -d '\r' | grep -cx '[13]')" 2

done_testing
