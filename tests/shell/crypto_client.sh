#!/usr/bin/env bash
# Sealing as the user meets it: the real ./client, the real server, the real gpg. G1 to G6.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib_crypto.sh"
make_keyrings
start_server --persist 60 || done_testing
export KV_PORT=$PORT
client() { "$KV_CLIENT" --pass x "$@"; }
# refused NAME STATUS PATTERN COMMAND...: that exit status, nothing printed, a matching sentence.
refused() {
  local name=$1 status=$2 pattern=$3
  shift 3
  "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
  is "$name: exit status" "$?" "$status"
  is "$name: nothing is printed" "$(cat "$SCRATCH/out")" ""
  like "$name: says why" "$(cat "$SCRATCH/err")" "$pattern"
}

# --- nobody named yet ---
refused "a recipient is missing" 5 'secrets/gpg-id' client --encrypt SET k v
is "and nothing was sent" "$(client EXISTS k)" 0
is "KV_RECIPIENTS names some" "$(KV_RECIPIENTS=bob@kv.test client --encrypt SET k v)" OK
like "sealed for bob" "$(client GET k)" '^-----BEGIN PGP MESSAGE-----'
is "who opens it" "$(as_bob client --decrypt GET k)" v

# --- the line itself ---
client SET secrets/gpg-id alice@kv.test >"$SCRATCH/out"
mkdir "$SCRATCH/here"
ln -s "$KV_CLIENT" "$SCRATCH/here/client"
is "./client --pass x --encrypt SET k -- <(echo v)" \
  "$(cd "$SCRATCH/here" && ./client --pass x --encrypt SET k -- <(echo v))" OK
is "./client --pass x --decrypt GET k" \
  "$(cd "$SCRATCH/here" && ./client --pass x --decrypt GET k)" v
is "gpg alone opens it, as FORMAT.md says" "$(client GET k | gpg --quiet --decrypt | tail -n +2)" v
is "sealed for one" "$(sealed_for k)" 1

# --- the list of recipients in other forms, and no gpg ---
client DEL secrets/gpg-id >"$SCRATCH/out"
client RPUSH secrets/gpg-id alice@kv.test bob@kv.test >"$SCRATCH/out"
is "a list names them, too" "$(client --keys 2>&1 | grep -c 'usable: ')" 2
client DEL secrets/gpg-id >"$SCRATCH/out"
client HSET secrets/gpg-id f v >"$SCRATCH/out"
refused "a hash does not, and the key is named" 1 'recipients at secrets/gpg-id: WRONGTYPE' client --encrypt SET k2 v
client SET secrets/gpg-id alice@kv.test >"$SCRATCH/out"
mkdir "$SCRATCH/empty"
refused "no gpg to seal" 5 "gpg can't be run" env PATH="$SCRATCH/empty" "$KV_CLIENT" --pass x --encrypt SET k2 v
refused "no gpg to open" 5 "gpg can't be run" env PATH="$SCRATCH/empty" "$KV_CLIENT" --pass x --decrypt GET k
refused "no folder of keys" 5 '/nope \(GNUPGHOME\): No such file' env GNUPGHOME=/nope "$KV_CLIENT" --pass x --encrypt SET k2 v
refused "nor to open" 5 '/nope \(GNUPGHOME\): No such file' env GNUPGHOME=/nope "$KV_CLIENT" --pass x --decrypt GET k
for how in '--encrypt SET k2 v' '--decrypt GET k'; do
  refused "no home, $how" 5 "keys /nope/.gnupg is not there and can't be made: No such file" \
    env -u GNUPGHOME HOME=/nope "$KV_CLIENT" --pass x $how
done
cp -r "$GNUPGHOME" "$SCRATCH/agentless"
rm -f "$SCRATCH"/agentless/S.*
echo 'agent-program /nonexistent' >"$SCRATCH/agentless/gpg.conf"
agentless() { GNUPGHOME=$SCRATCH/agentless "$KV_CLIENT" --pass x "$@"; }
refused "no agent to open" 5 'the key "k": gpg-agent does not answer; type: gpgconf' agentless --decrypt GET k
refused "no agent to sign" 5 '^gpg-agent does not answer; type: gpgconf' agentless --encrypt --sign SET k2 v
like "no agent, and --keys" "$(agentless --keys)" 'gpg-agent does not answer'
for n in 4 5; do
  refused "$n descriptors" 5 'too few file descriptors' bash -c "ulimit -n $n; exec '$KV_CLIENT' --pass x --decrypt GET k"
done
is "and nothing was sent" "$(client EXISTS k2)" 0

# --- a connection that lasts longer than somebody's place on the list ---
watch_sealed() { [ "$(sealed_for watched)" = "$1" ]; }
client SET secrets/gpg-id alice@kv.test,bob@kv.test >"$SCRATCH/out"
"$KV_CLIENT" --pass x --quiet --encrypt --watch 0.1 SET watched v &
watcher=$!
passes "sealed for two" wait_for 20 watch_sealed 2
client SET secrets/gpg-id alice@kv.test >"$SCRATCH/out"
passes "who is taken off the list is not sealed for any more" wait_for 20 watch_sealed 1
kill "$watcher"

# --- every kind of value ---
is "MSET" "$(client --encrypt MSET m1 one m2 two)" OK
client SET m3 three >"$SCRATCH/out"
is "MGET, with one that is not sealed" \
  "$(client --decrypt --lines MGET m1 m2 m3)" $'one\ntwo\nthree'
is "HSET" "$(client --encrypt HSET h f 1 g 2)" 2
is "HGET" "$(client --decrypt HGET h g)" 2
is "HGETALL" "$(client --decrypt --lines HGETALL h | sort | tr '\n' ' ')" '1 2 f g '
unlike "no field is stored open" "$(client --lines HVALS h)" '^[12]'
is "RPUSH" "$(client --encrypt RPUSH q a b)" 2
is "LRANGE" "$(client --decrypt --lines LRANGE q 0 -1)" $'a\nb'
client RPOPLPUSH q q2 >"$SCRATCH/out"
is "an element that moved to another list opens there" "$(client --decrypt LPOP q2)" b
is "GETSET seals the new value and opens the old one" "$(client --encrypt --decrypt GETSET k w)" v
is "and the new one" "$(client --decrypt GET k)" w

# --- a reader that has gone ---
# closed_pipe COMMAND...: the status of a command whose reader has gone before it writes.
closed_pipe() { { "$@"; echo $? >"$SCRATCH/status"; } 2>"$SCRATCH/err" | :; cat "$SCRATCH/status" "$SCRATCH/err"; }
head -c 300000 /dev/zero | tr '\0' x >"$SCRATCH/large"
client --encrypt SET large -- "$SCRATCH/large" >"$SCRATCH/out"
is "a reader that has gone ends --decrypt without a word" "$(closed_pipe client --decrypt GET large)" 141
is "as it ends what opens nothing" "$(closed_pipe client GET large)" 141
is "but not where the signal is ignored" "$(trap '' PIPE; closed_pipe client --decrypt GET large)" \
  $'1\ncannot write to standard output: Broken pipe'

# --- refused before anything is sent ---
refused "a command without a value" 5 'GET' client --encrypt GET k
refused "APPEND" 5 'APPEND' client --encrypt APPEND k v
refused "SADD" 5 'another one each time' client --encrypt SADD new v
refused "ZADD" 5 'another one each time' client --encrypt ZADD new 1 v
refused "a key was forgotten" 5 'wrong number of arguments' client --encrypt MSET new one two
refused "a value was forgotten" 5 'wrong number of arguments' client --encrypt HSET new f v g
is "and nothing was sent" "$(client EXISTS new)" 0
for how in SET 'MSET new v' RPUSH; do
  refused "the list of recipients, $how" 5 'leave --encrypt out' client --encrypt $how secrets/gpg-id bob@kv.test
done
is "which is as it was" "$(client GET secrets/gpg-id)" alice@kv.test
is "and may be a value" "$(client --encrypt SET new2 secrets/gpg-id)" OK
refused "--encrypt was forgotten" 2 'nothing without --encrypt' client --recipient alice@kv.test SET new v
refused "a recipient that is empty" 2 'wants a key' client --encrypt --recipient '' SET new v
is "and nothing was stored" "$(client EXISTS new)" 0
for who in mallory@kv.test nobody@kv.test kv.test; do
  refused "G1: $who" 5 'gpg --|fingerprint' client --encrypt --recipient "$who" SET new v
  is "G1: $who: nothing was stored" "$(client EXISTS new)" 0
done
like "G1: the untrusted key's next step" \
  "$(client --encrypt --recipient mallory@kv.test SET new v 2>&1)" 'gpg --lsign-key [0-9A-F]{40}'
like "--keys names the key and its state" "$(client --keys 2>&1)" 'usable: [0-9A-F]{40} \(Alice'
like "--keys explains the one that can't be used" \
  "$(client --keys --recipient mallory@kv.test 2>&1)" "can't be used: .*lsign-key"

# --- G2 ---
client --encrypt --recipient locked@kv.test SET locked v >"$SCRATCH/out"
forget_passphrases
refused "G2: a locked key without a terminal" 5 'locked' \
  without_terminal "$KV_CLIENT" --pass x --decrypt GET locked

# --- G3 ---
client --encrypt MSET a 'of a' b 'of b' >"$SCRATCH/out"
client SET keep "$(client GET a)" >"$SCRATCH/out"
client SET a "$(client GET b)" >"$SCRATCH/out"
client SET b "$(client GET keep)" >"$SCRATCH/out"
refused "G3: a swapped value" 5 'key "a".*key "b"' client --decrypt GET a
is "G3: --allow-moved opens it" "$(client --decrypt --allow-moved GET a 2>"$SCRATCH/err")" 'of b'
client HSET h f "$(client HGET h g)" >"$SCRATCH/out"
refused "G3: a swapped field" 5 'field "f".*field "g"' client --decrypt HGET h f
refused "G3: one bad element spoils the list" 5 'field "f"' client --decrypt HGETALL h
refused "G3: a swapped field in a walk" 5 'field "f".*field "g"' client --decrypt HSCAN h 0
refused "G3: a swapped field by chance" 5 'field "f".*field "g"' client --decrypt HRANDFIELD h 9 WITHVALUES
is "the values of one hash, without their fields" "$(client --decrypt --lines HVALS h)" $'2\n2'
client HSET h f "$(client GET a)" >"$SCRATCH/out"
refused "G3: a value of another key among them" 5 'field of the key "h".*key "b"' client --decrypt HVALS h
client --encrypt HSET h2 f 1 >"$SCRATCH/out"
is "fields and values of a walk" "$(client --decrypt --require-sealed --json HSCAN h2 0)" '["0",["f","1"]]'
is "names of fields are not values" "$(client --decrypt --require-sealed HFIND h2 f)" f
client RPUSH q3 "$(client GET a)" >"$SCRATCH/out"
refused "G3: a value of a key in a list" 5 'list "q3".*key "b"' client --decrypt LMPOP 1 q3 LEFT
client --encrypt RPUSH q3 x >"$SCRATCH/out"
is "LMPOP" "$(client --decrypt --require-sealed --json LMPOP 1 q3 LEFT)" '["q3",["x"]]'
client --encrypt RPUSH q4 x y z >"$SCRATCH/out"
is "BLPOP says which of its lists, and opens what comes" \
  "$(client --decrypt --require-sealed --json BLPOP q3 q4 0)" '["q4","x"]'
is "BLMPOP, too" "$(client --decrypt --require-sealed --json BLMPOP 0 2 q3 q4 RIGHT)" '["q4",["z"]]'
is "BLMOVE" "$(client --decrypt --require-sealed BLMOVE q4 q5 LEFT LEFT 0)" y
client SET cut "$(client GET k | head -n 4)" >"$SCRATCH/out"
refused "G3: a cut value" 5 'cut' client --decrypt GET cut
client SET flip "$(client GET k | sed '4s/[A-M]/Z/;4s/[a-m]/z/')" >"$SCRATCH/out"
refused "G3: a changed value" 5 'damaged|changed' client --decrypt --allow-moved GET flip
refused "--require-sealed" 5 'not sealed' client --decrypt --require-sealed GET m3

# --- signatures ---
client --encrypt --sign SET signed v >"$SCRATCH/out"
is "a signed value opens" "$(client --decrypt GET signed 2>"$SCRATCH/err")" v
is "and a good signature needs no words" "$(cat "$SCRATCH/err")" ""
client --encrypt --sign --recipient bob@kv.test SET tobob v >"$SCRATCH/out"
is "a stranger's signature opens" "$(as_bob client --decrypt GET tobob 2>"$SCRATCH/err")" v
like "with a note" "$(cat "$SCRATCH/err")" 'not in your keyring'

is "--require-signed opens what is signed" "$(client --decrypt --require-signed GET signed)" v
refused "--require-signed: a stranger's signature" 5 'not in your keyring' \
  as_bob "$KV_CLIENT" --pass x --decrypt --require-signed GET tobob
refused "--require-signed: sealed and not signed" 5 'it is not signed' client --decrypt --require-signed GET k
refused "--require-signed: not even sealed" 5 'not sealed' client --decrypt --require-signed GET m3

# --- what picolisp-kv stored ---
old=$(echo -n 'old value' | gpg -v --output - --yes -a --encrypt -r alice@kv.test 2>/dev/null)
client SET old "$old" >"$SCRATCH/out"
is "picolisp-kv's sealed value opens" "$(client --decrypt GET old)" 'old value'

# --- G4: strace sees everything the client and gpg write, open and send ---
MARK=Plain7Text3Mark
CALLS=write,writev,pwrite64,sendto,sendmsg,sendmmsg,open,openat,creat,execve
# The sanitizers' search for leaks cannot attach to what strace is attached to.
traced() { ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -yy -s 1000000 -o "$SCRATCH/trace" -e "trace=$CALLS" "$@"; }
trace_count() { grep -Ec "$1" "$SCRATCH/trace"; }
seal_traced() { traced "$KV_CLIENT" --pass x --encrypt SET g4 -- <(echo "$MARK"); }
passes "G4: a value is sealed under strace" seal_traced
is "G4: it went out sealed" \
  "$(trace_count '(sendto|sendmsg|write|writev)\([0-9]+<(TCP|socket)[^ ]*.*BEGIN PGP MESSAGE')" 1
isnt "G4: gpg got it through a pipe" "$(trace_count "write\([0-9]+<pipe:\[[0-9]+\]>, \".*$MARK")" 0
is "G4: and nothing else was ever written with it" \
  "$(grep "$MARK" "$SCRATCH/trace" | grep -vc 'write([0-9]*<pipe:')" 0
is "G4: no file is created outside gpg's own folder" \
  "$(grep -E 'O_CREAT|creat\(' "$SCRATCH/trace" | grep -vE "\"($GNUPGHOME/|/dev/null\")" | wc -l)" 0
traced "$KV_CLIENT" --pass x --decrypt GET g4 | cat >"$SCRATCH/out"
is "G4: opened again" "$(cat "$SCRATCH/out")" "$MARK"
is "G4: opening writes it to pipes only" "$(grep "$MARK" "$SCRATCH/trace" | grep -vc '<pipe:')" 0
stop_server
is "G4: no file holds it" \
  "$(grep -rl "$MARK" "$DIR" "$GNUPGHOME" "$SCRATCH/here" "$SCRATCH"/server.* | wc -l)" 0
passes "G4: and they do hold the sealed value" grep -qr 'g4.*BEGIN PGP MESSAGE' "$DIR"

# --- a command that needs no GPG does not load it ---
start_server --persist 60
export KV_PORT=$PORT
traced "$KV_CLIENT" --pass x GET m3 >"$SCRATCH/out"
is "a plain command works" "$(cat "$SCRATCH/out")" three
is "and loads no libgpgme" "$(grep -c 'libgpgme' "$SCRATCH/trace")" 0
is "and runs no other program" "$(grep -c 'execve(' "$SCRATCH/trace")" 1

# --- sealing again where a value may be seen but not read: said, and not passed over ---
redis_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --dir "$SCRATCH" >"$SCRATCH/redis.out" 2>&1 &
SERVERS+=($!)
wait_for 20 redis-cli -p "$redis_port" PING
"$KV_CLIENT" --port "$redis_port" --encrypt --recipient alice@kv.test SET locked/a v >"$SCRATCH/out"
redis-cli -p "$redis_port" ACL SETUSER default -get >"$SCRATCH/out"
exits "a value that cannot be read is a failure" 5 \
  "$KV_CLIENT" --port "$redis_port" --recipient alice@kv.test --reencrypt locked/
like "which is counted" "$(cat "$SCRATCH/out")" ' 1 failed$'
like "and explained" "$(cat "$SCRATCH/err")" 'locked/a: NOPERM'
redis-cli -p "$redis_port" ACL SETUSER default +get >"$SCRATCH/out"
"$KV_CLIENT" --port "$redis_port" --encrypt --recipient alice@kv.test SET locked/b v >"$SCRATCH/out"
redis-cli -p "$redis_port" ACL SETUSER default -set >"$SCRATCH/out"
exits "values that may not be written are failures" 5 \
  "$KV_CLIENT" --port "$redis_port" --recipient bob@kv.test --reencrypt locked/
like "each of them, with WATCH and MULTI as well" "$(cat "$SCRATCH/out")" ' 2 failed$'

# --- a server that answers EXEC with no answer at all ---
redis-cli -p "$redis_port" GET locked/b >"$SCRATCH/sealed"
cat >"$SCRATCH/liar.py" <<'END'
import socket, sys
sealed = open(sys.argv[1], "rb").read()[:-1]
answers = {b"HELLO": b"%1\r\n+proto\r\n:3\r\n", b"SCAN": b"*2\r\n$1\r\n0\r\n*1\r\n$8\r\nlocked/b\r\n", b"TYPE": b"+string\r\n",
           b"GET": b"$%d\r\n%s\r\n" % (len(sealed), sealed), b"SET": b"+QUEUED\r\n", b"EXEC": b"*0\r\n"}
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
listener.settimeout(20)
connection = listener.accept()[0]
connection.settimeout(20)
requests = connection.makefile("rb")
while head := requests.readline():
    words = [requests.read(int(requests.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
    connection.sendall(answers.get(words[0], b"+OK\r\n"))
END
python3 "$SCRATCH/liar.py" "$SCRATCH/sealed" >"$SCRATCH/liar.port" 2>"$SCRATCH/liar.err" &
SERVERS+=($!)
wait_for 10 test -s "$SCRATCH/liar.port"
exits "N4: an EXEC without an answer is a failure, and no crash" 5 \
  "$KV_CLIENT" --port "$(cat "$SCRATCH/liar.port")" --recipient bob@kv.test --reencrypt locked/
like "N4: which is counted" "$(cat "$SCRATCH/out")" '^0 sealed again.* 1 failed$'
done_testing
